//! An inbound message, whichever carrier brought it.

use jiff::Timestamp;

use crate::address::{Address, Channel};
use crate::key::Key;
use crate::sid::{AccountSid, CarrierMessageSid, MediaSid};

/// Who hands us messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CarrierName {
    Twilio,
    /// The local stack's own.
    Simulator,
}

impl CarrierName {
    pub const ALL: [CarrierName; 2] = [CarrierName::Twilio, CarrierName::Simulator];

    pub fn as_str(self) -> &'static str {
        match self {
            CarrierName::Twilio => "twilio",
            CarrierName::Simulator => "simulator",
        }
    }

    /// Case-insensitive, as all enumerations of the API are.
    pub fn parse(text: &str) -> Option<CarrierName> {
        CarrierName::ALL
            .into_iter()
            .find(|carrier| carrier.as_str().eq_ignore_ascii_case(text))
    }
}

/// What makes a carrier's message the same message, however often it comes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageKey {
    pub carrier: CarrierName,
    pub account: AccountSid,
    /// The carrier's own, or a hash of its id.
    pub sid: CarrierMessageSid,
    /// The receiving number.
    pub to: Address,
}

/// A picture, a sound, a file that came with a message; it stays where the carrier keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    pub sid: MediaSid,
    pub url: String,
    pub content_type: String,
    /// In bytes, where the carrier tells.
    pub size: Option<u64>,
}

/// A message as it came, authenticated and well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    pub key: MessageKey,
    pub from: Address,
    /// The recipients besides the receiving number, on a group message.
    pub others: Vec<Address>,
    pub body: String,
    pub media: Vec<Media>,
    /// The carrier's parameters that are not kept elsewhere here, in its order: what the number's own webhook is
    /// told, word for word.
    pub extra: Vec<(String, String)>,
    pub received_at: Timestamp,
}

impl Inbound {
    pub fn to(&self) -> &Address {
        &self.key.to
    }

    /// `None` where no conversation could ever hold the message.
    pub fn routing_key(&self) -> Option<Key> {
        Key::of(&self.from, self.to(), &self.others)
    }

    pub fn channel(&self) -> Channel {
        self.to().channel()
    }
}
