//! Builders that both tests use: a handful of addresses, messages and ids, each named by a small number.

use jiff::Timestamp;
use routing::{
    AccountSettings, AccountSid, Address, AddressConfiguration, AddressConfigurationSid,
    AutoCreation, AutoCreationKind, Call, CarrierMessageSid, CarrierName, ChangeId,
    ConversationService, ConversationSid, Fresh, Inbound, MessageKey, Method, NumberSettings,
    NumberSid, Pair, ParticipantSid, Settings, WebhookSid, WebhookUrl,
};

/// The account's settings, with the default service as no request has written it.
pub(crate) fn settings(account: AccountSettings) -> Settings {
    let service = ConversationService::unwritten_default();
    Settings::new(account, vec![(service.sid, Some(service))])
}

/// Our number, in every test.
pub(crate) const PROXY: &str = "+15550009999";

/// `s` seconds after the beginning of every test.
pub(crate) fn at(s: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + s).unwrap()
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// The `n`th consumer and our number.
pub(crate) fn pair(n: u32) -> Pair {
    Pair::new(address(&format!("+1555000{n:04}")), address(PROXY)).unwrap()
}

/// Sixteen bytes that hold `a` and `b`.
pub(crate) fn bytes(a: u32, b: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&a.to_be_bytes());
    bytes[4..8].copy_from_slice(&b.to_be_bytes());
    bytes
}

pub(crate) fn conversation(n: u32) -> ConversationSid {
    ConversationSid::from_bytes(bytes(n, 0))
}

pub(crate) fn participant(n: u32) -> ParticipantSid {
    ParticipantSid::from_bytes(bytes(n, 0))
}

/// The time and ids of the `n`th change of a test, which message `message` causes (0: a REST request).
pub(crate) fn fresh(n: u32, message: u32, now: Timestamp) -> Fresh {
    Fresh {
        now,
        change: ChangeId::from_bytes(bytes(n, message)),
        closing: ChangeId::from_bytes(bytes(n, u32::MAX)),
        conversation: conversation(n),
        participant: participant(n),
        webhook: WebhookSid::from_bytes(bytes(n, 0)),
    }
}

/// The `n`th message of a test, from the consumer of `pair`.
pub(crate) fn inbound(n: u32, pair: &Pair) -> Inbound {
    Inbound {
        key: MessageKey {
            carrier: CarrierName::Simulator,
            account: AccountSid::from_bytes([1; 16]),
            sid: CarrierMessageSid::from_bytes(false, bytes(n, 0)),
            to: pair.proxy().clone(),
        },
        from: pair.address().clone(),
        others: Vec::new(),
        body: format!("m{n}"),
        media: Vec::new(),
        extra: Vec::new(),
        received_at: at(0),
    }
}

pub(crate) fn url(text: &str) -> WebhookUrl {
    WebhookUrl::parse(text).unwrap()
}

pub(crate) fn call(text: &str) -> Call {
    Call {
        url: url(text),
        method: Method::Post,
    }
}

pub(crate) fn number(sms: Option<Call>) -> NumberSettings {
    NumberSettings {
        sid: NumberSid::of(&address(PROXY), [0; 8]).unwrap(),
        version: 1,
        address: address(PROXY),
        friendly_name: String::new(),
        carrier: CarrierName::Simulator,
        sms_fallback: sms.as_ref().map(|_| call("https://example.com/fallback")),
        sms,
        inbound_webhook: Default::default(),
        date_created: at(0),
        date_updated: at(0),
    }
}

pub(crate) fn configuration(enabled: bool, kind: AutoCreationKind) -> AddressConfiguration {
    AddressConfiguration {
        sid: AddressConfigurationSid::of(&address(PROXY), [0; 8]).unwrap(),
        version: 1,
        address: address(PROXY),
        friendly_name: None,
        country: None,
        auto_creation: AutoCreation {
            enabled,
            service: None,
            kind,
        },
        date_created: at(0),
        date_updated: at(0),
    }
}
