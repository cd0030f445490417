//! The journal's record of a message that can't be read.

use aws_sdk_dynamodb::types::AttributeValue;
use routing::{ChangeId, RawForm, Unreadable, UnreadableKey};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::error::StoreError;
use crate::item::{self, Id, Item, id, journal};
use crate::key::{self, Key};

/// A person looks for it in the table: the names are whole words.
#[derive(Serialize, Deserialize)]
struct UnreadableWire {
    #[serde(rename = "c")]
    change: Id,
    #[serde(rename = "t")]
    received_at_ms: i64,
    reason: String,
    content_type: String,
    body: ByteBuf,
    /// Of the whole body; `body` may be its beginning.
    length: usize,
}

pub(crate) fn to_item(unreadable: &Unreadable, change: ChangeId) -> Result<Item, StoreError> {
    let Unreadable {
        key,
        received_at,
        reason,
        raw,
    } = unreadable;
    let wire = UnreadableWire {
        change: id(change.as_bytes()),
        received_at_ms: received_at.as_millisecond(),
        reason: reason.clone(),
        content_type: raw.content_type().to_owned(),
        body: ByteBuf::from(raw.body()),
        length: raw.length(),
    };
    let item = item::versioned(item::item(key::unreadable(key), &wire)?, 1);
    Ok(item::listed(
        item,
        key::by_time(*received_at, key.sid.to_string().as_bytes()),
    ))
}

pub(crate) fn from_item(item: Item) -> Result<Unreadable, StoreError> {
    let (key, wire): (Key, UnreadableWire) = item::parse(item)?;
    Ok(Unreadable {
        key: key_of(&key)?,
        received_at: item::time(&key, wire.received_at_ms)?,
        reason: wire.reason,
        raw: RawForm::restored(&wire.content_type, &wire.body, wire.length),
    })
}

/// Whether `change` wrote the item.
pub(crate) fn is_of(item: &Item, change: ChangeId) -> bool {
    let written = item
        .get("c")
        .and_then(|value: &AttributeValue| value.as_b().ok());
    written.is_some_and(|bytes| bytes.as_ref() == change.as_bytes())
}

fn key_of(key: &Key) -> Result<UnreadableKey, StoreError> {
    let parsed = journal::key_parts(key).and_then(|(sid, carrier, account, to)| {
        Some(UnreadableKey {
            carrier,
            account,
            sid,
            to: key::parse_unreadable(to)?,
        })
    });
    parsed.ok_or_else(|| item::corrupt(key, "the key is no key of an unreadable message"))
}
