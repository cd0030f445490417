//! The bounds of what consumers do, and the times that depend on each other.

use std::time::Duration;

use jiff::Timestamp;

/// How far behind now the sweep reads. A change stands in the time index by then: a request and its repetitions take a
/// minute at most. Every run that could have dealt with the change is over. And a forward that is still pending has no
/// result that is yet to come.
pub const SWEEP_DISTANCE: Duration = Duration::from_secs(300);
/// How long a run may last, all its attempts included. Shorter than [`SWEEP_DISTANCE`]: the sweep passes by a cursor that
/// has a due time, so no run that began before the change may clear this due time after the sweep.
pub const RUN_TIME_MAX: Duration = Duration::from_secs(120);
/// How long one attempt at one recipient may take.
pub const DELIVERY_TIME_MAX: Duration = Duration::from_secs(15);
/// An attempt begins only while so much of the run's time is left: the attempt's own, and the writes' after it.
const ATTEMPT_RESERVE: Duration = Duration::from_secs(20);
/// How long a run has a cursor to itself after each of its moves. Between two moves lies one attempt, or a bounded number
/// of them.
pub const LEASE_TIME: Duration = Duration::from_secs(45);
/// How long a lane may last before the run moves the cursor: with one more attempt, shorter than a lease.
pub(crate) const LANE_TIME_MAX: Duration = Duration::from_secs(20);

/// How much of a log consumers read, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How often a run looks for more. The rest is due for the next run.
    pub looks_max: u32,
    /// A cursor that lags behind by so many slots is moved, though none of them owes it anything. To move the
    /// cursor costs a write; to leave it makes each later read longer.
    pub idle_slots_max: u64,
    /// How many of the newest items of a log a look reads. As a rule they are all that a consumer has not passed, and
    /// still one read unit or two.
    pub newest_max: u16,
    /// How many items of a log are read at once where a consumer lags further behind.
    pub stretch_max: u16,
    /// How many stretches a search for an owed delivery reads. A consumer that lags further behind counts as owed
    /// something: a run is cheap, and it moves the cursor on.
    pub lag_stretches_max: u32,
}

impl Limits {
    pub const SHIPPED: Limits = Limits {
        looks_max: 200,
        idle_slots_max: 4,
        newest_max: 5,
        stretch_max: 50,
        lag_stretches_max: 4,
    };
}

/// The time as a run sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub now: Timestamp,
    /// How much of the run's time is left.
    pub left: Duration,
}

impl Moment {
    /// Whether there is time for another attempt.
    pub fn has_time(self) -> bool {
        self.left > ATTEMPT_RESERVE
    }

    pub(crate) fn lease_until(self) -> Timestamp {
        after(self.now, LEASE_TIME)
    }
}

pub(crate) fn after(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// Counts the looks of a run.
#[derive(Clone, Copy, Debug)]
pub struct Looks {
    count: u32,
    max: u32,
}

impl Looks {
    pub fn new(limits: &Limits) -> Looks {
        Looks {
            count: 0,
            max: limits.looks_max,
        }
    }

    /// Whether the run works on the look that it has just taken. It always works on its first. If not, its looks or its
    /// time are used up, and the run ends. Rings that came during the run left the cursor to it, so it makes the
    /// consumer due if the consumer [lags](super::lag).
    pub fn allows_another(&mut self, moment: Moment) -> bool {
        let allowed = self.count == 0 || self.count < self.max && moment.has_time();
        self.count += 1;
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_run_lasts_as_long_as_the_sweep_lies_behind() {
        assert!(RUN_TIME_MAX + DELIVERY_TIME_MAX < SWEEP_DISTANCE);
        assert!(DELIVERY_TIME_MAX < ATTEMPT_RESERVE);
        assert!(ATTEMPT_RESERVE < LEASE_TIME && LEASE_TIME < RUN_TIME_MAX);
        assert!(LANE_TIME_MAX + DELIVERY_TIME_MAX < LEASE_TIME);
    }

    #[test]
    fn a_run_works_on_its_first_look_and_then_while_it_has_looks_and_time() {
        let moment = |left_s| Moment {
            now: Timestamp::UNIX_EPOCH,
            left: Duration::from_secs(left_s),
        };
        let limits = Limits {
            looks_max: 2,
            ..Limits::SHIPPED
        };
        for (lefts_s, expected) in [
            ([100, 100, 100], [true, true, false]),
            ([1, 100, 100], [true, true, false]),
            ([100, 20, 100], [true, false, false]),
        ] {
            let mut looks = Looks::new(&limits);
            let allowed = lefts_s.map(|left_s| looks.allows_another(moment(left_s)));
            assert_eq!(allowed, expected, "{lefts_s:?}");
        }
    }
}
