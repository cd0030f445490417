//! The account's settings, in equal copies.

use routing::{AccountSettings, Method, OnTimeout, Webhooks};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::webhook::{filters, filters_wire, url};
use crate::item::{self, Item, TimersWire, is_false};
use crate::key::{self, Key};

#[derive(Serialize, Deserialize)]
struct AccountWire {
    #[serde(rename = "v")]
    version: u64,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timers: Option<TimersWire>,
    #[serde(default, skip_serializing_if = "is_false")]
    autocreation_unlocked: bool,
}

pub(crate) fn to_item(settings: &AccountSettings, copy: u8) -> Result<Item, StoreError> {
    let webhooks = &settings.webhooks;
    let wire = AccountWire {
        version: settings.version,
        get: webhooks.method == Method::Get,
        filters: webhooks.filters.as_deref().map(filters_wire),
        pre_url: webhooks.pre_url.as_ref().map(ToString::to_string),
        post_url: webhooks.post_url.as_ref().map(ToString::to_string),
        pre_generation: webhooks.pre_generation,
        post_generation: webhooks.post_generation,
        reject_on_timeout: webhooks.on_timeout == OnTimeout::Reject,
        target_flex: webhooks.target_flex,
        timers: item::timers_wire(settings.timers),
        autocreation_unlocked: settings.autocreation_unlocked,
    };
    item::item(key::account(copy), &wire)
}

pub(crate) fn from_item(item: Item) -> Result<AccountSettings, StoreError> {
    let (key, wire): (Key, AccountWire) = item::parse(item)?;
    Ok(AccountSettings {
        version: wire.version,
        webhooks: Webhooks {
            method: if wire.get { Method::Get } else { Method::Post },
            filters: wire.filters.map(|names| filters(&key, names)).transpose()?,
            pre_url: wire.pre_url.map(|text| url(&key, &text)).transpose()?,
            post_url: wire.post_url.map(|text| url(&key, &text)).transpose()?,
            pre_generation: wire.pre_generation,
            post_generation: wire.post_generation,
            on_timeout: if wire.reject_on_timeout {
                OnTimeout::Reject
            } else {
                OnTimeout::Publish
            },
            target_flex: wire.target_flex,
        },
        timers: item::timers(wire.timers),
        autocreation_unlocked: wire.autocreation_unlocked,
    })
}
