//! A message that leaves, and what its carrier made of it.

use routing::{Address, Channel, ConversationSid, MessageSid};

/// A message to one recipient.
#[derive(Clone, Debug)]
pub struct Sending<'a> {
    /// One of our numbers.
    pub from: &'a Address,
    pub to: &'a Address,
    pub body: &'a str,
    /// URLs, at most [`Sending::MEDIA_MAX`].
    pub media: Vec<&'a str>,
    pub message: MessageSid,
    pub conversation: ConversationSid,
}

impl Sending<'_> {
    /// The bound of a multimedia message.
    pub const MEDIA_MAX: usize = 10;

    /// How many media the channel carries in one message.
    pub fn media_max(&self) -> usize {
        match self.to.channel() {
            Channel::Sms => Sending::MEDIA_MAX,
            Channel::WhatsApp => 1,
        }
    }
}

/// What became of a message at its carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The carrier has it, under this id.
    Accepted { id: Option<String> },
    /// The carrier surely has not taken it, and may later.
    Not {
        /// How long the carrier asks us to wait, in seconds.
        retry_after_s: Option<i64>,
        reason: String,
    },
    /// The carrier will never take it.
    Refused { code: Option<u32>, reason: String },
    /// Nobody knows whether the carrier has it: sent again, it might come twice.
    Unknown { reason: String },
}
