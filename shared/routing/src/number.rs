//! A number that we receive on.

use jiff::Timestamp;

use crate::address::Address;
use crate::inbound::CarrierName;
use crate::sid::NumberSid;
use crate::webhook::Call;

/// The messages with which a number's own webhook is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InboundWebhook {
    /// Only messages that no conversation captures.
    #[default]
    Unbound,
    /// Captured messages too; its reply to those is ignored.
    Always,
}

/// A number that we receive on, or a WhatsApp sender, and its own webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberSettings {
    pub sid: NumberSid,
    pub version: u64,
    pub address: Address,
    pub friendly_name: String,
    pub carrier: CarrierName,
    pub sms: Option<Call>,
    pub sms_fallback: Option<Call>,
    pub inbound_webhook: InboundWebhook,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}
