//! The settings of the whole account, and the settings in force for one conversation.

use crate::event_name::EventName;
use crate::sid::ConversationServiceSid;
use crate::timers::Timers;
use crate::webhook::{Method, WebhookUrl};

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

impl AccountSettings {
    /// The conversation service of a request or a setting that names none. No resource makes other services yet.
    pub fn default_service(&self) -> ConversationServiceSid {
        ConversationServiceSid::DEFAULT
    }

    /// The settings in force for the conversations of a service: the service's own, if it has any, else the account's.
    /// No service has settings of its own yet.
    pub fn in_force(&self, service: ConversationServiceSid) -> SettingsInForce<'_> {
        SettingsInForce {
            service,
            scope: SettingsScope::Account,
            webhooks: &self.webhooks,
            timers: self.timers,
        }
    }
}

/// The settings that hold for the conversations of one service.
#[derive(Clone, Copy, Debug)]
pub struct SettingsInForce<'a> {
    pub service: ConversationServiceSid,
    pub scope: SettingsScope,
    pub webhooks: &'a Webhooks,
    /// The timers of a new conversation.
    pub timers: Timers,
}

/// The owner of the settings in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SettingsScope {
    Account,
    Service,
}

/// Pre- and post-action webhooks.
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

/// The effect of a call that the endpoint does not answer within the time limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnTimeout {
    /// As the API documents it.
    #[default]
    Publish,
    Reject,
}
