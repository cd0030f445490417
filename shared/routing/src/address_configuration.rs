//! An address configuration: autocreation for the messages to one address.

use jiff::Timestamp;

use crate::address::Address;
use crate::event_name::EventName;
use crate::sid::{AddressConfigurationSid, ConversationServiceSid};
use crate::webhook::Call;

/// The rule for a message to an address whose key no conversation holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressConfiguration {
    pub sid: AddressConfigurationSid,
    pub version: u64,
    pub address: Address,
    pub friendly_name: Option<String>,
    /// ISO 3166-1 alpha-2; for short codes.
    pub country: Option<String>,
    pub auto_creation: AutoCreation,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoCreation {
    pub enabled: bool,
    /// `None`: the account's default.
    pub service: Option<ConversationServiceSid>,
    pub kind: AutoCreationKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AutoCreationKind {
    /// No webhook of its own.
    Default,
    /// Each conversation gets this webhook.
    Webhook { call: Call, filters: Vec<EventName> },
    /// Each conversation gets this flow.
    Studio { flow_sid: String, retry_count: u8 },
}
