//! The parameters of an incoming-message webhook, made from a message.

use routing::Inbound;

use super::segments::segments;

/// The parameters that Twilio would have posted: those of every message, its media and recipients, then all others that
/// the carrier sent, word for word. Parsed again, they are the same message, save that `NumSegments`, `SmsStatus` and
/// `ApiVersion` stand in `extra` even if the carrier left them out.
pub fn parameters(inbound: &Inbound) -> Vec<(String, String)> {
    let sid = inbound.key.sid.to_string();
    let mut list = vec![
        ("MessageSid".to_owned(), sid.clone()),
        ("AccountSid".to_owned(), inbound.key.account.to_string()),
        ("From".to_owned(), inbound.from.to_string()),
        ("To".to_owned(), inbound.to().to_string()),
        ("Body".to_owned(), inbound.body.clone()),
        ("NumMedia".to_owned(), inbound.media.len().to_string()),
    ];
    for (index, medium) in inbound.media.iter().enumerate() {
        list.push((format!("MediaUrl{index}"), medium.url.clone()));
        list.push((
            format!("MediaContentType{index}"),
            medium.content_type.clone(),
        ));
    }
    for (index, other) in inbound.others.iter().enumerate() {
        list.push((format!("OtherRecipients{index}"), other.to_string()));
    }
    let given = |name: &str| inbound.extra.iter().any(|(extra, _)| extra == name);
    for (name, value) in [
        ("SmsSid", sid.clone()),
        ("SmsMessageSid", sid),
        ("NumSegments", segments(&inbound.body).to_string()),
        ("SmsStatus", "received".to_owned()),
        ("ApiVersion", "2010-04-01".to_owned()),
    ] {
        if !given(name) {
            list.push((name.to_owned(), value));
        }
    }
    let ours = list.len();
    for (name, value) in &inbound.extra {
        if !list[..ours].iter().any(|(taken, _)| taken == name) {
            list.push((name.clone(), value.clone()));
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::Form;
    use crate::seeded::Seeded;
    use crate::twilio::parse::parse;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn rebuilt(inbound: &Inbound) -> Form {
        parameters(inbound).into_iter().collect()
    }

    /// A WhatsApp picture as Twilio posts it.
    const WHATSAPP: &str = "SmsMessageSid=MM0123456789abcdef0123456789abcdef&NumMedia=1&ProfileName=Zo%C3%AB\
        &MessageType=image&SmsSid=MM0123456789abcdef0123456789abcdef&WaId=4915112345678&SmsStatus=received\
        &Body=look+%26+see&To=whatsapp%3A%2B15550002222&NumSegments=1&ReferralNumMedia=0\
        &MessageSid=MM0123456789abcdef0123456789abcdef&AccountSid=AC0123456789abcdef0123456789abcdef\
        &From=whatsapp%3A%2B4915112345678&ApiVersion=2010-04-01&MediaContentType0=image%2Fjpeg\
        &MediaUrl0=https%3A%2F%2Fapi.twilio.com%2F2010-04-01%2FAccounts%2FAC1%2FMessages%2FMM1%2FMedia%2FMEffffffffffffffffffffffffffffffff\
        &ChannelMetadata=%7B%22type%22%3A%22whatsapp%22%7D";

    #[test]
    fn all_that_the_carrier_sent_comes_back() {
        let sent = Form::parse(WHATSAPP.as_bytes()).unwrap();
        let inbound = parse(&sent, AT).unwrap();
        let rebuilt = rebuilt(&inbound);
        assert_eq!(parse(&rebuilt, AT).unwrap(), inbound);
        let sorted = |form: &Form| {
            let mut pairs: Vec<(String, String)> =
                form.iter().map(|(n, v)| (n.into(), v.into())).collect();
            pairs.sort();
            pairs
        };
        assert_eq!(sorted(&rebuilt), sorted(&sent));
    }

    #[test]
    fn a_parameter_of_every_webhook_is_there_even_if_the_carrier_left_it_out() {
        let sid = "SM0123456789abcdef0123456789abcdef";
        let account = "AC0123456789abcdef0123456789abcdef";
        let long = "a".repeat(161);
        let bare: Form = [
            ("SmsSid", sid),
            ("AccountSid", account),
            ("From", "ACME"),
            ("To", "12345"),
            ("Body", &long),
        ]
        .into_iter()
        .collect();
        let rebuilt = rebuilt(&parse(&bare, AT).unwrap());
        let expected: Form = [
            ("MessageSid", sid),
            ("AccountSid", account),
            ("From", "ACME"),
            ("To", "12345"),
            ("Body", &long),
            ("NumMedia", "0"),
            ("SmsSid", sid),
            ("SmsMessageSid", sid),
            ("NumSegments", "2"),
            ("SmsStatus", "received"),
            ("ApiVersion", "2010-04-01"),
        ]
        .into_iter()
        .collect();
        assert_eq!(rebuilt.encode(), expected.encode());
    }

    #[test]
    fn no_extra_parameter_stands_in_for_one_of_ours() {
        let mut inbound = parse(&Form::parse(WHATSAPP.as_bytes()).unwrap(), AT).unwrap();
        inbound.extra.push(("From".into(), "+15559999999".into()));
        inbound.extra.push(("Twice".into(), "1".into()));
        inbound.extra.push(("Twice".into(), "2".into()));
        let rebuilt = rebuilt(&inbound);
        assert_eq!(
            rebuilt.all("From").collect::<Vec<_>>(),
            ["whatsapp:+4915112345678"]
        );
        assert_eq!(rebuilt.all("Twice").collect::<Vec<_>>(), ["1", "2"]);
    }

    /// Parameters that are often right and often not, so that many rounds reach the end of the parser.
    fn disordered(seeded: &mut Seeded) -> Form {
        let mut pairs = vec![
            ("AccountSid", "AC0123456789abcdef0123456789abcdef"),
            ("MessageSid", "SM0123456789abcdef0123456789abcdef"),
            (
                "From",
                seeded.pick(&["+15550001111", "whatsapp:+15550001111", "ACME"]),
            ),
            (
                "To",
                seeded.pick(&["+15550002222", "whatsapp:+15550002222", "12345"]),
            ),
        ];
        let names = [
            "Body",
            "NumMedia",
            "MediaUrl0",
            "MediaUrl1",
            "MediaUrl01",
            "MediaContentType0",
            "OtherRecipients0",
            "OtherRecipients1",
            "OtherRecipients00",
            "SmsSid",
            "NumSegments",
            "ApiVersion",
            "FromCity",
            "",
            "MediaUrl",
        ];
        let values = [
            "",
            "0",
            "1",
            "2",
            "text",
            "https://a.com/Media/ME0123456789abcdef0123456789abcdef",
            "http://b.com",
            "+15550003333",
            "+15550001111",
            "12345",
            "🦀",
            "image/png",
            "SM0123456789abcdef0123456789abcdef",
            "SMffffffffffffffffffffffffffffffff",
        ];
        for _ in 0..seeded.below(6) {
            pairs.push((seeded.pick(&names), seeded.pick(&values)));
        }
        for _ in 0..pairs.len() {
            let (a, b) = (seeded.below(pairs.len()), seeded.below(pairs.len()));
            pairs.swap(a, b);
        }
        pairs.into_iter().collect()
    }

    #[test]
    fn a_message_is_the_same_message_after_the_way_back() {
        let mut seeded = Seeded(2);
        let mut parsed = 0;
        for round in 0..10_000 {
            let sent = disordered(&mut seeded);
            let Ok(inbound) = parse(&sent, AT) else {
                continue;
            };
            parsed += 1;
            let rebuilt = rebuilt(&inbound);
            let mut again = parse(&rebuilt, AT).unwrap();
            let given = |name: &str| inbound.extra.iter().any(|(extra, _)| extra == name);
            again.extra.retain(|(name, _)| {
                !["NumSegments", "SmsStatus", "ApiVersion"].contains(&&**name) || given(name)
            });
            assert_eq!(again, inbound, "round {round}: {}", sent.encode());
            // The second way back changes nothing at all.
            let again = parse(&rebuilt, AT).unwrap();
            assert_eq!(self::rebuilt(&again), rebuilt, "round {round}");
        }
        assert!(parsed > 1_000, "{parsed}");
    }
}
