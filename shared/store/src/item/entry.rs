//! A log entry: the hottest item of the table.

use routing::{
    ChangeId, EarlierMessage, Entry, Event, Header, Message, MessageSid, Pair, Participant,
    ParticipantSid, Reason, Snapshot, Source,
};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::item::header::HeaderWire;
use crate::item::journal::{MessageKeyWire, message_key, message_key_wire};
use crate::item::message::MessageWire;
use crate::item::participant::ParticipantWire;
use crate::item::{self, Id, Item, id, is_false};
use crate::key::{self, Key};

#[derive(Serialize, Deserialize)]
struct EntryWire {
    #[serde(rename = "c")]
    change: Id,
    #[serde(rename = "t")]
    at_ms: i64,
    #[serde(rename = "o")]
    source: u8,
    #[serde(rename = "q", default, skip_serializing_if = "is_false")]
    quiet: bool,
    #[serde(rename = "e")]
    events: Vec<EventWire>,
    /// The message that the entry added; beside the events, so that it can be blanked by itself.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    message: Option<MessageWire>,
    /// Present if the receiving number's own webhook gets the message.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    number_webhook: Option<MessageKeyWire>,
    #[serde(rename = "h")]
    header: HeaderWire,
}

#[derive(Serialize, Deserialize)]
enum EventWire {
    #[serde(rename = "ca")]
    ConversationAdded(SnapshotWire),
    #[serde(rename = "cu")]
    ConversationUpdated(SnapshotWire),
    #[serde(rename = "cr")]
    /// Its last snapshot, and its last state.
    ConversationRemoved(SnapshotWire, u8),
    /// From, to, reason.
    #[serde(rename = "cs")]
    ConversationStateUpdated(u8, u8, u8),
    #[serde(rename = "pa")]
    ParticipantAdded(ParticipantWire),
    #[serde(rename = "pu")]
    ParticipantUpdated(ParticipantWire),
    #[serde(rename = "pr")]
    ParticipantRemoved(ParticipantWire),
    #[serde(rename = "ma")]
    MessageAdded,
    /// SID, time of addition, and text.
    #[serde(rename = "mu")]
    MessageUpdated(Id, i64, MessageWire),
    #[serde(rename = "mr")]
    MessageRemoved(Id, i64, MessageWire),
}

#[derive(Serialize, Deserialize)]
struct SnapshotWire {
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    friendly_name: Option<String>,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    unique_name: Option<String>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    attributes: Option<String>,
    #[serde(rename = "t")]
    date_created_ms: i64,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pair: Option<(String, String)>,
}

/// `by_time`: the time index names the entry itself, for no journal entry does.
pub(crate) fn to_item(entry: &Entry, by_time: bool) -> Result<Item, StoreError> {
    let address_of = address_of(&entry.header);
    let message = entry
        .message()
        .map(|(_, message)| MessageWire::from(message, &address_of));
    let wire = EntryWire {
        change: id(entry.change.as_bytes()),
        at_ms: entry.at.as_millisecond(),
        source: source_code(entry.source),
        quiet: entry.quiet,
        events: entry
            .events
            .iter()
            .map(|event| event_wire(event, &address_of))
            .collect(),
        message,
        number_webhook: entry.number_webhook.as_ref().map(message_key_wire),
        header: HeaderWire::from(&entry.header),
    };
    let item = item::versioned(
        item::item(key::slot(entry.conversation, entry.slot), &wire)?,
        1,
    );
    Ok(match by_time {
        true => item::listed(item, key::by_time(entry.at, entry.conversation.as_bytes())),
        false => item,
    })
}

pub(crate) fn from_item(item: Item) -> Result<Entry, StoreError> {
    let (key, wire): (Key, EntryWire) = item::parse(item)?;
    let conversation =
        key::parse_conversation(&key.pk).ok_or_else(|| item::corrupt(&key, "no conversation"))?;
    let (slot, _) = key::parse_log(&key.sk).ok_or_else(|| item::corrupt(&key, "no slot"))?;
    let header = wire.header.header(&key)?;
    let (service, address_of) = (Some(header.service), address_of(&header));
    let mut message = wire.message.map(|message| message.message(&address_of));
    let mut events = Vec::with_capacity(wire.events.len());
    for event in wire.events {
        events.push(match event {
            EventWire::ConversationAdded(s) => Event::ConversationAdded(snapshot(&key, s)?),
            EventWire::ConversationUpdated(s) => Event::ConversationUpdated(snapshot(&key, s)?),
            EventWire::ConversationRemoved(s, state) => Event::ConversationRemoved {
                state: item::state(&key, state)?,
                snapshot: snapshot(&key, s)?,
            },
            EventWire::ConversationStateUpdated(from, to, reason) => {
                Event::ConversationStateUpdated {
                    from: item::state(&key, from)?,
                    to: item::state(&key, to)?,
                    reason: self::reason(&key, reason)?,
                }
            }
            EventWire::ParticipantAdded(p) => {
                Event::ParticipantAdded(p.participant(&key, conversation, service)?)
            }
            EventWire::ParticipantUpdated(p) => {
                Event::ParticipantUpdated(p.participant(&key, conversation, service)?)
            }
            EventWire::ParticipantRemoved(p) => {
                Event::ParticipantRemoved(p.participant(&key, conversation, service)?)
            }
            EventWire::MessageAdded => {
                let message = message
                    .take()
                    .ok_or_else(|| item::corrupt(&key, "no message"))?;
                Event::MessageAdded(message)
            }
            EventWire::MessageUpdated(sid, at_ms, m) => {
                Event::MessageUpdated(earlier(&key, sid, at_ms, m.message(&address_of))?)
            }
            EventWire::MessageRemoved(sid, at_ms, m) => {
                Event::MessageRemoved(earlier(&key, sid, at_ms, m.message(&address_of))?)
            }
        });
    }
    drop(address_of);
    let number_webhook = wire.number_webhook.map(|wire| message_key(&key, wire));
    let number_webhook = number_webhook.transpose()?;
    let change = ChangeId::from_bytes(wire.change.into_array());
    let (at, source) = (item::time(&key, wire.at_ms)?, source(&key, wire.source)?);
    Ok(Entry {
        conversation,
        slot,
        change,
        at,
        source,
        quiet: wire.quiet,
        events,
        number_webhook,
        header,
    })
}

fn address_of(header: &Header) -> impl Fn(ParticipantSid) -> Option<String> {
    |participant| {
        let held = header
            .pairs
            .iter()
            .find(|held| held.participant == participant);
        held.map(|held| held.pair.address().to_string())
    }
}

fn event_wire(event: &Event, address_of: impl Fn(ParticipantSid) -> Option<String>) -> EventWire {
    let participant = |p: &Participant| ParticipantWire::in_entry(p);
    match event {
        Event::ConversationAdded(s) => EventWire::ConversationAdded(snapshot_wire(s)),
        Event::ConversationUpdated(s) => EventWire::ConversationUpdated(snapshot_wire(s)),
        Event::ConversationRemoved { state, snapshot } => {
            EventWire::ConversationRemoved(snapshot_wire(snapshot), item::state_code(*state))
        }
        Event::ConversationStateUpdated { from, to, reason } => {
            EventWire::ConversationStateUpdated(
                item::state_code(*from),
                item::state_code(*to),
                reason_code(*reason),
            )
        }
        Event::ParticipantAdded(p) => EventWire::ParticipantAdded(participant(p)),
        Event::ParticipantUpdated(p) => EventWire::ParticipantUpdated(participant(p)),
        Event::ParticipantRemoved(p) => EventWire::ParticipantRemoved(participant(p)),
        Event::MessageAdded(_) => EventWire::MessageAdded,
        Event::MessageUpdated(earlier) => EventWire::MessageUpdated(
            id(earlier.sid.as_bytes()),
            earlier.date_created.as_millisecond(),
            MessageWire::from(&earlier.message, address_of),
        ),
        Event::MessageRemoved(earlier) => EventWire::MessageRemoved(
            id(earlier.sid.as_bytes()),
            earlier.date_created.as_millisecond(),
            MessageWire::from(&earlier.message, address_of),
        ),
    }
}

fn earlier(key: &Key, sid: Id, at_ms: i64, message: Message) -> Result<EarlierMessage, StoreError> {
    Ok(EarlierMessage {
        sid: MessageSid::from_bytes(sid.into_array()),
        date_created: item::time(key, at_ms)?,
        message,
    })
}

fn snapshot_wire(snapshot: &Snapshot) -> SnapshotWire {
    let pair = |pair: &Pair| (pair.address().to_string(), pair.proxy().to_string());
    SnapshotWire {
        friendly_name: snapshot.friendly_name.clone(),
        unique_name: snapshot.unique_name.clone(),
        attributes: item::attributes_wire(&snapshot.attributes),
        date_created_ms: snapshot.date_created.as_millisecond(),
        pair: snapshot.pair.as_ref().map(pair),
    }
}

fn snapshot(key: &Key, wire: SnapshotWire) -> Result<Snapshot, StoreError> {
    Ok(Snapshot {
        friendly_name: wire.friendly_name,
        unique_name: wire.unique_name,
        attributes: item::attributes(wire.attributes),
        date_created: item::time(key, wire.date_created_ms)?,
        pair: wire
            .pair
            .map(|(address, proxy)| item::pair(key, &address, &proxy))
            .transpose()?,
    })
}

const SOURCES: [Source; 4] = [Source::Sms, Source::WhatsApp, Source::Api, Source::Timer];

fn source_code(source: Source) -> u8 {
    match source {
        Source::Sms => 0,
        Source::WhatsApp => 1,
        Source::Api => 2,
        Source::Timer => 3,
    }
}

fn source(key: &Key, code: u8) -> Result<Source, StoreError> {
    let found = SOURCES
        .into_iter()
        .find(|source| source_code(*source) == code);
    found.ok_or_else(|| item::corrupt(key, format!("{code} is no source")))
}

const REASONS: [Reason; 3] = [Reason::Api, Reason::Timer, Reason::Event];

fn reason_code(reason: Reason) -> u8 {
    match reason {
        Reason::Api => 0,
        Reason::Timer => 1,
        Reason::Event => 2,
    }
}

fn reason(key: &Key, code: u8) -> Result<Reason, StoreError> {
    let found = REASONS
        .into_iter()
        .find(|reason| reason_code(*reason) == code);
    found.ok_or_else(|| item::corrupt(key, format!("{code} is no reason")))
}
