//! Calls, filters, and the webhooks of one conversation.

use routing::{Call, EventName, Method, ScopedTarget, ScopedWebhook, WebhookUrl};
use serde::Serialize;

use crate::error::StoreError;
use crate::item::{self, Item};
use crate::key::{self, Key};

/// URL, and whether it is called with GET.
pub(crate) type CallWire = (String, bool);

pub(crate) fn call_wire(call: &Call) -> CallWire {
    (call.url.to_string(), call.method == Method::Get)
}

pub(crate) fn call(key: &Key, (url, get): CallWire) -> Result<Call, StoreError> {
    Ok(Call {
        url: self::url(key, &url)?,
        method: if get { Method::Get } else { Method::Post },
    })
}

pub(crate) fn url(key: &Key, text: &str) -> Result<WebhookUrl, StoreError> {
    WebhookUrl::parse(text).map_err(|error| item::corrupt(key, error))
}

pub(crate) fn filters_wire(filters: &[EventName]) -> Vec<String> {
    filters
        .iter()
        .map(|name| name.as_str().to_owned())
        .collect()
}

pub(crate) fn filters(key: &Key, wire: Vec<String>) -> Result<Vec<EventName>, StoreError> {
    let name = |text: &String| {
        EventName::parse(text).ok_or_else(|| item::corrupt(key, format!("no event {text}")))
    };
    wire.iter().map(name).collect()
}

#[derive(Serialize)]
struct ScopedWebhookWire {
    #[serde(rename = "cl", skip_serializing_if = "Option::is_none")]
    call: Option<CallWire>,
    #[serde(rename = "fi", skip_serializing_if = "Option::is_none")]
    filters: Option<Vec<String>>,
    /// Flow SID, retries.
    #[serde(rename = "fl", skip_serializing_if = "Option::is_none")]
    flow: Option<(String, u8)>,
    #[serde(rename = "si")]
    since: u64,
}

pub(crate) fn to_item(webhook: &ScopedWebhook) -> Result<Item, StoreError> {
    let (call, filters, flow) = match &webhook.target {
        ScopedTarget::Webhook { call, filters } => {
            (Some(call_wire(call)), Some(filters_wire(filters)), None)
        }
        ScopedTarget::Studio {
            flow_sid,
            retry_count,
        } => (None, None, Some((flow_sid.clone(), *retry_count))),
    };
    let wire = ScopedWebhookWire {
        call,
        filters,
        flow,
        since: webhook.since,
    };
    let key = key::of(&routing::ItemKey::Webhook(
        webhook.conversation,
        webhook.sid,
    ));
    Ok(item::versioned(item::item(key, &wire)?, webhook.version))
}
