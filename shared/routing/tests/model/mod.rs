//! A model of everything around the decisions: a table, processes that gather, decide and commit, consumers that read the
//! logs, and a scheduler that lets them all take their steps in any order, lose answers and crash.
//!
//! The decisions are the crate's own; nothing of them is modelled. That holds for consumers too: each
//! step of a [`consumer`], and every condition and change of its cursor, is a value that the model carries out as the
//! service does. Not modelled: services' own webhooks (a test of decisions follows them through random changes), the
//! numbers' own webhooks (they run as the relay does), purge, TTL, capacity, reads that
//! page, runs that outlive the sweep's distance (a test of the bounds compares the two).

mod consumer;
mod cursors;
mod deliveries;
mod dispatch;
mod mutate;
mod process;
mod promises;
mod relay;
mod rng;
mod scenario;
mod schedule;
mod table;
mod world;

pub(crate) use promises::Broken;
pub(crate) use scenario::{run, run_read};
pub(crate) use table::Kind;

/// A deviation from the design.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mutant {
    /// A kind of condition that the table does not check.
    pub(crate) off: Option<Kind>,
    pub(crate) procedure: Procedure,
}

/// The procedure of the processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Procedure {
    #[default]
    AsDesigned,
    /// A slot that our own change took counts as another change's.
    OwnChangeNotRecognized,
    /// A refusal counts although an earlier request with the plan had an unknown result.
    DoubtForgotten,
    /// The binding is read without strong consistency.
    BindingReadWeakly,
    /// If the facts contradict each other, the process does not read the tail again.
    TailReadOnce,
    ForwardedBeforeJournaled,
    /// The facts of a message are not read again after the reply of a pre-action webhook.
    FactsKeptOverTheReply,
    /// A copied state is no version of the metadata.
    StateCopyNotCounted,
    NoLastLook,
    /// A run whose looks or time are used up does not make the consumer due that lags.
    NoWakeAtTheEnd,
    LastLookBeforeTheLeaseIsBack,
    /// A run that passes over entries that owe nothing does not look once more.
    NoLookAfterPassingOver,
    GapsPassedOver,
    /// A run moves a cursor that another run has moved in the meantime.
    MovedFromAnywhere,
    GenerationNotChecked,
    BeginningAtTheFirstSlot,
    MarkBeforeWake,
    SweepUpToNow,
    /// The sweep does not look behind a stretch of entries that owe nothing.
    SweepLooksAtOneStretch,
    DueClearedAtStart,
    /// A run clears a due time before it has read the log to its end.
    DueClearedBeforeTheEnd,
    /// The last move of a run clears every due time, also one that another run set.
    DueOfOthersCleared,
    NoLease,
    LanesHoldUpOthers,
    /// The sweep does not wake a cursor that has lanes and no due time.
    LanesWithoutDueNotLookedFor,
    NoClaimBeforeTheCall,
    /// Any run can take over a claim that has run out.
    ClaimRunsOut,
    UnknownCountsAsNotAccepted,
    /// No run checks whether an attempt was under way when a message was deleted.
    DeletedNotLookedFor,
    /// The relay does not record a deleted message that waited for another attempt as failed.
    DeletedWaitsForEver,
    /// The relay raises the alarm for an unknown message after it has written the record.
    AlarmAfterTheNote,
}
