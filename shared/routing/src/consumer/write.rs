//! The writes of a cursor, as values: each is one conditional update of one item.
//!
//! The table evaluates a write by its own expressions, a model of the table by [`CursorWrite::apply`]; both carry out
//! the same conditions and assignments, and neither adds one.
//!
//! The one condition that correctness needs is [`CursorCondition::At`]: a run moves a cursor only from the position at which it saw the
//! cursor.

use jiff::Timestamp;

use crate::{Cursor, Lane, Lease, Position};

/// One conditional update of a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorWrite {
    /// For errors: "failed to …".
    pub purpose: &'static str,
    pub condition: CursorCondition,
    pub assignments: Vec<CursorAssignment>,
    /// Where the condition fails and this holds, an earlier copy of the same write was carried out, and its answer was
    /// lost.
    pub repeated: Option<CursorCondition>,
    /// The write that is tried where the condition fails otherwise.
    pub instead: Option<Box<CursorWrite>>,
}

/// The condition of a write on the cursor that it finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorCondition {
    All(Vec<CursorCondition>),
    Any(Vec<CursorCondition>),
    /// There is no cursor.
    Absent,
    At(Position),
    /// No run has the cursor, or its time is over by then.
    Free(Timestamp),
    /// The run with this mark has the cursor.
    LeasedTo([u8; 16]),
    NoDue,
    DueIs(Timestamp),
    /// A due time is set, and has come by then.
    DueBy(Timestamp),
    /// A due time is set, and comes later.
    DueAfter(Timestamp),
}

/// The changes of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorAssignment {
    Next(Position),
    /// The position of a cursor that the write creates.
    NextIfAbsent(Position),
    Failures(u32),
    Lanes(Vec<Lane>),
    Lease(Lease),
    NoLease,
    Due(Timestamp),
    NoDue,
}

use CursorAssignment as Assign;
use CursorCondition as If;

/// The step after a write whose condition failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRefusal<'a> {
    /// An earlier copy of the same write was carried out.
    Done,
    Write(&'a CursorWrite),
    /// Another run was first.
    Lost,
}

/// A consumer's cursor as a run saw it; `None`: it was not there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) cursor: Option<&'a Cursor>,
    pub(crate) at: Timestamp,
}

/// A cursor that a run has leased, as the run last wrote it. Its due time is the one that the run found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) owner: [u8; 16],
    pub(crate) cursor: Cursor,
}

/// Where a run leaves a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parting {
    pub(crate) next: Position,
    pub(crate) failures: u32,
    pub(crate) lanes: Vec<Lane>,
    /// When the clock looks at the cursor; `None`: nothing is left to do.
    pub(crate) due: Option<Timestamp>,
}

impl CursorCondition {
    pub fn holds(&self, cursor: Option<&Cursor>) -> bool {
        let due = cursor.and_then(|cursor| cursor.due);
        match self {
            If::All(all) => all.iter().all(|condition| condition.holds(cursor)),
            If::Any(any) => any.iter().any(|condition| condition.holds(cursor)),
            If::Absent => cursor.is_none(),
            If::At(position) => cursor.is_some_and(|cursor| cursor.next == *position),
            If::Free(by) => cursor.is_none_or(|cursor| !cursor.leased(*by)),
            If::LeasedTo(owner) => cursor
                .and_then(|cursor| cursor.lease)
                .is_some_and(|lease| lease.owner == *owner),
            If::NoDue => due.is_none(),
            If::DueIs(at) => due == Some(*at),
            If::DueBy(at) => due.is_some_and(|due| due <= *at),
            If::DueAfter(at) => due.is_some_and(|due| due > *at),
        }
    }
}

impl CursorWrite {
    fn new(
        purpose: &'static str,
        condition: CursorCondition,
        assignments: Vec<CursorAssignment>,
    ) -> CursorWrite {
        CursorWrite {
            purpose,
            condition,
            assignments,
            repeated: None,
            instead: None,
        }
    }

    /// The step after the condition failed on the cursor `found`.
    pub fn after_refusal(&self, found: Option<&Cursor>) -> AfterRefusal<'_> {
        let holds = |condition: &CursorCondition| condition.holds(found);
        match &self.instead {
            _ if self.repeated.as_ref().is_some_and(holds) => AfterRefusal::Done,
            Some(instead) if holds(&instead.condition) => AfterRefusal::Write(instead),
            _ => AfterRefusal::Lost,
        }
    }

    /// The cursor after the write.
    pub fn apply(&self, cursor: Option<Cursor>) -> Cursor {
        let absent = cursor.is_none();
        let mut cursor = cursor.unwrap_or_default();
        for assignment in &self.assignments {
            match assignment {
                Assign::Next(next) => cursor.next = *next,
                Assign::NextIfAbsent(next) if absent => cursor.next = *next,
                Assign::NextIfAbsent(_) => {}
                Assign::Failures(failures) => cursor.failures = *failures,
                Assign::Lanes(lanes) => cursor.lanes.clone_from(lanes),
                Assign::Lease(lease) => cursor.lease = Some(*lease),
                Assign::NoLease => cursor.lease = None,
                Assign::Due(due) => cursor.due = Some(*due),
                Assign::NoDue => cursor.due = None,
            }
        }
        cursor
    }

    /// Leases a cursor to a run and moves it to `next`, if the cursor has not moved since the run saw it, no other run has
    /// it, and no run has put it off since.
    pub(crate) fn take(seen: Seen<'_>, next: Position, lease: Lease) -> CursorWrite {
        let mut assignments = vec![Assign::Next(next), Assign::Lease(lease)];
        let condition = match seen.cursor {
            None => If::Absent,
            Some(cursor) => {
                if next != cursor.next && cursor.failures > 0 {
                    assignments.push(Assign::Failures(0));
                }
                let mut due = vec![If::NoDue, If::DueBy(seen.at)];
                due.extend(cursor.due.map(If::DueIs));
                If::All(vec![If::At(cursor.next), If::Free(seen.at), If::Any(due)])
            }
        };
        CursorWrite {
            repeated: Some(If::LeasedTo(lease.owner)),
            ..CursorWrite::new("take a cursor", condition, assignments)
        }
    }

    /// Moves a cursor that a run holds, and makes its lease last until `until`.
    pub(crate) fn advance(
        held: &Held,
        next: Position,
        lanes: Vec<Lane>,
        until: Timestamp,
    ) -> CursorWrite {
        let lease = Lease {
            owner: held.owner,
            until,
        };
        let mut assignments = held.changes(next, 0, lanes);
        assignments.push(Assign::Lease(lease));
        CursorWrite {
            repeated: Some(If::All(vec![If::At(next), If::LeasedTo(held.owner)])),
            ..CursorWrite::new("move a cursor", held.condition(), assignments)
        }
    }

    /// The last move of a run gives the lease back. The due time becomes the run's own if it still is the one that the run
    /// found; a due time that another run or the sweep set meanwhile stays.
    pub(crate) fn leave(held: &Held, parting: Parting) -> CursorWrite {
        let purpose = "leave a cursor";
        let found = held.cursor.due;
        let mut assignments = held.changes(parting.next, parting.failures, parting.lanes);
        assignments.push(Assign::NoLease);
        let but_due = CursorWrite::new(purpose, held.condition(), assignments.clone());
        if parting.due != found {
            assignments.push(parting.due.map_or(Assign::NoDue, Assign::Due));
        }
        let condition = If::All(vec![held.condition(), found.map_or(If::NoDue, If::DueIs)]);
        CursorWrite {
            instead: Some(Box::new(but_due)),
            ..CursorWrite::new(purpose, condition, assignments)
        }
    }

    /// Passes over entries that owe nothing, without a lease. `ended`: nothing lies behind `next`, so the due time that
    /// was seen is cleared. The write does nothing if the cursor has changed since the run saw it, or if another run
    /// has it.
    pub(crate) fn pass_over(seen: Seen<'_>, next: Position, ended: bool) -> CursorWrite {
        let mut assignments = vec![Assign::Next(next)];
        let condition = match seen.cursor {
            None => If::Absent,
            Some(cursor) => {
                let mut all = vec![If::At(cursor.next), If::Free(seen.at)];
                if cursor.failures > 0 {
                    assignments.push(Assign::Failures(0));
                }
                if let Some(found) = cursor.due.filter(|due| ended || *due > seen.at) {
                    all.push(If::DueIs(found));
                    // A lane keeps its due time. The entries behind `next` are due now.
                    let lanes = cursor.lanes.iter().map(|lane| lane.due);
                    let due = lanes.chain((!ended).then_some(seen.at)).min();
                    if due != Some(found) {
                        assignments.push(due.map_or(Assign::NoDue, Assign::Due));
                    }
                }
                If::All(all)
            }
        };
        CursorWrite::new("pass over", condition, assignments)
    }

    /// Clears the due time of a cursor whose consumer is owed nothing. `None`: it has none.
    pub(crate) fn clear_due(seen: Seen<'_>) -> Option<CursorWrite> {
        let cursor = seen.cursor.filter(|cursor| cursor.due.is_some())?;
        Some(CursorWrite::pass_over(seen, cursor.next, true))
    }

    /// Makes a cursor due now, unless it is due already. A cursor that is not there begins at `beginning`.
    /// `even_if_ahead`: also a cursor whose due time lies ahead.
    pub fn wake(beginning: Position, even_if_ahead: bool, now: Timestamp) -> CursorWrite {
        let condition = match even_if_ahead {
            true => If::Any(vec![If::NoDue, If::DueAfter(now)]),
            false => If::NoDue,
        };
        let assignments = vec![Assign::NextIfAbsent(beginning), Assign::Due(now)];
        CursorWrite::new("wake a cursor", condition, assignments)
    }
}

impl Held {
    /// The cursor stands where the run left it, and the run still has it.
    fn condition(&self) -> CursorCondition {
        If::All(vec![If::At(self.cursor.next), If::LeasedTo(self.owner)])
    }

    fn changes(&self, next: Position, failures: u32, lanes: Vec<Lane>) -> Vec<CursorAssignment> {
        let mut assignments = vec![Assign::Next(next)];
        if failures != self.cursor.failures {
            assignments.push(Assign::Failures(failures));
        }
        if lanes != self.cursor.lanes {
            assignments.push(Assign::Lanes(lanes));
        }
        assignments
    }

    /// The run has carried out [`CursorWrite::advance`].
    pub(crate) fn advanced(&mut self, next: Position, lanes: Vec<Lane>) {
        self.cursor.next = next;
        self.cursor.failures = 0;
        self.cursor.lanes = lanes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, Recipient};

    const ME: [u8; 16] = [1; 16];
    const ANOTHER: [u8; 16] = [2; 16];

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// At slot 3, with a due time and the lease of a run until second 50.
    fn cursor(due_s: Option<i64>, owner: Option<[u8; 16]>) -> Cursor {
        Cursor {
            next: Position::slot(3),
            due: due_s.map(at),
            lease: owner.map(|owner| Lease {
                owner,
                until: at(50),
            }),
            ..Cursor::default()
        }
    }

    /// The cursor after the write, or after what is written instead of it; `None`: another run was first.
    fn written(write: &CursorWrite, found: Option<Cursor>) -> Option<Cursor> {
        if write.condition.holds(found.as_ref()) {
            return Some(write.apply(found));
        }
        match write.after_refusal(found.as_ref()) {
            AfterRefusal::Done => found,
            AfterRefusal::Write(instead) => Some(instead.apply(found)),
            AfterRefusal::Lost => None,
        }
    }

    #[test]
    fn a_cursor_is_taken_as_it_was_seen_and_from_no_other_run() {
        let lease = Lease {
            owner: ME,
            until: at(70),
        };
        let moved = Cursor {
            next: Position::slot(4),
            ..cursor(None, None)
        };
        let seen = cursor(Some(20), None);
        for (seen, found, expected) in [
            (None, None, true),
            (None, Some(cursor(None, None)), false),
            (Some(&seen), Some(seen.clone()), true),
            (Some(&seen), None, false),
            (Some(&seen), Some(moved), false),
            // Another run has it, or had it.
            (Some(&seen), Some(cursor(None, Some(ANOTHER))), false),
            (Some(&seen), Some(cursor(Some(9), None)), true),
            // Another run has put it off since.
            (Some(&seen), Some(cursor(Some(90), None)), false),
            // The write was carried out, and its answer lost.
            (Some(&seen), Some(cursor(Some(20), Some(ME))), true),
        ] {
            let seen = Seen {
                cursor: seen,
                at: at(10),
            };
            let write = CursorWrite::take(seen, Position::slot(3), lease);
            let taken = written(&write, found.clone());
            assert_eq!(taken.is_some(), expected, "{seen:?} {found:?}");
        }
        let late = Seen {
            cursor: Some(&seen),
            at: at(50),
        };
        let write = CursorWrite::take(late, Position::slot(3), lease);
        assert!(written(&write, Some(cursor(Some(20), Some(ANOTHER)))).is_some());
    }

    #[test]
    fn a_run_that_leaves_clears_the_due_time_that_it_found_and_no_other() {
        let parting = |due_s: Option<i64>| Parting {
            next: Position::slot(9),
            failures: 0,
            lanes: Vec::new(),
            due: due_s.map(at),
        };
        for (found_s, due_s, there, expected) in [
            (Some(20), None, cursor(Some(20), Some(ME)), Some(None)),
            (
                Some(20),
                Some(80),
                cursor(Some(20), Some(ME)),
                Some(Some(80)),
            ),
            (None, Some(80), cursor(None, Some(ME)), Some(Some(80))),
            (None, Some(80), cursor(Some(30), Some(ME)), Some(Some(30))),
            (Some(20), None, cursor(Some(30), Some(ME)), Some(Some(30))),
            (Some(20), None, cursor(Some(20), Some(ANOTHER)), None),
            (Some(20), None, cursor(Some(20), None), None),
        ] {
            let held = Held {
                owner: ME,
                cursor: cursor(found_s, Some(ME)),
            };
            let write = CursorWrite::leave(&held, parting(due_s));
            let left = written(&write, Some(there.clone()));
            let expected = expected.map(|due_s| Cursor {
                next: Position::slot(9),
                ..cursor(due_s, None)
            });
            assert_eq!(left, expected, "{found_s:?} {due_s:?} {there:?}");
        }
    }

    #[test]
    fn a_cursor_moves_from_where_its_mover_left_it_and_from_nowhere_else() {
        let held = Held {
            owner: ME,
            cursor: cursor(None, Some(ME)),
        };
        let write = CursorWrite::advance(&held, Position::slot(5), Vec::new(), at(99));
        let at_slot = |slot, owner| Cursor {
            next: Position::slot(slot),
            ..cursor(None, owner)
        };
        for (there, expected) in [
            (at_slot(3, Some(ME)), true),
            // The answer was lost.
            (at_slot(5, Some(ME)), true),
            (at_slot(4, Some(ME)), false),
            // A replay has taken the lease away.
            (at_slot(3, None), false),
            (at_slot(5, Some(ANOTHER)), false),
        ] {
            let moved = written(&write, Some(there.clone()));
            assert_eq!(moved.is_some(), expected, "{there:?}");
        }
    }

    #[test]
    fn what_is_passed_over_is_due_for_no_run_and_a_lane_stays_due() {
        let lane = Lane {
            recipient: Recipient::Number("+15550001111".parse::<Address>().unwrap()),
            slot: 1,
            due: at(40),
            failures: 2,
        };
        let with = |due_s, lanes: &[Lane]| Cursor {
            lanes: lanes.to_vec(),
            ..cursor(due_s, None)
        };
        for (seen, ended, due_s) in [
            (with(Some(5), &[]), true, None),
            (with(Some(5), &[]), false, Some(5)),
            (with(Some(30), &[]), false, Some(10)),
            (with(Some(5), std::slice::from_ref(&lane)), true, Some(40)),
            (with(None, &[]), true, None),
        ] {
            let write = CursorWrite::pass_over(
                Seen {
                    cursor: Some(&seen),
                    at: at(10),
                },
                Position::slot(7),
                ended,
            );
            let passed = written(&write, Some(seen.clone()));
            let passed = passed.map(|cursor| (cursor.next.slot, cursor.due));
            assert_eq!(passed, Some((7, due_s.map(at))), "{seen:?} {ended}");
        }
    }
}
