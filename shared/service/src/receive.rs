//! One message's journey: gather, decide, ask, commit, answer.

use std::time::Duration;

use carriers::Reply;
use routing::{
    Decision, Facts, ForwardState, Fresh, Inbound, JournalEntry, Journaled, Key, Message, Next,
    Outcome, Plan, PreActionReply, Source, route,
};
use store::{CommitError, Deadline, StoreError};

use crate::forward::{ReplyUse, forward, note};
use crate::pre_action::call_pre_action_webhook;
use crate::{App, ErrorChain};

/// From receipt to answer, pre-action webhooks, fallback URLs and commits included: below the 15 s that carriers wait.
pub const RECEIVE_TIME: Duration = Duration::from_secs(13);

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub entry: JournalEntry,
    /// The message was known already; what became of it then holds.
    pub duplicate: bool,
    /// What the number's own webhook said. `None`: the carrier is told nothing but "accepted".
    pub reply: Option<Reply>,
}

/// Why the carrier is to send the message again.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// Others were faster until the deadline. Nothing was written.
    #[error("too many messages of one conversation at once")]
    Contended,
    /// Neither the incoming-message webhook nor its fallback gave a usable answer.
    #[error("the incoming-message webhook failed")]
    ForwardFailed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Receives one message, as often as it comes.
pub async fn receive(
    app: &App,
    inbound: Inbound,
    deadline: Deadline,
) -> Result<Received, ReceiveError> {
    let outcome = decide(app, &inbound, deadline).await?;
    let (entry, duplicate) = match outcome {
        Journaled::New(entry) => (entry, false),
        Journaled::Duplicate(entry) => (entry, true),
    };
    let (message_sid, outcome, rule) = (
        inbound.key.sid,
        entry.outcome.as_str(),
        entry.why.rule.as_str(),
    );
    let conversation = entry
        .outcome
        .place()
        .map(|(conversation, _)| conversation.to_string());
    let from = entry.inbound.from.masked();
    let to = entry.inbound.to().masked();
    match entry.outcome {
        Outcome::Unroutable => tracing::error!(
            %message_sid, outcome, duplicate, rule, from, to,
            "message {message_sid} is unroutable: nothing is set up for {to}; it stays in the journal"
        ),
        _ => tracing::info!(
            %message_sid, outcome, duplicate, rule, conversation, from, to,
            "message {message_sid} is {outcome}"
        ),
    }
    let reply = match &entry.outcome {
        Outcome::Forwarded { target, .. } => {
            let answer = forward(
                app,
                &entry.inbound,
                target,
                entry.change,
                ReplyUse::PassedOn,
                deadline,
            )
            .await;
            let state = match &answer {
                Ok(reply) => ForwardState::Answered(reply.status),
                Err(_) => ForwardState::Failed,
            };
            note(app, &entry.inbound, state).await;
            Some(answer.map_err(|_| ReceiveError::ForwardFailed)?)
        }
        _ => None,
    };
    Ok(Received {
        entry,
        duplicate,
        reply,
    })
}

async fn decide(
    app: &App,
    inbound: &Inbound,
    deadline: Deadline,
) -> Result<Journaled, ReceiveError> {
    let fresh = app.fresh();
    let mut facts = app.store.gather(inbound, deadline).await?;
    // How often this request came too late, and how often for a slot.
    let (mut late, mut lost) = (0, 0);
    loop {
        let next = match route(inbound, &facts, &fresh) {
            Decision::Ask(call) => {
                facts.pre_action =
                    Some(pre_action_reply(app, inbound, &call, &fresh, deadline).await);
                continue;
            }
            Decision::Gather => Next::Gather,
            Decision::Do(plan) => {
                let Plan { outcome, writes } = *plan;
                if rejects(&outcome) && !still_held(app, inbound, &facts, deadline).await? {
                    Next::Gather
                } else {
                    match app.store.commit(&writes, deadline).await {
                        Ok(()) => return Ok(outcome),
                        Err(CommitError::Store(error)) => return Err(error.into()),
                        Err(CommitError::Conflict(conflict)) => {
                            lost += u32::from(conflict.slot_lost());
                            facts.learn(conflict, inbound, lost)
                        }
                    }
                }
            }
        };
        if facts.journal.is_some() {
            continue;
        }
        late += 1;
        store::pause(late, deadline).await;
        if deadline.passed() {
            return Err(ReceiveError::Contended);
        }
        match next {
            Next::Decide => {}
            Next::ReadTail => {
                if let Some(holder) = &mut facts.holder {
                    holder.tail = app.store.tail_get(holder.conversation, deadline).await?;
                }
            }
            Next::Gather => {
                let pre_action = facts.pre_action.take();
                facts = Facts {
                    pre_action,
                    ..app.store.gather(inbound, deadline).await?
                };
            }
        }
    }
}

fn rejects(outcome: &Journaled) -> bool {
    matches!(
        outcome,
        Journaled::New(JournalEntry {
            outcome: Outcome::Rejected { .. },
            ..
        })
    )
}

/// Whether the pair is still where it was when the pre-action webhook was asked. A rejection touches nothing but the
/// journal, so no condition tells; and the new holder's webhook is to be asked.
async fn still_held(
    app: &App,
    inbound: &Inbound,
    facts: &Facts,
    deadline: Deadline,
) -> Result<bool, StoreError> {
    let Some(Key::Pair(pair)) = inbound.routing_key() else {
        return Ok(true);
    };
    let now = app
        .store
        .binding_get(&pair, deadline)
        .await?
        .map(|binding| binding.conversation);
    Ok(now == facts.holder.as_ref().map(|holder| holder.conversation))
}

/// Calls the pre-action webhook. No caller can be told of an invalid edit: the message is published unchanged.
async fn pre_action_reply(
    app: &App,
    inbound: &Inbound,
    call: &routing::PreActionCall,
    fresh: &Fresh,
    deadline: Deadline,
) -> PreActionReply {
    let source = Source::of(inbound.channel());
    let replied = call_pre_action_webhook(
        app,
        call,
        source,
        fresh.change,
        Message::BODY_CHARACTERS_MAX,
        deadline,
    )
    .await;
    replied.unwrap_or_else(|invalid| {
        let (message_sid, error) = (inbound.key.sid, ErrorChain(&invalid));
        tracing::warn!(%message_sid, %error, "message {message_sid} is published unchanged");
        PreActionReply::to(call, routing::PreActionResult::Publish(Default::default()))
    })
}
