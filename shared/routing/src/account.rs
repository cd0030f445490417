//! The settings of the whole account.

use crate::event_name::EventName;
use crate::sid::{ConversationServiceSid, MessagingServiceSid};
use crate::timers::Timers;
use crate::webhook::{Method, WebhookUrl};

/// The account's settings: read by every message, and so never checked by a condition on the way of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSettings {
    /// 0: never set.
    pub version: u64,
    /// The conversation service of a request or a setting that names none.
    pub default_service: ConversationServiceSid,
    /// The messaging service of a new conversation that has no other.
    pub default_messaging_service: MessagingServiceSid,
    pub webhooks: Webhooks,
    /// What new conversations start with.
    pub timers: Timers,
    /// Whether messaging services may make conversations ("Handle Inbound Messages with Conversations").
    pub autocreation_unlocked: bool,
}

impl Default for AccountSettings {
    fn default() -> AccountSettings {
        AccountSettings {
            version: 0,
            default_service: ConversationServiceSid::DEFAULT,
            default_messaging_service: MessagingServiceSid::DEFAULT,
            webhooks: Webhooks::default(),
            timers: Timers::default(),
            autocreation_unlocked: false,
        }
    }
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

    pub fn has_url(&self) -> bool {
        self.pre_url.is_some() || self.post_url.is_some()
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
