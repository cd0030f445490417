//! The text of writes: one word or two for each.

use std::collections::HashSet;

use crate::support::{PROXY, address};
use routing::{ConversationServiceSid, ConversationSid, Entry, Event, Key, Pair, Write};

/// `c1` for the conversation that `support::conversation(1)` makes.
pub(crate) fn c(sid: ConversationSid) -> String {
    format!(
        "c{}",
        u32::from_be_bytes(sid.as_bytes()[..4].try_into().unwrap())
    )
}

pub(crate) fn service(sid: ConversationServiceSid) -> String {
    match sid {
        ConversationServiceSid::DEFAULT => String::new(),
        sid => format!(
            " service {}",
            u32::from_be_bytes(sid.as_bytes()[..4].try_into().unwrap())
        ),
    }
}

/// The consumer of a pair, by its number.
pub(crate) fn consumer(pair: &Pair) -> String {
    assert_eq!(*pair.proxy(), address(PROXY));
    let digits = pair.address().to_string()[8..].to_owned();
    digits.trim_start_matches('0').to_owned()
}

/// A pair's consumer, or a group's addresses.
fn text_of_key(key: &Key) -> String {
    match key {
        Key::Pair(pair) => consumer(pair),
        Key::Group(group) => format!("{:?}", group.addresses()),
    }
}

fn seconds(at: jiff::Timestamp) -> i64 {
    at.as_second() - 1_000_000
}

fn text_of_event(event: &Event) -> String {
    let name = event.name().as_str();
    match event {
        Event::ConversationStateUpdated { from, to, reason } => {
            format!(
                "{name}({} {} {})",
                from.as_str(),
                to.as_str(),
                reason.as_str()
            )
        }
        Event::MessageAdded(message) => format!("{name}({})", message.index),
        Event::MessageUpdated(earlier) | Event::MessageRemoved(earlier) => {
            format!("{name}({})", earlier.sid.slot())
        }
        Event::ConversationRemoved { state, .. } => format!("{name}({})", state.as_str()),
        _ => name.to_owned(),
    }
}

fn text_of_entry(entry: &Entry) -> String {
    let header = &entry.header;
    let events: Vec<String> = entry.events.iter().map(text_of_event).collect();
    let pairs: Vec<String> = header
        .pairs
        .iter()
        .map(|held| consumer(&held.pair))
        .collect();
    let post = header.post.map_or(String::new(), |post| {
        format!(
            " post {:?}.{} since {}",
            post.scope, post.generation, post.since
        )
    });
    format!(
        "{}/{} {} = {} m{} e{} t{} ({}){post}{}",
        c(entry.conversation),
        entry.slot,
        events.join(" "),
        header.state.as_str(),
        header.message_index,
        header.event_number,
        seconds(header.last_activity),
        pairs.join(" "),
        if header.terminal { " terminal" } else { "" },
    )
}

fn text_of_write(write: &Write) -> String {
    match write {
        Write::Append(entry) => text_of_entry(entry),
        Write::Journal(entry) if entry.inbound.body.is_empty() => "journal".to_owned(),
        Write::Journal(_) => "journal with text".to_owned(),
        Write::Claim { key, binding, from } => format!(
            "claim {} for {}{}{}",
            text_of_key(key),
            c(binding.conversation),
            service(binding.service),
            from.map_or(String::new(), |from| format!(" from {}", c(from)))
        ),
        Write::Release { key, holder } => {
            format!("release {} of {}", text_of_key(key), c(*holder))
        }
        Write::ClaimName { name, .. } => format!("claim name {name}"),
        Write::ReleaseName { name, .. } => format!("release name {name}"),
        Write::ClaimIdentity { identity, .. } => format!("claim identity {identity}"),
        Write::ReleaseIdentity { identity, .. } => format!("release identity {identity}"),
        Write::PutMetadata(m) => format!(
            "metadata {} v{} {}",
            c(m.conversation),
            m.version,
            m.state.as_str()
        ),
        Write::SetState {
            conversation,
            state,
            ..
        } => format!("state {} {}", c(*conversation), state.as_str()),
        Write::DeleteMetadata {
            conversation,
            version,
        } => format!("no metadata {} v{version}", c(*conversation)),
        Write::PutParticipant(p) => format!("participant of {} v{}", c(p.conversation), p.version),
        Write::DeleteParticipant { version, .. } => format!("no participant v{version}"),
        Write::PutTimer { conversation, due } => {
            format!("timer {} {}", c(*conversation), seconds(*due))
        }
        Write::DeleteTimer { conversation } => format!("no timer {}", c(*conversation)),
        Write::PutPurge { conversation, due } => {
            format!("purge {} {}", c(*conversation), seconds(*due))
        }
        Write::PutWebhook(webhook) => format!(
            "webhook of {} v{} since {}",
            c(webhook.conversation),
            webhook.version,
            webhook.since
        ),
        Write::PutRevision { revision, .. } => {
            format!("revision of {} v{}", revision.slot, revision.version)
        }
        Write::Blank { slot, .. } => format!("blank {slot}"),
    }
}

/// Every plan that a row makes passes here: no two of its writes touch the same item.
pub(crate) fn text_of_writes(writes: &[Write]) -> String {
    let keys: HashSet<_> = writes.iter().map(Write::key).collect();
    assert_eq!(
        keys.len(),
        writes.len(),
        "two writes touch one item: {writes:?}"
    );
    let texts: Vec<String> = writes.iter().map(text_of_write).collect();
    texts.join("; ")
}
