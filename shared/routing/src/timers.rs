//! A conversation's two timers, both counted from its last activity.

use jiff::{SignedDuration, Timestamp};

use crate::state::State;

/// Durations in whole seconds; `None` is no timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timers {
    pub inactive_s: Option<u64>,
    pub closed_s: Option<u64>,
}

impl Timers {
    /// The shortest timers that can be set: one and ten minutes.
    pub const INACTIVE_S_MIN: u64 = 60;
    pub const CLOSED_S_MIN: u64 = 600;
    /// A hundred years: beyond any use, and every sum with it is still a time.
    pub const S_MAX: u64 = 100 * 366 * 24 * 60 * 60;

    /// When a conversation in `state` becomes inactive.
    pub fn date_inactive(&self, state: State, last_activity: Timestamp) -> Option<Timestamp> {
        (state == State::Active)
            .then(|| after(last_activity, self.inactive_s))
            .flatten()
    }

    /// When a conversation in `state` closes.
    pub fn date_closed(&self, state: State, last_activity: Timestamp) -> Option<Timestamp> {
        (state != State::Closed)
            .then(|| after(last_activity, self.closed_s))
            .flatten()
    }

    /// The next instant at which a timer fires.
    pub fn due(&self, state: State, last_activity: Timestamp) -> Option<Timestamp> {
        let inactive = self.date_inactive(state, last_activity);
        inactive
            .into_iter()
            .chain(self.date_closed(state, last_activity))
            .min()
    }
}

fn after(base: Timestamp, seconds: Option<u64>) -> Option<Timestamp> {
    let seconds = i64::try_from(seconds?.min(Timers::S_MAX)).ok()?;
    Some(
        base.checked_add(SignedDuration::from_secs(seconds))
            .unwrap_or(Timestamp::MAX),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_timers() {
        let at = |s: i64| Timestamp::from_second(1_000_000 + s).unwrap();
        let timers = Timers {
            inactive_s: Some(60),
            closed_s: Some(600),
        };
        let never = Timers::default();
        for (timers, state, inactive, closed, due) in [
            (
                timers,
                State::Active,
                Some(at(60)),
                Some(at(600)),
                Some(at(60)),
            ),
            (timers, State::Inactive, None, Some(at(600)), Some(at(600))),
            (timers, State::Closed, None, None, None),
            (never, State::Active, None, None, None),
        ] {
            assert_eq!(timers.date_inactive(state, at(0)), inactive);
            assert_eq!(timers.date_closed(state, at(0)), closed);
            assert_eq!(timers.due(state, at(0)), due);
        }
        let endless = Timers {
            inactive_s: Some(u64::MAX),
            closed_s: None,
        };
        assert!(endless.due(State::Active, at(0)) > Some(at(0)));
    }
}
