//! Why the API refuses a REST change.

use crate::participant::Participant;
use crate::sid::{ConversationServiceSid, ConversationSid, ParticipantSid};

/// The reason of a refusal. Each has a public error code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the resource does not exist")]
    NotFound,
    #[error("the conversation is closed; nothing about it can change any more")]
    Closed,
    #[error("the conversation is being assembled and refuses changes until it is active")]
    Initializing,
    #[error("a state can't be set to initializing")]
    StateForbidden,
    #[error("a new conversation can't be closed")]
    BornClosed,
    #[error(
        "the conversation has {} participants, the most that it can have",
        Participant::COUNT_MAX
    )]
    ParticipantsMax,
    #[error(
        "the conversation has {} participants with an address, the most that it can have",
        Participant::PAIRS_MAX
    )]
    PairsMax,
    #[error("the participant has no address")]
    NoAddress,
    #[error("address and proxy address are the same")]
    SameAddresses,
    #[error("address and proxy address are of different channels")]
    ChannelsDiffer,
    /// A participant's address that is one of our own numbers.
    #[error("the address is one of our own")]
    AddressIsOurs,
    #[error("the proxy address is not one of our own")]
    ProxyIsNotOurs,
    /// Another conversation, or this one, holds the key.
    #[error("conversation {conversation} holds the key")]
    KeyBound {
        conversation: ConversationSid,
        participant: ParticipantSid,
        service: ConversationServiceSid,
    },
    #[error("another participant of the conversation has the identity")]
    IdentityTaken,
    #[error("conversation {0} has the unique name")]
    NameTaken(ConversationSid),
    /// A record of this address exists already.
    #[error("the address has a record already")]
    AddressTaken,
    /// No number of ours has this SID.
    #[error("the number is not one of our own")]
    NumberUnknown,
    #[error("the number is in the sender pool of another messaging service")]
    PoolTaken,
    #[error("the pre-action webhook rejects the change")]
    Rejected,
}
