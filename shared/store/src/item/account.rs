//! The account's settings, in equal copies.

use routing::{AccountSettings, ConversationServiceSid, MessagingServiceSid};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::webhook::{WebhooksWire, webhooks, webhooks_wire};
use crate::item::{self, Id, Item, TimersWire, id, is_false};
use crate::key::{self, Key};

#[derive(Serialize, Deserialize)]
struct AccountWire {
    #[serde(rename = "v")]
    version: u64,
    default_service: Id,
    /// `None`: the account's first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_messaging_service: Option<Id>,
    webhooks: WebhooksWire,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timers: Option<TimersWire>,
    #[serde(default, skip_serializing_if = "is_false")]
    autocreation_unlocked: bool,
}

pub(crate) fn to_item(settings: &AccountSettings, copy: u8) -> Result<Item, StoreError> {
    let wire = AccountWire {
        version: settings.version,
        default_service: id(settings.default_service.as_bytes()),
        default_messaging_service: Some(settings.default_messaging_service)
            .filter(|sid| *sid != MessagingServiceSid::DEFAULT)
            .map(|sid| id(sid.as_bytes())),
        webhooks: webhooks_wire(&settings.webhooks),
        timers: item::timers_wire(settings.timers),
        autocreation_unlocked: settings.autocreation_unlocked,
    };
    item::item(key::account(copy), &wire)
}

pub(crate) fn from_item(item: Item) -> Result<AccountSettings, StoreError> {
    let (key, wire): (Key, AccountWire) = item::parse(item)?;
    Ok(AccountSettings {
        version: wire.version,
        default_service: ConversationServiceSid::from_bytes(wire.default_service.into_array()),
        default_messaging_service: wire
            .default_messaging_service
            .map_or(MessagingServiceSid::DEFAULT, |sid| {
                MessagingServiceSid::from_bytes(sid.into_array())
            }),
        webhooks: webhooks(&key, wire.webhooks)?,
        timers: item::timers(wire.timers),
        autocreation_unlocked: wire.autocreation_unlocked,
    })
}
