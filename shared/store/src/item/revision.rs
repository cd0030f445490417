//! The current version of an edited or deleted message.

use routing::{ConversationSid, Revision};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::message::MessageWire;
use crate::item::{self, Item};
use crate::key::{self, Key};

#[derive(Serialize, Deserialize)]
struct RevisionWire {
    #[serde(rename = "v")]
    version: u64,
    /// Missing: deleted.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    message: Option<MessageWire>,
    #[serde(rename = "t")]
    date_updated_ms: i64,
}

pub(crate) fn to_item(
    conversation: ConversationSid,
    revision: &Revision,
) -> Result<Item, StoreError> {
    let wire = RevisionWire {
        version: revision.version,
        message: revision
            .message
            .as_ref()
            .map(|message| MessageWire::from(message, |_| None)),
        date_updated_ms: revision.date_updated.as_millisecond(),
    };
    item::item(key::revision(conversation, revision.slot), &wire)
}

pub(crate) fn from_item(item: Item) -> Result<Revision, StoreError> {
    let (key, wire): (Key, RevisionWire) = item::parse(item)?;
    let (slot, _) = key::parse_log(&key.sk).ok_or_else(|| item::corrupt(&key, "no slot"))?;
    Ok(Revision {
        slot,
        version: wire.version,
        message: wire.message.map(|message| message.message(|_| None)),
        date_updated: item::time(&key, wire.date_updated_ms)?,
    })
}
