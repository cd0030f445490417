//! The parts of a message that every carrier's parser makes, each checked once. An error is a reason that follows the name
//! of a field: "parameter To *is empty*". It never quotes the value.

use routing::{Address, AddressError, CarrierMessageSid, MediaSid, Message};

use crate::digest::digest;

/// Twilio's own URLs have fewer than 200 bytes; a URL that an object store signed with a session token may have 2,000.
pub(crate) const MEDIA_URL_BYTES_MAX: usize = 4 * 1024;
/// RFC 6838: 127 characters each for type and subtype, and the slash; parameters are short.
pub(crate) const CONTENT_TYPE_BYTES_MAX: usize = 255;
/// RFC 2046 section 4.5.1: the type of data of an unknown type.
pub(crate) const CONTENT_TYPE_UNKNOWN: &str = "application/octet-stream";

/// The address of a sender.
pub(crate) fn address(text: &str) -> Result<Address, &'static str> {
    // `AddressError` may quote the text.
    Address::parse(text).map_err(|error| match error {
        AddressError::Empty => "is empty",
        AddressError::Channel(_) => "is of a channel that is neither SMS nor WhatsApp",
        AddressError::Grammar if text.contains(' ') => {
            "holds a space (in a form, `+` is written `%2B`)"
        }
        AddressError::Grammar => "is neither an E.164 number nor a short code",
    })
}

/// The address of a receiver or of another recipient.
pub(crate) fn receiver(text: &str) -> Result<Address, &'static str> {
    let address = address(text)?;
    match address.can_receive() {
        true => Ok(address),
        false => Err("is an alphanumeric sender, which receives nothing"),
    }
}

/// The recipients besides `to`, each once, in their order. The sender is none of them.
pub(crate) fn others(
    recipients: impl IntoIterator<Item = Address>,
    from: &Address,
    to: &Address,
) -> Vec<Address> {
    let mut others: Vec<Address> = Vec::new();
    for other in recipients {
        if other != *from && other != *to && !others.contains(&other) {
            others.push(other);
        }
    }
    others
}

pub(crate) fn body(text: &str) -> Result<String, &'static str> {
    match text.chars().count() <= Message::BODY_CHARACTERS_MAX {
        true => Ok(text.to_owned()),
        false => Err("is too long"),
    }
}

/// An absolute URL of a medium.
pub(crate) fn media_url(text: &str) -> Result<String, &'static str> {
    if text.len() > MEDIA_URL_BYTES_MAX {
        return Err("is too long");
    }
    match is_absolute_url(text) {
        true => Ok(text.to_owned()),
        false => Err("is not an absolute http or https URL"),
    }
}

pub(crate) fn content_type(text: &str) -> Result<String, &'static str> {
    let printable = text.bytes().all(|b| (b' '..=b'~').contains(&b));
    match text.len() <= CONTENT_TYPE_BYTES_MAX && printable {
        true => Ok(text.to_owned()),
        false => Err("is not a content type"),
    }
}

/// The SID of a medium whose carrier gives it none; always the same.
pub(crate) fn media_sid(message: CarrierMessageSid, index: usize) -> MediaSid {
    let (message, index) = (message.to_string(), index.to_string());
    MediaSid::from_bytes(digest(&[message.as_bytes(), index.as_bytes()]))
}

fn is_absolute_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let http = ["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    http && !host.is_empty() && !host.starts_with(':') && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_url_is_absolute_and_http() {
        for (text, absolute) in [
            ("https://a.com", true),
            ("HTTP://user:pass@127.0.0.1:80/a?b#c", true),
            ("ftp://a.com", false),
            ("https://", false),
            ("https:///a", false),
            ("https://u@/a", false),
            ("https://:80/a", false),
            ("https:a.com", false),
            ("//a.com", false),
            ("https://a.com/ b", false),
            ("https://ä.com", false),
        ] {
            assert_eq!(media_url(text).is_ok(), absolute, "{text}");
        }
    }
}
