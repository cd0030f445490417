//! The log: what stands in a slot.

use jiff::Timestamp;

use crate::{
    ChangeId, ConversationSid, EventName, Header, Message, MessageSid, Pair, Participant, Reason,
    Source, State,
};

/// One change: one or more events, at most one message, and the conversation's routing state after it.
/// Written once, never changed (deletion and redaction blank a message's text).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub conversation: ConversationSid,
    pub slot: u64,
    pub change: ChangeId,
    pub at: Timestamp,
    pub source: Source,
    /// A REST change without `X-Twilio-Webhook-Enabled`: webhooks are not told.
    pub quiet: bool,
    pub events: Vec<Event>,
    pub header: Header,
}

impl Entry {
    /// The message that the entry added.
    pub fn message(&self) -> Option<(MessageSid, &Message)> {
        self.events.iter().find_map(|event| match event {
            Event::MessageAdded(message) => Some((MessageSid::at(self.slot, self.change), message)),
            _ => None,
        })
    }

    /// The number of the entry's first event; the others follow it.
    pub fn event_number(&self) -> u64 {
        self.header
            .event_number
            .saturating_sub(self.events.len() as u64)
    }
}

/// Something that happened, in the words that webhooks use, with what they are told and the header does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    ConversationAdded(Snapshot),
    ConversationUpdated(Snapshot),
    ConversationRemoved(Snapshot),
    ConversationStateUpdated {
        from: State,
        to: State,
        reason: Reason,
    },
    ParticipantAdded(Participant),
    ParticipantUpdated(Participant),
    ParticipantRemoved(Participant),
    MessageAdded(Message),
    /// With the SID of the message, which stands in an earlier slot.
    MessageUpdated(MessageSid, Message),
    MessageRemoved(MessageSid, Message),
}

impl Event {
    pub fn name(&self) -> EventName {
        match self {
            Event::ConversationAdded(_) => EventName::OnConversationAdded,
            Event::ConversationUpdated(_) => EventName::OnConversationUpdated,
            Event::ConversationRemoved(_) => EventName::OnConversationRemoved,
            Event::ConversationStateUpdated { .. } => EventName::OnConversationStateUpdated,
            Event::ParticipantAdded(_) => EventName::OnParticipantAdded,
            Event::ParticipantUpdated(_) => EventName::OnParticipantUpdated,
            Event::ParticipantRemoved(_) => EventName::OnParticipantRemoved,
            Event::MessageAdded(_) => EventName::OnMessageAdded,
            Event::MessageUpdated(..) => EventName::OnMessageUpdated,
            Event::MessageRemoved(..) => EventName::OnMessageRemoved,
        }
    }
}

/// A conversation's metadata as an event tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub friendly_name: Option<String>,
    pub unique_name: Option<String>,
    /// A JSON object as text.
    pub attributes: String,
    pub date_created: Timestamp,
    /// On autocreation: the pair that asked for the conversation.
    pub pair: Option<Pair>,
}
