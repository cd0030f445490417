//! A message that its carrier surely sent, and that the carrier's parser can't read.
//!
//! It is journaled in its raw form, and nothing else happens: it has no addresses by which it could be routed. Its key is
//! not a [`MessageKey`](crate::MessageKey), so it never hides a readable message of the same SID.

use std::fmt;

use jiff::Timestamp;

use crate::inbound::CarrierName;
use crate::sid::{AccountSid, CarrierMessageSid};

/// A journal record beside the [`JournalEntry`](crate::JournalEntry) of a readable message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub key: UnreadableKey,
    pub received_at: Timestamp,
    /// Why the parser can't read it: names of fields, never their values.
    pub reason: String,
    pub raw: RawForm,
}

impl Unreadable {
    /// The outcome in the words of the journal, logs, metrics and responses.
    pub const OUTCOME: &'static str = "unreadable";
}

/// The same key means the same message, however often it comes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnreadableKey {
    pub carrier: CarrierName,
    pub account: AccountSid,
    /// The carrier's, if the message names one; else a hash of the account and the body.
    pub sid: CarrierMessageSid,
    /// A hash of the receiving address as it came: one SID to two of our numbers is two messages.
    pub to: [u8; 16],
}

/// A body as it came, cut to a length that one item of the table can hold.
#[derive(Clone, PartialEq, Eq)]
pub struct RawForm {
    content_type: String,
    body: Vec<u8>,
    length: usize,
}

impl RawForm {
    /// An item of the table has at most 400 KB; 16 KB are left for all that is not the body.
    pub const BODY_BYTES_MAX: usize = 384 * 1024;
    /// RFC 6838: 127 characters each for type and subtype, and the slash.
    pub const CONTENT_TYPE_CHARACTERS_MAX: usize = 255;

    /// Keeps the beginning of a body that is too long, and its length.
    pub fn of(content_type: &str, body: &[u8]) -> RawForm {
        RawForm::restored(content_type, body, body.len())
    }

    /// The form of which `body` is kept; the body came with `length` bytes.
    pub fn restored(content_type: &str, body: &[u8], length: usize) -> RawForm {
        let kept = body.len().min(RawForm::BODY_BYTES_MAX);
        let content_type = content_type.chars();
        RawForm {
            content_type: content_type
                .take(RawForm::CONTENT_TYPE_CHARACTERS_MAX)
                .collect(),
            body: body[..kept].to_vec(),
            length,
        }
    }

    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The kept part.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Of the whole body, in bytes.
    pub fn length(&self) -> usize {
        self.length
    }
}

/// Lengths only: a log never shows a message.
impl fmt::Debug for RawForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawForm({} of {} bytes)", self.body.len(), self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_form_keeps_as_much_as_an_item_can_hold() {
        let longest = vec![b'x'; RawForm::BODY_BYTES_MAX];
        let form = RawForm::of("text/plain", &longest);
        assert_eq!((form.body(), form.length()), (&*longest, longest.len()));
        let longer = [&longest[..], b"yz"].concat();
        let form = RawForm::of(&"ä".repeat(300), &longer);
        assert_eq!((form.body(), form.length()), (&*longest, longer.len()));
        assert_eq!(form.content_type(), "ä".repeat(255));
        assert_eq!(
            form,
            RawForm::restored(form.content_type(), &longest, longer.len())
        );
    }

    #[test]
    fn debug_text_shows_no_body() {
        let form = RawForm::of("text/plain", b"secret");
        assert_eq!(format!("{form:?}"), "RawForm(6 of 6 bytes)");
    }
}
