//! The entry: the content of a slot.

use std::fmt;

use jiff::Timestamp;

use crate::event_name::EventName;
use crate::header::Header;
use crate::inbound::MessageKey;
use crate::message::Message;
use crate::pair::Pair;
use crate::participant::Participant;
use crate::sid::{ChangeId, ConversationSid, MessageSid};
use crate::source::Source;
use crate::state::{Reason, State};
use crate::tail::Tail;

/// One change: one or more events, at most one message, and the conversation's routing state after it.
/// Written once, never changed (deletion and redaction blank a message's text).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub conversation: ConversationSid,
    pub slot: u64,
    pub change: ChangeId,
    pub at: Timestamp,
    pub source: Source,
    /// A REST change without `X-Twilio-Webhook-Enabled`: no webhook is called for it.
    pub quiet: bool,
    pub events: Vec<Event>,
    /// The journal's key of the message that the entry added, if the receiving number's own webhook is called with
    /// captured messages too.
    pub number_webhook: Option<MessageKey>,
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

    /// The entry as the newest of its log.
    pub fn tail(&self) -> Tail {
        Tail {
            conversation: self.conversation,
            slot: self.slot,
            header: self.header.clone(),
        }
    }

    /// The id of the event in `place`, counted from 0.
    pub fn event_id(&self, place: u64) -> EventId {
        EventId::of(self.change, self.conversation, place)
    }

    /// The number of the entry's first event; the others follow it.
    pub fn event_number(&self) -> u64 {
        self.header
            .event_number
            .saturating_sub(self.events.len() as u64)
    }
}

/// One event, under the name that webhooks use, with the parameters of webhooks that the header does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    ConversationAdded(Snapshot),
    ConversationUpdated(Snapshot),
    /// `state`: the last before it was gone; the header says closed.
    ConversationRemoved {
        state: State,
        snapshot: Snapshot,
    },
    ConversationStateUpdated {
        from: State,
        to: State,
        reason: Reason,
    },
    ParticipantAdded(Participant),
    ParticipantUpdated(Participant),
    ParticipantRemoved(Participant),
    MessageAdded(Message),
    MessageUpdated(EarlierMessage),
    MessageRemoved(EarlierMessage),
}

impl Event {
    pub fn name(&self) -> EventName {
        match self {
            Event::ConversationAdded(_) => EventName::OnConversationAdded,
            Event::ConversationUpdated(_) => EventName::OnConversationUpdated,
            Event::ConversationRemoved { .. } => EventName::OnConversationRemoved,
            Event::ConversationStateUpdated { .. } => EventName::OnConversationStateUpdated,
            Event::ParticipantAdded(_) => EventName::OnParticipantAdded,
            Event::ParticipantUpdated(_) => EventName::OnParticipantUpdated,
            Event::ParticipantRemoved(_) => EventName::OnParticipantRemoved,
            Event::MessageAdded(_) => EventName::OnMessageAdded,
            Event::MessageUpdated(_) => EventName::OnMessageUpdated,
            Event::MessageRemoved(_) => EventName::OnMessageRemoved,
        }
    }
}

/// A message that stands in an earlier slot, as it was after the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierMessage {
    pub sid: MessageSid,
    pub date_created: Timestamp,
    pub message: Message,
}

/// What tells one event from every other, and is the same for each attempt at it. Printed as a UUID, it is the
/// idempotency token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(ChangeId);

impl EventId {
    /// Of the event in `place` of the entry that `change` wrote into `slot`. A change may write entries of several logs
    /// into the same slot number, but never two of one log.
    pub fn of(change: ChangeId, conversation: ConversationSid, place: u64) -> EventId {
        let mut bytes = *change.as_bytes();
        for (byte, other) in bytes.iter_mut().zip(conversation.as_bytes().iter().rev()) {
            *byte ^= other;
        }
        for (byte, other) in bytes.iter_mut().rev().zip((place + 1).to_le_bytes()) {
            *byte = byte.wrapping_add(other);
        }
        EventId(ChangeId::from_bytes(bytes))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
