//! A message in a conversation.

use jiff::Timestamp;

use crate::inbound::Media;
use crate::sid::ParticipantSid;

/// The content of a message. Its SID follows from the entry that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub index: u64,
    /// An address, an identity, `system`, or the name that a user or a pre-action webhook gave.
    pub author: String,
    /// The participant that wrote it; `None` for `system` and unknown authors.
    pub participant: Option<ParticipantSid>,
    pub body: String,
    pub media: Vec<Media>,
    /// A JSON object as text.
    pub attributes: String,
}

impl Message {
    /// The bound of the specification on an inbound body, in characters.
    pub const BODY_CHARACTERS_MAX: usize = 32 * 1024;
    /// The bound on a body posted by REST, in characters.
    pub const BODY_REST_CHARACTERS_MAX: usize = 1_600;
    pub const AUTHOR_CHARACTERS_MAX: usize = 256;
    pub const ATTRIBUTES_BYTES_MAX: usize = 4 * 1024;

    /// Whether there is nothing to send: a user deleted the text, or the carrier brought none.
    pub fn is_empty(&self) -> bool {
        self.body.is_empty() && self.media.is_empty()
    }
}

/// The current version of an edited or deleted message. It stands beside the entry that added the message, because the
/// content of an event never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The slot of the message.
    pub slot: u64,
    /// Counts from 1.
    pub version: u64,
    /// `None`: deleted.
    pub message: Option<Message>,
    pub date_updated: Timestamp,
}
