//! A binding: a key, and the conversation that holds it.

use routing::{Binding, ConversationServiceSid, ConversationSid, Pair, ParticipantSid};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::{self, Id, Item, id};
use crate::key::{self, Key};

#[derive(Serialize, Deserialize)]
struct BindingWire {
    /// Conditions name it: `c = :holder`.
    #[serde(rename = "c")]
    conversation: Id,
    #[serde(rename = "p")]
    participant: Id,
    #[serde(rename = "i")]
    service: Id,
    #[serde(rename = "t")]
    since_ms: i64,
}

pub(crate) fn to_item(held: &routing::Key, binding: &Binding) -> Result<Item, StoreError> {
    let wire = BindingWire {
        conversation: id(binding.conversation.as_bytes()),
        participant: id(binding.participant.as_bytes()),
        service: id(binding.service.as_bytes()),
        since_ms: binding.since.as_millisecond(),
    };
    let item = item::versioned(item::item(key::binding(held), &wire)?, 1);
    Ok(match held {
        routing::Key::Pair(pair) => item::addressed(item, key::by_proxy(pair)),
        // A group is found by its whole set of addresses, so no index entry names it.
        routing::Key::Group(_) => item,
    })
}

/// The binding of a pair, and the pair.
pub(crate) fn of_pair(item: Item) -> Result<(Pair, Binding), StoreError> {
    let (key, wire): (Key, BindingWire) = item::parse(item)?;
    let address = key::parse_bindings(&key.pk);
    let address = address.ok_or_else(|| item::corrupt(&key, "no pair"))?;
    let pair = item::pair(&key, address, &key.sk)?;
    Ok((pair, binding(&key, wire)?))
}

pub(crate) fn from_item(item: Item) -> Result<Binding, StoreError> {
    let (key, wire): (Key, BindingWire) = item::parse(item)?;
    binding(&key, wire)
}

fn binding(key: &Key, wire: BindingWire) -> Result<Binding, StoreError> {
    Ok(Binding {
        conversation: ConversationSid::from_bytes(wire.conversation.into_array()),
        participant: ParticipantSid::from_bytes(wire.participant.into_array()),
        service: ConversationServiceSid::from_bytes(wire.service.into_array()),
        since: item::time(key, wire.since_ms)?,
    })
}
