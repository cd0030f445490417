//! What we send: one record for each message and participant, so that nothing is sent twice silently.

use jiff::Timestamp;

use crate::{CarrierMessageSid, ConversationSid, MessageSid, Pair, ParticipantSid};

/// A message on its way to one participant. Its SID follows from conversation, slot and participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    pub sid: CarrierMessageSid,
    pub conversation: ConversationSid,
    pub message: MessageSid,
    pub participant: ParticipantSid,
    /// From the proxy address to the address.
    pub pair: Pair,
    pub date_created: Timestamp,
    pub state: OutboundState,
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboundState {
    /// The carrier is being called. Past `until` nobody will ever know: it is not sent again.
    Sending {
        /// A random mark of the attempt.
        attempt: [u8; 16],
        until: Timestamp,
    },
    /// The carrier surely has not taken it; it is tried again later.
    Waiting,
    /// The carrier took it, under an id of its own.
    Sent { carrier_id: Option<String> },
    /// The carrier refused it, or it was given up; with the carrier's error code.
    Failed { code: Option<u32> },
    /// The carrier may have taken it or not. Somebody must look there.
    Unknown,
}

impl OutboundState {
    /// Whether nothing further will be done.
    pub fn ended(&self) -> bool {
        match self {
            OutboundState::Sending { .. } | OutboundState::Waiting => false,
            OutboundState::Sent { .. } | OutboundState::Failed { .. } | OutboundState::Unknown => {
                true
            }
        }
    }
}
