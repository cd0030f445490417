//! The decision on a message or on a REST change.

use crate::plan::Plan;
use crate::pre_action::PreActionCall;
use crate::refusal::Refusal;
use crate::settings::{Services, Unread};
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
    /// Read the settings of these services, on which the decision depends, and decide again.
    ReadServices(Services),
    /// Gather and decide again: the facts contradict each other, because something changed between the reads.
    Gather,
    /// Change nothing.
    Refuse(R),
}

/// A decision that ends before there is a plan.
pub(crate) enum Halt<R = Refusal> {
    Ask(Box<PreActionCall>),
    Close(Box<Plan<ConversationSid>>),
    ReadServices(Services),
    Gather,
    Refuse(R),
}

impl<R> From<Box<PreActionCall>> for Halt<R> {
    fn from(call: Box<PreActionCall>) -> Halt<R> {
        Halt::Ask(call)
    }
}

impl<R> From<Unread> for Halt<R> {
    fn from(Unread(services): Unread) -> Halt<R> {
        Halt::ReadServices(services)
    }
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Halt {
        Halt::Refuse(refusal)
    }
}

impl<T, R> From<Result<Plan<T>, Halt<R>>> for Decision<T, R> {
    fn from(decided: Result<Plan<T>, Halt<R>>) -> Decision<T, R> {
        match decided {
            Ok(plan) => Decision::Do(Box::new(plan)),
            Err(Halt::Ask(call)) => Decision::Ask(call),
            Err(Halt::Close(plan)) => Decision::Close(plan),
            Err(Halt::ReadServices(services)) => Decision::ReadServices(services),
            Err(Halt::Gather) => Decision::Gather,
            Err(Halt::Refuse(refusal)) => Decision::Refuse(refusal),
        }
    }
}
