//! The loop of every message and every REST change: gather facts, let `routing` decide, call a pre-action webhook,
//! commit, and decide again where another change was first.
//!
//! The loop makes no choice of its own: [`Decision`] and [`Next`] tell the next step.
//!
//! The cast: [`Task`] is what a message and a REST change do differently; [`carry_out`] is the loop; [`Doubt`] is a plan
//! that was refused, but may happen all the same.

use std::error::Error;

use routing::{
    Conflict, ConversationSid, Decision, Fresh, Key, Next, Plan, PreActionCall, PreActionReply,
    State, Write,
};
use store::{CommitError, Deadline, StoreError};

use crate::App;
use crate::change_by_timer::log_change_by_timer;

/// A message to receive, or a REST change to make.
pub(crate) trait Task {
    type Facts;
    type Outcome;
    type Refusal;
    type Error: Error + Send + Sync + From<StoreError> + From<Contended> + From<Self::Refusal>;

    /// Reads everything that the decision depends on.
    async fn gather(&self) -> Result<Self::Facts, StoreError>;

    fn decide(
        &self,
        facts: &Self::Facts,
        fresh: &Fresh,
        reply: Option<&PreActionReply>,
    ) -> Decision<Self::Outcome, Self::Refusal>;

    /// Whether the facts are read again after the reply of a pre-action webhook, which can take seconds. A message's
    /// facts are not: the commit's conditions and [`Plan::binding_checked`] hold what its decision depends on.
    const GATHERS_AFTER_REPLY: bool;

    /// Calls the pre-action webhook.
    async fn ask(&self, call: &PreActionCall, fresh: &Fresh)
    -> Result<PreActionReply, Self::Error>;

    /// Takes in why the plan of `writes` failed. `slots_lost` counts the lost slots of this task, this one included.
    fn learn(
        &self,
        facts: &mut Self::Facts,
        conflict: Conflict,
        writes: &[Write],
        slots_lost: u32,
    ) -> Next;

    /// Reads the tail of a conversation, as [`Next::ReadTail`] asks, in one round of calls.
    async fn read_tail(
        &self,
        facts: &mut Self::Facts,
        conversation: ConversationSid,
    ) -> Result<(), StoreError>;
}

/// Other changes were first until the deadline. Nothing was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contended;

/// A plan that a condition refused after an earlier request with the same plan had an unknown result. The earlier request
/// may still be on its way, and succeed when the condition holds again. It can't once another change has the slot.
struct Doubt<T> {
    outcome: T,
    conversation: ConversationSid,
    slot: u64,
}

/// Carries out the task under one set of fresh ids, until the deadline.
///
/// While a plan is in doubt, every error counts as an unknown result: "refused" or "nothing was changed" might be untrue.
pub(crate) async fn carry_out<K: Task>(
    app: &App,
    task: &K,
    deadline: Deadline,
) -> Result<K::Outcome, K::Error>
where
    K::Error: 'static,
{
    let mut doubt = None;
    let result = decide_until_done(app, task, deadline, &mut doubt).await;
    result.map_err(|error| match doubt {
        None => error,
        Some(_) => StoreError::Unknown {
            operation: "commit a plan",
            source: Box::new(error),
        }
        .into(),
    })
}

async fn decide_until_done<K: Task>(
    app: &App,
    task: &K,
    deadline: Deadline,
    doubt: &mut Option<Doubt<K::Outcome>>,
) -> Result<K::Outcome, K::Error> {
    let fresh = app.fresh();
    let mut facts = task.gather().await?;
    let mut reply = None;
    let (mut rounds, mut slots_lost) = (0, 0);
    loop {
        let next = match task.decide(&facts, &fresh, reply.as_ref()) {
            Decision::Ask(call) => {
                reply = Some(task.ask(&call, &fresh).await?);
                if K::GATHERS_AFTER_REPLY
                    && let Some(outcome) =
                        gather_again(app, task, &mut facts, &fresh, doubt, deadline).await?
                {
                    return Ok(outcome);
                }
                continue;
            }
            Decision::Refuse(refusal) => return Err(refusal.into()),
            Decision::Gather => Next::Gather,
            Decision::Close(plan) => match app.store.commit(&plan.writes, deadline).await {
                // If another change was first, the conversation may not be past its closing time any more.
                Ok(()) => {
                    log_change_by_timer(plan.outcome, State::Closed);
                    Next::Gather
                }
                Err(CommitError::Conflict(_)) => Next::Gather,
                Err(CommitError::Store(error)) => return Err(error.into()),
            },
            Decision::Do(plan) => {
                let Plan {
                    outcome,
                    writes,
                    binding_checked,
                } = *plan;
                if binding_moved(app, binding_checked, deadline).await? {
                    Next::Gather
                } else {
                    match app.store.commit(&writes, deadline).await {
                        Ok(()) => return Ok(outcome),
                        Err(CommitError::Store(error)) => return Err(error.into()),
                        Err(CommitError::Conflict(conflict)) if conflict.may_still_happen() => {
                            *doubt = Doubt::of(outcome, &writes);
                            Next::Gather
                        }
                        Err(CommitError::Conflict(conflict)) => {
                            slots_lost += u32::from(conflict.slot_lost());
                            task.learn(&mut facts, conflict, &writes, slots_lost)
                        }
                    }
                }
            }
        };
        if next == Next::DecideAtOnce {
            continue;
        }
        rounds += 1;
        store::pause(rounds, deadline).await;
        if deadline.passed() {
            return Err(Contended.into());
        }
        match next {
            Next::DecideAtOnce | Next::Decide => {}
            Next::ReadTail(conversation) => task.read_tail(&mut facts, conversation).await?,
            Next::Gather => {
                if let Some(outcome) =
                    gather_again(app, task, &mut facts, &fresh, doubt, deadline).await?
                {
                    return Ok(outcome);
                }
            }
        }
    }
}

/// Reads the facts again. The outcome is that of the plan in doubt, if the plan has happened.
async fn gather_again<K: Task>(
    app: &App,
    task: &K,
    facts: &mut K::Facts,
    fresh: &Fresh,
    doubt: &mut Option<Doubt<K::Outcome>>,
    deadline: Deadline,
) -> Result<Option<K::Outcome>, K::Error> {
    *facts = task.gather().await?;
    // After the facts: if the slot is still free here, they do not contain the plan in doubt.
    Ok(settled(app, fresh, doubt, deadline).await?)
}

impl<T> Doubt<T> {
    fn of(outcome: T, writes: &[Write]) -> Option<Doubt<T>> {
        let entry = writes.iter().find_map(|write| match write {
            Write::Append(entry) => Some(entry),
            _ => None,
        })?;
        Some(Doubt {
            outcome,
            conversation: entry.conversation,
            slot: entry.slot,
        })
    }
}

/// The outcome of the plan in doubt, if the plan has happened. Ends the doubt if another change has the slot.
async fn settled<T>(
    app: &App,
    fresh: &Fresh,
    doubt: &mut Option<Doubt<T>>,
    deadline: Deadline,
) -> Result<Option<T>, StoreError> {
    let Some(Doubt {
        conversation, slot, ..
    }) = *doubt
    else {
        return Ok(None);
    };
    let Some(entry) = app.store.entry_get(conversation, slot, deadline).await? else {
        return Ok(None);
    };
    let ended = doubt.take().filter(|_| entry.change == fresh.change);
    Ok(ended.map(|doubt| doubt.outcome))
}

/// Whether the binding of the key names another conversation than the plan says.
async fn binding_moved(
    app: &App,
    binding_checked: Option<(Key, Option<ConversationSid>)>,
    deadline: Deadline,
) -> Result<bool, StoreError> {
    let Some((key, conversation)) = binding_checked else {
        return Ok(false);
    };
    let binding = app.store.binding_get(&key, deadline).await?;
    Ok(binding.map(|binding| binding.conversation) != conversation)
}
