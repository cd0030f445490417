//! The decision on a message.

use crate::journal::Journaled;
use crate::plan::Plan;
use crate::pre_action::PreActionCall;

/// What is to be done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet: the pre-action webhook must be called. Decide again with the [`crate::PreActionReply`].
    Ask(Box<PreActionCall>),
    Do(Box<Plan<Journaled>>),
    /// The facts contradict each other, because something changed between the reads: read them again.
    Gather,
}
