//! A message, inside an entry, a revision or a journal entry.

use routing::{Media, MediaSid, Message, ParticipantSid};
use serde::{Deserialize, Serialize};

use crate::item::{self, Id, id};

/// SID, URL, content type, size in bytes.
pub(crate) type MediaWire = (Id, String, String, Option<u64>);

pub(crate) fn media_wire(media: &[Media]) -> Vec<MediaWire> {
    let wire = |medium: &Media| {
        (
            id(medium.sid.as_bytes()),
            medium.url.clone(),
            medium.content_type.clone(),
            medium.size,
        )
    };
    media.iter().map(wire).collect()
}

pub(crate) fn media(wire: Vec<MediaWire>) -> Vec<Media> {
    let medium = |(sid, url, content_type, size): MediaWire| Media {
        sid: MediaSid::from_bytes(sid.into_array()),
        url,
        content_type,
        size,
    };
    wire.into_iter().map(medium).collect()
}

#[derive(Serialize, Deserialize)]
pub(crate) struct MessageWire {
    #[serde(rename = "i")]
    index: u64,
    /// Left out where it is the participant's address, which the reader knows.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    participant: Option<Id>,
    #[serde(rename = "b", default, skip_serializing_if = "String::is_empty")]
    body: String,
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    media: Vec<MediaWire>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    attributes: Option<String>,
}

impl MessageWire {
    /// `address_of` tells a participant's address.
    pub(crate) fn from(
        message: &Message,
        address_of: impl Fn(ParticipantSid) -> Option<String>,
    ) -> MessageWire {
        let implied = message.participant.and_then(address_of);
        MessageWire {
            index: message.index,
            author: (implied.as_ref() != Some(&message.author)).then(|| message.author.clone()),
            participant: message
                .participant
                .map(|participant| id(participant.as_bytes())),
            body: message.body.clone(),
            media: media_wire(&message.media),
            attributes: item::attributes_wire(&message.attributes),
        }
    }

    pub(crate) fn message(self, address_of: impl Fn(ParticipantSid) -> Option<String>) -> Message {
        let participant = self
            .participant
            .map(|participant| ParticipantSid::from_bytes(participant.into_array()));
        Message {
            index: self.index,
            author: self
                .author
                .or_else(|| participant.and_then(address_of))
                .unwrap_or_default(),
            participant,
            body: self.body,
            media: media(self.media),
            attributes: item::attributes(self.attributes),
        }
    }
}
