//! The header, in every log entry: binary SIDs, pairs as tuples, one-letter names.

use routing::{
    ConversationServiceSid, Header, HeldPair, MessagingServiceSid, ParticipantSid, PostWebhook,
    SettingsScope,
};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::{self, Id, TimersWire, id, is_false};
use crate::key::Key;

/// Scope (0: the account's settings, 1: the service's), generation, since.
type PostWire = (u8, u64, u64);

#[derive(Serialize, Deserialize)]
pub(crate) struct HeaderWire {
    #[serde(rename = "s")]
    state: u8,
    #[serde(rename = "i")]
    service: Id,
    #[serde(rename = "g")]
    messaging_service: Id,
    /// Participant, address, proxy address.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pairs: Vec<(Id, String, String)>,
    #[serde(rename = "n")]
    participants: u64,
    #[serde(rename = "m")]
    message_index: u64,
    #[serde(rename = "e")]
    event_number: u64,
    #[serde(rename = "a")]
    last_activity_ms: i64,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    timers: Option<TimersWire>,
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    post: Option<PostWire>,
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
    posts_before: Vec<PostWire>,
    #[serde(rename = "z", default, skip_serializing_if = "is_false")]
    terminal: bool,
}

impl HeaderWire {
    pub(crate) fn from(header: &Header) -> HeaderWire {
        let held = |held: &HeldPair| {
            (
                id(held.participant.as_bytes()),
                held.pair.address().to_string(),
                held.pair.proxy().to_string(),
            )
        };
        HeaderWire {
            state: item::state_code(header.state),
            service: id(header.service.as_bytes()),
            messaging_service: id(header.messaging_service.as_bytes()),
            pairs: header.pairs.iter().map(held).collect(),
            participants: header.participants,
            message_index: header.message_index,
            event_number: header.event_number,
            last_activity_ms: header.last_activity.as_millisecond(),
            timers: item::timers_wire(header.timers),
            post: header.post.map(post_wire),
            posts_before: header.posts_before.iter().copied().map(post_wire).collect(),
            terminal: header.terminal,
        }
    }

    pub(crate) fn header(self, key: &Key) -> Result<Header, StoreError> {
        let mut pairs = Vec::with_capacity(self.pairs.len());
        for (participant, address, proxy) in self.pairs {
            let participant = ParticipantSid::from_bytes(participant.into_array());
            pairs.push(HeldPair {
                participant,
                pair: item::pair(key, &address, &proxy)?,
            });
        }
        Ok(Header {
            state: item::state(key, self.state)?,
            service: ConversationServiceSid::from_bytes(self.service.into_array()),
            messaging_service: MessagingServiceSid::from_bytes(self.messaging_service.into_array()),
            pairs,
            participants: self.participants,
            message_index: self.message_index,
            event_number: self.event_number,
            last_activity: item::time(key, self.last_activity_ms)?,
            timers: item::timers(self.timers),
            post: self.post.map(|wire| post(key, wire)).transpose()?,
            posts_before: self
                .posts_before
                .into_iter()
                .map(|wire| post(key, wire))
                .collect::<Result<_, _>>()?,
            terminal: self.terminal,
        })
    }
}

fn post_wire(post: PostWebhook) -> PostWire {
    (scope_code(post.scope), post.generation, post.since)
}

fn post(key: &Key, (scope, generation, since): PostWire) -> Result<PostWebhook, StoreError> {
    Ok(PostWebhook {
        scope: self::scope(key, scope)?,
        generation,
        since,
    })
}

fn scope_code(scope: SettingsScope) -> u8 {
    match scope {
        SettingsScope::Account => 0,
        SettingsScope::Service => 1,
    }
}

fn scope(key: &Key, code: u8) -> Result<SettingsScope, StoreError> {
    [SettingsScope::Account, SettingsScope::Service]
        .into_iter()
        .find(|scope| scope_code(*scope) == code)
        .ok_or_else(|| item::corrupt(key, format!("no scope {code}")))
}
