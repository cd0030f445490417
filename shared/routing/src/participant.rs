//! A participant's record.

use jiff::Timestamp;

use crate::pair::Pair;
use crate::sid::{ConversationServiceSid, ConversationSid, ParticipantSid};

/// A participant of a conversation: it has an identity or a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    pub conversation: ConversationSid,
    /// The conversation's.
    pub service: ConversationServiceSid,
    pub sid: ParticipantSid,
    pub version: u64,
    pub identity: Option<String>,
    pub pair: Option<Pair>,
    /// A JSON object as text.
    pub attributes: String,
    pub last_read_index: Option<u64>,
    pub last_read_at: Option<Timestamp>,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

impl Participant {
    pub const IDENTITY_CHARACTERS_MAX: usize = 256;
    pub const ATTRIBUTES_BYTES_MAX: usize = 4 * 1024;
    /// All participants of a conversation.
    pub const COUNT_MAX: u64 = 1_000;
    /// Those with an address.
    pub const PAIRS_MAX: usize = 50;
}
