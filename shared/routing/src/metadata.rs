//! A conversation's metadata, which a plain capture never touches.

use jiff::Timestamp;

use crate::sid::{ConversationServiceSid, ConversationSid};
use crate::state::State;
use crate::timers::Timers;

/// Names, attributes, and copies for lists. Routing never reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub conversation: ConversationSid,
    /// Counts from 1. Every write adds one, a copied state too.
    pub version: u64,
    pub service: ConversationServiceSid,
    pub friendly_name: Option<String>,
    pub unique_name: Option<String>,
    /// A JSON object as text.
    pub attributes: String,
    /// A copy of the newest header's, written in the same transaction.
    pub state: State,
    /// A copy of the newest header's, written in the same transaction.
    pub timers: Timers,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

impl Metadata {
    pub const NAME_CHARACTERS_MAX: usize = 256;
    pub const ATTRIBUTES_BYTES_MAX: usize = 16 * 1024;
}
