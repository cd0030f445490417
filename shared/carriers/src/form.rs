//! The body of a form post: carriers send messages in it, and callers of the REST API send changes.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode;

/// The pairs of an `application/x-www-form-urlencoded` body, decoded, in their order, repeated names included.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    #[error("form has more than {PARAMETERS_MAX} parameters")]
    TooMany,
    #[error("form has a `%` that two hexadecimal digits do not follow")]
    Escape,
    #[error("form is not UTF-8")]
    NotUtf8,
}

/// Several times the largest request that we know: all parameters of all channels, ten media and twenty recipients are
/// fewer than 100. The reader of the body bounds its bytes.
pub const PARAMETERS_MAX: usize = 500;

impl Form {
    /// Reads a body as the WHATWG URL standard does, but strictly. Bytes that are not UTF-8 are refused: the standard's
    /// U+FFFD would make different messages equal. A `%` that escapes nothing is refused: the sender meant something else.
    pub fn parse(body: &[u8]) -> Result<Form, FormError> {
        let mut form = Form::default();
        for pair in segments(body) {
            if form.0.len() == PARAMETERS_MAX {
                return Err(FormError::TooMany);
            }
            let mut halves = pair.splitn(2, |b| *b == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            form.0.push((name, value));
        }
        Ok(form)
    }

    /// The first value of that name; names are case-sensitive.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of that name, in order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.iter()
            .filter(move |(n, _)| *n == name)
            .map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The body that parses to this form.
    pub fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(self.iter())
            .finish()
    }
}

/// A name and a value, decoded, whether or not they are text.
pub(crate) type BytePair = (Vec<u8>, Vec<u8>);

/// The most pairs that are read of a body that may be a stranger's: ten times what a form may have, so that an authentic
/// form with too many parameters is still known as authentic. A megabyte could hold hundreds of thousands.
pub(crate) const SIGNED_PAIRS_MAX: usize = 10 * PARAMETERS_MAX;

/// The first [`SIGNED_PAIRS_MAX`] pairs of a body, as far as it can be decoded: a `%` that escapes nothing stands for
/// itself. A signature covers these bytes, so that it can be checked before the form is read, and for a body that is no
/// form.
pub(crate) fn byte_pairs(body: &[u8]) -> Vec<BytePair> {
    let pairs = segments(body).take(SIGNED_PAIRS_MAX);
    pairs.map(byte_pair).collect()
}

/// The pairs of a body, as they are written.
pub(crate) fn segments(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|b| *b == b'&').filter(|pair| !pair.is_empty())
}

/// One pair of a body, decoded as far as possible.
pub(crate) fn byte_pair(segment: &[u8]) -> BytePair {
    let decode = |text: &[u8]| percent_decode(&with_spaces(text)).collect();
    let mut halves = segment.splitn(2, |b| *b == b'=');
    let name = decode(halves.next().unwrap_or_default());
    (name, decode(halves.next().unwrap_or_default()))
}

/// A `+` stands for a space.
fn with_spaces(text: &[u8]) -> Vec<u8> {
    text.iter()
        .map(|b| if *b == b'+' { b' ' } else { *b })
        .collect()
}

fn decode(text: &[u8]) -> Result<String, FormError> {
    let spaced = with_spaces(text);
    let escapes = spaced.iter().enumerate().filter(|(_, b)| **b == b'%');
    for (at, _) in escapes {
        let digits = spaced.get(at + 1..at + 3).unwrap_or_default();
        if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(FormError::Escape);
        }
    }
    percent_decode(&spaced)
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| FormError::NotUtf8)
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Form {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Form {
        Form(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// Names only, so that a stray debug print never shows a message or a number.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;

    fn pairs(body: &str) -> Vec<(String, String)> {
        Form::parse(body.as_bytes()).unwrap().0
    }

    #[test]
    fn a_body_is_its_pairs_in_order() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("&&", &[]),
            ("a=1", &[("a", "1")]),
            ("b=1&a=2&b=1", &[("b", "1"), ("a", "2"), ("b", "1")]),
            ("a", &[("a", "")]),
            ("a=", &[("a", "")]),
            ("=a", &[("", "a")]),
            ("a=b=c", &[("a", "b=c")]),
            (
                "From=%2B1555&Body=a+b%26c",
                &[("From", "+1555"), ("Body", "a b&c")],
            ),
            ("a=%E2%82%AC&%C3%A4=€", &[("a", "€"), ("ä", "€")]),
            ("a=%EF%BF%BD", &[("a", "\u{fffd}")]),
            ("a=%00", &[("a", "\0")]),
        ];
        for (body, expected) in table {
            assert_eq!(
                Form::parse(body.as_bytes()).unwrap(),
                expected.iter().copied().collect(),
                "{body}"
            );
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_refused_and_not_replaced() {
        for body in [
            &b"a=%ff"[..],
            b"%ff=a",
            b"a=\xff",
            b"a=%E2%82",
            b"a=%ED%A0%80",
            b"ok=1&a=%C0%80",
        ] {
            assert_eq!(Form::parse(body), Err(FormError::NotUtf8), "{body:?}");
        }
    }

    #[test]
    fn a_percent_sign_that_escapes_nothing_is_refused() {
        for body in ["a=%", "a=100%&b=1", "a=%zz", "a=%4", "%=1", "a=%+1"] {
            assert_eq!(
                Form::parse(body.as_bytes()),
                Err(FormError::Escape),
                "{body}"
            );
        }
    }

    #[test]
    fn the_last_allowed_parameter_is_read_and_the_next_refused() {
        let full = vec!["a=1"; PARAMETERS_MAX].join("&");
        assert_eq!(pairs(&full).len(), PARAMETERS_MAX);
        assert_eq!(pairs(&format!("{full}&&")).len(), PARAMETERS_MAX);
        let over = format!("{full}&a=1");
        assert_eq!(Form::parse(over.as_bytes()), Err(FormError::TooMany));
    }

    #[test]
    fn a_name_is_looked_up_as_it_is_written() {
        let form = Form::parse(b"A=1&a=2&A=3").unwrap();
        assert_eq!(form.get("A"), Some("1"));
        assert_eq!(form.all("A").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(form.get("b"), None);
    }

    #[test]
    fn debug_text_shows_no_value() {
        let form = Form::parse(b"Body=secret").unwrap();
        assert_eq!(format!("{form:?}"), r#"{"Body"}"#);
    }

    #[test]
    fn a_form_has_the_same_pairs_as_text_and_as_bytes() {
        let mut seeded = Seeded(5);
        let mut parsed = 0;
        for _ in 0..10_000 {
            let mut body = seeded.bytes(20);
            body.iter_mut().for_each(|b| *b = *b % 64 + 32);
            let Ok(form) = Form::parse(&body) else {
                continue;
            };
            parsed += 1;
            let pairs = form.iter();
            let pairs: Vec<BytePair> = pairs.map(|(n, v)| (n.into(), v.into())).collect();
            assert_eq!(byte_pairs(&body), pairs, "{body:?}");
        }
        assert!(parsed > 1_000, "{parsed}");
        assert_eq!(
            byte_pairs(b"a=100%&b=%ff&%zz"),
            [
                (b"a".to_vec(), b"100%".to_vec()),
                (b"b".to_vec(), b"\xff".to_vec()),
                (b"%zz".to_vec(), Vec::new())
            ]
        );
    }

    #[test]
    fn a_form_is_the_same_after_encoding() {
        let mut seeded = Seeded(1);
        for round in 0..10_000 {
            let mut body = seeded.bytes(40);
            if round % 2 == 0 {
                // ASCII alone, so that half of the rounds parse.
                body.iter_mut().for_each(|b| *b = *b % 64 + 32);
            }
            if let Ok(form) = Form::parse(&body) {
                assert_eq!(Form::parse(form.encode().as_bytes()), Ok(form), "{body:?}");
            }
        }
    }
}
