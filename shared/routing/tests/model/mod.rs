//! A model of everything around the decisions: a table, processes that gather, decide and commit, consumers that read the
//! logs, and a scheduler that lets them all take their steps in any order, lose answers and crash.
//!
//! The decisions are the crate's own; nothing of them is modelled. That holds for consumers too: how a [`consumer`] goes
//! on, and every condition and change of its cursor, is a value that the model carries out as the service does. Not
//! modelled: the numbers' own webhooks (they go on as the relay does), purge, TTL, capacity, reads that page, runs that
//! outlive the sweep's distance (a test of the bounds compares the two).

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

/// What a mutant does otherwise than it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mutant {
    /// A kind of condition that is not looked at.
    pub(crate) off: Option<Kind>,
    pub(crate) procedure: Procedure,
}

/// How processes go about it.
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
    /// Where the facts contradict each other, the tail is not read again.
    TailReadOnce,
    ForwardedBeforeJournaled,
    /// A rejection is written though the pair may have moved since its webhook was called.
    RejectionNotChecked,
    /// A copied state is no version of the metadata.
    StateCopyNotCounted,
    NoLastLook,
    /// A run whose looks or time are used up does not make the consumer due that lags.
    NoWakeAtTheEnd,
    LastLookBeforeTheLeaseIsBack,
    /// A run that passes over what is owed to no recipient does not look once more.
    NoLookAfterPassingOver,
    GapsPassedOver,
    /// A cursor moves though it does not stand where its mover saw it.
    MovedFromAnywhere,
    EverythingIsHeard,
    BeginningAtTheFirstSlot,
    MarkBeforeWake,
    SweepUpToNow,
    /// What lies behind a stretch in which nothing is owed is not looked at.
    SweepLooksAtOneStretch,
    DueClearedAtStart,
    /// A due time is cleared though not all of the log was seen to its end.
    DueClearedBeforeTheEnd,
    /// The last move of a run clears whatever due time stands there.
    DueOfOthersCleared,
    NoLease,
    LanesHoldUpOthers,
    /// The sweep does not wake a cursor that has lanes and no due time.
    LanesWithoutDueNotLookedFor,
    NoClaimBeforeTheCall,
    /// A claim that has run out is anybody's.
    ClaimRunsOut,
    UnknownIsNotTaken,
    /// No run looks whether an attempt was under way when a message was deleted.
    DeletedIsForgotten,
    /// A message that waited for another attempt when it was deleted is not noted as failed.
    DeletedWaitsForEver,
    /// The alarm for an unknown message is raised after the record says so.
    AlarmAfterTheNote,
}
