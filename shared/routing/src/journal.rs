//! The journal: one durable record of every authentic inbound message and of what became of it. A message that can't be
//! read has a record of its own, [`Unreadable`](crate::Unreadable).

use crate::inbound::{Inbound, MessageKey};
use crate::sid::{ChangeId, ConversationSid};
use crate::webhook::Call;
use crate::why::Why;

/// Invariant: a captured message's text stands in its conversation's log, every other's in `inbound` here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The message; without body and media where a log holds them.
    pub inbound: Inbound,
    pub change: ChangeId,
    pub outcome: Outcome,
    pub why: Why,
}

impl JournalEntry {
    pub fn key(&self) -> &MessageKey {
        &self.inbound.key
    }
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Captured {
        conversation: ConversationSid,
        slot: u64,
    },
    /// The message stands in slot 0.
    Autocreated {
        conversation: ConversationSid,
    },
    Forwarded {
        target: Target,
        state: ForwardState,
    },
    /// By a pre-action webhook; `conversation` would have got the message.
    Rejected {
        conversation: Option<ConversationSid>,
    },
    Unroutable,
}

impl Outcome {
    /// The outcome in the words of the journal, logs, metrics and answers.
    pub fn as_str(&self) -> &'static str {
        match self {
            Outcome::Captured { .. } => "captured",
            Outcome::Autocreated { .. } => "autocreated",
            Outcome::Forwarded { .. } => "forwarded",
            Outcome::Rejected { .. } => "rejected",
            Outcome::Unroutable => "unroutable",
        }
    }

    /// Where in a log the message stands.
    pub fn place(&self) -> Option<(ConversationSid, u64)> {
        match self {
            Outcome::Captured { conversation, slot } => Some((*conversation, *slot)),
            Outcome::Autocreated { conversation } => Some((*conversation, 0)),
            _ => None,
        }
    }
}

/// How far a fall-through has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardState {
    /// Written before the call. An entry that stays so lost its run.
    Pending,
    /// The application answered with this HTTP status.
    Answered(u16),
    /// Neither the URL nor its fallback gave a usable reply.
    Failed,
}

/// Where a fall-through goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub call: Call,
    pub fallback: Option<Call>,
}

/// The journal entry of a message, and whether the plan writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Journaled {
    /// The journal entry that the plan writes.
    New(JournalEntry),
    /// The journal entry that is there already. Nothing is written; a forwarded message is forwarded again.
    Duplicate(JournalEntry),
}

impl Journaled {
    pub fn entry(&self) -> &JournalEntry {
        match self {
            Journaled::New(entry) | Journaled::Duplicate(entry) => entry,
        }
    }
}
