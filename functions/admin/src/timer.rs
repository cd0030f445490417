//! Timers as the API writes them: ISO 8601 durations.

use std::time::Duration;

use jiff::fmt::temporal::SpanParser;
use jiff::{SignedDuration, SpanRelativeTo};
use routing::Timers;

/// A duration from 0 to [`Timers::S_MAX`]. A day has 24 hours. Years and months are refused: their length varies.
pub fn parse(text: &str) -> Option<Duration> {
    let span = SpanParser::new().parse_span(text).ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    let duration = Duration::try_from(duration).ok()?;
    (duration <= Duration::from_secs(Timers::S_MAX)).then_some(duration)
}

/// As `PT10M`; a day is `PT24H`.
pub(crate) fn text(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    SignedDuration::from_secs(seconds).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_iso_8601_and_has_a_length() {
        for (text, expected) in [
            ("PT1M", Some(60_000)),
            ("PT1H30M", Some(5_400_000)),
            ("P1D", Some(86_400_000)),
            ("P1W", Some(604_800_000)),
            ("P1DT1S", Some(86_401_000)),
            ("PT0S", Some(0)),
            ("PT0.5S", Some(500)),
            ("-PT0S", Some(0)),
            ("-PT1S", None),
            ("P1M", None),
            ("P1Y", None),
            ("PT", None),
            ("P", None),
            ("", None),
            ("1 minute", None),
            ("1m", None),
            ("60", None),
            (" PT1M", None),
            ("PT999999999999H", None),
            ("P99999D", None),
        ] {
            let expected = expected.map(Duration::from_millis);
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_duration_is_written_in_hours_minutes_and_seconds() {
        for (seconds, expected) in [
            (60, "PT1M"),
            (600, "PT10M"),
            (5_401, "PT1H30M1S"),
            (86_400, "PT24H"),
        ] {
            assert_eq!(text(seconds), expected);
        }
    }
}
