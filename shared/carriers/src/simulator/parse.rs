//! Reads a message of the simulator.

use jiff::Timestamp;
use routing::{AccountSid, CarrierMessageSid, CarrierName, Inbound, MessageKey};

use crate::Form;
use crate::digest::digest;
use crate::twilio::parse::{ParseError, account, inbound, message_id, receiver};

/// Reads Twilio's parameters. Without `AccountSid` the message is `default_account`'s. Without `MessageSid` it is a new
/// message, `fresh`. A `MessageSid` may be any text: the same text is the same message.
pub(super) fn parse(
    form: &Form,
    default_account: AccountSid,
    fresh: CarrierMessageSid,
    received_at: Timestamp,
) -> Result<Inbound, ParseError> {
    let carrier = CarrierName::Simulator;
    let account = account(form)?.unwrap_or(default_account);
    let to = receiver(form)?;
    let sid = match message_id(form)? {
        None => fresh,
        Some((_, id)) => CarrierMessageSid::parse(id).unwrap_or_else(|| {
            let (account, to) = (account.to_string(), to.to_string());
            let parts = [carrier.as_str(), &account, id, &to];
            CarrierMessageSid::from_bytes(false, digest(&parts.map(str::as_bytes)))
        }),
    };
    let key = MessageKey {
        carrier,
        account,
        sid,
        to,
    };
    inbound(form, key, received_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;
    use crate::webhook::message_parameters::parameters;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;
    const ACCOUNT: AccountSid = AccountSid::from_bytes([0; 16]);
    const FRESH: CarrierMessageSid = CarrierMessageSid::from_bytes(false, [7; 16]);

    fn read(body: &str) -> Result<Inbound, ParseError> {
        let form = Form::parse(body.as_bytes()).unwrap();
        parse(&form, ACCOUNT, FRESH, AT)
    }

    fn sid(body: &str) -> CarrierMessageSid {
        read(body).unwrap().key.sid
    }

    #[test]
    fn from_and_to_are_enough() {
        let inbound = read("From=%2B15550001111&To=%2B15550002222").unwrap();
        assert_eq!(inbound.key.carrier, CarrierName::Simulator);
        assert_eq!(inbound.key.account, ACCOUNT);
        assert_eq!(inbound.key.sid, FRESH);
        assert_eq!(inbound.body, "");
        assert_eq!(inbound.extra, []);
    }

    #[test]
    fn a_given_parameter_counts() {
        let account = "AC0123456789abcdef0123456789abcdef";
        let message = "MM0123456789abcdef0123456789abcdef";
        let inbound = read(&format!(
            "From=ACME&To=12345&AccountSid={account}&SmsSid={message}&Body=hi"
        ))
        .unwrap();
        assert_eq!(inbound.key.account.to_string(), account);
        assert_eq!(inbound.key.sid.to_string(), message);
        assert_eq!(inbound.body, "hi");
    }

    #[test]
    fn any_text_is_a_message_id_of_its_account_and_receiver() {
        let one = "From=ACME&To=12345&MessageSid=order-1";
        assert_eq!(sid(one), sid(&format!("{one}&Body=again")));
        for other in [
            "From=ACME&To=12345&MessageSid=order-2",
            "From=ACME&To=12346&MessageSid=order-1",
            "From=ACME&To=12345&MessageSid=order-1&AccountSid=AC0123456789abcdef0123456789abcdef",
            "From=ACME&To=12345&MessageSid=",
        ] {
            assert_ne!(sid(one), sid(other), "{other}");
        }
        assert_eq!(read(one).unwrap().extra, []);
    }

    #[test]
    fn a_fault_for_twilio_is_a_fault_here() {
        for (body, text) in [
            ("To=12345", "parameter From is missing"),
            ("From=12345", "parameter To is missing"),
            (
                "From=12345&To=ACME",
                "parameter To is an alphanumeric sender, which receives nothing",
            ),
            (
                "From=12345&To=12346&AccountSid=x",
                "parameter AccountSid is not `AC` and 32 hexadecimal digits",
            ),
            (
                "From=12345&To=12346&MessageSid=a&MessageSid=b",
                "parameter MessageSid is given more than once",
            ),
            (
                "From=+15550001111&To=12346",
                "parameter From holds a space (in a form, `+` is written `%2B`)",
            ),
        ] {
            assert_eq!(read(body).unwrap_err().to_string(), text, "{body}");
        }
    }

    #[test]
    fn a_message_is_the_same_after_the_way_back() {
        let sent = "MessageSid=order-1&SmsSid=other&From=ACME&To=12345&NumSegments=1&SmsStatus=received&ApiVersion=x";
        let inbound = read(sent).unwrap();
        let rebuilt: Form = parameters(&inbound).into_iter().collect();
        assert_eq!(rebuilt.get("SmsSid"), Some("other"));
        assert_eq!(parse(&rebuilt, ACCOUNT, FRESH, AT), Ok(inbound));
    }

    #[test]
    fn no_body_makes_the_parser_panic() {
        let mut seeded = Seeded(4);
        for _ in 0..10_000 {
            let mut body = b"To=12345&From=".to_vec();
            body.extend(seeded.bytes(100));
            if let Ok(form) = Form::parse(&body) {
                let _ = parse(&form, ACCOUNT, FRESH, AT);
            }
        }
    }
}
