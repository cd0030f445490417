//! Values of the JSON that the API answers.

use serde_json::Value;

/// The text of a JSON string.
#[track_caller]
pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no string"))
        .to_owned()
}

/// The only row of a list.
#[track_caller]
pub fn only(rows: Vec<Value>) -> Value {
    let [row] = <[Value; 1]>::try_from(rows).expect("one row");
    row
}

/// Whether it is a SID with this prefix, as we make them.
pub fn is_sid(value: &Value, prefix: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    value
        .as_str()
        .and_then(|sid| sid.strip_prefix(prefix))
        .is_some_and(|digits| digits.len() == 32 && digits.chars().all(hex))
}

/// The names of a JSON object's fields, in order.
#[track_caller]
pub fn keys(value: &Value) -> Vec<&str> {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("{value} is no object"));
    let mut keys: Vec<_> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// The seconds from 1970 to a time as the REST API writes it, `2015-12-16T22:18:37Z`: in UTC, without a fraction.
#[track_caller]
pub fn seconds(time: &Value) -> i64 {
    let text = text(time);
    assert_eq!(text.len(), "2015-12-16T22:18:37Z".len(), "{text}");
    assert!(text.ends_with('Z'), "{text}");
    let number = |range: std::ops::Range<usize>| -> i64 {
        text[range]
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    // Years that begin in March, so that the leap day is the last.
    let (month, day) = (number(5..7), number(8..10));
    let year = number(0..4) - i64::from(month < 3);
    let days = year * 365 + year / 4 - year / 100 + year / 400 - 719_469
        + (153 * ((month + 9) % 12) + 2) / 5
        + day;
    days * 86_400 + number(11..13) * 3_600 + number(14..16) * 60 + number(17..19)
}
