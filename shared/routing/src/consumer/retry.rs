//! When a failed attempt is repeated.

use jiff::{SignedDuration, Timestamp};

/// The pauses between the attempts of every consumer, in seconds: a day in all. After the last attempt the consumer gives
/// the delivery up.
pub const RETRY_DELAYS_S: [i64; 10] =
    [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800];
/// The longest pause that a server can ask for.
const RETRY_AFTER_S_MAX: i64 = 28_800;
/// Pauses grow by up to a tenth, at random, so that attempts that failed together are not repeated together.
const JITTER_PARTS: i64 = 10;

/// When to try again after the `failures`th failed attempt (from 1), and no sooner than the server asked.
/// `None`: the delivery is given up.
pub fn retry_at(
    now: Timestamp,
    failures: u32,
    asked_s: Option<i64>,
    random: u32,
) -> Option<Timestamp> {
    let index = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let delay_s = (*RETRY_DELAYS_S.get(index)?).max(asked_s.unwrap_or(0).min(RETRY_AFTER_S_MAX));
    let jitter_ms = i64::from(random) % (delay_s * 1_000 / JITTER_PARTS);
    let delay = SignedDuration::from_millis(delay_s * 1_000 + jitter_ms);
    Some(now.checked_add(delay).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_for_a_day_and_end() {
        let now = Timestamp::UNIX_EPOCH;
        let mut total_s = 0;
        for failures in 1..=10 {
            let at = retry_at(now, failures, None, 0).unwrap();
            total_s += at.as_second();
            let latest = retry_at(now, failures, None, u32::MAX).unwrap();
            assert!(latest >= at && latest.as_millisecond() <= at.as_millisecond() * 11 / 10);
        }
        assert_eq!(total_s, 85_355);
        assert_eq!(retry_at(now, 11, None, 0), None);
        assert_eq!(retry_at(now, u32::MAX, Some(1), 0), None);
    }

    #[test]
    fn a_server_may_ask_for_a_longer_pause_up_to_a_bound() {
        let now = Timestamp::UNIX_EPOCH;
        for (asked_s, expected_s) in [(0, 5), (-9, 5), (60, 60), (i64::MAX, 28_800)] {
            let at = retry_at(now, 1, Some(asked_s), 0).unwrap();
            assert_eq!(at.as_second(), expected_s, "{asked_s}");
        }
    }
}
