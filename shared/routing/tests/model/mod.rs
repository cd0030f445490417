//! A model of everything around the decisions: a table, processes that gather, decide and commit, and a scheduler that
//! lets them take their steps in any order, lose answers and crash.
//!
//! The decisions are the crate's own; nothing of them is modelled. Not modelled: purge, TTL, capacity, reads that page.

mod process;
mod promises;
mod rng;
mod scenario;
mod table;
mod world;

pub(crate) use promises::Broken;
pub(crate) use scenario::run;
pub(crate) use table::Kind;

/// What is done otherwise than it should be.
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
    /// A slot that our own change took is taken for somebody else's.
    OwnChangeNotRecognized,
    /// The binding is read without strong consistency.
    BindingReadWeakly,
    /// Where the facts contradict each other, the tail is not read again.
    TailReadOnce,
    ForwardedBeforeJournaled,
    /// A copied state is no version of the metadata.
    StateCopyNotCounted,
}
