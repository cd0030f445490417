//! The decision on a message or on a REST change.

use crate::plan::Plan;
use crate::pre_action::PreActionCall;
use crate::refusal::Refusal;
use crate::sid::ConversationSid;

/// The next step for a message or a REST change. `R`: the reasons for which it can be refused; a message can't be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<T, R = Refusal> {
    /// Call the pre-action webhook, then decide again with its [`crate::PreActionReply`].
    Ask(Box<PreActionCall>),
    /// A conversation that the decision depends on is past its closing time, and no run has closed it yet. Carry out
    /// this plan, which closes it, then gather and decide again. The plan's outcome names the conversation.
    Close(Box<Plan<ConversationSid>>),
    /// Carry out the plan.
    Do(Box<Plan<T>>),
    /// Gather and decide again: the facts contradict each other, because something changed between the reads.
    Gather,
    /// Change nothing.
    Refuse(R),
}

/// A decision that ends before there is a plan.
pub(crate) enum Halt {
    Ask(Box<PreActionCall>),
    Close(Box<Plan<ConversationSid>>),
    Refuse(Refusal),
}

impl From<Box<PreActionCall>> for Halt {
    fn from(call: Box<PreActionCall>) -> Halt {
        Halt::Ask(call)
    }
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Halt {
        Halt::Refuse(refusal)
    }
}

impl<T> From<Result<Plan<T>, Halt>> for Decision<T> {
    fn from(decided: Result<Plan<T>, Halt>) -> Decision<T> {
        match decided {
            Ok(plan) => Decision::Do(Box::new(plan)),
            Err(Halt::Ask(call)) => Decision::Ask(call),
            Err(Halt::Close(plan)) => Decision::Close(plan),
            Err(Halt::Refuse(refusal)) => Decision::Refuse(refusal),
        }
    }
}
