//! The loop of every message and every REST change: gather facts, let `routing` decide, call a pre-action webhook,
//! commit, and decide again where another change was first.
//!
//! The loop makes no choice of its own: [`Decision`] and [`Next`] tell the next step, and [`Progress`] remembers the
//! failed plans.
//!
//! The cast: [`Task`] is what a message and a REST change do differently; [`carry_out`] is the loop.

use std::error::Error;
use std::time::Instant;

use routing::{
    Conflict, ConversationSid, Decision, Fresh, Next, Plan, PreActionCall, PreActionReply,
    Progress, Settings, State, Write,
};
use store::{CommitError, Deadline, StoreError};

use crate::App;
use crate::log_change_by_timer::log_change_by_timer;

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

    fn settings(facts: &mut Self::Facts) -> &mut Settings;

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

    /// Reads the tail of a conversation, as [`Next::ReadTail`] asks.
    async fn read_tail(
        &self,
        facts: &mut Self::Facts,
        conversation: ConversationSid,
    ) -> Result<(), StoreError>;

    /// Reads the tail of a conversation and the settings, as [`Next::ReadTailAndSettings`] asks, in one round of calls.
    async fn read_tail_and_settings(
        &self,
        facts: &mut Self::Facts,
        conversation: ConversationSid,
    ) -> Result<(), StoreError>;
}

/// Other changes were first until the deadline. Nothing was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contended;

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
    let mut progress = Progress::default();
    let result = decide_until_done(app, task, deadline, &mut progress).await;
    result.map_err(|error| match progress.in_doubt() {
        false => error,
        true => StoreError::Unknown {
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
    progress: &mut Progress<K::Outcome>,
) -> Result<K::Outcome, K::Error> {
    let fresh = app.fresh();
    let mut settings_read = Instant::now();
    let mut facts = task.gather().await?;
    let mut reply = None;
    let mut rounds = 0;
    // The time of a round's own calls of the table, without those of a webhook.
    let mut began = Instant::now();
    loop {
        let next = match task.decide(&facts, &fresh, reply.as_ref()) {
            Decision::Ask(call) => {
                reply = Some(task.ask(&call, &fresh).await?);
                began = Instant::now();
                // The call can take seconds. What changed meanwhile must be in force for the change that follows.
                settings_read = Instant::now();
                if let Some(outcome) =
                    gather_again(app, task, &mut facts, progress, deadline).await?
                {
                    return Ok(outcome);
                }
                continue;
            }
            Decision::ReadServices(services) => {
                let settings = K::settings(&mut facts);
                app.store.services_get(settings, services, deadline).await?;
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
                let Plan { outcome, writes } = *plan;
                match app.store.commit(&writes, deadline).await {
                    Ok(()) => return Ok(outcome),
                    Err(CommitError::Store(error)) => return Err(error.into()),
                    Err(CommitError::Conflict(conflict)) => {
                        progress.failed(conflict, outcome, &writes, |conflict, slots_lost| {
                            task.learn(&mut facts, conflict, &writes, slots_lost)
                        })
                    }
                }
            }
        };
        if next == Next::DecideAtOnce {
            continue;
        }
        rounds += 1;
        store::pause_after(rounds, began.elapsed(), deadline).await;
        began = Instant::now();
        if deadline.passed() {
            return Err(Contended.into());
        }
        let next = next.after_pause(settings_read.elapsed());
        if let Next::ReadTailAndSettings(_) | Next::Gather = next {
            settings_read = Instant::now();
        }
        match next {
            Next::DecideAtOnce | Next::Decide => {}
            Next::ReadTail(conversation) => task.read_tail(&mut facts, conversation).await?,
            Next::ReadTailAndSettings(conversation) => {
                task.read_tail_and_settings(&mut facts, conversation)
                    .await?;
            }
            Next::Gather => {
                if let Some(outcome) =
                    gather_again(app, task, &mut facts, progress, deadline).await?
                {
                    return Ok(outcome);
                }
            }
        }
    }
}

/// Reads the facts again, and the slot of the plan in doubt. The outcome is that of this plan, if it has happened.
async fn gather_again<K: Task>(
    app: &App,
    task: &K,
    facts: &mut K::Facts,
    progress: &mut Progress<K::Outcome>,
    deadline: Deadline,
) -> Result<Option<K::Outcome>, K::Error> {
    *facts = task.gather().await?;
    let Some((conversation, slot)) = progress.slot_in_doubt() else {
        return Ok(None);
    };
    let entry = app.store.entry_get(conversation, slot, deadline).await?;
    Ok(progress.settle(entry.as_ref()))
}
