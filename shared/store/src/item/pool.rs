//! The members of sender pools: the place of a number, in the number's own partition, and the name of a sender.

use routing::{AlphaSender, AlphaSenderSid, MessagingServiceSid, NumberSid, PoolNumber};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::{self, Id, Item, id};
use crate::key::{self, Key, PoolList};

#[derive(Serialize, Deserialize)]
struct PoolNumberWire {
    #[serde(rename = "v")]
    version: u64,
    /// Of the number.
    sid: Id,
    service: Id,
    address: String,
    date_created_ms: i64,
    date_updated_ms: i64,
}

pub(crate) fn number_to_item(number: &PoolNumber) -> Result<Item, StoreError> {
    let wire = PoolNumberWire {
        version: number.version,
        sid: id(number.number.as_bytes()),
        service: id(number.service.as_bytes()),
        address: number.address.to_string(),
        date_created_ms: number.date_created.as_millisecond(),
        date_updated_ms: number.date_updated.as_millisecond(),
    };
    let list = match number.address.is_short_code() {
        true => PoolList::ShortCodes,
        false => PoolList::Numbers,
    };
    Ok(item::listed(
        item::item(key::pool_number(&number.address), &wire)?,
        key::listed(
            &key::pool_list(number.service, list),
            number.date_created,
            &number.address,
        ),
    ))
}

pub(crate) fn number_from_item(item: Item) -> Result<PoolNumber, StoreError> {
    let (key, wire): (Key, PoolNumberWire) = item::parse(item)?;
    Ok(PoolNumber {
        service: MessagingServiceSid::from_bytes(wire.service.into_array()),
        number: NumberSid::from_bytes(wire.sid.into_array()),
        version: wire.version,
        address: item::address(&key, &wire.address)?,
        date_created: item::time(&key, wire.date_created_ms)?,
        date_updated: item::time(&key, wire.date_updated_ms)?,
    })
}

#[derive(Serialize, Deserialize)]
struct AlphaSenderWire {
    #[serde(rename = "v")]
    version: u64,
    sid: Id,
    service: Id,
    name: String,
    date_created_ms: i64,
}

/// A sender never changes.
const ALPHA_SENDER_VERSION: u64 = 1;

pub(crate) fn alpha_sender_to_item(sender: &AlphaSender) -> Result<Item, StoreError> {
    let wire = AlphaSenderWire {
        version: ALPHA_SENDER_VERSION,
        sid: id(sender.sid.as_bytes()),
        service: id(sender.service.as_bytes()),
        name: sender.name.clone(),
        date_created_ms: sender.date_created.as_millisecond(),
    };
    Ok(item::listed(
        item::item(key::alpha_sender(sender.service, sender.sid), &wire)?,
        key::listed(
            &key::pool_list(sender.service, PoolList::AlphaSenders),
            sender.date_created,
            sender.sid,
        ),
    ))
}

pub(crate) fn alpha_sender_from_item(item: Item) -> Result<AlphaSender, StoreError> {
    let (key, wire): (Key, AlphaSenderWire) = item::parse(item)?;
    Ok(AlphaSender {
        service: MessagingServiceSid::from_bytes(wire.service.into_array()),
        sid: AlphaSenderSid::from_bytes(wire.sid.into_array()),
        name: wire.name,
        date_created: item::time(&key, wire.date_created_ms)?,
    })
}
