//! The decision on messages and on REST changes: a line per rule.
//!
//! The text of a decision is one line, so that a row holds all of it: the outcome and its reason, then every write in
//! order. An entry reads `c1/6 events = state m(next message) e(next event) t(last activity) (pairs)`.

#![expect(clippy::unwrap_used, reason = "a test may fail so")]

mod changes;
mod messages;
#[path = "../support/mod.rs"]
mod support;
mod text;

use routing::{
    AccountSettings, ConversationServiceSid, ConversationSid, Entry, Event, EventName, Header,
    HeldPair, Message, MessagingServiceSid, PreActionEdits, PreActionResult, PreActionWebhook,
    SettingsScope, Source, State, Tail, Timers, Webhooks, Write,
};
use support::{at, conversation, fresh, pair, participant, url};

const TIMERS: Timers = Timers {
    inactive_s: Some(60),
    closed_s: Some(600),
};

fn account() -> AccountSettings {
    AccountSettings {
        timers: TIMERS,
        ..AccountSettings::default()
    }
}

/// The account's pre-action webhook in its first generation, for the default service.
fn first_webhook() -> PreActionWebhook {
    PreActionWebhook {
        service: ConversationServiceSid::DEFAULT,
        scope: SettingsScope::Account,
        generation: 1,
    }
}

/// A pre-action webhook in its first generation.
fn asking(filters: Option<Vec<EventName>>) -> Webhooks {
    Webhooks {
        filters,
        ..Webhooks::default().with_urls(Some(url("https://example.com/pre")), None)
    }
}

fn tail() -> Tail {
    Tail {
        conversation: conversation(1),
        slot: 5,
        header: Header {
            state: State::Active,
            service: ConversationServiceSid::DEFAULT,
            messaging_service: MessagingServiceSid::DEFAULT,
            pairs: [1, 2]
                .map(|n| HeldPair {
                    participant: participant(n),
                    pair: pair(n),
                })
                .to_vec(),
            participants: 3,
            message_index: 3,
            event_number: 9,
            last_activity: at(0),
            timers: TIMERS,
            post: None,
            posts_before: Vec::new(),
            terminal: false,
        },
    }
}

fn publish() -> PreActionResult {
    PreActionResult::Publish(PreActionEdits::default())
}

fn appended(writes: &[Write], to: ConversationSid) -> &Entry {
    let entry = writes.iter().find_map(|write| match write {
        Write::Append(entry) if entry.conversation == to => Some(entry),
        _ => None,
    });
    entry.unwrap()
}

/// The entry in slot 4 of c1, which added a message.
fn entry(header: Header) -> Entry {
    Entry {
        conversation: conversation(1),
        slot: 4,
        change: fresh(8, 1, at(0)).change,
        at: at(0),
        source: Source::Sms,
        quiet: false,
        events: vec![Event::MessageAdded(a_message("added"))],
        number_webhook: None,
        header,
    }
}

fn a_message(body: &str) -> Message {
    Message {
        index: 2,
        author: "system".to_owned(),
        participant: None,
        body: body.to_owned(),
        media: Vec::new(),
        attributes: "{}".to_owned(),
    }
}
