//! Calls, filters, and webhooks: the account's and a service's, and those of one conversation.

use routing::{
    Call, EventName, Method, OnTimeout, ScopedTarget, ScopedWebhook, WebhookUrl, Webhooks,
};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::{self, Item, is_false};
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

/// The webhooks of the account or of a service.
#[derive(Serialize, Deserialize)]
pub(crate) struct WebhooksWire {
    #[serde(default, skip_serializing_if = "is_false")]
    get: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filters: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pre_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    post_url: Option<String>,
    pre_generation: u64,
    post_generation: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    reject_on_timeout: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    target_flex: bool,
}

pub(crate) fn webhooks_wire(webhooks: &Webhooks) -> WebhooksWire {
    WebhooksWire {
        get: webhooks.method == Method::Get,
        filters: webhooks.filters.as_deref().map(filters_wire),
        pre_url: webhooks.pre_url.as_ref().map(ToString::to_string),
        post_url: webhooks.post_url.as_ref().map(ToString::to_string),
        pre_generation: webhooks.pre_generation,
        post_generation: webhooks.post_generation,
        reject_on_timeout: webhooks.on_timeout == OnTimeout::Reject,
        target_flex: webhooks.target_flex,
    }
}

pub(crate) fn webhooks(key: &Key, wire: WebhooksWire) -> Result<Webhooks, StoreError> {
    Ok(Webhooks {
        method: if wire.get { Method::Get } else { Method::Post },
        filters: wire.filters.map(|names| filters(key, names)).transpose()?,
        pre_url: wire.pre_url.map(|text| url(key, &text)).transpose()?,
        post_url: wire.post_url.map(|text| url(key, &text)).transpose()?,
        pre_generation: wire.pre_generation,
        post_generation: wire.post_generation,
        on_timeout: match wire.reject_on_timeout {
            true => OnTimeout::Reject,
            false => OnTimeout::Publish,
        },
        target_flex: wire.target_flex,
    })
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
