//! Pre-action webhooks: what is asked, and what the answer does.

use crate::{
    Call, ConversationServiceSid, ConversationSid, EventName, Media, MessagingServiceSid, Pair,
    ParticipantSid, State, Webhooks,
};

/// The pre-action events that a message or a REST change can cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreEvent {
    ConversationAdd,
    MessageAdd,
}

impl PreEvent {
    pub fn name(self) -> EventName {
        match self {
            PreEvent::ConversationAdd => EventName::OnConversationAdd,
            PreEvent::MessageAdd => EventName::OnMessageAdd,
        }
    }
}

/// What no answer within the time limit means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTimeout {
    /// As the API documents it.
    #[default]
    Publish,
    Reject,
}

/// A question that must be answered before there can be a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Veto {
    pub event: PreEvent,
    /// `None`: the conversation does not exist yet.
    pub conversation: Option<ConversationSid>,
    pub generation: u64,
    pub call: Call,
    pub on_timeout: OnTimeout,
    pub proposal: Proposal,
}

/// What is about to happen, for the webhook to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposal {
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

/// An answer, and the question that it holds for: that event, conversation and webhook generation only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub event: PreEvent,
    pub conversation: Option<ConversationSid>,
    pub generation: u64,
    pub answer: Answer,
}

impl Verdict {
    pub fn on(veto: &Veto, answer: Answer) -> Verdict {
        Verdict {
            event: veto.event,
            conversation: veto.conversation,
            generation: veto.generation,
            answer,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Publish(Edits),
    Reject,
}

/// What the webhook changed; `None` is left as it was. Already checked against the API's limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    pub friendly_name: Option<String>,
    pub body: Option<String>,
    pub author: Option<String>,
    pub attributes: Option<String>,
}

/// What the pre-action webhook says to the event: publish where none is to be asked, `Err` where it has not been.
pub(crate) fn ask(
    webhooks: &Webhooks,
    event: PreEvent,
    conversation: Option<ConversationSid>,
    verdict: Option<&Verdict>,
    proposal: impl FnOnce() -> Proposal,
) -> Result<Answer, Box<Veto>> {
    let Some(url) = webhooks
        .pre_url
        .clone()
        .filter(|_| webhooks.wants(event.name()))
    else {
        return Ok(Answer::Publish(Edits::default()));
    };
    let generation = webhooks.pre_generation;
    let given = verdict
        .filter(|v| (v.event, v.conversation, v.generation) == (event, conversation, generation));
    given.map(|verdict| verdict.answer.clone()).ok_or_else(|| {
        Box::new(Veto {
            event,
            conversation,
            generation,
            call: Call {
                url,
                method: webhooks.method,
            },
            on_timeout: webhooks.on_timeout,
            proposal: proposal(),
        })
    })
}
