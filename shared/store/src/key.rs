//! Every key shape of the table, and nothing else. The crate's documentation tells the purpose of each item.

use jiff::Timestamp;
use routing::{
    Address, AlphaSenderSid, CarrierMessageSid, Consumer, ConversationServiceSid, ConversationSid,
    ItemKey, MessageKey, MessagingServiceSid, Pair, ParticipantSid, Scope, UnreadableKey,
    WebhookSid,
};
use sha2::{Digest, Sha256};

/// A primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

/// An index entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexKey {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

/// The number of partitions over which an index spreads frequent writes, so that none takes more than a tenth of them.
pub const SHARDS: u8 = 16;
/// The equal copies of the account's settings, and of a service: every message reads one of each, and no item can serve more than 3,000 reads
/// a second.
pub(crate) const SETTINGS_COPIES: u8 = 8;

fn key(pk: impl Into<String>, sk: impl Into<String>) -> Key {
    Key {
        pk: pk.into(),
        sk: sk.into(),
    }
}

fn index(pk: impl Into<String>, sk: impl Into<String>) -> IndexKey {
    IndexKey {
        pk: pk.into(),
        sk: sk.into(),
    }
}

/// The partition of a conversation: its log, its metadata, its participants, its timers.
pub(crate) fn conversation(sid: ConversationSid) -> String {
    format!("C#{sid}")
}

/// Ten digits: three hundred years of a change a second.
pub(crate) const SLOTS_MAX: u64 = 10_000_000_000;

pub(crate) fn slot(conversation_sid: ConversationSid, slot: u64) -> Key {
    key(conversation(conversation_sid), format!("L#{slot:010}#E"))
}

/// The current version of the message in a slot. Sorts before its entry, so that the last item of a log is an entry
/// even while a transaction becomes visible item by item.
pub(crate) fn revision(conversation_sid: ConversationSid, slot: u64) -> Key {
    key(conversation(conversation_sid), format!("L#{slot:010}#C"))
}

/// The bounds of a log from a slot on, revisions included.
pub(crate) fn log_from(slot: u64) -> String {
    format!("L#{slot:010}")
}

pub(crate) const LOG_FIRST: &str = "L#";
pub(crate) const LOG_END: &str = "L#~";
pub(crate) const PARTICIPANT_FIRST: &str = "P#";
pub(crate) const PARTICIPANT_END: &str = "P#~";

pub(crate) fn metadata(sid: ConversationSid) -> Key {
    key(conversation(sid), "M")
}

pub(crate) fn participant(conversation_sid: ConversationSid, sid: routing::ParticipantSid) -> Key {
    key(conversation(conversation_sid), format!("P#{sid}"))
}

pub(crate) fn identity(conversation_sid: ConversationSid, identity: &str) -> Key {
    key(conversation(conversation_sid), format!("I#{identity}"))
}

const BINDINGS: &str = "B#";

/// The pairs of an outside address.
pub(crate) fn bindings_of_address(address: &Address) -> String {
    format!("{BINDINGS}{address}")
}

/// The outside address in such a partition key.
pub(crate) fn parse_bindings(pk: &str) -> Option<&str> {
    pk.strip_prefix(BINDINGS)
}

/// A group's addresses are the key itself, at most 541 bytes of DynamoDB's 2,048: no hash, so no collision.
pub(crate) fn binding(held: &routing::Key) -> Key {
    match held {
        routing::Key::Pair(pair) => {
            let partition = bindings_of_address(pair.address());
            key(partition, pair.proxy().to_string())
        }
        routing::Key::Group(group) => {
            let addresses: Vec<_> = group.addresses().iter().map(Address::to_string).collect();
            key(format!("G#{}", addresses.join(",")), "B")
        }
    }
}

pub(crate) fn name(service: ConversationServiceSid, name: &str) -> Key {
    key(format!("U#{service}#{name}"), "U")
}

/// What the partition of a journal entry begins with.
pub(crate) const JOURNAL: &str = "J#";

pub(crate) fn journal(message: &MessageKey) -> Key {
    key(
        format!("{JOURNAL}{}", message.sid),
        format!(
            "{}#{}#{}",
            message.carrier.as_str(),
            message.account,
            message.to
        ),
    )
}

/// Sets the sort key of an unreadable message apart from that of a [`journal`] entry: no address begins with it.
const UNREADABLE: char = '?';

/// In the partition of the journal entries of its SID.
pub(crate) fn unreadable(message: &UnreadableKey) -> Key {
    let to = u128::from_be_bytes(message.to);
    key(
        format!("{JOURNAL}{}", message.sid),
        format!(
            "{}#{}#{UNREADABLE}{to:032x}",
            message.carrier.as_str(),
            message.account
        ),
    )
}

/// Whether a sort key in the journal is that of an unreadable message.
pub(crate) fn is_unreadable(sk: &str) -> bool {
    let to = sk.splitn(3, '#').nth(2);
    to.is_some_and(|to| to.starts_with(UNREADABLE))
}

/// The hash of the receiving address in the third part of such a sort key.
pub(crate) fn parse_unreadable(to: &str) -> Option<[u8; 16]> {
    let digits = to.strip_prefix(UNREADABLE)?;
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}

/// The partition of a receiving address: the number, its address configuration, its place in a sender pool.
pub(crate) fn number_partition(address: &Address) -> String {
    format!("N#{address}")
}

pub(crate) const NUMBER: &str = "N";
pub(crate) const ADDRESS_CONFIGURATION: &str = "A";
pub(crate) const POOL_NUMBER: &str = "P";

pub(crate) fn number(address: &Address) -> Key {
    key(number_partition(address), NUMBER)
}

pub(crate) fn address_configuration(address: &Address) -> Key {
    key(number_partition(address), ADDRESS_CONFIGURATION)
}

/// The number's place in the sender pool of a messaging service: there is one, so a number is in at most one pool.
pub(crate) fn pool_number(address: &Address) -> Key {
    key(number_partition(address), POOL_NUMBER)
}

pub(crate) fn alpha_sender(service: MessagingServiceSid, sid: AlphaSenderSid) -> Key {
    key(format!("MP#{service}"), format!("A#{sid}"))
}

pub(crate) fn account(copy: u8) -> Key {
    key(format!("ACC#{copy}"), "A")
}

pub(crate) fn conversation_service(sid: ConversationServiceSid, copy: u8) -> Key {
    key(format!("IS#{sid}#{copy}"), "S")
}

pub(crate) fn messaging_service(sid: MessagingServiceSid, copy: u8) -> Key {
    key(format!("MG#{sid}#{copy}"), "S")
}

pub(crate) fn cursor(conversation_sid: ConversationSid, consumer: Consumer) -> Key {
    let sk = match consumer {
        Consumer::Post(Scope::Account) => "KP".to_owned(),
        Consumer::Post(Scope::Service) => "KS".to_owned(),
        Consumer::Post(Scope::Conversation(webhook)) => format!("{CURSOR_OF_WEBHOOK}{webhook}"),
        Consumer::Relay => "KR".to_owned(),
        Consumer::Numbers => "KN".to_owned(),
    };
    key(conversation(conversation_sid), sk)
}

/// Cursors, and nothing else; scoped webhooks come behind them.
pub(crate) const CURSOR_FIRST: &str = "KA";
pub(crate) const CURSOR_END: &str = "KV";
const CURSOR_OF_WEBHOOK: &str = "KH#";

/// The consumer whose cursor has this sort key.
pub(crate) fn parse_cursor(sk: &str) -> Option<Consumer> {
    Some(match sk {
        "KP" => Consumer::Post(Scope::Account),
        "KS" => Consumer::Post(Scope::Service),
        "KR" => Consumer::Relay,
        "KN" => Consumer::Numbers,
        _ => {
            let webhook = WebhookSid::parse(sk.strip_prefix(CURSOR_OF_WEBHOOK)?)?;
            Consumer::Post(Scope::Conversation(webhook))
        }
    })
}

pub(crate) const TIMER: &str = "T";
pub(crate) const PURGE: &str = "Z";

/// The sweep's mark in one shard of the time index.
pub(crate) fn sweep_mark(shard: u8) -> Key {
    key(format!("SW#{shard:02}"), "W")
}

pub(crate) fn outbound(sid: CarrierMessageSid) -> Key {
    key(format!("O#{sid}"), "O")
}

/// The SID of the message that we send to a participant for the message in a slot. The same input gives the same SID.
/// `mms`: it has media.
pub fn outbound_sid(
    conversation_sid: ConversationSid,
    slot: u64,
    participant: ParticipantSid,
    mms: bool,
) -> CarrierMessageSid {
    let mut digest = Sha256::new();
    digest.update(conversation_sid.as_bytes());
    digest.update(slot.to_be_bytes());
    digest.update(participant.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    CarrierMessageSid::from_bytes(mms, bytes)
}

/// The SID of a name in a sender pool. The same input gives the same SID, so a pool has each name once.
pub fn alpha_sender_sid(service: MessagingServiceSid, name: &str) -> AlphaSenderSid {
    let mut digest = Sha256::new();
    digest.update(service.as_bytes());
    digest.update(name.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    AlphaSenderSid::from_bytes(bytes)
}

/// The item that a write of a plan touches.
pub(crate) fn of(item: &ItemKey) -> Key {
    match item {
        ItemKey::Slot(sid, n) => slot(*sid, *n),
        ItemKey::Journal(message) => journal(message),
        ItemKey::Binding(held) => binding(held),
        ItemKey::Name(service, text) => name(*service, text),
        ItemKey::Identity(sid, text) => identity(*sid, text),
        ItemKey::Metadata(sid) => metadata(*sid),
        ItemKey::Participant(sid, who) => participant(*sid, *who),
        ItemKey::Timer(sid) => key(conversation(*sid), TIMER),
        ItemKey::Purge(sid) => key(conversation(*sid), PURGE),
        ItemKey::Webhook(sid, webhook) => key(conversation(*sid), format!("KW#{webhook}")),
        ItemKey::Revision(sid, n) => revision(*sid, *n),
    }
}

/// Where in an index's spread something stands.
fn shard(bytes: &[u8]) -> u8 {
    Sha256::digest(bytes)[0] % SHARDS
}

/// Thirteen digits, which sort as text; they last until the year 2286.
pub(crate) fn millisecond(at: Timestamp) -> String {
    format!("{:013}", at.as_millisecond().clamp(0, 9_999_999_999_999))
}

/// The time index: every change is named there once.
pub(crate) fn by_time(at: Timestamp, of: &[u8]) -> IndexKey {
    index(time_partition(at, shard(of)), millisecond(at))
}

/// One shard of one day, in UTC.
pub(crate) fn time_partition(at: Timestamp, shard: u8) -> String {
    format!("T#{}#{shard:02}", at.strftime("%Y-%m-%d"))
}

/// The messages of an outside address by time.
pub(crate) fn by_outside_address(address: &Address, at: Timestamp) -> IndexKey {
    index(format!("O#{address}"), millisecond(at))
}

/// What can fall due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DueKind {
    Cursor,
    Timer,
    Purge,
}

impl DueKind {
    pub(crate) const ALL: [DueKind; 3] = [DueKind::Cursor, DueKind::Timer, DueKind::Purge];

    pub fn as_str(self) -> &'static str {
        match self {
            DueKind::Cursor => "cursor",
            DueKind::Timer => "timer",
            DueKind::Purge => "purge",
        }
    }
}

/// The place of a cursor, a timer or a purge in the list of its kind: by time, then by its own key. So each has a place
/// of its own, and a page can end between any two.
pub(crate) fn due(
    kind: DueKind,
    conversation_sid: ConversationSid,
    sort_key: &str,
    at: Timestamp,
) -> IndexKey {
    index(
        due_partition(kind, shard(conversation_sid.as_bytes())),
        format!("{}#{sort_key}#{conversation_sid}", millisecond(at)),
    )
}

pub(crate) fn due_partition(kind: DueKind, shard: u8) -> String {
    let kind = match kind {
        DueKind::Cursor => "K",
        DueKind::Timer => "T",
        DueKind::Purge => "Z",
    };
    format!("D#{kind}#{shard:02}")
}

/// The time that an index position begins with, as [`millisecond`] writes it.
pub(crate) fn parse_millisecond(position: &str) -> Option<Timestamp> {
    let ms = position.split('#').next()?;
    Timestamp::from_millisecond(ms.parse().ok()?).ok()
}

/// The conversation whose log has grown, if that is what a new item with this primary key means.
pub fn rung(pk: &str, sk: &str) -> Option<ConversationSid> {
    let (_, entry) = parse_log(sk)?;
    entry.then(|| parse_conversation(pk)).flatten()
}

/// One of the lists of a service's conversations, oldest first.
pub(crate) fn conversation_list(service: ConversationServiceSid, shard: u8) -> String {
    format!("S#{service}#{shard:02}")
}

pub(crate) fn listed_conversation(
    service: ConversationServiceSid,
    sid: ConversationSid,
    created: Timestamp,
) -> IndexKey {
    index(
        conversation_list(service, shard(sid.as_bytes())),
        conversation_position(created, Some(sid)),
    )
}

/// Where a conversation stands in a list: by creation, then by SID. Without a SID, just before the first of its time.
pub(crate) fn conversation_position(created: Timestamp, sid: Option<ConversationSid>) -> String {
    let sid = sid.map(|sid| sid.to_string()).unwrap_or_default();
    format!("{}#{sid}", millisecond(created))
}

/// Bindings by our side of the pair.
pub(crate) fn by_proxy(held: &Pair) -> IndexKey {
    let address = held.address().to_string();
    index(
        bindings_of_proxy(held.proxy(), shard(address.as_bytes())),
        address,
    )
}

/// One of the lists of the pairs with one of our addresses.
pub(crate) fn bindings_of_proxy(proxy: &Address, shard: u8) -> String {
    format!("X#{proxy}#{shard:02}")
}

/// Participants by their address, over all conversations.
pub(crate) fn participants_of_address(address: &str) -> String {
    format!("A#{address}")
}

/// Participants by their identity, over all conversations of a service.
pub(crate) fn participants_of_identity(service: ConversationServiceSid, identity: &str) -> String {
    format!("I#{service}#{identity}")
}

pub(crate) fn participation(
    partition: String,
    conversation: ConversationSid,
    sid: routing::ParticipantSid,
) -> IndexKey {
    index(partition, format!("{conversation}#{sid}"))
}

/// The list of the numbers, and that of the address configurations: few, and written seldom.
pub(crate) const NUMBER_LIST: &str = "LN";
pub(crate) const ADDRESS_CONFIGURATION_LIST: &str = "LA";

/// The lists of the services: few, and written seldom.
pub(crate) const CONVERSATION_SERVICE_LIST: &str = "LS";
pub(crate) const MESSAGING_SERVICE_LIST: &str = "LM";

/// The lists of one sender pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PoolList {
    Numbers,
    ShortCodes,
    AlphaSenders,
}

pub(crate) fn pool_list(service: MessagingServiceSid, list: PoolList) -> String {
    let list = match list {
        PoolList::Numbers => "N",
        PoolList::ShortCodes => "S",
        PoolList::AlphaSenders => "A",
    };
    format!("LP#{service}#{list}")
}

/// The position in a list: by creation, then by the name that sets it apart.
pub(crate) fn listed(list: &str, created: Timestamp, name: impl std::fmt::Display) -> IndexKey {
    index(list, format!("{}#{name}", millisecond(created)))
}

/// The slot in the sort key of an entry or a revision, and whether it is an entry.
pub(crate) fn parse_log(sk: &str) -> Option<(u64, bool)> {
    let (digits, kind) = sk.strip_prefix("L#")?.split_once('#')?;
    Some((digits.parse().ok()?, kind == "E"))
}

/// The conversation that a partition belongs to.
pub(crate) fn parse_conversation(pk: &str) -> Option<ConversationSid> {
    ConversationSid::parse(pk.strip_prefix("C#")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_sorts_by_slot_and_ends_in_an_entry() {
        let sid = ConversationSid::from_bytes([1; 16]);
        let mut keys: Vec<String> = [9, 10, 11, 100]
            .into_iter()
            .flat_map(|n| [slot(sid, n).sk, revision(sid, n).sk])
            .collect();
        keys.sort();
        let parsed: Vec<_> = keys.iter().map(|sk| parse_log(sk).unwrap()).collect();
        let each = |n| [(n, false), (n, true)];
        assert_eq!(parsed, [each(9), each(10), each(11), each(100)].concat());
        assert!(
            keys.iter()
                .all(|sk| sk.as_str() > LOG_FIRST && sk.as_str() < LOG_END)
        );
    }

    #[test]
    fn a_cursor_is_named_by_its_consumer() {
        let sid = ConversationSid::from_bytes([1; 16]);
        for consumer in [
            Consumer::Post(Scope::Account),
            Consumer::Post(Scope::Service),
            Consumer::Post(Scope::Conversation(WebhookSid::from_bytes([2; 16]))),
            Consumer::Relay,
            Consumer::Numbers,
        ] {
            let sk = cursor(sid, consumer).sk;
            assert_eq!(parse_cursor(&sk), Some(consumer));
            assert!(
                sk.as_str() > CURSOR_FIRST && sk.as_str() < CURSOR_END,
                "{sk}"
            );
        }
        assert_eq!(parse_cursor("KW#WH02020202020202020202020202020202"), None);
    }

    #[test]
    fn what_is_due_is_spread_over_all_partitions() {
        let mut counts = [0; SHARDS as usize];
        for n in 0..1_600_u64 {
            let bytes = Sha256::digest(n.to_be_bytes());
            counts[usize::from(shard(&bytes[..16]))] += 1;
        }
        let even = counts.iter().all(|count| (50..200).contains(count));
        assert!(even, "{counts:?}");
    }

    #[test]
    fn times_sort_as_text() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        assert!(millisecond(at(999)) < millisecond(at(1_000)));
        assert!(millisecond(at(1_000)) < millisecond(at(1_700_000_000_000)));
        assert_eq!(by_time(at(1_700_000_000_000), b"x").sk, "1700000000000");
        assert!(
            by_time(at(1_700_000_000_000), b"x")
                .pk
                .starts_with("T#2023-11-14#")
        );
    }
}
