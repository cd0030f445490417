//! A conversation's metadata.

use routing::{ConversationServiceSid, Metadata};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::{self, Id, Item, TimersWire, id};
use crate::key::{self, Key};

#[derive(Serialize, Deserialize)]
struct MetadataWire {
    #[serde(rename = "v")]
    version: u64,
    #[serde(rename = "i")]
    service: Id,
    #[serde(rename = "fn", default, skip_serializing_if = "Option::is_none")]
    friendly_name: Option<String>,
    #[serde(rename = "un", default, skip_serializing_if = "Option::is_none")]
    unique_name: Option<String>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    attributes: Option<String>,
    /// Updated by itself when a message makes the conversation active.
    #[serde(rename = "st")]
    state: u8,
    #[serde(rename = "tm", default, skip_serializing_if = "Option::is_none")]
    timers: Option<TimersWire>,
    #[serde(rename = "dc")]
    date_created_ms: i64,
    #[serde(rename = "du")]
    date_updated_ms: i64,
}

pub(crate) fn to_item(metadata: &Metadata) -> Result<Item, StoreError> {
    let wire = MetadataWire {
        version: metadata.version,
        service: id(metadata.service.as_bytes()),
        friendly_name: metadata.friendly_name.clone(),
        unique_name: metadata.unique_name.clone(),
        attributes: item::attributes_wire(&metadata.attributes),
        state: item::state_code(metadata.state),
        timers: item::timers_wire(metadata.timers),
        date_created_ms: metadata.date_created.as_millisecond(),
        date_updated_ms: metadata.date_updated.as_millisecond(),
    };
    let item = item::item(key::metadata(metadata.conversation), &wire)?;
    Ok(item::listed(
        item,
        key::listed_conversation(
            metadata.service,
            metadata.conversation,
            metadata.date_created,
        ),
    ))
}

pub(crate) fn from_item(item: Item) -> Result<Metadata, StoreError> {
    let (key, wire): (Key, MetadataWire) = item::parse(item)?;
    Ok(Metadata {
        conversation: key::parse_conversation(&key.pk)
            .ok_or_else(|| item::corrupt(&key, "no conversation"))?,
        version: wire.version,
        service: ConversationServiceSid::from_bytes(wire.service.into_array()),
        friendly_name: wire.friendly_name,
        unique_name: wire.unique_name,
        attributes: item::attributes(wire.attributes),
        state: item::state(&key, wire.state)?,
        timers: item::timers(wire.timers),
        date_created: item::time(&key, wire.date_created_ms)?,
        date_updated: item::time(&key, wire.date_updated_ms)?,
    })
}
