//! An inbound message, in the same form from every carrier.

use jiff::Timestamp;

use crate::address::{Address, Channel};
use crate::key::Key;
use crate::sid::{AccountSid, CarrierMessageSid, MediaSid};

macro_rules! carrier_names {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// A service that hands us messages and sends ours.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CarrierName {
            $($(#[$doc])* $name,)+
        }

        impl CarrierName {
            pub const ALL: &'static [CarrierName] = &[$(CarrierName::$name),+];

            /// The name in paths, in the API and in keys of the table.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(CarrierName::$name => $text,)+
                }
            }
        }
    };
}

// A name stands in keys of the table: it never changes.
carrier_names! {
    Twilio = "twilio",
    /// The local stack's own.
    Simulator = "simulator",
}

impl CarrierName {
    /// Case-insensitive, as all enumerations of the API are.
    pub fn parse(text: &str) -> Option<CarrierName> {
        let mut all = CarrierName::ALL.iter().copied();
        all.find(|carrier| carrier.as_str().eq_ignore_ascii_case(text))
    }
}

/// The same key means the same message, however often it comes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageKey {
    pub carrier: CarrierName,
    pub account: AccountSid,
    /// The carrier's own, or a hash of its id.
    pub sid: CarrierMessageSid,
    /// The receiving number.
    pub to: Address,
}

/// A picture, a sound or a file that came with a message. Its data stay at the carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    pub sid: MediaSid,
    pub url: String,
    pub content_type: String,
    /// In bytes, if the carrier tells.
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
    /// The carrier's parameters that no other field keeps, in its order: the number's own webhook gets them, word for word.
    pub extra: Vec<(String, String)>,
    pub received_at: Timestamp,
}

impl Inbound {
    pub fn to(&self) -> &Address {
        &self.key.to
    }

    /// `None` if no conversation could ever hold the message.
    pub fn routing_key(&self) -> Option<Key> {
        Key::of(&self.from, self.to(), &self.others)
    }

    /// The key whose binding decides where the message goes. `None`: no binding can exist.
    pub fn binding_key(&self) -> Option<Key> {
        match self.routing_key()? {
            key @ Key::Pair(_) => Some(key),
            // No change claims a group yet: participants have pairs, and a group message makes no conversation.
            Key::Group(_) => None,
        }
    }

    pub fn channel(&self) -> Channel {
        self.to().channel()
    }
}
