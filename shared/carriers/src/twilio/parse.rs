//! Reads the incoming-message webhook: SMS, MMS, group MMS and WhatsApp.
//!
//! A parameter that a message is made of stands once, and an empty one counts as absent. All other parameters are kept as
//! they came.

use jiff::Timestamp;
use routing::{
    AccountSid, Address, CarrierMessageSid, CarrierName, GROUP_ADDRESSES_MAX, Inbound, Media,
    MediaSid, MessageKey,
};

use crate::part::{self, CONTENT_TYPE_UNKNOWN};
use crate::{Form, FormError};

/// Why a message can't be read: a field's name, never its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("content type is not that of a form")]
    NotAForm,
    #[error(transparent)]
    Form(#[from] FormError),
    #[error("parameter {field} is missing")]
    Missing { field: String },
    #[error("parameter {field} {reason}")]
    Invalid { field: String, reason: &'static str },
    #[error(
        "parameters that are not the message itself have more than {EXTRA_BYTES_MAX} bytes together"
    )]
    TooLarge,
}

/// Twilio's bound on the media of one message.
const MEDIA_MAX: usize = 10;
/// The numbered recipients of one message. Twilio documents no bound; ours is larger than any group, so that a message of
/// a larger group is read too, and goes to the number's own webhook.
const RECIPIENTS_MAX: usize = 100;
const _: () = assert!(RECIPIENTS_MAX > GROUP_ADDRESSES_MAX);
/// Names and values of [`Inbound::extra`] together. Twilio documents no bound; ours is a choice: the journal keeps all of
/// them, in an item that also holds the body and the media.
const EXTRA_BYTES_MAX: usize = 128 * 1024;

/// The message's id under its three names; the last two are older.
pub(super) const MESSAGE_ID_NAMES: [&str; 3] = ["MessageSid", "SmsSid", "SmsMessageSid"];

/// The message that a verified request holds.
pub(crate) fn parse(form: &Form, received_at: Timestamp) -> Result<Inbound, ParseError> {
    let (name, id) = message_id(form)?.ok_or_else(|| missing(MESSAGE_ID_NAMES[0]))?;
    let key = MessageKey {
        carrier: CarrierName::Twilio,
        account: account(form)?.ok_or_else(|| missing("AccountSid"))?,
        sid: CarrierMessageSid::parse(id)
            .ok_or_else(|| invalid(name, "is not `SM` or `MM` and 32 hexadecimal digits"))?,
        to: receiver(form)?,
    };
    inbound(form, key, received_at)
}

/// The message under an identity that the caller knows.
pub(crate) fn inbound(
    form: &Form,
    key: MessageKey,
    received_at: Timestamp,
) -> Result<Inbound, ParseError> {
    let from = address(form, "From")?;
    let body = given(form, "Body")?.unwrap_or_default();
    let body = part::body(body).map_err(|reason| invalid("Body", reason))?;
    let media = media(form, key.sid)?;
    Ok(Inbound {
        others: others(form, &from, &key.to)?,
        extra: extra(form, media.len())?,
        body,
        key,
        from,
        media,
        received_at,
    })
}

pub(crate) fn account(form: &Form) -> Result<Option<AccountSid>, ParseError> {
    let sid = |text| {
        AccountSid::parse(text)
            .ok_or_else(|| invalid("AccountSid", "is not `AC` and 32 hexadecimal digits"))
    };
    given(form, "AccountSid")?.map(sid).transpose()
}

/// The message's id as the carrier wrote it, and the name that it stands under.
pub(crate) fn message_id(form: &Form) -> Result<Option<(&'static str, &str)>, ParseError> {
    for name in MESSAGE_ID_NAMES {
        if let Some(id) = given(form, name)? {
            return Ok(Some((name, id)));
        }
    }
    Ok(None)
}

/// The address that the message came to.
pub(crate) fn receiver(form: &Form) -> Result<Address, ParseError> {
    let text = given(form, "To")?.ok_or_else(|| missing("To"))?;
    part::receiver(text).map_err(|reason| invalid("To", reason))
}

fn missing(field: &str) -> ParseError {
    ParseError::Missing {
        field: field.to_owned(),
    }
}

fn invalid(field: &str, reason: &'static str) -> ParseError {
    ParseError::Invalid {
        field: field.to_owned(),
        reason,
    }
}

/// The value of a parameter that the message is made of. One of two would be a guess, so it stands once.
fn given<'a>(form: &'a Form, name: &str) -> Result<Option<&'a str>, ParseError> {
    let mut values = form.all(name);
    let value = values.next().filter(|value| !value.is_empty());
    match values.next() {
        Some(_) => Err(invalid(name, "is given more than once")),
        None => Ok(value),
    }
}

fn address(form: &Form, field: &str) -> Result<Address, ParseError> {
    let text = given(form, field)?.ok_or_else(|| missing(field))?;
    part::address(text).map_err(|reason| invalid(field, reason))
}

fn media(form: &Form, sid: CarrierMessageSid) -> Result<Vec<Media>, ParseError> {
    let count = match given(form, "NumMedia")? {
        Some(text) => text
            .parse()
            .ok()
            .filter(|count| *count <= MEDIA_MAX)
            .ok_or_else(|| invalid("NumMedia", "is not a number from 0 to 10"))?,
        None => (0..MEDIA_MAX)
            .take_while(|index| form.get(&format!("MediaUrl{index}")).is_some())
            .count(),
    };
    (0..count).map(|index| medium(form, sid, index)).collect()
}

fn medium(form: &Form, sid: CarrierMessageSid, index: usize) -> Result<Media, ParseError> {
    let name = format!("MediaUrl{index}");
    let url = given(form, &name)?.ok_or_else(|| missing(&name))?;
    let url = part::media_url(url).map_err(|reason| invalid(&name, reason))?;
    let name = format!("MediaContentType{index}");
    let content_type = given(form, &name)?.unwrap_or(CONTENT_TYPE_UNKNOWN);
    Ok(Media {
        sid: media_sid(&url).unwrap_or_else(|| part::media_sid(sid, index)),
        url,
        content_type: part::content_type(content_type).map_err(|reason| invalid(&name, reason))?,
        size: None,
    })
}

/// The SID in `…/Media/ME…`.
fn media_sid(url: &str) -> Option<MediaSid> {
    let path = url.split(['?', '#']).next()?;
    let (_, rest) = path.split_once("/Media/")?;
    MediaSid::parse(rest.split('/').next()?)
}

/// The recipients besides `to`, each once, by their numbers. Every numbered recipient counts, gaps or not: without one of
/// them the group would be another group, and other people would see the message.
fn others(form: &Form, from: &Address, to: &Address) -> Result<Vec<Address>, ParseError> {
    let mut numbered = Vec::new();
    for (name, value) in form.iter() {
        let Some(digits) = other_digits(name) else {
            continue;
        };
        if numbered.len() == RECIPIENTS_MAX {
            return Err(invalid(OTHERS, "is given for too many recipients"));
        }
        let number: u32 = digits
            .parse()
            .map_err(|_| invalid(OTHERS, "has too large a number"))?;
        let other = part::receiver(value)
            .map_err(|reason| invalid(&format!("{OTHERS}{number}"), reason))?;
        numbered.push((number, other));
    }
    numbered.sort();
    let recipients = numbered.into_iter().map(|(_, other)| other);
    Ok(part::others(recipients, from, to))
}

const OTHERS: &str = "OtherRecipients";

fn other_digits(name: &str) -> Option<&str> {
    name.strip_prefix(OTHERS)
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The parameters that no other field of the message keeps, in their order.
fn extra(form: &Form, media_count: usize) -> Result<Vec<(String, String)>, ParseError> {
    let id = message_id(form)?.map(|(_, id)| id);
    let kept = |name: &str, value: &str| match name {
        "AccountSid" | "From" | "To" | "Body" | "NumMedia" => true,
        // An older name with a value of its own says something that the message's SID does not.
        _ if MESSAGE_ID_NAMES.contains(&name) => value.is_empty() || Some(value) == id,
        _ => is_media_name(name, media_count) || other_digits(name).is_some(),
    };
    let mut bytes = 0;
    let mut extra = Vec::new();
    for (name, value) in form.iter().filter(|(name, value)| !kept(name, value)) {
        bytes += name.len() + value.len();
        if bytes > EXTRA_BYTES_MAX {
            return Err(ParseError::TooLarge);
        }
        extra.push((name.to_owned(), value.to_owned()));
    }
    Ok(extra)
}

fn is_media_name(name: &str, media_count: usize) -> bool {
    ["MediaUrl", "MediaContentType"]
        .iter()
        .filter_map(|prefix| name.strip_prefix(prefix))
        .any(|number| (0..media_count).any(|index| index.to_string() == number))
}

#[cfg(test)]
mod tests {
    use routing::Message;

    use super::*;
    use crate::part::{CONTENT_TYPE_BYTES_MAX, MEDIA_URL_BYTES_MAX};
    use crate::seeded::Seeded;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;
    const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
    const SID: &str = "SM0123456789abcdef0123456789abcdef";
    const OTHER_SID: &str = "MMffffffffffffffffffffffffffffffff";
    const MEDIA: &str = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/MEabcdefabcdefabcdefabcdefabcdefab";

    type Changes<'a> = &'a [(&'a str, Option<&'a str>)];

    /// A plain SMS, with `changes` made to it: a value replaces, or adds; `None` removes.
    fn sms(changes: Changes) -> Form {
        let plain = [
            ("MessageSid", SID),
            ("AccountSid", ACCOUNT),
            ("From", "+15550001111"),
            ("To", "+15550002222"),
            ("Body", "hello"),
        ];
        let changed = |name: &str| changes.iter().any(|(change, _)| *change == name);
        plain
            .into_iter()
            .filter(|(name, _)| !changed(name))
            .chain(changes.iter().filter_map(|(n, v)| Some((*n, (*v)?))))
            .collect()
    }

    fn read(changes: Changes) -> Inbound {
        parse(&sms(changes), AT).unwrap()
    }

    fn check(changes: Changes, text: &str) {
        let error = parse(&sms(changes), AT).unwrap_err();
        assert_eq!(error.to_string(), text, "{changes:?}");
    }

    #[test]
    fn a_plain_message_is_its_parameters() {
        assert_eq!(
            read(&[]),
            Inbound {
                key: MessageKey {
                    carrier: CarrierName::Twilio,
                    account: AccountSid::parse(ACCOUNT).unwrap(),
                    sid: CarrierMessageSid::parse(SID).unwrap(),
                    to: "+15550002222".parse().unwrap(),
                },
                from: "+15550001111".parse().unwrap(),
                others: vec![],
                body: "hello".into(),
                media: vec![],
                extra: vec![],
                received_at: AT,
            }
        );
    }

    #[test]
    fn every_sender_and_every_receiver_is_an_address() {
        for (from, to) in [
            ("+15550001111", "12345"),
            ("12345", "+15550002222"),
            ("ACME", "+15550002222"),
            ("whatsapp:+4915112345678", "whatsapp:+15550002222"),
        ] {
            let inbound = read(&[("From", Some(from)), ("To", Some(to))]);
            assert_eq!(inbound.from.to_string(), from);
            assert_eq!(inbound.to().to_string(), to);
        }
    }

    #[test]
    fn a_body_may_be_absent_empty_or_as_long_as_the_bound() {
        assert_eq!(read(&[("Body", None)]).body, "");
        assert_eq!(read(&[("Body", Some(""))]).body, "");
        let longest = "🦀".repeat(Message::BODY_CHARACTERS_MAX);
        assert_eq!(read(&[("Body", Some(&longest))]).body, longest);
        check(
            &[("Body", Some(&format!("{longest}!")))],
            "parameter Body is too long",
        );
    }

    #[test]
    fn the_older_names_of_the_sid_are_read_and_kept_where_they_differ() {
        for name in ["SmsSid", "SmsMessageSid"] {
            let inbound = read(&[("MessageSid", None), (name, Some(OTHER_SID))]);
            assert_eq!(inbound.key.sid.to_string(), OTHER_SID);
            assert_eq!(inbound.extra, []);

            let inbound = read(&[(name, Some(OTHER_SID))]);
            assert_eq!(inbound.key.sid.to_string(), SID);
            assert_eq!(inbound.extra, [(name.to_owned(), OTHER_SID.to_owned())]);

            assert_eq!(read(&[(name, Some(SID))]).extra, []);
        }
    }

    #[test]
    fn an_error_names_the_parameter_and_quotes_no_value() {
        let long_url = format!("https://a.com/{}", "a".repeat(MEDIA_URL_BYTES_MAX));
        let long_type = "a".repeat(CONTENT_TYPE_BYTES_MAX + 1);
        let table: &[(Changes, &str)] = &[
            (&[("MessageSid", None)], "parameter MessageSid is missing"),
            (
                &[("MessageSid", Some(""))],
                "parameter MessageSid is missing",
            ),
            (
                &[("MessageSid", Some("IM1"))],
                "parameter MessageSid is not `SM` or `MM` and 32 hexadecimal digits",
            ),
            (
                &[("MessageSid", None), ("SmsSid", Some("x"))],
                "parameter SmsSid is not `SM` or `MM` and 32 hexadecimal digits",
            ),
            (&[("AccountSid", None)], "parameter AccountSid is missing"),
            (
                &[("AccountSid", Some(SID))],
                "parameter AccountSid is not `AC` and 32 hexadecimal digits",
            ),
            (&[("From", None)], "parameter From is missing"),
            (&[("From", Some(""))], "parameter From is missing"),
            (
                &[("From", Some("+1555000111122222"))],
                "parameter From is neither an E.164 number nor a short code",
            ),
            (
                &[("From", Some(" 15550001111"))],
                "parameter From holds a space (in a form, `+` is written `%2B`)",
            ),
            (
                &[("From", Some("whatsapp: 15550001111"))],
                "parameter From holds a space (in a form, `+` is written `%2B`)",
            ),
            (
                &[("From", Some("+15550001111:x"))],
                "parameter From is of a channel that is neither SMS nor WhatsApp",
            ),
            (
                &[
                    ("From", Some("+15550001111")),
                    ("From", Some("+15550003333")),
                ],
                "parameter From is given more than once",
            ),
            (
                &[
                    ("From", Some("+15550001111")),
                    ("From", Some("+15550001111")),
                ],
                "parameter From is given more than once",
            ),
            (&[("To", None)], "parameter To is missing"),
            (
                &[("To", Some("ACME"))],
                "parameter To is an alphanumeric sender, which receives nothing",
            ),
            (
                &[("To", Some("messenger:1"))],
                "parameter To is of a channel that is neither SMS nor WhatsApp",
            ),
            (
                &[("Body", Some("a")), ("Body", Some("b"))],
                "parameter Body is given more than once",
            ),
            (
                &[("NumMedia", Some("11"))],
                "parameter NumMedia is not a number from 0 to 10",
            ),
            (
                &[("NumMedia", Some("-1"))],
                "parameter NumMedia is not a number from 0 to 10",
            ),
            (
                &[("NumMedia", Some("99999999999999999999"))],
                "parameter NumMedia is not a number from 0 to 10",
            ),
            (&[("NumMedia", Some("1"))], "parameter MediaUrl0 is missing"),
            (
                &[
                    ("MediaUrl0", Some("https://a.com")),
                    ("MediaUrl1", Some("/relative")),
                ],
                "parameter MediaUrl1 is not an absolute http or https URL",
            ),
            (
                &[("MediaUrl0", Some(&long_url))],
                "parameter MediaUrl0 is too long",
            ),
            (
                &[
                    ("MediaUrl0", Some("https://a.com")),
                    ("MediaContentType0", Some(&long_type)),
                ],
                "parameter MediaContentType0 is not a content type",
            ),
            (
                &[
                    ("MediaUrl0", Some("https://a.com")),
                    ("MediaContentType0", Some("a\r\nb")),
                ],
                "parameter MediaContentType0 is not a content type",
            ),
            (
                &[("OtherRecipients0", Some(""))],
                "parameter OtherRecipients0 is empty",
            ),
            (
                &[("OtherRecipients3", Some("x:y"))],
                "parameter OtherRecipients3 is of a channel that is neither SMS nor WhatsApp",
            ),
            (
                &[("OtherRecipients0", Some("ACME"))],
                "parameter OtherRecipients0 is an alphanumeric sender, which receives nothing",
            ),
            (
                &[("OtherRecipients99999999999", Some("+15550003333"))],
                "parameter OtherRecipients has too large a number",
            ),
        ];
        for (changes, text) in table {
            check(changes, text);
        }
    }

    #[test]
    fn media_are_counted_by_their_number_or_by_their_urls() {
        for count in [Some("2"), None, Some("")] {
            let inbound = read(&[
                ("NumMedia", count),
                ("MediaUrl0", Some(MEDIA)),
                ("MediaContentType0", Some("image/png")),
                ("MediaUrl1", Some("http://b.com?x=/Media/ME1")),
            ]);
            let [first, second] = &inbound.media[..] else {
                panic!("{:?}", inbound.media);
            };
            assert_eq!(first.sid.to_string(), "MEabcdefabcdefabcdefabcdefabcdefab");
            assert_eq!((&*first.url, &*first.content_type), (MEDIA, "image/png"));
            assert_eq!(second.content_type, "application/octet-stream");
            assert_eq!(inbound.extra, []);
        }
    }

    #[test]
    fn a_medium_without_a_sid_gets_one_that_is_always_the_same() {
        let sids = |sid: &str| {
            let inbound = read(&[
                ("MessageSid", Some(sid)),
                ("MediaUrl0", Some("https://a.com/Media/")),
                ("MediaUrl1", Some("https://a.com/Media/MEabc")),
            ]);
            [inbound.media[0].sid, inbound.media[1].sid]
        };
        assert_eq!(sids(SID), sids(SID));
        assert_ne!(sids(SID)[0], sids(SID)[1]);
        assert_ne!(sids(SID)[0], sids(OTHER_SID)[0]);
    }

    #[test]
    fn media_beyond_the_number_stay_with_the_extra_parameters() {
        let inbound = read(&[
            ("NumMedia", Some("1")),
            ("MediaUrl0", Some(MEDIA)),
            ("MediaUrl1", Some("whatever")),
            ("MediaUrl00", Some("whatever")),
        ]);
        assert_eq!(inbound.media.len(), 1);
        let names: Vec<&str> = inbound.extra.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["MediaUrl1", "MediaUrl00"]);
    }

    #[test]
    fn the_other_recipients_are_a_set_without_sender_and_receiver() {
        let inbound = read(&[
            ("OtherRecipients10", Some("+15550004444")),
            ("OtherRecipients2", Some("+15550003333")),
            ("OtherRecipients0", Some("+15550001111")),
            ("OtherRecipients1", Some("+15550002222")),
            ("OtherRecipients3", Some("+15550003333")),
            ("OtherRecipients", Some("none")),
        ]);
        let others: Vec<String> = inbound.others.iter().map(Address::to_string).collect();
        assert_eq!(others, ["+15550003333", "+15550004444"]);
        assert_eq!(
            inbound.extra,
            [("OtherRecipients".to_owned(), "none".to_owned())]
        );
    }

    #[test]
    fn the_other_recipients_are_bounded() {
        let owned: Vec<(String, String)> = (0..=RECIPIENTS_MAX)
            .map(|n| (format!("OtherRecipients{n}"), format!("+155500044{n:02}")))
            .collect();
        let all: Vec<(&str, Option<&str>)> =
            owned.iter().map(|(n, v)| (&**n, Some(&**v))).collect();
        assert_eq!(read(&all[..RECIPIENTS_MAX]).others.len(), RECIPIENTS_MAX);
        check(
            &all,
            "parameter OtherRecipients is given for too many recipients",
        );
    }

    #[test]
    fn extra_parameters_keep_their_order_and_have_a_bound() {
        let inbound = read(&[
            ("ToCity", Some("")),
            ("ApiVersion", Some("2010-04-01")),
            ("FromCity", Some("A")),
            ("FromCity", Some("B")),
        ]);
        let extra: Vec<(&str, &str)> = inbound.extra.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(
            extra,
            [
                ("ToCity", ""),
                ("ApiVersion", "2010-04-01"),
                ("FromCity", "A"),
                ("FromCity", "B")
            ]
        );

        let longest = "x".repeat(EXTRA_BYTES_MAX - 1);
        assert_eq!(read(&[("X", Some(&longest))]).extra[0].1, longest);
        assert_eq!(
            parse(&sms(&[("X", Some(&longest)), ("Y", Some(""))]), AT),
            Err(ParseError::TooLarge)
        );
    }

    #[test]
    fn no_body_makes_the_parser_panic() {
        let mut seeded = Seeded(3);
        let head = sms(&[]).encode();
        for round in 0..10_000 {
            let mut body = seeded.bytes(200);
            if round % 2 == 0 {
                // A good message with a few bytes changed.
                body = head.clone().into_bytes();
                for _ in 0..=seeded.below(3) {
                    let at = seeded.below(body.len());
                    body[at] = seeded.bytes(1).first().copied().unwrap_or(b'&');
                }
            }
            if let Ok(form) = Form::parse(&body) {
                let _ = parse(&form, AT);
            }
        }
    }
}
