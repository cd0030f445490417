//! What users configure: the account, its webhooks, numbers, address configurations, messaging services.

use jiff::Timestamp;

use crate::{
    Address, AddressConfigurationSid, Call, CarrierName, ConversationServiceSid, EventName,
    MessagingServiceSid, Method, NumberSid, OnTimeout, Timers, WebhookUrl,
};

/// The account's settings: read by every message, and so never checked by a condition on the way of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSettings {
    /// 0: never set.
    pub version: u64,
    pub webhooks: Webhooks,
    /// What new conversations start with.
    pub timers: Timers,
    /// Whether messaging services may make conversations ("Handle Inbound Messages with Conversations").
    pub autocreation_unlocked: bool,
}

/// The account's pre- and post-action webhooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webhooks {
    pub method: Method,
    /// `None`: every event.
    pub filters: Option<Vec<EventName>>,
    pub pre_url: Option<WebhookUrl>,
    pub post_url: Option<WebhookUrl>,
    /// Counts how often a URL has appeared where none was.
    pub pre_generation: u64,
    pub post_generation: u64,
    pub on_timeout: OnTimeout,
    /// Kept and shown; `flex` behaves as `webhook`.
    pub target_flex: bool,
}

impl Webhooks {
    pub fn wants(&self, event: EventName) -> bool {
        self.filters
            .as_ref()
            .is_none_or(|filters| filters.contains(&event))
    }

    /// The same webhooks with other URLs: a generation begins where a URL appears.
    pub fn with_urls(mut self, pre: Option<WebhookUrl>, post: Option<WebhookUrl>) -> Webhooks {
        self.pre_generation += u64::from(self.pre_url.is_none() && pre.is_some());
        self.post_generation += u64::from(self.post_url.is_none() && post.is_some());
        (self.pre_url, self.post_url) = (pre, post);
        self
    }
}

/// When a number's own webhook is told of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InboundWebhook {
    /// Only of messages that no conversation takes.
    #[default]
    Unbound,
    /// Of captured messages too; its reply to those is ignored.
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

/// What to do with a message to an address when nothing holds its pair.
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

/// The messaging service whose sender pool holds the receiving number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagingService {
    pub sid: MessagingServiceSid,
    /// "Autocreate a Conversation".
    pub autocreates: bool,
    pub inbound: Option<Call>,
    pub fallback: Option<Call>,
}
