//! A record of what we send.

use routing::{
    CarrierMessageSid, ConversationSid, MessageSid, Outbound, OutboundState, ParticipantSid,
};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::{self, Id, Item, id};
use crate::key::{self, Key};

#[derive(Serialize, Deserialize)]
struct OutboundWire {
    #[serde(rename = "c")]
    conversation: Id,
    #[serde(rename = "m")]
    message: Id,
    #[serde(rename = "p")]
    participant: Id,
    #[serde(rename = "a")]
    address: String,
    #[serde(rename = "x")]
    proxy: String,
    #[serde(rename = "t")]
    date_created_ms: i64,
    #[serde(rename = "st")]
    state: u8,
    /// The attempt's mark, also after it has ended.
    #[serde(rename = "at", default, skip_serializing_if = "Option::is_none")]
    attempt: Option<Id>,
    #[serde(rename = "un", default, skip_serializing_if = "Option::is_none")]
    until_ms: Option<i64>,
    #[serde(rename = "ci", default, skip_serializing_if = "Option::is_none")]
    carrier_id: Option<String>,
    #[serde(rename = "ec", default, skip_serializing_if = "Option::is_none")]
    code: Option<u32>,
}

pub(crate) const SENDING: u8 = 0;
pub(crate) const WAITING: u8 = 1;
const SENT: u8 = 2;
const FAILED: u8 = 3;
const UNKNOWN: u8 = 4;

pub(crate) fn state_code(state: &OutboundState) -> u8 {
    match state {
        OutboundState::Sending { .. } => SENDING,
        OutboundState::Waiting => WAITING,
        OutboundState::Sent { .. } => SENT,
        OutboundState::Failed { .. } => FAILED,
        OutboundState::Unknown => UNKNOWN,
    }
}

pub(crate) fn to_item(outbound: &Outbound) -> Result<Item, StoreError> {
    let (attempt, until) = match &outbound.state {
        OutboundState::Sending { attempt, until } => (Some(id(attempt)), Some(*until)),
        _ => (None, None),
    };
    let (carrier_id, code) = match &outbound.state {
        OutboundState::Sent { carrier_id } => (carrier_id.clone(), None),
        OutboundState::Failed { code } => (None, *code),
        _ => (None, None),
    };
    let wire = OutboundWire {
        conversation: id(outbound.conversation.as_bytes()),
        message: id(outbound.message.as_bytes()),
        participant: id(outbound.participant.as_bytes()),
        address: outbound.pair.address().to_string(),
        proxy: outbound.pair.proxy().to_string(),
        date_created_ms: outbound.date_created.as_millisecond(),
        state: state_code(&outbound.state),
        attempt,
        until_ms: until.map(|until| until.as_millisecond()),
        carrier_id,
        code,
    };
    let item = item::versioned(item::item(key::outbound(outbound.sid), &wire)?, 1);
    let by_time = key::by_time(outbound.date_created, outbound.sid.to_string().as_bytes());
    let item = item::listed(item, by_time);
    let address = outbound.pair.address();
    Ok(item::addressed(
        item,
        key::by_outside_address(address, outbound.date_created),
    ))
}

pub(crate) fn from_item(item: Item) -> Result<Outbound, StoreError> {
    let (key, wire): (Key, OutboundWire) = item::parse(item)?;
    let sid = key.pk.strip_prefix("O#").and_then(CarrierMessageSid::parse);
    let state = match wire.state {
        SENDING => match (wire.attempt, wire.until_ms) {
            (Some(attempt), Some(until_ms)) => OutboundState::Sending {
                attempt: attempt.into_array(),
                until: item::time(&key, until_ms)?,
            },
            _ => return Err(item::corrupt(&key, "no attempt")),
        },
        WAITING => OutboundState::Waiting,
        SENT => OutboundState::Sent {
            carrier_id: wire.carrier_id,
        },
        FAILED => OutboundState::Failed { code: wire.code },
        UNKNOWN => OutboundState::Unknown,
        other => return Err(item::corrupt(&key, format!("{other} is no state"))),
    };
    Ok(Outbound {
        sid: sid.ok_or_else(|| item::corrupt(&key, "no SID"))?,
        conversation: ConversationSid::from_bytes(wire.conversation.into_array()),
        message: MessageSid::from_bytes(wire.message.into_array()),
        participant: ParticipantSid::from_bytes(wire.participant.into_array()),
        pair: item::pair(&key, &wire.address, &wire.proxy)?,
        date_created: item::time(&key, wire.date_created_ms)?,
        state,
    })
}
