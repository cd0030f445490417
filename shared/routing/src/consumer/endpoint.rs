//! Endpoints: the post-action webhooks that get a conversation's events.
//!
//! Endpoints are data: which there are follows from the settings, the header of the newest entry and the cursors, and
//! no code lists them. A user configures the account's endpoint, and the conversation service's, which replaces the
//! account's. The types leave room for the webhooks of single conversations, which will come in addition.
//!
//! An endpoint's *generation* begins when a URL appears where none was. It does not begin when a URL is edited, and it
//! goes on when another scope's webhook was in force meanwhile. An entry is owed to the scope and the generation that
//! were in force when it was committed, and to no other.

use crate::{Call, Entry, EventName, PostWebhook, SettingsScope, Tail, WebhookSid, Webhooks};

/// The owner of an endpoint. Within one conversation, the scope tells one endpoint from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    Account,
    /// The conversation's service.
    Service,
    /// One of the webhooks of the conversation itself.
    Conversation(WebhookSid),
}

impl From<SettingsScope> for Scope {
    fn from(scope: SettingsScope) -> Scope {
        match scope {
            SettingsScope::Account => Scope::Account,
            SettingsScope::Service => Scope::Service,
        }
    }
}

/// One endpoint of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub scope: Scope,
    pub call: Call,
    /// `None`: every event. Filters apply when an event is delivered, not when it is committed.
    pub filters: Option<Vec<EventName>>,
    pub generation: u64,
    /// The slot where an endpoint without a cursor begins.
    pub since: u64,
}

/// Whether an entry is owed to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    Yes,
    /// The entry was committed quietly, or while no webhook, another one or an earlier generation was in force.
    No,
    /// The entry names a newer generation than the endpoint's settings: they must be read again.
    SettingsTooOld,
}

impl Endpoint {
    /// The endpoint of the account's or the service's webhooks, if they have a post-action URL.
    pub fn of(scope: SettingsScope, webhooks: &Webhooks, tail: &Tail) -> Option<Endpoint> {
        let url = webhooks.post_url.clone()?;
        let generation = webhooks.post_generation;
        let is_own = |post: &PostWebhook| (post.scope, post.generation) == (scope, generation);
        Some(Endpoint {
            scope: scope.into(),
            call: Call {
                url,
                method: webhooks.method,
            },
            filters: webhooks.filters.clone(),
            generation,
            since: tail
                .header
                .posts()
                .find(is_own)
                .map_or(0, |post| post.since),
        })
    }

    /// Whether the filters let an event pass.
    pub fn wants(&self, event: EventName) -> bool {
        self.filters
            .as_ref()
            .is_none_or(|filters| filters.contains(&event))
    }

    /// Whether the entry is owed to the endpoint, without regard to filters.
    pub fn is_owed(&self, entry: &Entry) -> Owed {
        let Some(post) = entry.header.post.filter(|_| !entry.quiet) else {
            return Owed::No;
        };
        if Scope::from(post.scope) != self.scope || post.generation < self.generation {
            return Owed::No;
        }
        match post.generation == self.generation {
            true => Owed::Yes,
            false => Owed::SettingsTooOld,
        }
    }
}
