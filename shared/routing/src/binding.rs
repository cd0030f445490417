//! A binding: the claim of a key.

use jiff::Timestamp;

use crate::sid::{ConversationServiceSid, ConversationSid, ParticipantSid};

/// The claim of one key by one participant of one conversation that is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    pub conversation: ConversationSid,
    pub participant: ParticipantSid,
    pub service: ConversationServiceSid,
    pub since: Timestamp,
}
