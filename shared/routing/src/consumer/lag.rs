//! Whether a consumer is owed something that no run has come to.
//!
//! The sweep asks this about every conversation that has changed, a run about its own consumer when its looks or its time
//! are used up, and a purge before it removes a log. The answer is never "no" where something is owed. It may be "yes"
//! where nothing is: a search has a bound, and what the bound cuts off counts as owed. A run then passes over it.

use jiff::Timestamp;

use crate::consumer::limits::Limits;
use crate::consumer::write::CursorWrite;
use crate::consumer::{fan_out, post};
use crate::{Consumer, Endpoint, Entry, Look, Position, backlog};

/// A search for something that is owed.
#[derive(Clone, Debug)]
pub struct Lag {
    consumer: Consumer,
    endpoint: Option<Endpoint>,
    /// Where the consumer goes on.
    first: Position,
    from: Position,
    tail: u64,
    stretches_left: u32,
    found: Option<bool>,
}

/// How a search goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LagStep {
    /// Nothing is owed, or only behind a missing slot, whose entry rings.
    UpToDate,
    /// The consumer lags; this write makes it due.
    Behind(CursorWrite),
    /// Read the log from this slot on, up to the first missing one: [`Lag::read`].
    Read(u64),
}

impl Lag {
    pub fn new(consumer: Consumer, look: &Look, limits: &Limits) -> Lag {
        let cursor = look.cursor(consumer);
        let (endpoint, first, mut found) = match consumer {
            Consumer::Post(scope) => match look.endpoint(scope) {
                Some(endpoint) => {
                    let first = post::goes_on_at(&endpoint, cursor);
                    (Some(endpoint), first, None)
                }
                None => (None, Position::default(), Some(false)),
            },
            Consumer::Relay | Consumer::Numbers => {
                // A run that moved the cursor and died left lanes behind, and no due time.
                let forgotten =
                    cursor.is_some_and(|cursor| cursor.due.is_none() && !cursor.lanes.is_empty());
                (None, fan_out::goes_on_at(cursor), forgotten.then_some(true))
            }
        };
        let tail = look.tail();
        if tail.is_none() {
            found = Some(false);
        }
        Lag {
            consumer,
            endpoint,
            first,
            from: first,
            tail: tail.map_or(0, |tail| tail.slot),
            stretches_left: limits.lag_stretches_max,
            found,
        }
    }

    pub fn next(&self, now: Timestamp) -> LagStep {
        let found = match self.found {
            None if self.from.slot > self.tail => Some(false),
            None if self.stretches_left == 0 => Some(true),
            found => found,
        };
        match found {
            None => LagStep::Read(self.from.slot),
            Some(false) => LagStep::UpToDate,
            Some(true) => {
                // The due time of an endpoint is the pause after a failed attempt, and holds for all of its events. That of
                // other consumers may be a lane's, which holds up no other recipient.
                let even_if_ahead = !matches!(self.consumer, Consumer::Post(_));
                LagStep::Behind(CursorWrite::wake(self.first, even_if_ahead, now))
            }
        }
    }

    /// The entries that were asked for.
    pub fn read(&mut self, entries: &[Entry]) {
        self.stretches_left = self.stretches_left.saturating_sub(1);
        let owed = match (&self.endpoint, entries.last()) {
            (_, None) => {
                self.found = Some(false);
                return;
            }
            (Some(endpoint), Some(_)) => {
                let backlog = backlog(self.from, entries, endpoint);
                !backlog.deliveries.is_empty() || backlog.settings_too_old
            }
            (None, Some(_)) => fan_out::any_recipient(self.consumer, entries),
        };
        if owed {
            self.found = Some(true);
        }
        self.from = entries
            .last()
            .map_or(self.from, |last| Position::slot(last.slot + 1));
    }
}
