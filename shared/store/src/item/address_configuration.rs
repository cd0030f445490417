//! An address configuration.

use routing::{
    AddressConfiguration, AddressConfigurationSid, AutoCreation, AutoCreationKind,
    ConversationServiceSid,
};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::webhook::{CallWire, call, call_wire, filters, filters_wire};
use crate::item::{self, Id, Item, id, is_false};
use crate::key::{self, Key};

#[derive(Serialize, Deserialize)]
struct AddressConfigurationWire {
    #[serde(rename = "v")]
    version: u64,
    sid: Id,
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    friendly_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook: Option<(CallWire, Vec<String>)>,
    /// Flow SID, retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    studio: Option<(String, u8)>,
    date_created_ms: i64,
    date_updated_ms: i64,
}

pub(crate) fn to_item(configuration: &AddressConfiguration) -> Result<Item, StoreError> {
    let auto_creation = &configuration.auto_creation;
    let (webhook, studio) = match &auto_creation.kind {
        AutoCreationKind::Default => (None, None),
        AutoCreationKind::Webhook { call, filters } => {
            (Some((call_wire(call), filters_wire(filters))), None)
        }
        AutoCreationKind::Studio {
            flow_sid,
            retry_count,
        } => (None, Some((flow_sid.clone(), *retry_count))),
    };
    let wire = AddressConfigurationWire {
        version: configuration.version,
        sid: id(configuration.sid.as_bytes()),
        address: configuration.address.to_string(),
        friendly_name: configuration.friendly_name.clone(),
        country: configuration.country.clone(),
        enabled: auto_creation.enabled,
        service: auto_creation.service.map(|sid| id(sid.as_bytes())),
        webhook,
        studio,
        date_created_ms: configuration.date_created.as_millisecond(),
        date_updated_ms: configuration.date_updated.as_millisecond(),
    };
    let item = item::item(key::address_configuration(&configuration.address), &wire)?;
    let position = key::listed(
        key::ADDRESS_CONFIGURATION_LIST,
        configuration.date_created,
        &configuration.address,
    );
    Ok(item::listed(item, position))
}

pub(crate) fn from_item(item: Item) -> Result<AddressConfiguration, StoreError> {
    let (key, wire): (Key, AddressConfigurationWire) = item::parse(item)?;
    let kind = match (wire.webhook, wire.studio) {
        (Some((to, names)), _) => AutoCreationKind::Webhook {
            call: call(&key, to)?,
            filters: filters(&key, names)?,
        },
        (None, Some((flow_sid, retry_count))) => AutoCreationKind::Studio {
            flow_sid,
            retry_count,
        },
        (None, None) => AutoCreationKind::Default,
    };
    let service = wire
        .service
        .map(|sid| ConversationServiceSid::from_bytes(sid.into_array()));
    Ok(AddressConfiguration {
        sid: AddressConfigurationSid::from_bytes(wire.sid.into_array()),
        version: wire.version,
        address: item::address(&key, &wire.address)?,
        friendly_name: wire.friendly_name,
        country: wire.country,
        auto_creation: AutoCreation {
            enabled: wire.enabled,
            service,
            kind,
        },
        date_created: item::time(&key, wire.date_created_ms)?,
        date_updated: item::time(&key, wire.date_updated_ms)?,
    })
}
