//! A participant's record, and the participant inside an event of an entry.

use routing::{ConversationServiceSid, ConversationSid, Participant, ParticipantSid};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::{self, Id, Item, id};
use crate::key::{self, Key};

#[derive(Serialize, Deserialize)]
pub(crate) struct ParticipantWire {
    #[serde(rename = "s")]
    sid: Id,
    /// Left out in an entry, whose header names it.
    #[serde(rename = "sv", default, skip_serializing_if = "Option::is_none")]
    service: Option<Id>,
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
    /// As an entry holds it.
    pub(crate) fn in_entry(participant: &Participant) -> ParticipantWire {
        ParticipantWire {
            sid: id(participant.sid.as_bytes()),
            service: None,
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

    /// `in_entry`: the service that the entry's header names.
    pub(crate) fn participant(
        self,
        key: &Key,
        conversation: ConversationSid,
        in_entry: Option<ConversationServiceSid>,
    ) -> Result<Participant, StoreError> {
        let service = self
            .service
            .map(|service| ConversationServiceSid::from_bytes(service.into_array()))
            .or(in_entry)
            .ok_or_else(|| item::corrupt(key, "no conversation service"))?;
        Ok(Participant {
            conversation,
            service,
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
        (None, Some(identity)) => key::participants_of_identity(participant.service, identity),
        (None, None) => {
            let key = key::participant(conversation, sid);
            return Err(item::corrupt(
                &key,
                "a participant has an identity or an address",
            ));
        }
    };
    let wire = ParticipantWire {
        service: Some(id(participant.service.as_bytes())),
        ..ParticipantWire::in_entry(participant)
    };
    let item = item::item(key::participant(conversation, sid), &wire)?;
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
    wire.participant(&key, conversation, None)
}
