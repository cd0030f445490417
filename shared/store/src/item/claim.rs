//! The small items: claims of names and identities, timers and purge jobs.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use routing::{ConversationSid, ParticipantSid};
use serde::Deserialize;

use crate::error::StoreError;
use crate::item::{self, Id, Item, bytes};
use crate::key::{self, DueKind, Key};

/// A unique name and the conversation that has it. Conditions name it: `c = :holder`.
pub(crate) fn name(key: Key, conversation: ConversationSid) -> Item {
    claim(key, "c", bytes(conversation.as_bytes()))
}

/// An identity in a conversation and the participant that has it.
pub(crate) fn identity(key: Key, participant: ParticipantSid) -> Item {
    claim(key, "p", bytes(participant.as_bytes()))
}

/// A timer or a purge.
pub(crate) fn due(kind: DueKind, key: Key, conversation: ConversationSid, at: Timestamp) -> Item {
    let place = key::due(kind, conversation, &key.sk, at);
    item::listed(claim(key, "t", item::milliseconds(at)), place)
}

fn claim(key: Key, name: &str, value: AttributeValue) -> Item {
    let mut item = item::versioned(item::key(key), 1);
    item.insert(name.to_owned(), value);
    item
}

/// The conversation that has a unique name.
pub(crate) fn holder(item: Item) -> Result<ConversationSid, StoreError> {
    #[derive(Deserialize)]
    struct Wire {
        c: Id,
    }
    let (_, wire): (Key, Wire) = item::parse(item)?;
    Ok(ConversationSid::from_bytes(wire.c.into_array()))
}

/// The participant that has an identity.
pub(crate) fn participant(item: Item) -> Result<ParticipantSid, StoreError> {
    #[derive(Deserialize)]
    struct Wire {
        p: Id,
    }
    let (_, wire): (Key, Wire) = item::parse(item)?;
    Ok(ParticipantSid::from_bytes(wire.p.into_array()))
}
