//! A participant's record, and the same inside the events that tell of it.

use routing::{ConversationServiceSid, ConversationSid, Participant, ParticipantSid};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::{self, Id, Item, id};
use crate::key::{self, Key};

#[derive(Serialize, Deserialize)]
pub(crate) struct ParticipantWire {
    #[serde(rename = "s")]
    sid: Id,
    #[serde(rename = "n")]
    version: u64,
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pair: Option<(String, String)>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    attributes: Option<String>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    last_read_index: Option<u64>,
    #[serde(rename = "ra", default, skip_serializing_if = "Option::is_none")]
    last_read_at_ms: Option<i64>,
    #[serde(rename = "dc")]
    date_created_ms: i64,
    #[serde(rename = "du")]
    date_updated_ms: i64,
}

impl ParticipantWire {
    pub(crate) fn from(participant: &Participant) -> ParticipantWire {
        ParticipantWire {
            sid: id(participant.sid.as_bytes()),
            version: participant.version,
            identity: participant.identity.clone(),
            pair: participant
                .pair
                .as_ref()
                .map(|pair| (pair.address().to_string(), pair.proxy().to_string())),
            attributes: item::attributes_wire(&participant.attributes),
            last_read_index: participant.last_read_index,
            last_read_at_ms: participant.last_read_at.map(|at| at.as_millisecond()),
            date_created_ms: participant.date_created.as_millisecond(),
            date_updated_ms: participant.date_updated.as_millisecond(),
        }
    }

    pub(crate) fn participant(
        self,
        key: &Key,
        conversation: ConversationSid,
    ) -> Result<Participant, StoreError> {
        Ok(Participant {
            conversation,
            sid: ParticipantSid::from_bytes(self.sid.into_array()),
            version: self.version,
            identity: self.identity,
            pair: self
                .pair
                .map(|(address, proxy)| item::pair(key, &address, &proxy))
                .transpose()?,
            attributes: item::attributes(self.attributes),
            last_read_index: self.last_read_index,
            last_read_at: self
                .last_read_at_ms
                .map(|ms| item::time(key, ms))
                .transpose()?,
            date_created: item::time(key, self.date_created_ms)?,
            date_updated: item::time(key, self.date_updated_ms)?,
        })
    }
}

pub(crate) fn to_item(participant: &Participant) -> Result<Item, StoreError> {
    let (conversation, sid) = (participant.conversation, participant.sid);
    let partition = match (&participant.pair, &participant.identity) {
        (Some(pair), _) => key::participants_of_address(&pair.address().to_string()),
        (None, Some(identity)) => {
            key::participants_of_identity(ConversationServiceSid::DEFAULT, identity)
        }
        (None, None) => {
            let key = key::participant(conversation, sid);
            return Err(item::corrupt(
                &key,
                "a participant has an identity or an address",
            ));
        }
    };
    let item = item::item(
        key::participant(conversation, sid),
        &ParticipantWire::from(participant),
    )?;
    let item = item::versioned(item, participant.version);
    Ok(item::addressed(
        item,
        key::participation(partition, conversation, sid),
    ))
}

pub(crate) fn from_item(item: Item) -> Result<Participant, StoreError> {
    let (key, wire): (Key, ParticipantWire) = item::parse(item)?;
    let conversation =
        key::parse_conversation(&key.pk).ok_or_else(|| item::corrupt(&key, "no conversation"))?;
    wire.participant(&key, conversation)
}
