//! A journal entry.

use routing::{
    AccountSid, AddressConfigurationSid, CarrierMessageSid, CarrierName, ChangeId, ConversationSid,
    ForwardState, Inbound, JournalEntry, MessageKey, MessagingServiceSid, Outcome, Rule, Target,
    Why,
};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::message::{MediaWire, media, media_wire};
use crate::item::webhook::{CallWire, call, call_wire};
use crate::item::{self, Id, Item, id};
use crate::key::{self, Key};

#[derive(Serialize, Deserialize)]
struct JournalWire {
    #[serde(rename = "c")]
    change: Id,
    #[serde(rename = "t")]
    received_at_ms: i64,
    #[serde(rename = "f")]
    from: String,
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<String>,
    #[serde(rename = "b", default, skip_serializing_if = "String::is_empty")]
    body: String,
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    media: Vec<MediaWire>,
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
    extra: Vec<(String, String)>,
    #[serde(rename = "o")]
    outcome: OutcomeWire,
    #[serde(rename = "w")]
    rule: RuleWire,
    #[serde(rename = "wx", default, skip_serializing_if = "Option::is_none")]
    expired: Option<Id>,
    /// How far a fall-through has come: an HTTP status, or 0 for failed. Beside the outcome, for it is updated by
    /// itself.
    #[serde(rename = "fs", default, skip_serializing_if = "Option::is_none")]
    forwarded: Option<u16>,
}

#[derive(Serialize, Deserialize)]
enum OutcomeWire {
    #[serde(rename = "c")]
    Captured(Id, u64),
    #[serde(rename = "a")]
    Autocreated(Id),
    #[serde(rename = "f")]
    Forwarded(CallWire, Option<CallWire>),
    #[serde(rename = "r")]
    Rejected(Option<Id>),
    #[serde(rename = "u")]
    Unroutable,
}

#[derive(Serialize, Deserialize)]
enum RuleWire {
    #[serde(rename = "b")]
    Bound(Id),
    #[serde(rename = "a")]
    AddressConfiguration(Id),
    #[serde(rename = "m")]
    MessagingService(Id),
    #[serde(rename = "n")]
    NumberWebhook,
    #[serde(rename = "s")]
    ServiceWebhook(Id),
    #[serde(rename = "z")]
    None,
}

/// The value of [`JournalWire::forwarded`] for a fall-through that failed.
const FAILED: u16 = 0;

/// The update of a fall-through's state, in the form of [`JournalWire::forwarded`].
pub(crate) fn forward_code(state: ForwardState) -> Option<u16> {
    match state {
        ForwardState::Pending => None,
        ForwardState::Answered(status) => Some(status),
        ForwardState::Failed => Some(FAILED),
    }
}

pub(crate) fn to_item(entry: &JournalEntry) -> Result<Item, StoreError> {
    let inbound = &entry.inbound;
    let conversation = |sid: &ConversationSid| id(sid.as_bytes());
    let (outcome, forwarded) = match &entry.outcome {
        Outcome::Captured {
            conversation: sid,
            slot,
        } => (OutcomeWire::Captured(conversation(sid), *slot), None),
        Outcome::Autocreated { conversation: sid } => {
            (OutcomeWire::Autocreated(conversation(sid)), None)
        }
        Outcome::Forwarded { target, state } => {
            let outcome = OutcomeWire::Forwarded(
                call_wire(&target.call),
                target.fallback.as_ref().map(call_wire),
            );
            (outcome, forward_code(*state))
        }
        Outcome::Rejected { conversation: sid } => {
            (OutcomeWire::Rejected(sid.as_ref().map(conversation)), None)
        }
        Outcome::Unroutable => (OutcomeWire::Unroutable, None),
    };
    let wire = JournalWire {
        change: id(entry.change.as_bytes()),
        received_at_ms: inbound.received_at.as_millisecond(),
        from: inbound.from.to_string(),
        others: inbound.others.iter().map(ToString::to_string).collect(),
        body: inbound.body.clone(),
        media: media_wire(&inbound.media),
        extra: inbound.extra.clone(),
        outcome,
        rule: match entry.why.rule {
            Rule::Bound(sid) => RuleWire::Bound(id(sid.as_bytes())),
            Rule::AddressConfiguration(sid) => RuleWire::AddressConfiguration(id(sid.as_bytes())),
            Rule::MessagingService(sid) => RuleWire::MessagingService(id(sid.as_bytes())),
            Rule::NumberWebhook => RuleWire::NumberWebhook,
            Rule::ServiceWebhook(sid) => RuleWire::ServiceWebhook(id(sid.as_bytes())),
            Rule::None => RuleWire::None,
        },
        expired: entry.why.expired.as_ref().map(conversation),
        forwarded,
    };
    let item = item::versioned(item::item(key::journal(&inbound.key), &wire)?, 1);
    let item = item::listed(
        item,
        key::by_time(inbound.received_at, inbound.key.sid.to_string().as_bytes()),
    );
    Ok(item::addressed(
        item,
        key::by_outside_address(&inbound.from, inbound.received_at),
    ))
}

pub(crate) fn from_item(item: Item) -> Result<JournalEntry, StoreError> {
    let (key, wire): (Key, JournalWire) = item::parse(item)?;
    let conversation = |sid: Id| ConversationSid::from_bytes(sid.into_array());
    let outcome = match wire.outcome {
        OutcomeWire::Captured(sid, slot) => Outcome::Captured {
            conversation: conversation(sid),
            slot,
        },
        OutcomeWire::Autocreated(sid) => Outcome::Autocreated {
            conversation: conversation(sid),
        },
        OutcomeWire::Forwarded(to, fallback) => {
            let fallback = fallback.map(|wire| call(&key, wire)).transpose()?;
            let state = match wire.forwarded {
                None => ForwardState::Pending,
                Some(FAILED) => ForwardState::Failed,
                Some(status) => ForwardState::Answered(status),
            };
            Outcome::Forwarded {
                target: Target {
                    call: call(&key, to)?,
                    fallback,
                },
                state,
            }
        }
        OutcomeWire::Rejected(sid) => Outcome::Rejected {
            conversation: sid.map(conversation),
        },
        OutcomeWire::Unroutable => Outcome::Unroutable,
    };
    let rule = match wire.rule {
        RuleWire::Bound(sid) => Rule::Bound(conversation(sid)),
        RuleWire::AddressConfiguration(sid) => {
            Rule::AddressConfiguration(AddressConfigurationSid::from_bytes(sid.into_array()))
        }
        RuleWire::MessagingService(sid) => {
            Rule::MessagingService(MessagingServiceSid::from_bytes(sid.into_array()))
        }
        RuleWire::NumberWebhook => Rule::NumberWebhook,
        RuleWire::ServiceWebhook(sid) => {
            Rule::ServiceWebhook(MessagingServiceSid::from_bytes(sid.into_array()))
        }
        RuleWire::None => Rule::None,
    };
    let mut others = Vec::with_capacity(wire.others.len());
    for text in &wire.others {
        others.push(item::address(&key, text)?);
    }
    let inbound = Inbound {
        key: key_of(&key)?,
        from: item::address(&key, &wire.from)?,
        others,
        body: wire.body,
        media: media(wire.media),
        extra: wire.extra,
        received_at: item::time(&key, wire.received_at_ms)?,
    };
    let change = ChangeId::from_bytes(wire.change.into_array());
    Ok(JournalEntry {
        inbound,
        change,
        outcome,
        why: Why {
            rule,
            expired: wire.expired.map(conversation),
        },
    })
}

/// Carrier, account, message SID, receiving address: a journal entry's key where another item names it.
pub(crate) type MessageKeyWire = (String, Id, String, String);

pub(crate) fn message_key_wire(message: &MessageKey) -> MessageKeyWire {
    (
        message.carrier.as_str().to_owned(),
        id(message.account.as_bytes()),
        message.sid.to_string(),
        message.to.to_string(),
    )
}

pub(crate) fn message_key(
    key: &Key,
    (carrier, account, sid, to): MessageKeyWire,
) -> Result<MessageKey, StoreError> {
    let parsed = CarrierName::parse(&carrier).zip(CarrierMessageSid::parse(&sid));
    let (carrier, sid) = parsed.ok_or_else(|| item::corrupt(key, "no journal key"))?;
    Ok(MessageKey {
        carrier,
        account: AccountSid::from_bytes(account.into_array()),
        sid,
        to: item::address(key, &to)?,
    })
}

fn key_of(key: &Key) -> Result<MessageKey, StoreError> {
    let (sid, carrier, account, to) =
        key_parts(key).ok_or_else(|| item::corrupt(key, "the key is no journal key"))?;
    Ok(MessageKey {
        carrier,
        account,
        sid,
        to: item::address(key, to)?,
    })
}

/// The parts that every key of the journal has, and the text of its last part.
pub(crate) fn key_parts(key: &Key) -> Option<(CarrierMessageSid, CarrierName, AccountSid, &str)> {
    let sid = key.pk.strip_prefix(key::JOURNAL)?;
    let mut parts = key.sk.splitn(3, '#');
    Some((
        CarrierMessageSid::parse(sid)?,
        CarrierName::parse(parts.next()?)?,
        AccountSid::parse(parts.next()?)?,
        parts.next()?,
    ))
}
