//! Every item comes back as it was written, and the frequent items stay small.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use routing::{
    AccountSettings, AccountSid, Address, AddressConfiguration, AddressConfigurationSid,
    AlphaSender, AlphaSenderSid, AutoCreation, AutoCreationKind, Binding, Call, CarrierMessageSid,
    CarrierName, ChangeId, ConversationService, ConversationServiceSid, ConversationSid,
    EarlierMessage, Entry, Event, EventName, ForwardState, Header, HeldPair, Inbound,
    InboundWebhook, JournalEntry, Key, Media, MediaSid, Message, MessageKey, MessageSid,
    MessagingService, MessagingServiceSid, Metadata, Method, NumberSettings, NumberSid, OnTimeout,
    Outbound, OutboundState, Outcome, Pair, Participant, ParticipantSid, PoolNumber, PostWebhook,
    RawForm, Reason, Revision, Rule, ScanMessageContent, SendingSettings, SettingsScope, Snapshot,
    Source, State, Target, Timers, Unreadable, UnreadableKey, Usecase, WebhookUrl, Webhooks, Why,
};

use crate::item::{self, Item};
use crate::table::GSI2;

/// One write unit pays for so many bytes.
const KILOBYTE: usize = 1024;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millisecond(1_795_000_000_123 + second * 1000).unwrap()
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn pair(n: u8, channel: &str) -> Pair {
    let side = |last: u8| address(&format!("{channel}+4915112345{last:03}"));
    Pair::new(side(n), side(n + 100)).unwrap()
}

fn call(url: &str, method: Method) -> Call {
    Call {
        url: WebhookUrl::parse(url).unwrap(),
        method,
    }
}

fn media(size: Option<u64>) -> Media {
    let url = "https://api.example.com/Media/ME1".to_owned();
    Media {
        sid: MediaSid::from_bytes([9; 16]),
        url,
        content_type: "image/jpeg".to_owned(),
        size,
    }
}

fn header(channel: &str) -> Header {
    let held = |n| HeldPair {
        participant: ParticipantSid::from_bytes([n; 16]),
        pair: pair(n, channel),
    };
    Header {
        state: State::Active,
        service: ConversationServiceSid::DEFAULT,
        messaging_service: MessagingServiceSid::DEFAULT,
        pairs: vec![held(1), held(2), held(3)],
        participants: 4,
        message_index: 12_345,
        event_number: 23_456,
        last_activity: at(0),
        timers: Timers {
            inactive_s: Some(3_600),
            closed_s: Some(86_400),
        },
        post: Some(PostWebhook {
            scope: SettingsScope::Account,
            generation: 12,
            since: 10_001,
        }),
        posts_before: vec![PostWebhook {
            scope: SettingsScope::Service,
            generation: 3,
            since: 9_001,
        }],
        terminal: false,
    }
}

fn message(participant: Option<u8>, author: &str, body: &str) -> Message {
    Message {
        index: 12_344,
        author: author.to_owned(),
        participant: participant.map(|n| ParticipantSid::from_bytes([n; 16])),
        body: body.to_owned(),
        media: Vec::new(),
        attributes: "{}".to_owned(),
    }
}

fn capture(channel: &str, body: &str) -> Entry {
    let author = pair(1, channel).address().to_string();
    Entry {
        conversation: ConversationSid::from_bytes([7; 16]),
        slot: 23_450,
        change: ChangeId::from_bytes([8; 16]),
        at: at(0),
        source: Source::Sms,
        quiet: false,
        events: vec![Event::MessageAdded(message(Some(1), &author, body))],
        number_webhook: None,
        header: header(channel),
    }
}

/// DynamoDB's own way of counting.
fn size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + size_of_value(value))
        .sum()
}

fn size_of_value(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number.trim_start_matches('-').len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(list) => {
            3 + list
                .iter()
                .map(|value| 1 + size_of_value(value))
                .sum::<usize>()
        }
        AttributeValue::M(map) => 3 + map.len() + size(map),
        _ => 1,
    }
}

#[test]
fn a_captured_message_of_480_characters_in_a_conversation_of_three_pairs_fits_one_kilobyte() {
    let body = "x".repeat(480);
    for channel in ["", "whatsapp:"] {
        // A message by REST names itself in the time index: the larger of the two.
        let item = item::entry::to_item(&capture(channel, &body), true).unwrap();
        assert!(size(&item) <= KILOBYTE, "{channel} {} bytes", size(&item));
    }
}

#[test]
fn the_journal_entry_of_a_captured_message_fits_one_kilobyte() {
    let mut entry = journal(Outcome::Captured {
        conversation: ConversationSid::from_bytes([7; 16]),
        slot: 9,
    });
    entry.inbound.body = String::new();
    entry.inbound.media = Vec::new();
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    entry.inbound.extra = [
        ("ToCountry", "US"),
        ("ToState", "CALIFORNIA"),
        ("ToCity", "SAN FRANCISCO"),
        ("ToZip", "94105"),
        ("FromCountry", "US"),
        ("FromState", "NEW YORK"),
        ("FromCity", "NEW YORK CITY"),
        ("FromZip", "10001"),
        ("SmsStatus", "received"),
        ("NumSegments", "4"),
        ("ApiVersion", "2010-04-01"),
        ("MessagingServiceSid", "MG00000000000000000000000000000000"),
    ]
    .map(|(name, value)| field(name, value))
    .to_vec();
    let item = item::journal::to_item(&entry).unwrap();
    assert!(size(&item) <= KILOBYTE, "{} bytes", size(&item));
}

#[test]
fn every_event_comes_back_as_it_was() {
    let participant = participant(None);
    let snapshot = Snapshot {
        friendly_name: Some("Ada".to_owned()),
        unique_name: Some("ada-1".to_owned()),
        attributes: r#"{"a":1}"#.to_owned(),
        date_created: at(1),
        pair: Some(pair(1, "")),
    };
    let edited = message(None, "system", "");
    let earlier = EarlierMessage {
        sid: MessageSid::from_bytes([3; 16]),
        date_created: at(-60),
        message: edited,
    };
    let mut with_media = message(Some(9), "another author", "");
    with_media.media = vec![media(None), media(Some(70_000))];
    with_media.attributes = r#"{"b":[]}"#.to_owned();
    for events in [
        vec![
            Event::ConversationAdded(snapshot.clone()),
            Event::MessageAdded(with_media),
        ],
        vec![
            Event::ConversationUpdated(snapshot.clone()),
            Event::ConversationRemoved {
                state: State::Inactive,
                snapshot,
            },
        ],
        vec![Event::ConversationStateUpdated {
            from: State::Inactive,
            to: State::Closed,
            reason: Reason::Timer,
        }],
        vec![
            Event::ParticipantAdded(participant.clone()),
            Event::ParticipantUpdated(participant.clone()),
            Event::ParticipantRemoved(participant),
        ],
        vec![
            Event::MessageUpdated(earlier.clone()),
            Event::MessageRemoved(earlier),
        ],
    ] {
        for (source, quiet, terminal) in [(Source::Sms, false, false), (Source::Timer, true, true)]
        {
            let header = Header {
                terminal,
                ..header("")
            };
            let entry = Entry {
                source,
                quiet,
                events: events.clone(),
                header,
                ..capture("", "")
            };
            for by_time in [true, false] {
                let item = item::entry::to_item(&entry, by_time).unwrap();
                assert_eq!(item::entry::from_item(item).unwrap(), entry);
            }
        }
    }
    let entry = Entry {
        number_webhook: Some(journal(Outcome::Unroutable).inbound.key),
        ..capture("", "hi")
    };
    let item = item::entry::to_item(&entry, false).unwrap();
    assert_eq!(item::entry::from_item(item).unwrap(), entry);
    let bare = Header {
        state: State::Closed,
        pairs: Vec::new(),
        timers: Timers::default(),
        post: None,
        ..header("")
    };
    let entry = Entry {
        header: bare,
        ..capture("", "hi")
    };
    assert_eq!(
        item::entry::from_item(item::entry::to_item(&entry, true).unwrap()).unwrap(),
        entry
    );
}

fn participant(held: Option<Pair>) -> Participant {
    Participant {
        conversation: ConversationSid::from_bytes([7; 16]),
        service: ConversationServiceSid::DEFAULT,
        sid: ParticipantSid::from_bytes([1; 16]),
        version: 3,
        identity: held.is_none().then(|| "agent#1 ü".to_owned()),
        pair: held,
        attributes: r#"{"a":1}"#.to_owned(),
        last_read_index: Some(4),
        last_read_at: Some(at(4)),
        date_created: at(1),
        date_updated: at(2),
    }
}

fn journal(outcome: Outcome) -> JournalEntry {
    JournalEntry {
        inbound: Inbound {
            key: MessageKey {
                carrier: CarrierName::Twilio,
                account: AccountSid::from_bytes([1; 16]),
                sid: CarrierMessageSid::from_bytes(true, [2; 16]),
                to: address("whatsapp:+15550002222"),
            },
            from: address("whatsapp:+15550001111"),
            others: vec![address("whatsapp:+15550001112")],
            body: "hello".to_owned(),
            media: vec![media(None)],
            extra: vec![
                ("ProfileName".to_owned(), "Ada".to_owned()),
                ("Empty".to_owned(), String::new()),
            ],
            received_at: at(0),
        },
        change: ChangeId::from_bytes([8; 16]),
        outcome,
        why: Why {
            rule: Rule::None,
            expired: None,
        },
    }
}

#[test]
fn every_journal_entry_comes_back_as_it_was() {
    let conversation = ConversationSid::from_bytes([7; 16]);
    let target = Target {
        call: call("https://example.com/a?b#rc=2", Method::Get),
        fallback: Some(call("http://example.com", Method::Post)),
    };
    let forwarded = |state, fallback: bool| {
        let fallback = target.fallback.clone().filter(|_| fallback);
        Outcome::Forwarded {
            target: Target {
                fallback,
                ..target.clone()
            },
            state,
        }
    };
    let outcomes = [
        Outcome::Captured {
            conversation,
            slot: u64::from(u32::MAX),
        },
        Outcome::Autocreated { conversation },
        forwarded(ForwardState::Pending, true),
        forwarded(ForwardState::Answered(204), false),
        forwarded(ForwardState::Failed, true),
        Outcome::Rejected {
            conversation: Some(conversation),
        },
        Outcome::Rejected { conversation: None },
        Outcome::Unroutable,
    ];
    let rules = [
        Rule::Bound(conversation),
        Rule::AddressConfiguration(AddressConfigurationSid::from_bytes([1; 16])),
        Rule::MessagingService(MessagingServiceSid::DEFAULT),
        Rule::NumberWebhook,
        Rule::ServiceWebhook(MessagingServiceSid::DEFAULT),
        Rule::None,
    ];
    for outcome in outcomes {
        for (rule, expired) in rules
            .into_iter()
            .zip([None, Some(conversation)].into_iter().cycle())
        {
            let entry = JournalEntry {
                why: Why { rule, expired },
                ..journal(outcome.clone())
            };
            assert_eq!(
                item::journal::from_item(item::journal::to_item(&entry).unwrap()).unwrap(),
                entry
            );
        }
    }
}

#[test]
fn an_identity_is_listed_under_the_service_of_its_conversation() {
    let service = ConversationServiceSid::from_bytes([5; 16]);
    let participant = Participant {
        service,
        ..participant(None)
    };
    let item = item::participant::to_item(&participant).unwrap();
    let listed = item.get(GSI2.partition_key).unwrap().as_s().unwrap();
    assert_eq!(*listed, format!("I#{service}#agent#1 ü"));
}

#[test]
fn every_unreadable_message_comes_back_as_it_was() {
    let long = vec![b'x'; RawForm::BODY_BYTES_MAX + 1];
    let bodies = [&b""[..], b"From=rcs%3Aacme&Body=\xff\0", &long];
    for (to, body) in [[0; 16], [7; 16], [255; 16]].into_iter().zip(bodies) {
        let unreadable = Unreadable {
            key: UnreadableKey {
                carrier: CarrierName::Twilio,
                account: AccountSid::from_bytes([1; 16]),
                sid: CarrierMessageSid::from_bytes(true, [2; 16]),
                to,
            },
            received_at: at(3),
            reason: "parameter From is missing".to_owned(),
            raw: RawForm::of("text/plain", body),
        };
        let change = ChangeId::from_bytes([8; 16]);
        let item = item::unreadable::to_item(&unreadable, change).unwrap();
        assert!(item::unreadable::is_of(&item, change));
        let other = ChangeId::from_bytes([9; 16]);
        assert!(!item::unreadable::is_of(&item, other));
        let bytes = size(&item);
        assert!(
            bytes < 400 * KILOBYTE,
            "an item of {bytes} bytes is too large"
        );
        assert_eq!(item::unreadable::from_item(item).unwrap(), unreadable);
    }
}

#[test]
fn every_record_comes_back_as_it_was() {
    for held in [None, Some(pair(1, "whatsapp:"))] {
        let participant = Participant {
            service: ConversationServiceSid::from_bytes([5; 16]),
            ..participant(held)
        };
        let item = item::participant::to_item(&participant).unwrap();
        assert_eq!(item::participant::from_item(item).unwrap(), participant);
    }
    let metadata = Metadata {
        conversation: ConversationSid::from_bytes([7; 16]),
        version: 4,
        service: ConversationServiceSid::DEFAULT,
        friendly_name: Some(String::new()),
        unique_name: None,
        attributes: r#"{"a":1}"#.to_owned(),
        state: State::Inactive,
        timers: Timers {
            inactive_s: None,
            closed_s: Some(600),
        },
        date_created: at(1),
        date_updated: at(2),
    };
    let item = item::metadata::to_item(&metadata).unwrap();
    assert_eq!(item::metadata::from_item(item).unwrap(), metadata);

    let binding = Binding {
        conversation: ConversationSid::from_bytes([7; 16]),
        participant: ParticipantSid::from_bytes([1; 16]),
        service: ConversationServiceSid::DEFAULT,
        since: at(1),
    };
    let item = item::binding::to_item(&Key::Pair(pair(1, "")), &binding).unwrap();
    assert_eq!(item::binding::from_item(item).unwrap(), binding);

    for message in [None, Some(message(Some(1), "agent", "edited"))] {
        let revision = Revision {
            slot: 5,
            version: 2,
            message,
            date_updated: at(3),
        };
        let item =
            item::revision::to_item(ConversationSid::from_bytes([7; 16]), &revision).unwrap();
        assert_eq!(item::revision::from_item(item).unwrap(), revision);
    }
}

#[test]
fn every_setting_comes_back_as_it_was() {
    let url = |text| Some(WebhookUrl::parse(text).unwrap());
    let webhooks = Webhooks {
        method: Method::Get,
        filters: Some(vec![
            EventName::OnMessageAdd,
            EventName::OnConversationAdded,
        ]),
        pre_url: url("https://example.com/pre"),
        post_url: url("https://example.com/post"),
        pre_generation: 2,
        post_generation: 3,
        on_timeout: OnTimeout::Reject,
        target_flex: true,
    };
    let service = ConversationService {
        sid: ConversationServiceSid::from_bytes([5; 16]),
        version: 3,
        friendly_name: "support".to_owned(),
        webhooks: webhooks.clone(),
        reachability_enabled: true,
        date_created: at(1),
        date_updated: at(2),
    };
    let item = item::conversation_service::to_item(&service, 3).unwrap();
    assert_eq!(
        item::conversation_service::from_item(item).unwrap(),
        service
    );
    let services = [
        MessagingService {
            version: 1,
            ..MessagingService::unwritten_default()
        },
        MessagingService {
            sid: MessagingServiceSid::from_bytes([6; 16]),
            version: 3,
            friendly_name: "pool".to_owned(),
            autocreates: false,
            inbound: Some(call("https://example.com/in", Method::Get)),
            fallback: Some(call("https://example.com/fallback", Method::Post)),
            defers_to_number: false,
            sending: SendingSettings {
                status_callback: url("https://example.com/status"),
                sticky_sender: false,
                smart_encoding: false,
                mms_converter: false,
                fallback_to_long_code: false,
                area_code_geomatch: false,
                synchronous_validation: true,
                scan_message_content: ScanMessageContent::Disable,
                validity_period_s: 600,
                usecase: Usecase::Poll,
            },
            date_created: at(1),
            date_updated: at(2),
        },
    ];
    for service in services {
        let item = item::messaging_service::to_item(&service, 3).unwrap();
        assert_eq!(item::messaging_service::from_item(item).unwrap(), service);
    }
    for text in ["+15550002222", "12345"] {
        let number = PoolNumber {
            service: MessagingServiceSid::from_bytes([6; 16]),
            number: NumberSid::from_bytes([1; 16]),
            version: 2,
            address: address(text),
            date_created: at(1),
            date_updated: at(2),
        };
        let item = item::pool::number_to_item(&number).unwrap();
        assert_eq!(item::pool::number_from_item(item).unwrap(), number);
    }
    let sender = AlphaSender {
        service: MessagingServiceSid::from_bytes([6; 16]),
        sid: AlphaSenderSid::from_bytes([2; 16]),
        name: "ACME".to_owned(),
        date_created: at(1),
    };
    let item = item::pool::alpha_sender_to_item(&sender).unwrap();
    assert_eq!(item::pool::alpha_sender_from_item(item).unwrap(), sender);
    for settings in [
        AccountSettings {
            version: 1,
            ..AccountSettings::default()
        },
        AccountSettings {
            version: 9,
            default_service: ConversationServiceSid::from_bytes([5; 16]),
            default_messaging_service: MessagingServiceSid::from_bytes([6; 16]),
            webhooks: webhooks.clone(),
            timers: Timers {
                inactive_s: Some(60),
                closed_s: None,
            },
            autocreation_unlocked: true,
        },
    ] {
        let item = item::account::to_item(&settings, 3).unwrap();
        assert_eq!(item::account::from_item(item).unwrap(), settings);
    }
    for (inbound_webhook, sms) in [
        (InboundWebhook::Unbound, None),
        (
            InboundWebhook::Always,
            Some(call("https://example.com", Method::Get)),
        ),
    ] {
        let number = NumberSettings {
            sid: NumberSid::from_bytes([1; 16]),
            version: 2,
            address: address("+15550002222"),
            friendly_name: "main".to_owned(),
            carrier: CarrierName::Simulator,
            sms_fallback: sms.clone(),
            sms,
            inbound_webhook,
            date_created: at(1),
            date_updated: at(2),
        };
        assert_eq!(
            item::number::from_item(item::number::to_item(&number).unwrap()).unwrap(),
            number
        );
    }
    let kinds = [
        AutoCreationKind::Default,
        AutoCreationKind::Webhook {
            call: call("https://example.com", Method::Post),
            filters: vec![EventName::OnMessageAdded],
        },
        AutoCreationKind::Studio {
            flow_sid: "FW1".to_owned(),
            retry_count: 3,
        },
    ];
    for kind in kinds {
        let configuration = AddressConfiguration {
            sid: AddressConfigurationSid::from_bytes([1; 16]),
            version: 1,
            address: address("12345"),
            friendly_name: Some("short".to_owned()),
            country: Some("US".to_owned()),
            auto_creation: AutoCreation {
                enabled: true,
                service: Some(ConversationServiceSid::DEFAULT),
                kind,
            },
            date_created: at(1),
            date_updated: at(2),
        };
        let item = item::address_configuration::to_item(&configuration).unwrap();
        assert_eq!(
            item::address_configuration::from_item(item).unwrap(),
            configuration
        );
    }
}

#[test]
fn a_damaged_item_is_an_error_that_names_it() {
    let mut item = item::entry::to_item(&capture("", "hi"), false).unwrap();
    item.remove("h");
    let error = item::entry::from_item(item).unwrap_err().to_string();
    assert!(
        error.contains("C#CH07") && error.contains("L#0000023450#E"),
        "{error}"
    );
}

#[test]
fn every_outbound_record_comes_back_as_it_was() {
    for state in [
        OutboundState::Sending {
            attempt: [9; 16],
            until: at(40),
        },
        OutboundState::Waiting,
        OutboundState::Sent {
            carrier_id: Some("SM1".to_owned()),
        },
        OutboundState::Sent { carrier_id: None },
        OutboundState::Failed { code: Some(21_610) },
        OutboundState::Failed { code: None },
        OutboundState::Unknown,
    ] {
        let outbound = Outbound {
            sid: CarrierMessageSid::from_bytes(true, [1; 16]),
            conversation: ConversationSid::from_bytes([2; 16]),
            message: MessageSid::from_bytes([3; 16]),
            participant: ParticipantSid::from_bytes([4; 16]),
            pair: pair(5, "whatsapp:"),
            date_created: at(0),
            state,
        };
        let item = item::outbound::to_item(&outbound).unwrap();
        assert!(size(&item) <= KILOBYTE, "{} bytes", size(&item));
        assert_eq!(item::outbound::from_item(item).unwrap(), outbound);
    }
}
