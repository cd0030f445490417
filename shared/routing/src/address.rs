//! Addresses: what a message comes from and goes to.
//!
//! An address is checked by its grammar alone, never looked up: on the way of a message there is no time for a
//! numbering plan, and a number that a carrier delivers is a number.

use std::fmt;
use std::str::FromStr;

/// The channel that an address lives on. Addresses of different channels are never equal:
/// `whatsapp:+15550001111` and `+15550001111` are two key spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// SMS and MMS.
    Sms,
    WhatsApp,
}

impl Channel {
    /// The prefix of the channel's addresses.
    fn prefix(self) -> &'static str {
        match self {
            Channel::Sms => "",
            Channel::WhatsApp => "whatsapp:",
        }
    }

    /// Lower case, as REST bodies show a binding's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Channel::Sms => "sms",
            Channel::WhatsApp => "whatsapp",
        }
    }
}

/// A phone number in E.164 (`+15550001111`), a WhatsApp number (`whatsapp:+15550001111`), a short code (`12345`),
/// or another text that a carrier names as a sender (`ACME`, `E.ON`, `447700900123`), which can never receive.
///
/// Invariant: the text has one of these forms, so equal addresses have equal texts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    channel: Channel,
    /// Without the channel's prefix.
    line: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("address is empty")]
    Empty,
    #[error("address is of channel {0:?}, which is not one of sms and whatsapp")]
    Channel(String),
    #[error("address is neither E.164 (`+` and up to 15 digits) nor a short code (3 to 8 digits)")]
    Grammar,
}

/// ITU-T E.164: country code and number have at most 15 digits.
const E164_DIGITS_MAX: usize = 15;
/// Shorter than any subscriber number with its country code.
const E164_DIGITS_MIN: usize = 4;
const SHORT_CODE_DIGITS: std::ops::RangeInclusive<usize> = 3..=8;
/// GSM allows 11 characters of text and, of a number without its sign, 15 digits.
const SENDER_NAME_CHARACTERS_MAX: usize = 15;

impl Address {
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        let (channel, line) = match text.split_once(':') {
            Some(("whatsapp", line)) => (Channel::WhatsApp, line),
            Some((other, _)) => {
                return Err(AddressError::Channel(other.chars().take(20).collect()));
            }
            None => (Channel::Sms, text),
        };
        let grammatical = is_e164(line)
            || (channel == Channel::Sms && (is_short_code(line) || is_sender_name(line)));
        if !grammatical {
            return Err(AddressError::Grammar);
        }
        Ok(Address {
            channel,
            line: line.to_owned(),
        })
    }

    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// The address without its channel's prefix.
    pub fn line(&self) -> &str {
        &self.line
    }

    pub fn is_e164(&self) -> bool {
        self.line.starts_with('+')
    }

    pub fn is_short_code(&self) -> bool {
        self.can_receive() && !self.is_e164()
    }

    /// Whether a message can be sent to it; an alphanumeric sender is one-way.
    pub fn can_receive(&self) -> bool {
        self.is_e164() || is_short_code(&self.line)
    }

    /// For logs, which never hold a whole phone number: the channel and the last four characters.
    pub fn masked(&self) -> String {
        let tail: Vec<char> = self.line.chars().rev().take(4).collect();
        format!(
            "{}…{}",
            self.channel.prefix(),
            tail.into_iter().rev().collect::<String>()
        )
    }
}

fn is_e164(line: &str) -> bool {
    line.strip_prefix('+').is_some_and(|digits| {
        (E164_DIGITS_MIN..=E164_DIGITS_MAX).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

fn is_short_code(line: &str) -> bool {
    SHORT_CODE_DIGITS.contains(&line.len()) && line.bytes().all(|b| b.is_ascii_digit())
}

/// Visible ASCII, with spaces inside; no `+`, which promises a number, and no `:`, which names a channel.
fn is_sender_name(line: &str) -> bool {
    (1..=SENDER_NAME_CHARACTERS_MAX).contains(&line.len())
        && line.trim() == line
        && !line.starts_with('+')
        && line
            .bytes()
            .all(|b| (b.is_ascii_graphic() || b == b' ') && b != b':')
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.channel.prefix(), self.line)
    }
}

/// Masked, so that a stray debug print never shows a whole number.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.masked())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        Address::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_four_forms_and_prints_as_it_was_written() {
        for text in [
            "+15550001111",
            "whatsapp:+4915112345678",
            "12345",
            "ACME",
            "+1555",
            "BANK-24",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_has_no_form_is_refused() {
        for (text, error) in [
            ("", AddressError::Empty),
            ("messenger:123", AddressError::Channel("messenger".into())),
            (
                "WhatsApp:+15550001111",
                AddressError::Channel("WhatsApp".into()),
            ),
            ("+", AddressError::Grammar),
            ("+05550001111", AddressError::Grammar),
            ("+1555000111122222", AddressError::Grammar),
            ("+1 555 000 1111", AddressError::Grammar),
            (" 15550001111", AddressError::Grammar),
            ("whatsapp:12345", AddressError::Grammar),
            ("whatsapp:", AddressError::Grammar),
            ("+1555٣٣٣٣", AddressError::Grammar),
            ("a sender that is too long", AddressError::Grammar),
            ("line\nbreak", AddressError::Grammar),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_number_on_two_channels_is_two_addresses() {
        assert_ne!(
            Address::parse("+15550001111"),
            Address::parse("whatsapp:+15550001111")
        );
    }

    #[test]
    fn debug_text_masks_the_number() {
        let address = Address::parse("whatsapp:+15550001111").unwrap();
        assert_eq!(format!("{address:?}"), "Address(whatsapp:…1111)");
    }
}
