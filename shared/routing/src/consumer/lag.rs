//! Whether a consumer *lags*: it is owed a delivery that no run has reached.
//!
//! The sweep asks this about every conversation that has changed, a run about its own consumer when its looks or its time
//! are used up, and a purge before it removes a log. The answer is never "no" if a delivery is owed. It may be "yes" if
//! none is owed: a search has a bound, and entries beyond the bound count as owed. A run then passes over them.

use jiff::Timestamp;

use crate::consumer::limits::Limits;
use crate::consumer::write::CursorWrite;
use crate::consumer::{fan_out, post};
use crate::{Consumer, Endpoint, Entry, Look, Position, backlog};

/// A search for a delivery that is owed.
#[derive(Clone, Debug)]
pub struct Lag {
    consumer: Consumer,
    endpoint: Option<Endpoint>,
    /// The consumer's next position.
    first: Position,
    from: Position,
    tail: u64,
    stretches_left: u32,
    found: Option<bool>,
}

/// The next step of a search.
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
                    let first = post::next_position(&endpoint, cursor);
                    (Some(endpoint), first, None)
                }
                None => (None, Position::default(), Some(false)),
            },
            Consumer::Relay | Consumer::Numbers => {
                // A run that moved the cursor and died left lanes behind, and no due time.
                let forgotten =
                    cursor.is_some_and(|cursor| cursor.due.is_none() && !cursor.lanes.is_empty());
                (
                    None,
                    fan_out::next_position(cursor),
                    forgotten.then_some(true),
                )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::tests::{entry, held, message, settings, webhooks};
    use crate::{Cursor, Lane, Recipient, Scope};

    const LIMITS: Limits = Limits {
        stretch_max: 3,
        lag_stretches_max: 2,
        ..Limits::SHIPPED
    };
    const POST: Consumer = Consumer::Post(Scope::Account);

    /// A log under generation 1 of the account's endpoint, and one with recipients of the relay; `owed`: the slot that
    /// owes something.
    fn log(consumer: Consumer, slots: u64, owed: Option<u64>) -> Vec<Entry> {
        let log = (0..slots).map(|slot| {
            let owes = owed == Some(slot);
            let generation = (owes && consumer == POST).then_some(1);
            let mut entry = entry(slot, generation, vec![message("ada", None, "hi")]);
            if let Some(post) = &mut entry.header.post {
                post.since = 0;
            }
            if owes && consumer == Consumer::Relay {
                entry.header.pairs = vec![held(1, "+15550001111", "+15550002222")];
            }
            entry
        });
        log.collect()
    }

    /// How a search ends, and how many stretches it reads.
    fn search(consumer: Consumer, log: &[Entry], cursor: Option<Cursor>) -> (bool, u32) {
        let look = Look {
            settings: settings(webhooks(1)),
            cursors: cursor
                .map(|cursor| (consumer, cursor))
                .into_iter()
                .collect(),
            newest: log[log.len().saturating_sub(2)..].to_vec(),
        };
        let mut lag = Lag::new(consumer, &look, &LIMITS);
        let mut read = 0;
        loop {
            match lag.next(Timestamp::UNIX_EPOCH) {
                LagStep::UpToDate => return (false, read),
                LagStep::Behind(_) => return (true, read),
                LagStep::Read(slot) => {
                    read += 1;
                    let from = log.iter().filter(|entry| entry.slot >= slot);
                    let some: Vec<Entry> = from.take(3).cloned().collect();
                    lag.read(&some);
                }
            }
        }
    }

    #[test]
    fn a_search_reads_no_more_than_its_bound_and_what_the_bound_cuts_off_counts_as_owed() {
        for consumer in [POST, Consumer::Relay] {
            for (slots, owed, expected) in [
                (0, None, (false, 0)),
                (6, None, (false, 2)),
                (6, Some(0), (true, 1)),
                (6, Some(5), (true, 2)),
                (7, None, (true, 2)),
                (7, Some(6), (true, 2)),
                (1_000, None, (true, 2)),
                (1_000, Some(999), (true, 2)),
            ] {
                let log = log(consumer, slots, owed);
                assert_eq!(
                    search(consumer, &log, None),
                    expected,
                    "{consumer:?} {slots} {owed:?}"
                );
            }
        }
    }

    #[test]
    fn a_consumer_that_has_passed_the_log_is_up_to_date() {
        let passed = Cursor {
            next: Position::slot(6),
            ..Cursor::default()
        };
        for consumer in [POST, Consumer::Relay] {
            let log = log(consumer, 6, Some(5));
            assert_eq!(
                search(consumer, &log, Some(passed.clone())),
                (false, 0),
                "{consumer:?}"
            );
        }
    }

    #[test]
    fn a_lane_without_a_due_time_is_owed_something() {
        let lane = Lane {
            recipient: Recipient::Number("+15550001111".parse().unwrap()),
            slot: 2,
            due: Timestamp::UNIX_EPOCH,
            failures: 1,
        };
        let cursor = |due| Cursor {
            next: Position::slot(6),
            due,
            lanes: vec![lane.clone()],
            ..Cursor::default()
        };
        let log = log(Consumer::Relay, 6, None);
        for (due, expected) in [(None, true), (Some(Timestamp::MAX), false)] {
            let found = search(Consumer::Relay, &log, Some(cursor(due)));
            assert_eq!(found, (expected, 0), "{due:?}");
        }
    }

    #[test]
    fn what_lies_behind_a_missing_slot_rings_when_the_slot_comes() {
        let mut log = log(POST, 6, Some(5));
        log.drain(..3);
        let mut lag = Lag::new(
            POST,
            &Look {
                settings: settings(webhooks(1)),
                newest: log,
                ..Look::default()
            },
            &LIMITS,
        );
        assert_eq!(lag.next(Timestamp::UNIX_EPOCH), LagStep::Read(0));
        lag.read(&[]);
        assert_eq!(lag.next(Timestamp::UNIX_EPOCH), LagStep::UpToDate);
    }
}
