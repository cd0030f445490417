//! Pre-action webhooks: the call that a decision asks for, and the effect of its result.

use crate::account::OnTimeout;
use crate::event_name::EventName;
use crate::inbound::Media;
use crate::message::Message;
use crate::pair::Pair;
use crate::settings::{SettingsInForce, SettingsScope};
use crate::sid::{ConversationServiceSid, ConversationSid, MessagingServiceSid, ParticipantSid};
use crate::state::State;
use crate::webhook::Call;

/// The pre-action events that a message or a REST change can cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreActionEvent {
    ConversationAdd,
    MessageAdd,
}

impl PreActionEvent {
    pub fn name(self) -> EventName {
        match self {
            PreActionEvent::ConversationAdd => EventName::OnConversationAdd,
            PreActionEvent::MessageAdd => EventName::OnMessageAdd,
        }
    }
}

/// A call of the configured pre-action webhook. There is no plan before its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreActionCall {
    pub event: PreActionEvent,
    /// `None`: the conversation does not exist yet.
    pub conversation: Option<ConversationSid>,
    pub webhook: PreActionWebhook,
    pub call: Call,
    pub on_timeout: OnTimeout,
    pub proposal: PreActionProposal,
}

/// The content that the webhook may edit or reject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreActionProposal {
    Conversation {
        friendly_name: Option<String>,
        unique_name: Option<String>,
        attributes: String,
        service: ConversationServiceSid,
        messaging_service: MessagingServiceSid,
        state: State,
        /// On autocreation: the pair and the message that asks for the conversation.
        pair: Option<Pair>,
        body: Option<String>,
        media: Vec<Media>,
    },
    Message {
        conversation: ConversationSid,
        author: String,
        participant: Option<ParticipantSid>,
        body: String,
        media: Vec<Media>,
        attributes: String,
    },
}

/// The webhook that is called: whose it is, for which service, and in which generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreActionWebhook {
    pub service: ConversationServiceSid,
    pub scope: SettingsScope,
    pub generation: u64,
}

/// The result of a call. It holds for the event, the conversation and the webhook of that call only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreActionReply {
    pub event: PreActionEvent,
    pub conversation: Option<ConversationSid>,
    pub webhook: PreActionWebhook,
    pub result: PreActionResult,
}

impl PreActionReply {
    pub fn to(call: &PreActionCall, result: PreActionResult) -> PreActionReply {
        PreActionReply {
            event: call.event,
            conversation: call.conversation,
            webhook: call.webhook,
            result,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreActionResult {
    Publish(PreActionEdits),
    Reject,
}

/// The values that the webhook changed; `None` stays as it was. Already checked against the API's limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreActionEdits {
    pub friendly_name: Option<String>,
    pub body: Option<String>,
    pub author: Option<String>,
    pub attributes: Option<String>,
}

impl PreActionEdits {
    /// Puts the edits of a message into it.
    pub(crate) fn apply(self, message: &mut Message) {
        let PreActionEdits {
            friendly_name: _,
            body,
            author,
            attributes,
        } = self;
        message.body = body.unwrap_or_else(|| std::mem::take(&mut message.body));
        message.author = author.unwrap_or_else(|| std::mem::take(&mut message.author));
        message.attributes = attributes.unwrap_or_else(|| std::mem::take(&mut message.attributes));
    }
}

/// The result that holds for the event: publish where no webhook is configured for it, `Err` where the webhook must be
/// called first.
pub(crate) fn pre_action_result(
    settings: SettingsInForce,
    event: PreActionEvent,
    conversation: Option<ConversationSid>,
    reply: Option<&PreActionReply>,
    proposal: impl FnOnce() -> PreActionProposal,
) -> Result<PreActionResult, Box<PreActionCall>> {
    let webhooks = settings.webhooks;
    let Some(url) = webhooks
        .pre_url
        .clone()
        .filter(|_| webhooks.wants(event.name()))
    else {
        return Ok(PreActionResult::Publish(PreActionEdits::default()));
    };
    let webhook = PreActionWebhook {
        service: settings.service,
        scope: settings.scope,
        generation: webhooks.pre_generation,
    };
    let holds = |reply: &&PreActionReply| {
        (reply.event, reply.conversation, reply.webhook) == (event, conversation, webhook)
    };
    let result = reply.filter(holds).map(|reply| reply.result.clone());
    result.ok_or_else(|| {
        Box::new(PreActionCall {
            event,
            conversation,
            webhook,
            call: Call {
                url,
                method: webhooks.method,
            },
            on_timeout: webhooks.on_timeout,
            proposal: proposal(),
        })
    })
}
