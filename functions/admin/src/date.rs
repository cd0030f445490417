//! Dates, as the two APIs write them and as filters of lists read them.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// `2026-01-31T12:00:00Z`
pub(crate) fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `Sat, 31 Jan 2026 12:00:00 +0000`
pub(crate) fn rfc2822(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// A date and a time; without an offset, UTC. A time too late for a timestamp (`9999-12-31T23:59:59Z`) counts as the
/// latest timestamp.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    let civil = || {
        let at: DateTime = text.strip_suffix('Z').unwrap_or(text).parse().ok()?;
        Some(utc(at))
    };
    text.parse().ok().or_else(civil)
}

fn utc(at: DateTime) -> Timestamp {
    at.to_zoned(TimeZone::UTC)
        .map_or(Timestamp::MAX, |at| at.timestamp())
}

/// The first instant that `StartDate` includes: of its day, or of its second.
pub(crate) fn from(text: &str) -> Option<Timestamp> {
    Some(parse(text)?.0)
}

/// The first instant after `EndDate`, which includes the whole of its day, or of its second.
pub(crate) fn before(text: &str) -> Option<Timestamp> {
    let (start, length) = parse(text)?;
    Some(start.checked_add(length).unwrap_or(Timestamp::MAX))
}

/// `2026-01-31`, alone or before a time.
const DATE_BYTES: usize = 10;

fn parse(text: &str) -> Option<(Timestamp, SignedDuration)> {
    let (date, time) = text.split_at_checked(DATE_BYTES)?;
    if !date.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return None;
    }
    let date: Date = date.parse().ok()?;
    match time {
        "" => Some((
            utc(date.to_datetime(Time::midnight())),
            SignedDuration::from_hours(24),
        )),
        _ => Some((instant(text)?, SignedDuration::from_secs(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_date_is_written_in_whole_seconds() {
        let date = at("2026-01-31T12:00:00.999Z");
        assert_eq!(iso(date), "2026-01-31T12:00:00Z");
        assert_eq!(rfc2822(date), "Sat, 31 Jan 2026 12:00:00 +0000");
    }

    #[test]
    fn both_ends_of_a_range_are_included() {
        for (text, first, after) in [
            ("2026-01-31", "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"),
            (
                "2026-01-31T23:59:59Z",
                "2026-01-31T23:59:59Z",
                "2026-02-01T00:00:00Z",
            ),
            (
                "2026-01-31T12:00:00",
                "2026-01-31T12:00:00Z",
                "2026-01-31T12:00:01Z",
            ),
            (
                "2026-01-31T12:00:00+02:00",
                "2026-01-31T10:00:00Z",
                "2026-01-31T10:00:01Z",
            ),
        ] {
            assert_eq!(from(text), Some(at(first)), "{text}");
            assert_eq!(before(text), Some(at(after)), "{text}");
        }
        for late in ["9999-12-31", "9999-12-31T23:59:59Z"] {
            assert_eq!(before(late), Some(Timestamp::MAX), "{late}");
        }
        for bad in [
            "",
            "2026-13-01",
            "20260131",
            "yesterday",
            "2026-01-31T25:00:00Z",
        ] {
            assert_eq!(from(bad), None, "{bad}");
        }
    }
}
