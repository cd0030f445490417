//! SIDs: two letters that name the kind, and 32 hexadecimal digits.
//!
//! Some carry their own address, so that a fetch by SID needs no index: a message's SID holds its slot, and the SIDs
//! of a number and of an address configuration hold the address that they are about.

use std::fmt;

use crate::address::{Address, Channel};

fn decode(text: &str, prefix: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix(prefix)?;
    if digits.len() != 32 || !digits.is_ascii() {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let high = (pair[0] as char).to_digit(16)?;
        let low = (pair[1] as char).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(bytes)
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! sid {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            pub const fn from_bytes(bytes: [u8; 16]) -> $name {
                $name(bytes)
            }

            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Both cases of the digits are read; the lower is written.
            pub fn parse(text: &str) -> Option<$name> {
                decode(text, $prefix).map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

sid!(
    /// `AC…`: the account; one stack is one account.
    AccountSid,
    "AC"
);
sid!(
    /// `CH…`: a conversation.
    ConversationSid,
    "CH"
);
sid!(
    /// `MB…`: a participant.
    ParticipantSid,
    "MB"
);
sid!(
    /// `IM…`: a message in a conversation; holds its slot.
    MessageSid,
    "IM"
);
sid!(
    /// `ME…`: one medium of a message.
    MediaSid,
    "ME"
);
sid!(
    /// `IS…`: a conversation service.
    ConversationServiceSid,
    "IS"
);
sid!(
    /// `MG…`: a messaging service.
    MessagingServiceSid,
    "MG"
);
sid!(
    /// `WH…`: a conversation-scoped webhook.
    WebhookSid,
    "WH"
);
sid!(
    /// `PN…`: a number that we receive on; holds the number.
    NumberSid,
    "PN"
);
sid!(
    /// `SC…`: a short code that we receive on; the bytes are those of its [`NumberSid`].
    ShortCodeSid,
    "SC"
);
sid!(
    /// `AI…`: a name in the sender pool of a messaging service.
    AlphaSenderSid,
    "AI"
);
sid!(
    /// `IG…`: an address configuration; holds the address.
    AddressConfigurationSid,
    "IG"
);

impl ConversationServiceSid {
    /// The account's first conversation service: there from the first start, and the default until Configuration names
    /// another.
    pub const DEFAULT: ConversationServiceSid =
        ConversationServiceSid(*b"crosspoint\0\0\0\0\0\x01");
}

impl MessagingServiceSid {
    /// The account's default messaging service: there from the first start, and never another.
    pub const DEFAULT: MessagingServiceSid = MessagingServiceSid(*b"crosspoint\0\0\0\0\0\x01");
}

impl MessageSid {
    /// The SID of the message that `change` puts into `slot`: five bytes of slot, eleven of the change's id.
    pub fn at(slot: u64, change: ChangeId) -> MessageSid {
        let mut bytes = [0; 16];
        bytes[..5].copy_from_slice(&slot.to_be_bytes()[3..]);
        bytes[5..].copy_from_slice(&change.0[..11]);
        MessageSid(bytes)
    }

    /// Where in its conversation's log the message stands.
    pub fn slot(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes[3..].copy_from_slice(&self.0[..5]);
        u64::from_be_bytes(bytes)
    }
}

impl MediaSid {
    /// The SID of the `index`th medium that `change` brought, where the carrier named none.
    pub fn of(change: ChangeId, index: usize) -> MediaSid {
        let mut bytes = change.0;
        bytes[15] ^= (index % 256) as u8;
        MediaSid(bytes)
    }
}

/// An address in eight bytes: channel and form, count of digits, and the digits as a number (15 digits fit 50 bits).
fn pack(address: &Address) -> Option<[u8; 8]> {
    if !address.can_receive() {
        return None;
    }
    let digits = address.line().trim_start_matches('+');
    let mut bytes = digits.parse::<u64>().ok()?.to_be_bytes();
    let channel = match address.channel() {
        Channel::Sms => 0x00,
        Channel::WhatsApp => 0x40,
    };
    let form = if address.is_e164() { 0x00 } else { 0x20 };
    bytes[0] = channel | form | u8::try_from(digits.len()).ok()?;
    Some(bytes)
}

fn unpack(bytes: &[u8]) -> Option<Address> {
    let (head, mut rest) = (bytes[0], [0; 8]);
    rest[1..].copy_from_slice(&bytes[1..8]);
    let width = usize::from(head & 0x1f);
    let channel = if head & 0x40 == 0 { "" } else { "whatsapp:" };
    let form = if head & 0x20 == 0 { "+" } else { "" };
    Address::parse(&format!(
        "{channel}{form}{:0width$}",
        u64::from_be_bytes(rest)
    ))
    .ok()
}

macro_rules! addressed {
    ($name:ident) => {
        impl $name {
            /// `None` for an address that cannot receive.
            pub fn of(address: &Address, nonce: [u8; 8]) -> Option<$name> {
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&pack(address)?);
                bytes[8..].copy_from_slice(&nonce);
                Some($name(bytes))
            }

            /// The address that this is about; `None` for a SID that we never made.
            pub fn address(&self) -> Option<Address> {
                unpack(&self.0[..8])
            }
        }
    };
}

addressed!(NumberSid);
addressed!(AddressConfigurationSid);

/// `SM…` or `MM…`: a message as the carrier knows it; the journal is keyed by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CarrierMessageSid {
    mms: bool,
    bytes: [u8; 16],
}

impl CarrierMessageSid {
    pub const fn from_bytes(mms: bool, bytes: [u8; 16]) -> CarrierMessageSid {
        CarrierMessageSid { mms, bytes }
    }

    pub fn parse(text: &str) -> Option<CarrierMessageSid> {
        let sms = decode(text, "SM").map(|bytes| CarrierMessageSid { mms: false, bytes });
        sms.or_else(|| decode(text, "MM").map(|bytes| CarrierMessageSid { mms: true, bytes }))
    }
}

impl fmt::Display for CarrierMessageSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.mms { "MM" } else { "SM" })?;
        write_hex(f, &self.bytes)
    }
}

impl fmt::Debug for CarrierMessageSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The id of one change: it marks every entry that the change writes, so that a writer who lost the answer knows its
/// own work again. Printed as a UUID, it is the idempotency token of what the change causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId([u8; 16]);

impl ChangeId {
    pub const fn from_bytes(bytes: [u8; 16]) -> ChangeId {
        ChangeId(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in [
            &self.0[..4],
            &self.0[4..6],
            &self.0[6..8],
            &self.0[8..10],
            &self.0[10..],
        ]
        .iter()
        .enumerate()
        {
            if index > 0 {
                f.write_str("-")?;
            }
            write_hex(f, part)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_is_its_prefix_and_32_digits_of_either_case() {
        let text = "CH0123456789abcdef0123456789ABCDEF";
        assert_eq!(
            ConversationSid::parse(text).unwrap().to_string(),
            text.to_lowercase().replace("ch", "CH")
        );
        for bad in [
            "",
            "CH",
            "MB0123456789abcdef0123456789abcdef",
            "CH0123456789abcdef0123456789abcde",
            "CHé",
        ] {
            assert_eq!(ConversationSid::parse(bad), None, "{bad}");
        }
        assert_eq!(
            ConversationSid::parse(&format!("CH{}", "g".repeat(32))),
            None
        );
    }

    #[test]
    fn a_message_sid_tells_its_slot() {
        let change = ChangeId::from_bytes([7; 16]);
        for slot in [0, 1, 255, 256, 1 << 39] {
            let sid = MessageSid::at(slot, change);
            assert_eq!(MessageSid::parse(&sid.to_string()).unwrap().slot(), slot);
        }
        assert_ne!(
            MessageSid::at(3, change),
            MessageSid::at(3, ChangeId::from_bytes([8; 16]))
        );
    }

    #[test]
    fn a_number_sid_tells_its_number() {
        for text in [
            "+15550001111",
            "whatsapp:+999999999999999",
            "12345",
            "00123",
            "+1555",
        ] {
            let address: Address = text.parse().unwrap();
            let sid = NumberSid::of(&address, [9; 8]).unwrap();
            assert_eq!(
                NumberSid::parse(&sid.to_string()).unwrap().address(),
                Some(address)
            );
        }
        assert_eq!(NumberSid::of(&"ACME".parse().unwrap(), [0; 8]), None);
        assert_eq!(NumberSid::from_bytes([0xff; 16]).address(), None);
        assert_eq!(NumberSid::from_bytes([0; 16]).address(), None);
    }

    #[test]
    fn a_change_prints_as_a_uuid() {
        assert_eq!(
            ChangeId::from_bytes([0xab; 16]).to_string(),
            "abababab-abab-abab-abab-abababababab"
        );
    }
}
