//! Addresses as people type them.
//!
//! A text with the grammar of an address is that address. Other texts go to a library of numbering plans, which reads
//! its tables at its first use: `+1 (555) 000-1111` becomes `+15550001111` if a number of that country can have this
//! length. A number without its country code is refused, because its country is unknown.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};
use routing::Address;

/// The API's own limit.
pub(crate) const ADDRESS_CHARACTERS_MAX: usize = 256;

const WHATSAPP: &str = "whatsapp:";

pub(crate) fn address(text: &str) -> Option<Address> {
    if text.chars().count() > ADDRESS_CHARACTERS_MAX {
        return None;
    }
    // Digits and signs alone are meant as a number, not as the name of a sender.
    let meant = |address: &Address| address.can_receive() || text.contains(char::is_alphabetic);
    Address::parse(text)
        .ok()
        .filter(meant)
        .or_else(|| typed(text))
}

fn typed(text: &str) -> Option<Address> {
    let prefixed = text
        .split_at_checked(WHATSAPP.len())
        .filter(|(prefix, _)| prefix.eq_ignore_ascii_case(WHATSAPP));
    let (prefix, line) = prefixed.map_or(("", text), |(_, line)| (WHATSAPP, line));
    // An unescaped `+` of a form arrives as a space.
    let line = match line.strip_prefix(' ') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => format!("+{rest}"),
        _ => line.to_owned(),
    };
    if let Ok(address) = Address::parse(&format!("{prefix}{line}"))
        && address.is_e164()
    {
        return Some(address);
    }
    let number = PHONE_NUMBER_UTIL.parse(&line, None).ok()?;
    let possible = PHONE_NUMBER_UTIL.is_possible_number(&number) && number.extension.is_none();
    let line = possible.then(|| PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164))?;
    Address::parse(&format!("{prefix}{line}")).ok()
}

/// The country of a number, as two letters (ISO 3166-1). `None`: its numbering plan is of several countries or unknown.
pub(crate) fn country(address: &Address) -> Option<String> {
    let number = PHONE_NUMBER_UTIL.parse(address.line(), None).ok()?;
    let region = PHONE_NUMBER_UTIL.get_region_for_number(&number)?;
    let code = region.as_region_str();
    // "001" is the region of the numbers that belong to no country.
    let is_country = code.bytes().all(|byte| byte.is_ascii_uppercase());
    is_country.then(|| code.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_tells_its_country() {
        for (text, expected) in [
            ("+14155550123", Some("US")),
            ("whatsapp:+4915112345678", Some("DE")),
            ("+80012345678", None),
            ("12345", None),
        ] {
            let country = country(&text.parse().unwrap());
            assert_eq!(country.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_people_type_becomes_an_address() {
        for (text, expected) in [
            ("+15550001111", Some("+15550001111")),
            ("12345", Some("12345")),
            ("ACME", Some("ACME")),
            ("whatsapp:+4915112345678", Some("whatsapp:+4915112345678")),
            ("+1 (555) 000-1111", Some("+15550001111")),
            ("+1.555.000.1111", Some("+15550001111")),
            ("tel:+1-555-000-1111", Some("+15550001111")),
            ("+49 (0)151 12345678", Some("+4915112345678")),
            (" 15550001111", Some("+15550001111")),
            (" 1 555 000 1111", Some("+15550001111")),
            ("whatsapp:+1 555 000 1111", Some("whatsapp:+15550001111")),
            ("whatsapp: 15550001111", Some("whatsapp:+15550001111")),
            ("WhatsApp:+15550001111", Some("whatsapp:+15550001111")),
            ("(555) 000-1111", None),
            ("15550001111", None),
            ("+1 555", None),
            ("+1 (555) 000-1111 ext. 5", None),
            ("+999 555 000 1111", None),
            ("messenger:123", None),
            ("whatsapp:12345", None),
            ("", None),
            (" ", None),
            ("+", None),
        ] {
            let address = address(text).map(|address| address.to_string());
            assert_eq!(address.as_deref(), expected, "{text:?}");
        }
        assert_eq!(address(&" ".repeat(257)), None);
        assert_eq!(address(&format!("+1555{}", "0".repeat(300))), None);
    }
}
