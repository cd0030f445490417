//! A consumer's cursor.

use aws_sdk_dynamodb::types::AttributeValue;
use routing::{Address, Consumer, Cursor, Lane, Lease, ParticipantSid, Position, Recipient};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::{self, Id, Item};
use crate::key::{self, Key};

#[derive(Deserialize)]
struct CursorWire {
    #[serde(rename = "ns")]
    slot: u64,
    #[serde(rename = "ne", default)]
    event: u64,
    #[serde(rename = "lo", default)]
    owner: Option<Id>,
    #[serde(rename = "lu", default)]
    until_ms: i64,
    #[serde(rename = "du", default)]
    due_ms: Option<i64>,
    #[serde(rename = "fa", default)]
    failures: u32,
    #[serde(rename = "la", default)]
    lanes: Vec<LaneWire>,
}

/// Recipient, slot, due, failures.
#[derive(Serialize, Deserialize)]
struct LaneWire(String, u64, i64, u32);

pub(crate) fn from_item(item: Item) -> Result<(Consumer, Cursor), StoreError> {
    let (key, wire): (Key, CursorWire) = item::parse(item)?;
    let consumer =
        key::parse_cursor(&key.sk).ok_or_else(|| item::corrupt(&key, "no such consumer"))?;
    let lease = match wire.owner {
        Some(owner) => Some(Lease {
            owner: owner.into_array(),
            until: item::time(&key, wire.until_ms)?,
        }),
        None => None,
    };
    let mut lanes = Vec::with_capacity(wire.lanes.len());
    for LaneWire(text, slot, due_ms, failures) in wire.lanes {
        let recipient = match ParticipantSid::parse(&text) {
            Some(participant) => Recipient::Participant(participant),
            None => Recipient::Number(item::address(&key, &text)?),
        };
        lanes.push(Lane {
            recipient,
            slot,
            due: item::time(&key, due_ms)?,
            failures,
        });
    }
    let cursor = Cursor {
        next: Position {
            slot: wire.slot,
            event: wire.event,
        },
        lease,
        due: wire.due_ms.map(|ms| item::time(&key, ms)).transpose()?,
        failures: wire.failures,
        lanes,
    };
    Ok((consumer, cursor))
}

pub(crate) fn lanes(key: &Key, lanes: &[Lane]) -> Result<AttributeValue, StoreError> {
    let wire = |lane: &Lane| {
        let recipient = match &lane.recipient {
            Recipient::Participant(participant) => participant.to_string(),
            Recipient::Number(address) => Address::to_string(address),
        };
        LaneWire(
            recipient,
            lane.slot,
            lane.due.as_millisecond(),
            lane.failures,
        )
    };
    let wires: Vec<LaneWire> = lanes.iter().map(wire).collect();
    serde_dynamo::to_attribute_value(wires).map_err(|error| item::corrupt(key, error))
}
