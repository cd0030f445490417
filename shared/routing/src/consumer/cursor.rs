//! Cursors: how far a consumer has come in a conversation.
//!
//! Correctness depends on one condition: a run moves a cursor only from the position at which it saw the cursor. A lease
//! and a due time save work and time.

use jiff::Timestamp;

use crate::{Address, ParticipantSid};

/// A place in a log: an event of an entry. Consumers that take entries as a whole stand at event 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub slot: u64,
    /// Counts the entry's events from 0.
    pub event: u64,
}

impl Position {
    pub fn slot(slot: u64) -> Position {
        Position { slot, event: 0 }
    }
}

/// Until when a run has a cursor to itself. Not required for correctness: without a lease, two runs that meet send an
/// event twice, with the same token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// A random mark of the run.
    pub owner: [u8; 16],
    pub until: Timestamp,
}

/// A recipient of a consumer that has several, each at its own pace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recipient {
    Participant(ParticipantSid),
    Number(Address),
}

/// The position of one recipient that lags behind its consumer's cursor because an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    pub recipient: Recipient,
    /// The recipient's first unfinished slot.
    pub slot: u64,
    /// When the next attempt is due.
    pub due: Timestamp,
    /// How many attempts at that slot have failed.
    pub failures: u32,
}

/// How far a consumer has come in a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The next entry or event.
    pub next: Position,
    pub lease: Option<Lease>,
    /// When the clock looks at the cursor.
    pub due: Option<Timestamp>,
    /// How many attempts at `next` have failed.
    pub failures: u32,
    /// Recipients that lag. A consumer with one recipient has no lanes.
    pub lanes: Vec<Lane>,
}

impl Cursor {
    pub fn leased(&self, now: Timestamp) -> bool {
        self.lease.is_some_and(|lease| lease.until > now)
    }

    /// Whether the due time is still to come.
    pub fn due_ahead(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|due| due > now)
    }

    pub fn lane(&self, recipient: &Recipient) -> Option<&Lane> {
        self.lanes.iter().find(|lane| &lane.recipient == recipient)
    }
}
