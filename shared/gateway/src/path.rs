//! The path that routes and names are read from: percent-encoded, relative to the public URL.
//!
//! API Gateway's HTTP API decodes `rawPath` before it calls a function (payload format 2.0). A function URL and
//! `cargo lambda watch` hand it over as the caller wrote it. [`Spelling::of`] tells the two apart by the event.
//!
//! What the HTTP API makes of an escape was read in captures of live events (2026-07), and can't be undone:
//!
//! - `%2F` arrives as `/`, so a `/` in a name is a separator.
//! - The API cuts the path at an escaped `?`, and the rest is lost.
//! - It decodes twice: `%252F` arrives as `/`, `%253F` as `?`. It answers 400 to `%25` before anything but an escape.
//!
//! So a resource whose name has a `/`, `?` or `%` is found by its SID alone.
//!
//! Danger: `DELETE …/Participants/alice%3F2` arrives as `…/alice` and removes `alice`, if there is one. Nothing in the
//! event tells that the API cut the path, so no check here can refuse it. A client must never address a resource by a
//! name that has a `?` or a `/`.

use std::borrow::Cow;

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// How an event spells its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// A `%` stands for itself.
    Decoded,
    /// A `%` begins an escape.
    Encoded,
}

/// What stands for itself in a path (RFC 3986): unreserved characters, sub-delimiters, `:`, `@`, and the separator.
/// The escape character of an encoded path does not.
const ESCAPED_IN_DECODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');
/// An encoded path has none of these bytes. If a caller sends one nevertheless, it means itself: the URL library that
/// reads the path next takes `\` for a separator and drops tabs.
const ESCAPED_IN_ENCODED: &AsciiSet = &ESCAPED_IN_DECODED.remove(b'%');

impl Spelling {
    /// A path is decoded unless the event shows that it is not:
    ///
    /// - The domain of a function URL is `<id>.lambda-url.<region>.on.aws`.
    /// - `cargo lambda watch` gives no API id. An HTTP API always gives its id, also at a domain of the user's own.
    ///
    /// A mistake in this direction makes a name unknown; a mistake in the other direction would find another name.
    pub(crate) fn of(context: &ApiGatewayV2httpRequestContext) -> Spelling {
        let domain = context.domain_name.as_deref().unwrap_or_default();
        let has_api = context.apiid.as_deref().is_some_and(|id| !id.is_empty());
        match has_api && !is_function_url(domain) {
            true => Spelling::Decoded,
            false => Spelling::Encoded,
        }
    }
}

fn is_function_url(domain: &str) -> bool {
    let labels: Vec<_> = domain.split('.').collect();
    matches!(labels[..], [_, "lambda-url", _, "on", "aws"])
}

/// The encoded path below `public_path`. A path that is not below it stays whole, so that the API's own address works
/// beside a domain of the user's own. `None`: no resource has this path.
pub(crate) fn encoded_path(raw: &str, spelling: Spelling, public_path: &str) -> Option<String> {
    let escaped = match spelling {
        Spelling::Decoded => ESCAPED_IN_DECODED,
        Spelling::Encoded => ESCAPED_IN_ENCODED,
    };
    let path: Cow<str> = utf8_percent_encode(raw, escaped).into();
    if !path.starts_with('/') || path.split('/').any(is_dot_segment) {
        return None;
    }
    let below = match path.strip_prefix(public_path) {
        Some("") => "/",
        Some(below) if below.starts_with('/') => below,
        _ => &path,
    };
    Some(below.to_owned())
}

/// Whether a URL library would resolve the segment, and so reach another resource.
fn is_dot_segment(segment: &str) -> bool {
    let decoded: Cow<[u8]> = percent_decode_str(segment).into();
    matches!(&*decoded, b"." | b"..")
}
