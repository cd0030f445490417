//! Consumers: who reads a conversation's log, what each entry owes them, and how far each has come.
//!
//! A consumer reads entries in the order of their slots and stops at the first missing one. What an entry owes is
//! decided when it is committed; filters and URLs are those of the moment of delivery. A cursor's lease and due time
//! save work and time; that nothing is skipped hangs on one condition alone, that a cursor moves on from where its
//! mover saw it.

use jiff::{SignedDuration, Timestamp};

use crate::{Address, Entry, Event, HeldPair, ParticipantSid, Tail, Webhooks};

/// Who reads a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Consumer {
    /// The account's post-action webhook: every event, one after the other.
    Post,
    /// Sends messages to the participants that have an address; each is served in order, and waits for no other.
    Relay,
    /// The numbers' own webhooks, where they want captured messages too; each is served in order, and waits for no
    /// other.
    Numbers,
}

impl Consumer {
    pub const ALL: [Consumer; 3] = [Consumer::Post, Consumer::Relay, Consumer::Numbers];

    pub fn as_str(self) -> &'static str {
        match self {
            Consumer::Post => "post",
            Consumer::Relay => "relay",
            Consumer::Numbers => "numbers",
        }
    }
}

/// A place in a log: an event of an entry. Consumers that take entries as a whole stand at event 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub slot: u64,
    /// Counts the entry's events from 0.
    pub event: u64,
}

impl Position {
    pub fn slot(slot: u64) -> Position {
        Position { slot, event: 0 }
    }
}

/// Until when a run has a cursor to itself. Not required for correctness: without it, an event is sent twice with the
/// same token where two runs meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// A random mark of the run.
    pub owner: [u8; 16],
    pub until: Timestamp,
}

/// Whom a consumer serves where it serves several, each at its own pace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recipient {
    Participant(ParticipantSid),
    Number(Address),
}

/// A recipient that lags behind its consumer's cursor, for an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    pub recipient: Recipient,
    /// The first slot that is not finished.
    pub slot: u64,
    /// When the next attempt is due.
    pub due: Timestamp,
    /// How many attempts at that slot have failed.
    pub failures: u32,
}

/// How far a consumer has come in a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// What comes next.
    pub next: Position,
    pub lease: Option<Lease>,
    /// When the clock is to look at it.
    pub due: Option<Timestamp>,
    /// How many attempts at `next` have failed.
    pub failures: u32,
    /// Recipients that lag; of a consumer that serves one alone, none.
    pub lanes: Vec<Lane>,
}

impl Cursor {
    pub fn leased(&self, now: Timestamp) -> bool {
        self.lease.is_some_and(|lease| lease.until > now)
    }

    /// Whether what waits for a time must still wait.
    pub fn due_ahead(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|due| due > now)
    }

    pub fn lane(&self, recipient: &Recipient) -> Option<&Lane> {
        self.lanes.iter().find(|lane| &lane.recipient == recipient)
    }
}

/// The pauses between attempts, in seconds: a day in all. Then the attempt is given up.
pub const RETRY_DELAYS_S: [i64; 10] =
    [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800];
/// The longest pause that a server can ask for.
const RETRY_AFTER_S_MAX: i64 = 28_800;
/// Pauses grow by up to a tenth, at random, so that what failed together is not repeated together.
const JITTER_PARTS: i64 = 10;

/// When to try again after the `failures`th failed attempt (from 1), and no sooner than the server asked.
/// `None`: give up.
pub fn retry_at(
    now: Timestamp,
    failures: u32,
    asked_s: Option<i64>,
    random: u32,
) -> Option<Timestamp> {
    let index = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let delay_s = (*RETRY_DELAYS_S.get(index)?).max(asked_s.unwrap_or(0).min(RETRY_AFTER_S_MAX));
    let jitter_ms = i64::from(random) % (delay_s * 1_000 / JITTER_PARTS);
    let delay = SignedDuration::from_millis(delay_s * 1_000 + jitter_ms);
    Some(now.checked_add(delay).unwrap_or(Timestamp::MAX))
}

/// Whether an entry's events are the post-action webhook's to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Yes,
    /// It was committed quietly, or under no webhook, or under one that is gone: nobody will ever be told.
    No,
    /// The webhook's settings were read before those that the entry was committed under: read them again.
    SettingsTooOld,
}

impl Entry {
    /// Whether the account's post-action webhook hears the entry. Filters are not looked at.
    pub fn heard(&self, webhooks: &Webhooks) -> Heard {
        match self.header.post.filter(|_| !self.quiet) {
            None => Heard::No,
            Some(post) if post.generation > webhooks.post_generation => Heard::SettingsTooOld,
            Some(post) if post.generation < webhooks.post_generation => Heard::No,
            Some(_) if webhooks.post_url.is_some() => Heard::Yes,
            Some(_) => Heard::No,
        }
    }

    /// The participants to whom the entry's message is sent: all that have an address, but for who wrote it.
    /// They are the recipients of an empty message too: it may have been on its way when it was deleted.
    pub fn recipients(&self) -> impl Iterator<Item = &HeldPair> {
        let message = self.message().map(|(_, message)| message);
        self.header.pairs.iter().filter(move |held| {
            message.is_some_and(|message| {
                message.participant != Some(held.participant)
                    && held.pair.address().to_string() != message.author
            })
        })
    }

    /// The entry's recipients of a consumer that serves several.
    pub fn served(&self, consumer: Consumer) -> Vec<Recipient> {
        match consumer {
            Consumer::Post => Vec::new(),
            Consumer::Relay => self
                .recipients()
                .map(|held| Recipient::Participant(held.participant))
                .collect(),
            Consumer::Numbers => self
                .number_webhook
                .as_ref()
                .map(|key| Recipient::Number(key.to.clone()))
                .into_iter()
                .collect(),
        }
    }
}

/// What lies before the post-action webhook's cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ahead<'a> {
    /// What is to be sent, each with its position.
    pub owed: Vec<(Position, &'a Entry, &'a Event)>,
    /// Where the cursor stands when all that is done.
    pub end: Position,
    /// Events that a filter keeps back. They are passed for good: a filter that changes later does not bring them up.
    pub filtered: bool,
    /// An entry was committed under newer settings than these; it and what follows are left out.
    pub settings_too_old: bool,
}

/// What of `entries`, a gapless stretch of a log that begins at `from` or before, is owed to the post-action webhook.
pub fn ahead<'a>(from: Position, entries: &'a [Entry], webhooks: &Webhooks) -> Ahead<'a> {
    let mut ahead = Ahead {
        end: from,
        ..Ahead::default()
    };
    for entry in entries.iter().filter(|entry| entry.slot >= from.slot) {
        match entry.heard(webhooks) {
            Heard::SettingsTooOld => {
                ahead.settings_too_old = true;
                break;
            }
            Heard::No => {}
            Heard::Yes => {
                for (place, event) in (0..).zip(&entry.events) {
                    let position = Position {
                        slot: entry.slot,
                        event: place,
                    };
                    if position < from {
                        continue;
                    }
                    match webhooks.wants(event.name()) {
                        true => ahead.owed.push((position, entry, event)),
                        false => ahead.filtered = true,
                    }
                }
            }
        }
        ahead.end = Position::slot(entry.slot + 1);
    }
    ahead
}

/// Where a consumer without a cursor begins: the post-action webhook at the slot since when it is in force, the others
/// at the first. `tail` is the newest entry.
pub fn beginning(consumer: Consumer, tail: &Tail, webhooks: &Webhooks) -> Position {
    match consumer {
        Consumer::Post => {
            let post = tail.header.post;
            let since = post.filter(|post| post.generation == webhooks.post_generation);
            Position::slot(since.map_or(0, |post| post.since))
        }
        Consumer::Relay | Consumer::Numbers => Position::default(),
    }
}

/// The entries of `entries`, in the order of their slots, from `slot` on up to the first that is missing.
pub fn gapless(entries: Vec<Entry>, slot: u64) -> Vec<Entry> {
    let later = entries.into_iter().skip_while(|entry| entry.slot < slot);
    (slot..)
        .zip(later)
        .take_while(|(expected, entry)| entry.slot == *expected)
        .map(|(_, entry)| entry)
        .collect()
}

#[cfg(test)]
mod tests;
