//! The items: how each record looks in the table. Each file owns one wire form; the core types know none of them.
//!
//! Attribute names are short where an item is written with every message. `v` is the item's version, everywhere.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use routing::{Address, Pair, State, Timers};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteArray;

use crate::error::StoreError;
use crate::key::{IndexKey, Key};
use crate::table::{GSI1, GSI2, Index, PARTITION_KEY, SORT_KEY};

pub(crate) mod account;
pub(crate) mod address_configuration;
pub(crate) mod binding;
pub(crate) mod claim;
pub(crate) mod conversation_service;
pub(crate) mod cursor;
pub(crate) mod entry;
pub(crate) mod header;
pub(crate) mod journal;
pub(crate) mod message;
pub(crate) mod messaging_service;
pub(crate) mod metadata;
pub(crate) mod number;
pub(crate) mod outbound;
pub(crate) mod participant;
pub(crate) mod pool;
pub(crate) mod revision;
#[cfg(test)]
mod round_trips;
pub(crate) mod unreadable;
pub(crate) mod webhook;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// A SID or an id, as sixteen bytes.
pub(crate) type Id = ByteArray<16>;

pub(crate) fn bytes(id: &[u8; 16]) -> AttributeValue {
    AttributeValue::B(Blob::new(id.to_vec()))
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn milliseconds(at: Timestamp) -> AttributeValue {
    number(at.as_millisecond())
}

pub(crate) fn id(bytes: &[u8; 16]) -> Id {
    ByteArray::new(*bytes)
}

pub(crate) fn key(key: Key) -> Item {
    HashMap::from([
        (PARTITION_KEY.to_owned(), AttributeValue::S(key.pk)),
        (SORT_KEY.to_owned(), AttributeValue::S(key.sk)),
    ])
}

/// The slot of an item of a log, and whether it is an entry and no version of its message.
pub(crate) fn log_key(item: &Item) -> Option<(u64, bool)> {
    crate::key::parse_log(item.get(SORT_KEY)?.as_s().ok()?)
}

/// An item from its wire form, without version or index entries.
fn item(key: Key, wire: &impl Serialize) -> Result<Item, StoreError> {
    match serde_dynamo::to_item::<_, Item>(wire) {
        Ok(attributes) => Ok(self::key(key).into_iter().chain(attributes).collect()),
        Err(error) => Err(corrupt(&key, error)),
    }
}

fn versioned(mut item: Item, version: u64) -> Item {
    item.insert("v".to_owned(), number(version));
    item
}

fn indexed(mut item: Item, index: Index, key: IndexKey) -> Item {
    item.insert(index.partition_key.to_owned(), AttributeValue::S(key.pk));
    item.insert(index.sort_key.to_owned(), AttributeValue::S(key.sk));
    item
}

fn listed(item: Item, key: IndexKey) -> Item {
    indexed(item, GSI1, key)
}

fn addressed(item: Item, key: IndexKey) -> Item {
    indexed(item, GSI2, key)
}

/// A wire form from an item, with the item's keys.
fn parse<T: DeserializeOwned>(item: Item) -> Result<(Key, T), StoreError> {
    let text = |name| match item.get(name) {
        Some(AttributeValue::S(text)) => text.clone(),
        _ => String::new(),
    };
    let key = Key {
        pk: text(PARTITION_KEY),
        sk: text(SORT_KEY),
    };
    match serde_dynamo::from_item(item) {
        Ok(wire) => Ok((key, wire)),
        Err(error) => Err(corrupt(&key, error)),
    }
}

pub(crate) fn corrupt(key: &Key, reason: impl ToString) -> StoreError {
    StoreError::Corrupt {
        key: masked(&format!("{}/{}", key.pk, key.sk)),
        reason: reason.to_string(),
    }
}

/// A key as logs may show it: of a phone number, the last four digits.
fn masked(text: &str) -> String {
    let mut parts = text.split('+');
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        masked.push('…');
        masked.push_str(&part[digits.saturating_sub(4)..]);
    }
    masked
}

fn address(key: &Key, text: &str) -> Result<Address, StoreError> {
    Address::parse(text).map_err(|error| corrupt(key, error))
}

fn pair(key: &Key, address_text: &str, proxy_text: &str) -> Result<Pair, StoreError> {
    Pair::new(address(key, address_text)?, address(key, proxy_text)?)
        .map_err(|error| corrupt(key, error))
}

fn time(key: &Key, ms: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms).map_err(|error| corrupt(key, error))
}

pub(crate) fn state_code(state: State) -> u8 {
    match state {
        State::Initializing => 0,
        State::Active => 1,
        State::Inactive => 2,
        State::Closed => 3,
    }
}

fn state(key: &Key, code: u8) -> Result<State, StoreError> {
    let found = State::ALL
        .into_iter()
        .find(|state| state_code(*state) == code);
    found.ok_or_else(|| corrupt(key, format!("{code} is no state")))
}

/// Both timers, in seconds.
type TimersWire = (Option<u64>, Option<u64>);

fn timers_wire(timers: Timers) -> Option<TimersWire> {
    (timers != Timers::default()).then_some((timers.inactive_s, timers.closed_s))
}

fn timers(wire: Option<TimersWire>) -> Timers {
    let (inactive_s, closed_s) = wire.unwrap_or_default();
    Timers {
        inactive_s,
        closed_s,
    }
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Attributes are a JSON object as text, and almost always empty; then they are not stored.
const NO_ATTRIBUTES: &str = "{}";

fn attributes_wire(attributes: &str) -> Option<String> {
    (attributes != NO_ATTRIBUTES).then(|| attributes.to_owned())
}

fn attributes(wire: Option<String>) -> String {
    wire.unwrap_or_else(|| NO_ATTRIBUTES.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_a_log_shows_no_whole_number() {
        let key = Key {
            pk: "B#+15550001111".to_owned(),
            sk: "whatsapp:+15550002222#x".to_owned(),
        };
        assert_eq!(
            corrupt(&key, "bad").to_string(),
            "failed to make sense of item B#…1111/whatsapp:…2222#x: bad"
        );
    }
}
