//! Twilio: Programmable Messaging.
//!
//! The cast: `verify` checks who sent a request, `parse` makes an [`Inbound`] of its parameters, `answer` is the response
//! to a message that we took, and [`send`] sends by the Messages API.

use std::fmt;

use routing::{AccountSid, CarrierMessageSid, CarrierName, Inbound, Unreadable};

use crate::arrival::{Known, unreadable};
use crate::form::{byte_pair, byte_pairs, segments};
use crate::{Arrival, Form, Request, RequestError};

use parse::{MESSAGE_ID_NAMES, ParseError, parse};

pub(crate) mod answer;
pub(crate) mod parse;
pub mod send;
mod verify;

/// The account at Twilio whose messages we take, and by which we send.
#[derive(Clone)]
pub struct Credentials {
    pub account: AccountSid,
    pub token: String,
}

/// Never shows the token.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "twilio::Credentials({})", self.account)
    }
}

/// The message that a request holds, if Twilio sent the request.
pub(crate) fn receive(
    credentials: Option<&Credentials>,
    request: &Request<'_>,
) -> Result<Arrival, RequestError> {
    let account = verify::account(credentials, request)?;
    Ok(match read(request) {
        Ok(inbound) => Arrival::Message(inbound),
        Err(error) => Arrival::Unreadable(raw(account, request, &error)),
    })
}

fn read(request: &Request<'_>) -> Result<Inbound, ParseError> {
    if !request.is_form() {
        return Err(ParseError::NotAForm);
    }
    parse(&Form::parse(request.body)?, request.received_at)
}

/// Looks for the SID and the receiving address, even in a body that is no form.
fn raw(account: AccountSid, request: &Request<'_>, error: &ParseError) -> Unreadable {
    let pairs = byte_pairs(request.body);
    let value = |name: &str| {
        let mut pairs = pairs.iter();
        let named = pairs.find(|(n, value)| n == name.as_bytes() && !value.is_empty());
        named.map(|(_, value)| value.as_slice())
    };
    let sid = |name: &&str| CarrierMessageSid::parse(str::from_utf8(value(name)?).ok()?);
    let known = Known {
        carrier: CarrierName::Twilio,
        account,
        sid: MESSAGE_ID_NAMES.iter().find_map(sid),
        to: value("To").unwrap_or_default(),
        repeated: repeated(request),
    };
    unreadable(known, request, error)
}

/// What Twilio adds to a message when it calls a fallback URL.
const FALLBACK_NAMES: [&[u8]; 2] = [b"ErrorCode", b"ErrorUrl"];

/// The parts of the body that every repetition has too. At the fallback URL, a form has [`FALLBACK_NAMES`] besides.
fn repeated<'a>(request: &Request<'a>) -> Vec<&'a [u8]> {
    if !request.is_form() {
        return vec![request.body];
    }
    let lasting = |segment: &&[u8]| !FALLBACK_NAMES.contains(&&*byte_pair(segment).0);
    segments(request.body).filter(lasting).collect()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};
    use jiff::Timestamp;
    use routing::RawForm;

    use super::*;
    use crate::webhook::signature;

    const URL: &str = "https://crosspoint.example/inbound/twilio";
    const SID: &str = "SM0123456789abcdef0123456789abcdef";
    const FORM: &str = "application/x-www-form-urlencoded";

    fn credentials() -> Credentials {
        Credentials {
            account: AccountSid::from_bytes([1; 16]),
            token: "token".to_owned(),
        }
    }

    /// What an authentic request with this body is.
    fn arrival(content_type: &'static str, body: &[u8]) -> Arrival {
        let credentials = credentials();
        let (url, signed) = match content_type {
            FORM => {
                let pairs = byte_pairs(body);
                let pairs = pairs.iter().map(|(n, v)| (&**n, &**v));
                (URL.to_owned(), signature::sign_bytes("token", URL, pairs))
            }
            _ => signature::sign_body("token", URL, body),
        };
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        headers.insert("x-twilio-signature", signed.parse().unwrap());
        let request = Request {
            method: &Method::POST,
            url: &url,
            headers: &headers,
            body,
            received_at: Timestamp::UNIX_EPOCH,
            fresh: CarrierMessageSid::from_bytes(false, [7; 16]),
        };
        receive(Some(&credentials), &request).unwrap()
    }

    fn unreadable(content_type: &'static str, body: impl AsRef<[u8]>) -> Unreadable {
        match arrival(content_type, body.as_ref()) {
            Arrival::Unreadable(unreadable) => unreadable,
            Arrival::Message(inbound) => panic!("{inbound:?} can be read"),
        }
    }

    fn form(changes: &str) -> String {
        let account = credentials().account;
        format!("AccountSid={account}&{changes}")
    }

    #[test]
    fn a_good_message_is_read() {
        let body = form(&format!("MessageSid={SID}&From=12345&To=12346"));
        assert!(matches!(
            arrival(FORM, body.as_bytes()),
            Arrival::Message(_)
        ));
    }

    #[test]
    fn a_message_that_cannot_be_read_is_kept_as_it_came() {
        let body = form(&format!(
            "MessageSid={SID}&From=rcs%3Aacme&To=12346&Body=hi"
        ));
        let kept = unreadable(FORM, &body);
        assert_eq!(kept.key.sid.to_string(), SID);
        assert_eq!(kept.key.account, credentials().account);
        assert_eq!(kept.raw, RawForm::of(FORM, body.as_bytes()));
        assert_eq!(
            kept.reason,
            "parameter From is of a channel that is neither SMS nor WhatsApp"
        );
    }

    #[test]
    fn the_sid_is_found_in_every_body_that_has_one() {
        let many = "&a=1".repeat(crate::PARAMETERS_MAX);
        for changes in [
            format!("MessageSid={SID}&Body=100%"),
            format!("SmsSid={SID}&Body=%ff"),
            format!("MessageSid=&SmsMessageSid={SID}&From=12345"),
            format!("MessageSid={SID}&MessageSid={SID}"),
            format!("MessageSid={SID}{many}"),
        ] {
            let kept = unreadable(FORM, form(&changes));
            assert_eq!(kept.key.sid.to_string(), SID, "{changes}");
        }
    }

    #[test]
    fn without_a_sid_the_account_and_the_body_are_the_identity() {
        let one = unreadable("application/json", r#"{"Body":"one"}"#).key;
        assert_eq!(one, unreadable("application/json", r#"{"Body":"one"}"#).key);
        assert_ne!(one, unreadable("application/json", r#"{"Body":"two"}"#).key);
        let of_form = |changes| unreadable(FORM, form(changes)).key;
        assert_ne!(
            of_form("MessageSid=x&To=12345"),
            of_form("MessageSid=y&To=12345")
        );
    }

    #[test]
    fn a_message_without_a_sid_is_the_same_message_at_the_fallback_url() {
        let of_form = |changes: &str| unreadable(FORM, form(changes)).key;
        let first = of_form("From=12345&To=12346&Body=hi");
        for fallback in [
            "From=12345&To=12346&Body=hi&ErrorCode=11200&ErrorUrl=https%3A%2F%2Fx",
            "ErrorCode=11205&ErrorUrl=&From=12345&To=12346&Body=hi",
        ] {
            assert_eq!(of_form(fallback), first, "{fallback}");
        }
        assert_ne!(of_form("From=12345&To=12346&Body=hi&errorcode=1"), first);
        assert_ne!(of_form("From=12345&To=12346&Body=ho&ErrorCode=1"), first);
        let json = |body: &str| unreadable("application/json", body).key;
        assert_ne!(json("a&ErrorCode=1"), json("a"));
    }

    #[test]
    fn one_sid_to_two_receivers_is_two_messages() {
        let to = |to: &str| unreadable(FORM, form(&format!("MessageSid={SID}&To={to}"))).key;
        assert_eq!(to("rcs:a"), to("rcs:a"));
        assert_ne!(to("rcs:a"), to("rcs:b"));
        assert_ne!(to("rcs:a"), to(""));
    }
}
