//! Cursors, records of what is sent out, and the time index: the items that consumers and the sweep write, each by single
//! updates under the conditions of `store::cursors` and `store::outbound`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use routing::{Consumer, ConversationSid, Cursor, Lane, Lease, OutboundState, Position, Recipient};

use super::Procedure;

/// Whose cursor it is.
pub(crate) type Whose = (ConversationSid, Consumer);
/// What is sent to whom: the record's key.
pub(crate) type Message = (ConversationSid, u64, Recipient);

#[derive(Default)]
pub(crate) struct Cursors {
    cursors: BTreeMap<Whose, Cursor>,
    outbound: BTreeMap<Message, OutboundState>,
    /// Up to when the sweep has come.
    pub(crate) mark: Timestamp,
    /// Entries as the time index names them.
    pub(crate) indexed: Vec<(Timestamp, ConversationSid)>,
    /// Entries that the time index does not show yet.
    pub(crate) unindexed: Vec<(Timestamp, ConversationSid)>,
    procedure: Procedure,
}

/// A cursor as a look found it.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) whose: Whose,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) at: Timestamp,
}

/// A run's hold on a cursor.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) whose: Whose,
    pub(crate) owner: [u8; 16],
    pub(crate) cursor: Cursor,
}

/// What a run leaves behind.
#[derive(Clone)]
pub(crate) struct Rest {
    pub(crate) next: Position,
    pub(crate) failures: u32,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) due: Option<Timestamp>,
}

#[derive(Clone)]
pub(crate) enum Claimed {
    Mine,
    Found(OutboundState),
}

fn owner(cursor: &Cursor) -> Option<[u8; 16]> {
    cursor.lease.map(|lease| lease.owner)
}

impl Cursors {
    pub(crate) fn new(mark: Timestamp, procedure: Procedure) -> Cursors {
        Cursors {
            mark,
            procedure,
            ..Cursors::default()
        }
    }

    pub(crate) fn get(&self, whose: Whose) -> Option<&Cursor> {
        self.cursors.get(&whose)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (Whose, &Cursor)> {
        self.cursors.iter().map(|(whose, cursor)| (*whose, cursor))
    }

    pub(crate) fn due(&self, now: Timestamp) -> Vec<Whose> {
        let due = self.all().filter(|(_, cursor)| match cursor.due {
            Some(due) => due <= now,
            None => false,
        });
        due.map(|(whose, _)| whose).collect()
    }

    pub(crate) fn lease(&mut self, seen: &Seen, next: Position, lease: Lease) -> Option<Cursor> {
        let free = match (self.get(seen.whose), &seen.cursor) {
            (None, seen) => seen.is_none(),
            (Some(there), _) if owner(there) == Some(lease.owner) => true,
            (Some(_), None) => false,
            (Some(there), Some(seen_cursor)) => {
                let put_off = there.due_ahead(seen.at) && there.due != seen_cursor.due;
                self.free(there, seen_cursor, seen.at) && !put_off
            }
        };
        if !free {
            return None;
        }
        let clears = self.procedure == Procedure::DueClearedAtStart;
        let cursor = self.cursors.entry(seen.whose).or_default();
        if seen.cursor.as_ref().is_some_and(|seen| seen.next != next) {
            cursor.failures = 0;
        }
        cursor.next = next;
        cursor.lease = Some(lease);
        if clears {
            cursor.due = None;
        }
        Some(cursor.clone())
    }

    /// Whether the run holds the cursor now.
    pub(crate) fn move_on(
        &mut self,
        held: &Held,
        next: Position,
        lanes: Vec<Lane>,
        until: Timestamp,
    ) -> bool {
        if let Some(cursor) = self.held(held) {
            cursor.next = next;
            cursor.failures = 0;
            cursor.lanes = lanes;
            cursor.lease = Some(Lease {
                owner: held.owner,
                until,
            });
            return true;
        }
        let there = self.get(held.whose);
        there.is_some_and(|there| there.next == next && owner(there) == Some(held.owner))
    }

    /// Nothing happens where another due time stands there than the run found; whether that is why, and the run has the
    /// cursor.
    pub(crate) fn leave(&mut self, held: &Held, rest: &Rest) -> bool {
        let any_due = self.procedure == Procedure::DueOfOthersCleared;
        let there = self.get(held.whose);
        if any_due || there.is_some_and(|there| there.due == held.cursor.due) {
            if let Some(cursor) = self.held(held) {
                cursor.due = rest.due;
                self.leave_but_due(held, rest);
            }
            return false;
        }
        there.is_some_and(|there| owner(there) == Some(held.owner))
    }

    pub(crate) fn leave_but_due(&mut self, held: &Held, rest: &Rest) {
        if let Some(cursor) = self.held(held) {
            cursor.next = rest.next;
            cursor.failures = rest.failures;
            cursor.lanes.clone_from(&rest.lanes);
            cursor.lease = None;
        }
    }

    /// `ended`: nothing lies behind `next`, so the due time that was seen is done with.
    pub(crate) fn skip(&mut self, seen: &Seen, next: Position, ended: bool) {
        let (Some(there), Some(seen_cursor)) = (self.get(seen.whose), &seen.cursor) else {
            if self.get(seen.whose).is_none() && seen.cursor.is_none() {
                self.cursors.entry(seen.whose).or_default().next = next;
            }
            return;
        };
        // What waits in a lane still does; what lies behind waits no longer.
        let due = seen_cursor.due.filter(|due| ended || *due > seen.at);
        if !self.free(there, seen_cursor, seen.at) || due.is_some_and(|due| there.due != Some(due))
        {
            return;
        }
        let cursor = self.cursors.entry(seen.whose).or_default();
        cursor.next = next;
        cursor.failures = 0;
        if due.is_some() {
            let lanes = seen_cursor.lanes.iter().map(|lane| lane.due);
            cursor.due = lanes.chain((!ended).then_some(seen.at)).min();
        }
    }

    pub(crate) fn wake(
        &mut self,
        whose: Whose,
        beginning: Position,
        even_if_ahead: bool,
        now: Timestamp,
    ) {
        let cursor = self.cursors.entry(whose).or_insert_with(|| Cursor {
            next: beginning,
            ..Cursor::default()
        });
        if cursor.due.is_none_or(|due| even_if_ahead && due > now) {
            cursor.due = Some(now);
        }
    }

    /// Moves a cursor back and makes it due; where it stood. `None`: it is not behind `to`.
    pub(crate) fn replay(
        &mut self,
        whose: Whose,
        to: Position,
        now: Timestamp,
    ) -> Option<Position> {
        let cursor = self.cursors.get_mut(&whose)?;
        if cursor.next <= to {
            return None;
        }
        cursor.due = Some(now);
        cursor.failures = 0;
        Some(std::mem::replace(&mut cursor.next, to))
    }

    pub(crate) fn all_outbound(&self) -> impl Iterator<Item = (&Message, &OutboundState)> {
        self.outbound.iter()
    }

    pub(crate) fn outbound(&self, message: &Message) -> Option<&OutboundState> {
        self.outbound.get(message)
    }

    pub(crate) fn claim(
        &mut self,
        message: &Message,
        attempt: [u8; 16],
        until: Timestamp,
        now: Timestamp,
    ) -> Claimed {
        let runs_out = self.procedure == Procedure::ClaimRunsOut;
        match self.outbound.get(message) {
            None | Some(OutboundState::Waiting) => {}
            Some(OutboundState::Sending { attempt: there, .. }) if *there == attempt => {}
            Some(OutboundState::Sending { until, .. }) if runs_out && *until <= now => {}
            Some(state) => return Claimed::Found(state.clone()),
        }
        let sending = OutboundState::Sending { attempt, until };
        if self.procedure != Procedure::NoClaimBeforeTheCall {
            self.outbound.insert(message.clone(), sending);
        }
        Claimed::Mine
    }

    pub(crate) fn note(&mut self, message: &Message, attempt: [u8; 16], state: OutboundState) {
        let there = self.outbound.get(message);
        let mine = matches!(
            there,
            Some(OutboundState::Sending { attempt: there, .. }) if *there == attempt
        );
        if mine || there.is_none() && self.procedure == Procedure::NoClaimBeforeTheCall {
            self.outbound.insert(message.clone(), state);
        }
    }

    /// Whether the cursor stands where it was seen, and nobody has it.
    fn free(&self, there: &Cursor, seen: &Cursor, at: Timestamp) -> bool {
        let nobody_has = self.procedure == Procedure::NoLease || !there.leased(at);
        there.next == seen.next && nobody_has
    }

    /// The cursor, if it stands where the run saw it, and the run has it.
    fn held(&mut self, held: &Held) -> Option<&mut Cursor> {
        let anywhere = self.procedure == Procedure::MovedFromAnywhere;
        let no_lease = self.procedure == Procedure::NoLease;
        let cursor = self.cursors.get_mut(&held.whose)?;
        let stands = anywhere || cursor.next == held.cursor.next;
        let mine = no_lease || owner(cursor) == Some(held.owner);
        (stands && mine).then_some(cursor)
    }
}
