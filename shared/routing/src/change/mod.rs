//! What users ask by REST: each a decision from the facts and the wish to a plan, or a refusal.
//!
//! Every change that routing, webhooks or readers care about takes a slot of its conversation's log, as a message does.
//! The wish has been checked at the edge: texts are within their limits, addresses have their grammar.

mod conversation;
mod message;
mod participant;

pub use conversation::{ConversationEdit, NewConversation, create, delete, update};
pub use message::{
    MessageEdit, NewMessage, PostDecision, delete as delete_message, edit as edit_message, post,
};
pub use participant::{
    NewParticipant, ParticipantEdit, add, moved, remove, update as update_participant,
};

use crate::header::Header;
use crate::state::State;
use crate::tail::Tail;

/// Why a change is not made. Each is a public error code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the conversation is closed; nothing about it can change any more")]
    Closed,
    #[error("the conversation was deleted")]
    Deleted,
    #[error("the conversation is being assembled and refuses changes until it is active")]
    Initializing,
    #[error("a state can't be set to initializing")]
    StateForbidden,
    #[error("a new conversation can't be closed")]
    BornClosed,
    #[error(
        "the conversation has {} participants, the most that it can have",
        crate::Participant::COUNT_MAX
    )]
    ParticipantsMax,
    #[error(
        "the conversation has {} participants with an address, the most that it can have",
        crate::Participant::PAIRS_MAX
    )]
    PairsMax,
    #[error("the participant has no address")]
    NoAddress,
    #[error("address and proxy address are the same")]
    SameAddresses,
    #[error("address and proxy address are of different channels")]
    ChannelsDiffer,
    #[error("the conversation holds this pair already")]
    PairHeldHere,
}

/// A conversation that may be changed.
fn open(tail: &Tail) -> Result<&Header, Refusal> {
    match tail.header.state {
        _ if tail.header.terminal => Err(Refusal::Deleted),
        State::Closed => Err(Refusal::Closed),
        State::Initializing => Err(Refusal::Initializing),
        State::Active | State::Inactive => Ok(&tail.header),
    }
}
