//! A conversation service, in equal copies. The first copy stands in the list.

use routing::{ConversationService, ConversationServiceSid};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::webhook::{WebhooksWire, webhooks, webhooks_wire};
use crate::item::{self, Id, Item, id, is_false};
use crate::key::{self, Key};

#[derive(Serialize, Deserialize)]
struct ConversationServiceWire {
    #[serde(rename = "v")]
    version: u64,
    sid: Id,
    friendly_name: String,
    webhooks: WebhooksWire,
    #[serde(default, skip_serializing_if = "is_false")]
    reachability_enabled: bool,
    date_created_ms: i64,
    date_updated_ms: i64,
}

pub(crate) fn to_item(service: &ConversationService, copy: u8) -> Result<Item, StoreError> {
    let wire = ConversationServiceWire {
        version: service.version,
        sid: id(service.sid.as_bytes()),
        friendly_name: service.friendly_name.clone(),
        webhooks: webhooks_wire(&service.webhooks),
        reachability_enabled: service.reachability_enabled,
        date_created_ms: service.date_created.as_millisecond(),
        date_updated_ms: service.date_updated.as_millisecond(),
    };
    let item = item::item(key::conversation_service(service.sid, copy), &wire)?;
    Ok(match copy {
        0 => item::listed(
            item,
            key::listed(
                key::CONVERSATION_SERVICE_LIST,
                service.date_created,
                service.sid,
            ),
        ),
        _ => item,
    })
}

pub(crate) fn from_item(item: Item) -> Result<ConversationService, StoreError> {
    let (key, wire): (Key, ConversationServiceWire) = item::parse(item)?;
    Ok(ConversationService {
        sid: ConversationServiceSid::from_bytes(wire.sid.into_array()),
        version: wire.version,
        friendly_name: wire.friendly_name,
        webhooks: webhooks(&key, wire.webhooks)?,
        reachability_enabled: wire.reachability_enabled,
        date_created: item::time(&key, wire.date_created_ms)?,
        date_updated: item::time(&key, wire.date_updated_ms)?,
    })
}
