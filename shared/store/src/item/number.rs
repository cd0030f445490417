//! A number that we receive on.

use routing::{CarrierName, InboundWebhook, NumberSettings, NumberSid};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::webhook::{CallWire, call, call_wire};
use crate::item::{self, Id, Item, id, is_false};
use crate::key::{self, Key};

#[derive(Serialize, Deserialize)]
struct NumberWire {
    #[serde(rename = "v")]
    version: u64,
    sid: Id,
    address: String,
    friendly_name: String,
    carrier: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sms: Option<CallWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sms_fallback: Option<CallWire>,
    #[serde(default, skip_serializing_if = "is_false")]
    inbound_webhook_always: bool,
    date_created_ms: i64,
    date_updated_ms: i64,
}

pub(crate) fn to_item(number: &NumberSettings) -> Result<Item, StoreError> {
    let wire = NumberWire {
        version: number.version,
        sid: id(number.sid.as_bytes()),
        address: number.address.to_string(),
        friendly_name: number.friendly_name.clone(),
        carrier: number.carrier.as_str().to_owned(),
        sms: number.sms.as_ref().map(call_wire),
        sms_fallback: number.sms_fallback.as_ref().map(call_wire),
        inbound_webhook_always: number.inbound_webhook == InboundWebhook::Always,
        date_created_ms: number.date_created.as_millisecond(),
        date_updated_ms: number.date_updated.as_millisecond(),
    };
    let item = item::item(key::number(&number.address), &wire)?;
    Ok(item::listed(
        item,
        key::listed(key::NUMBER_LIST, number.date_created, &number.address),
    ))
}

pub(crate) fn from_item(item: Item) -> Result<NumberSettings, StoreError> {
    let (key, wire): (Key, NumberWire) = item::parse(item)?;
    let carrier = CarrierName::parse(&wire.carrier);
    Ok(NumberSettings {
        sid: NumberSid::from_bytes(wire.sid.into_array()),
        version: wire.version,
        address: item::address(&key, &wire.address)?,
        friendly_name: wire.friendly_name,
        carrier: carrier
            .ok_or_else(|| item::corrupt(&key, format!("no carrier {}", wire.carrier)))?,
        sms: wire.sms.map(|wire| call(&key, wire)).transpose()?,
        sms_fallback: wire.sms_fallback.map(|wire| call(&key, wire)).transpose()?,
        inbound_webhook: match wire.inbound_webhook_always {
            true => InboundWebhook::Always,
            false => InboundWebhook::Unbound,
        },
        date_created: item::time(&key, wire.date_created_ms)?,
        date_updated: item::time(&key, wire.date_updated_ms)?,
    })
}
