//! An endpoint: it gets every event in order, one after the other. A failed event delays the later events of its own
//! conversation, and no others.

use jiff::Timestamp;

use crate::consumer::action::{
    Approach, AttemptResult, Attempted, Choice, Runner, Then, clear_due, pass_over,
};
use crate::consumer::limits::Moment;
use crate::consumer::write::{CursorWrite, Held, Parting, Seen};
use crate::{Cursor, Endpoint, Entry, Event, Lease, Look, Owed, Position, Scope, Tail, retry_at};

/// One event for one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    pub position: Position,
    pub entry: &'a Entry,
    pub event: &'a Event,
}

/// The deliveries that lie before an endpoint's cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog<'a> {
    pub deliveries: Vec<Delivery<'a>>,
    /// Where the cursor stands when all of them are done.
    pub end: Position,
    /// A filter holds events back. The cursor passes them for good: a filter that changes later does not bring them up.
    pub filtered: bool,
    /// An entry was committed under newer settings than the endpoint's. The entry and all later ones are left out.
    pub settings_too_old: bool,
}

/// The deliveries to the endpoint that `entries` owe, a gapless stretch of a log that begins at `from` or before.
pub fn backlog<'a>(from: Position, entries: &'a [Entry], endpoint: &Endpoint) -> Backlog<'a> {
    let mut backlog = Backlog {
        end: from,
        ..Backlog::default()
    };
    for entry in entries.iter().filter(|entry| entry.slot >= from.slot) {
        match endpoint.is_owed(entry) {
            Owed::SettingsTooOld => {
                backlog.settings_too_old = true;
                break;
            }
            Owed::No => {}
            Owed::Yes => {
                for (place, event) in (0..).zip(&entry.events) {
                    let position = Position {
                        slot: entry.slot,
                        event: place,
                    };
                    if position < from {
                        continue;
                    }
                    match endpoint.wants(event.name()) {
                        true => backlog.deliveries.push(Delivery {
                            position,
                            entry,
                            event,
                        }),
                        false => backlog.filtered = true,
                    }
                }
            }
        }
        backlog.end = Position::slot(entry.slot + 1);
    }
    backlog
}

/// An endpoint's next position: its cursor, or the beginning of its generation if that comes later.
pub(crate) fn next_position(endpoint: &Endpoint, cursor: Option<&Cursor>) -> Position {
    let beginning = Position::slot(endpoint.since);
    cursor.map_or(beginning, |cursor| cursor.next.max(beginning))
}

pub(crate) fn approach(scope: Scope, look: &Look, seen: Seen<'_>) -> Approach {
    let endpoint = look.endpoint(scope);
    // A due time is the pause after a failed attempt. A generation of the endpoint that began since does not wait for it.
    let waits = |cursor: &Cursor| {
        let begun_since = endpoint
            .as_ref()
            .is_some_and(|endpoint| cursor.next < Position::slot(endpoint.since));
        cursor.due_ahead(seen.at) && !begun_since
    };
    match (&endpoint, seen.cursor) {
        (_, Some(cursor)) if cursor.leased(seen.at) || waits(cursor) => Approach::Stop,
        // The endpoint is gone. A later endpoint begins at a later slot.
        (None, _) => clear_due(seen),
        (Some(endpoint), cursor) => Approach::Read(next_position(endpoint, cursor).slot),
    }
}

pub(crate) fn step<'a>(
    endpoint: &Endpoint,
    tail: &Tail,
    seen: Seen<'_>,
    entries: &'a [Entry],
    runner: Runner<'_>,
) -> Choice<Deliveries<'a>> {
    let from = next_position(endpoint, seen.cursor);
    let stands = seen.cursor.map_or(from, |cursor| cursor.next);
    let backlog = backlog(from, entries, endpoint);
    let ended = backlog.end.slot > tail.slot;
    if let Some(first) = backlog.deliveries.first() {
        let lease = Lease {
            owner: runner.owner,
            until: runner.moment.lease_until(),
        };
        let take = CursorWrite::take(seen, first.position, lease);
        let deliveries = Deliveries {
            held: Held {
                owner: runner.owner,
                cursor: take.apply(seen.cursor.cloned()),
            },
            backlog,
            ended,
            place: 0,
            failures: 0,
            retry: None,
        };
        return Choice::Take(take, deliveries);
    }
    if backlog.settings_too_old {
        return Choice::PauseAndLook;
    }
    let woken = seen.cursor.is_some_and(|cursor| cursor.due.is_some());
    let idle = backlog.end.slot.saturating_sub(stands.slot);
    if woken || backlog.filtered || idle >= runner.limits.idle_slots_max {
        return pass_over(seen, backlog.end, ended, backlog.end > stands);
    }
    Choice::Stop
}

/// The deliveries of one stretch, one after the other, by a run that has the cursor.
#[derive(Clone, Debug)]
pub struct Deliveries<'a> {
    held: Held,
    backlog: Backlog<'a>,
    /// The stretch ends with the log. Else the cursor stays due, because no ring may come for what lies there.
    ended: bool,
    /// Counts the deliveries that are done or given up.
    place: usize,
    /// How many attempts at the current delivery have failed.
    failures: u32,
    /// When the current delivery is tried again, after an attempt that failed.
    retry: Option<Timestamp>,
}

/// What a run does next for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveriesStep<'a> {
    /// Move the cursor: [`Deliveries::moved`]. If that fails, another run has the cursor, and this one stops.
    Move(CursorWrite),
    /// Deliver this event to the endpoint, once: [`Deliveries::attempted`].
    Attempt {
        delivery: Delivery<'a>,
        /// How many attempts have failed before.
        failures: u32,
    },
    Leave(CursorWrite, Then),
}

impl<'a> Deliveries<'a> {
    /// The run has leased the cursor, which is now so.
    pub fn leased(&mut self, cursor: Cursor) {
        self.failures = cursor.failures;
        self.held.cursor = cursor;
    }

    pub fn next(&self, moment: Moment) -> DeliveriesStep<'a> {
        let Some(delivery) = self.backlog.deliveries.get(self.place) else {
            let end = self.backlog.end;
            let due = (!self.ended).then_some(moment.now);
            return self.leave(end, 0, due, Then::LookIfAnyFrom(end.slot));
        };
        let position = delivery.position;
        if self.held.cursor.next != position {
            let until = moment.lease_until();
            let write = CursorWrite::advance(&self.held, position, Vec::new(), until);
            return DeliveriesStep::Move(write);
        }
        let out_of_time = (!moment.has_time()).then_some(moment.now);
        match self.retry.or(out_of_time) {
            Some(due) => self.leave(position, self.failures, Some(due), Then::Stop),
            None => DeliveriesStep::Attempt {
                delivery: *delivery,
                failures: self.failures,
            },
        }
    }

    fn leave(
        &self,
        next: Position,
        failures: u32,
        due: Option<Timestamp>,
        then: Then,
    ) -> DeliveriesStep<'a> {
        let parting = Parting {
            next,
            failures,
            lanes: Vec::new(),
            due,
        };
        DeliveriesStep::Leave(CursorWrite::leave(&self.held, parting), then)
    }

    /// The run has moved the cursor to the current delivery.
    pub fn moved(&mut self) {
        if let Some(delivery) = self.backlog.deliveries.get(self.place) {
            self.held.advanced(delivery.position, Vec::new());
        }
    }

    /// The attempt at the current delivery has ended. If it was the last one that is worth making, returns the delivery,
    /// which is given up, and how many attempts have failed.
    pub fn attempted(&mut self, attempted: Attempted) -> Option<(Delivery<'a>, u32)> {
        let given_up = match attempted.result {
            AttemptResult::Done => None,
            AttemptResult::Busy(until) => {
                self.retry = Some(until);
                return None;
            }
            AttemptResult::Failed { asked_s } => {
                self.failures += 1;
                self.retry = retry_at(attempted.now, self.failures, asked_s, attempted.random);
                if self.retry.is_some() {
                    return None;
                }
                let current = self.backlog.deliveries.get(self.place);
                current.map(|delivery| (*delivery, self.failures))
            }
        };
        self.place += 1;
        self.failures = 0;
        given_up
    }
}
