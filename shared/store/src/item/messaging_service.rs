//! A messaging service, in equal copies. The first copy stands in the list.

use routing::{
    MessagingService, MessagingServiceSid, ScanMessageContent, SendingSettings, Usecase,
};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::webhook::{CallWire, call, call_wire, url};
use crate::item::{self, Id, Item, id};
use crate::key::{self, Key};

#[derive(Serialize, Deserialize)]
struct MessagingServiceWire {
    #[serde(rename = "v")]
    version: u64,
    sid: Id,
    friendly_name: String,
    autocreates: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inbound: Option<CallWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fallback: Option<CallWire>,
    defers_to_number: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status_callback: Option<String>,
    sticky_sender: bool,
    smart_encoding: bool,
    mms_converter: bool,
    fallback_to_long_code: bool,
    area_code_geomatch: bool,
    synchronous_validation: bool,
    scan_message_content: String,
    validity_period_s: u32,
    usecase: String,
    date_created_ms: i64,
    date_updated_ms: i64,
}

pub(crate) fn to_item(service: &MessagingService, copy: u8) -> Result<Item, StoreError> {
    let sending = &service.sending;
    let wire = MessagingServiceWire {
        version: service.version,
        sid: id(service.sid.as_bytes()),
        friendly_name: service.friendly_name.clone(),
        autocreates: service.autocreates,
        inbound: service.inbound.as_ref().map(call_wire),
        fallback: service.fallback.as_ref().map(call_wire),
        defers_to_number: service.defers_to_number,
        status_callback: sending.status_callback.as_ref().map(ToString::to_string),
        sticky_sender: sending.sticky_sender,
        smart_encoding: sending.smart_encoding,
        mms_converter: sending.mms_converter,
        fallback_to_long_code: sending.fallback_to_long_code,
        area_code_geomatch: sending.area_code_geomatch,
        synchronous_validation: sending.synchronous_validation,
        scan_message_content: sending.scan_message_content.as_str().to_owned(),
        validity_period_s: sending.validity_period_s,
        usecase: sending.usecase.as_str().to_owned(),
        date_created_ms: service.date_created.as_millisecond(),
        date_updated_ms: service.date_updated.as_millisecond(),
    };
    let item = item::item(key::messaging_service(service.sid, copy), &wire)?;
    Ok(match copy {
        0 => item::listed(
            item,
            key::listed(
                key::MESSAGING_SERVICE_LIST,
                service.date_created,
                service.sid,
            ),
        ),
        _ => item,
    })
}

pub(crate) fn from_item(item: Item) -> Result<MessagingService, StoreError> {
    let (key, wire): (Key, MessagingServiceWire) = item::parse(item)?;
    let scan = ScanMessageContent::parse(&wire.scan_message_content);
    let usecase = Usecase::parse(&wire.usecase);
    let status_callback = wire.status_callback.map(|text| url(&key, &text));
    Ok(MessagingService {
        sid: MessagingServiceSid::from_bytes(wire.sid.into_array()),
        version: wire.version,
        friendly_name: wire.friendly_name,
        autocreates: wire.autocreates,
        inbound: wire.inbound.map(|wire| call(&key, wire)).transpose()?,
        fallback: wire.fallback.map(|wire| call(&key, wire)).transpose()?,
        defers_to_number: wire.defers_to_number,
        sending: SendingSettings {
            status_callback: status_callback.transpose()?,
            sticky_sender: wire.sticky_sender,
            smart_encoding: wire.smart_encoding,
            mms_converter: wire.mms_converter,
            fallback_to_long_code: wire.fallback_to_long_code,
            area_code_geomatch: wire.area_code_geomatch,
            synchronous_validation: wire.synchronous_validation,
            scan_message_content: scan
                .ok_or_else(|| item::corrupt(&key, "no word of scan_message_content"))?,
            validity_period_s: wire.validity_period_s,
            usecase: usecase.ok_or_else(|| item::corrupt(&key, "no usecase"))?,
        },
        date_created: item::time(&key, wire.date_created_ms)?,
        date_updated: item::time(&key, wire.date_updated_ms)?,
    })
}
