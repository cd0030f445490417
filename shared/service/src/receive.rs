//! One message's journey: from the carrier's request to the reply.

use std::convert::Infallible;
use std::time::Duration;

use carriers::Reply;
use routing::{
    Conflict, ConversationSid, Facts, ForwardState, Fresh, Inbound, JournalEntry, Journaled,
    Message, Next, Outcome, PreActionCall, PreActionEdits, PreActionReply, PreActionResult,
    RouteDecision, Settings, Source, State, Write, route,
};
use store::{Deadline, StoreError};

use crate::carry_out::{Contended, Task, carry_out};
use crate::forward::{ReplyUse, forward, note};
use crate::log_change_by_timer::log_change_by_timer;
use crate::pre_action::call_pre_action_webhook;
use crate::{App, ErrorChain};

/// From receipt to reply, with pre-action webhooks, fallback URLs and commits: below the 15 s that carriers wait.
pub const RECEIVE_TIME: Duration = Duration::from_secs(13);

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub entry: JournalEntry,
    /// The journal had the message already; its outcome there holds.
    pub duplicate: bool,
    /// The reply of the number's own webhook. `None`: the carrier gets nothing but "accepted".
    pub reply: Option<Reply>,
}

/// Why the carrier must send the message again.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// Other changes were first until the deadline. Nothing was written.
    #[error("too many messages of one conversation at once")]
    Contended,
    /// Neither the incoming-message webhook nor its fallback gave a usable answer.
    #[error("the incoming-message webhook failed")]
    ForwardFailed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Contended> for ReceiveError {
    fn from(_: Contended) -> ReceiveError {
        ReceiveError::Contended
    }
}

/// A message is never refused.
impl From<Infallible> for ReceiveError {
    fn from(never: Infallible) -> ReceiveError {
        match never {}
    }
}

/// Receives one message, as often as it comes.
pub async fn receive(
    app: &App,
    inbound: Inbound,
    deadline: Deadline,
) -> Result<Received, ReceiveError> {
    let reception = Reception {
        app,
        inbound: &inbound,
        deadline,
    };
    let (entry, duplicate) = match carry_out(app, &reception, deadline).await? {
        Journaled::New(entry) => {
            if let Some(expired) = entry.why.expired {
                log_change_by_timer(expired, State::Closed);
            }
            (entry, false)
        }
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

/// One message in the loop.
struct Reception<'a> {
    app: &'a App,
    inbound: &'a Inbound,
    deadline: Deadline,
}

impl Task for Reception<'_> {
    type Facts = Facts;
    type Outcome = Journaled;
    type Refusal = Infallible;
    type Error = ReceiveError;

    fn settings(facts: &mut Facts) -> &mut Settings {
        &mut facts.settings
    }

    async fn gather(&self) -> Result<Facts, StoreError> {
        self.app.store.gather(self.inbound, self.deadline).await
    }

    fn decide(
        &self,
        facts: &Facts,
        fresh: &Fresh,
        reply: Option<&PreActionReply>,
    ) -> RouteDecision {
        route(self.inbound, facts, fresh, reply)
    }

    /// The carrier can do nothing about an invalid edit: the message is published unchanged.
    async fn ask(
        &self,
        call: &PreActionCall,
        fresh: &Fresh,
    ) -> Result<PreActionReply, ReceiveError> {
        let replied = call_pre_action_webhook(
            self.app,
            call,
            Source::of(self.inbound.channel()),
            fresh.change,
            Message::BODY_CHARACTERS_MAX,
            self.deadline,
        );
        Ok(replied.await.unwrap_or_else(|invalid| {
            let (message_sid, error) = (self.inbound.key.sid, ErrorChain(&invalid));
            tracing::warn!(%message_sid, %error, "message {message_sid} is published unchanged");
            PreActionReply::to(call, PreActionResult::Publish(PreActionEdits::default()))
        }))
    }

    fn learn(
        &self,
        facts: &mut Facts,
        conflict: Conflict,
        _writes: &[Write],
        slots_lost: u32,
    ) -> Next {
        facts.learn(conflict, self.inbound, slots_lost)
    }

    async fn read_tail(
        &self,
        facts: &mut Facts,
        conversation: ConversationSid,
    ) -> Result<(), StoreError> {
        let store = &self.app.store;
        facts.learn_tail(store.tail_get(conversation, self.deadline).await?);
        Ok(())
    }

    async fn read_tail_and_settings(
        &self,
        facts: &mut Facts,
        _conversation: ConversationSid,
    ) -> Result<(), StoreError> {
        let store = &self.app.store;
        store
            .gather_tail_and_settings(facts, self.inbound, self.deadline)
            .await
    }
}
