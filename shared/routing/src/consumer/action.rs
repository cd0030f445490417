//! The values that tell a consumer's choices.

use jiff::Timestamp;

use crate::Position;
use crate::consumer::limits::{Limits, Moment};
use crate::consumer::write::{CursorWrite, Seen};

/// What a consumer does first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approach {
    /// Nothing: another run has the cursor, a due time lies ahead, or there is nothing to read.
    Stop,
    /// Carry the write out, and stop: the consumer is owed nothing, so its cursor needs no due time.
    ClearDue(CursorWrite),
    /// Read the log from this slot on, up to the first missing one, and take a [`step`](super::step::step).
    Read(u64),
}

/// What a consumer does with the stretch that it has read. `W`: how it delivers.
#[derive(Clone, Debug)]
pub(crate) enum Choice<W> {
    Stop,
    PauseAndLook,
    PassOver(CursorWrite, Then),
    Take(CursorWrite, W),
}

/// The step after a consumer has left its cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Stop,
    /// Read the end of the log: if an entry stands at this slot or later, look again.
    LookIfAnyFrom(u64),
}

impl Then {
    /// Whether the consumer looks again. `tail`: the newest slot.
    pub fn looks_again(self, tail: Option<u64>) -> bool {
        match self {
            Then::Stop => false,
            Then::LookIfAnyFrom(slot) => tail.is_some_and(|tail| tail >= slot),
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// This recipient needs no further attempt for this entry or event.
    Done,
    Failed {
        /// The pause that the server asked for, in seconds.
        asked_s: Option<i64>,
    },
    /// Another attempt is under way, until then.
    Busy(Timestamp),
}

/// An attempt that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempted {
    pub result: AttemptResult,
    pub now: Timestamp,
    /// Spreads the next attempt.
    pub random: u32,
}

/// A run as a cursor's lease knows it, and the time.
#[derive(Clone, Copy, Debug)]
pub struct Runner<'a> {
    /// A random mark: of this run, this consumer and this look alone.
    pub owner: [u8; 16],
    pub moment: Moment,
    pub limits: &'a Limits,
}

pub(crate) fn clear_due(seen: Seen<'_>) -> Approach {
    CursorWrite::clear_due(seen).map_or(Approach::Stop, Approach::ClearDue)
}

/// Passes over to `end`. `moved`: the cursor stood before `end`. Then another run may have found the moved cursor and left
/// later entries to this run, so this run looks again. It does not if the stretch ended at a missing slot and the cursor
/// has not moved: the entry that closes the gap rings.
pub(crate) fn pass_over<W>(seen: Seen<'_>, end: Position, ended: bool, moved: bool) -> Choice<W> {
    let write = CursorWrite::pass_over(seen, end, ended);
    let then = match ended || moved {
        true => Then::LookIfAnyFrom(end.slot),
        false => Then::Stop,
    };
    Choice::PassOver(write, then)
}
