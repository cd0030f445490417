//! A message that leaves, and what its carrier did with it.

use routing::{Address, CarrierMessageSid, Channel, ConversationSid, MessageSid};

/// A message to one recipient.
#[derive(Clone, Debug)]
pub struct Sending<'a> {
    /// The outbound record's: our name of this message to this recipient. A status callback can name the record by it.
    pub sid: CarrierMessageSid,
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

/// What a carrier did with a message that we asked it to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendResult {
    /// The carrier has it, under this id.
    Accepted { id: Option<String> },
    /// The carrier surely has not accepted it, and may later.
    NotAccepted {
        /// How long the carrier asks us to wait, in seconds.
        retry_after_s: Option<i64>,
        reason: String,
    },
    /// The carrier will never accept it.
    Refused { code: Option<u32>, reason: String },
    /// The carrier may have accepted it: the recipient might get a repetition twice.
    Unknown { reason: String },
}

impl SendResult {
    /// Surely not accepted, without a word of the carrier about later.
    pub fn not_accepted(reason: impl Into<String>) -> SendResult {
        SendResult::NotAccepted {
            retry_after_s: None,
            reason: reason.into(),
        }
    }
}
