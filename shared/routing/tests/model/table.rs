//! The one table, as far as correctness depends on it.
//!
//! It knows no kind of write but by [`Write::key`] and [`Write::condition`], and behaves as the store promises: a
//! transaction checks all its conditions in one instant and locks its items; then they become visible one by one, in
//! any order; a write that meets a locked item does not happen, and its sender tries again. Reads are never blocked
//! and see what is visible.

use std::collections::HashMap;

use jiff::Timestamp;
use routing::{
    Binding, Condition, Conflict, ConversationSid, Entry, Event, ForwardState, Found, ItemKey,
    JournalEntry, Key, MessageKey, Metadata, Outcome, Pair, Participant, ParticipantSid, Revision,
    ScopedWebhook, Tail, Write,
};

use super::rng::Rng;

/// A kind of write and the kind of its condition, by name.
pub(crate) type Kind = (&'static str, &'static str);

#[derive(Clone)]
pub(crate) enum Item {
    Entry(Entry),
    Journal(JournalEntry),
    Binding(Binding),
    Name(ConversationSid),
    Identity(ParticipantSid),
    Metadata(Metadata),
    Participant(Participant),
    Timer(Timestamp),
    Purge,
    Webhook(ScopedWebhook),
    Revision(Revision),
}

/// A transaction that has begun. It finishes by itself, even if its sender crashes.
#[derive(Clone)]
struct Commit {
    id: u64,
    locked: Vec<ItemKey>,
    invisible: Vec<Write>,
}

/// The result of a request to write.
pub(crate) enum Sent {
    /// An item is locked by another transaction: nothing happened.
    Locked,
    Failed(Conflict),
    Begun(u64),
}

#[derive(Clone, Default)]
pub(crate) struct Table {
    items: HashMap<ItemKey, Item>,
    /// Every log, and its newest visible slot.
    logs: Vec<(ConversationSid, u64)>,
    commits: Vec<Commit>,
    commits_begun: u64,
    /// Each binding before its last change. A read that is not strong may still see it.
    bindings_before: HashMap<Key, Option<Binding>>,
    /// The condition that the table does not check.
    pub(crate) off: Option<Kind>,
    /// Whether a copied state leaves the version as it was, which it must not.
    pub(crate) state_copies_uncounted: bool,
    /// Counts the changes of visible items.
    pub(crate) changes: u64,
    /// Entries that became visible since the last look: their time, and the conversation whose log has grown.
    pub(crate) appended: Vec<(Timestamp, ConversationSid)>,
}

pub(crate) fn kind(write: &Write) -> Kind {
    let name = match write {
        Write::Append(_) => "Append",
        Write::Journal(_) => "Journal",
        Write::Claim { .. } => "Claim",
        Write::Release { .. } => "Release",
        Write::ClaimName { .. } => "ClaimName",
        Write::ReleaseName { .. } => "ReleaseName",
        Write::ClaimIdentity { .. } => "ClaimIdentity",
        Write::ReleaseIdentity { .. } => "ReleaseIdentity",
        Write::PutMetadata(_) => "PutMetadata",
        Write::SetState { .. } => "SetState",
        Write::DeleteMetadata { .. } => "DeleteMetadata",
        Write::PutParticipant(_) => "PutParticipant",
        Write::DeleteParticipant { .. } => "DeleteParticipant",
        Write::PutTimer { .. } => "PutTimer",
        Write::DeleteTimer { .. } => "DeleteTimer",
        Write::PutPurge { .. } => "PutPurge",
        Write::PutWebhook(_) => "PutWebhook",
        Write::PutRevision { .. } => "PutRevision",
        Write::Blank { .. } => "Blank",
    };
    let condition = match write.condition() {
        Condition::Absent => "Absent",
        Condition::HeldBy(_) => "HeldBy",
        Condition::Version(_) => "Version",
        Condition::Exists => "Exists",
        Condition::None => "None",
    };
    (name, condition)
}

impl Table {
    pub(crate) fn tail(&self, conversation: ConversationSid) -> Option<Tail> {
        let slot = self.newest(conversation)?;
        let header = self.entry(conversation, slot)?.header.clone();
        Some(Tail {
            conversation,
            slot,
            header,
        })
    }

    pub(crate) fn newest(&self, conversation: ConversationSid) -> Option<u64> {
        let log = self.logs.iter().find(|(log, _)| *log == conversation);
        log.map(|(_, newest)| *newest)
    }

    pub(crate) fn conversations(&self) -> impl Iterator<Item = ConversationSid> + '_ {
        self.logs.iter().map(|(conversation, _)| *conversation)
    }

    pub(crate) fn entry(&self, conversation: ConversationSid, slot: u64) -> Option<&Entry> {
        match self.items.get(&ItemKey::Slot(conversation, slot)) {
            Some(Item::Entry(entry)) => Some(entry),
            _ => None,
        }
    }

    pub(crate) fn journal(&self, key: &MessageKey) -> Option<&JournalEntry> {
        match self.items.get(&ItemKey::Journal(key.clone())) {
            Some(Item::Journal(entry)) => Some(entry),
            _ => None,
        }
    }

    pub(crate) fn binding(&self, pair: &Pair) -> Option<Binding> {
        match self.items.get(&ItemKey::Binding(Key::Pair(pair.clone()))) {
            Some(Item::Binding(binding)) => Some(*binding),
            _ => None,
        }
    }

    /// A binding that a read without strong consistency may see.
    pub(crate) fn binding_before(&self, pair: &Pair) -> Option<Binding> {
        let before = self.bindings_before.get(&Key::Pair(pair.clone())).copied();
        before.unwrap_or_else(|| self.binding(pair))
    }

    pub(crate) fn metadata(&self, conversation: ConversationSid) -> Option<&Metadata> {
        match self.items.get(&ItemKey::Metadata(conversation)) {
            Some(Item::Metadata(metadata)) => Some(metadata),
            _ => None,
        }
    }

    pub(crate) fn revision(&self, conversation: ConversationSid, slot: u64) -> Option<&Revision> {
        match self.items.get(&ItemKey::Revision(conversation, slot)) {
            Some(Item::Revision(revision)) => Some(revision),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = (&ItemKey, &Item)> {
        self.items.iter()
    }

    pub(crate) fn item(&self, key: &ItemKey) -> Option<&Item> {
        self.items.get(key)
    }

    /// The note after a fall-through's answer.
    pub(crate) fn note_answered(&mut self, key: &MessageKey) {
        let item = self.items.get_mut(&ItemKey::Journal(key.clone()));
        if let Some(Item::Journal(JournalEntry {
            outcome: Outcome::Forwarded { state, .. },
            ..
        })) = item
        {
            *state = ForwardState::Answered(200);
        }
    }

    /// The first step of a commit.
    pub(crate) fn send(&mut self, writes: &[Write]) -> Sent {
        let keys: Vec<ItemKey> = writes.iter().map(Write::key).collect();
        let locked = |key| self.commits.iter().any(|c| c.locked.contains(key));
        if keys.iter().any(locked) {
            return Sent::Locked;
        }
        let checked = writes.iter().filter(|write| self.off != Some(kind(write)));
        let found: Vec<(ItemKey, Found)> = checked
            .filter_map(|write| {
                let (key, condition) = (write.key(), write.condition());
                let item = self.items.get(&key);
                (!holds(condition, item)).then(|| (key, found(item)))
            })
            .collect();
        if !found.is_empty() {
            return Sent::Failed(Conflict {
                found,
                in_doubt: false,
            });
        }
        self.commits_begun += 1;
        let id = self.commits_begun;
        self.commits.push(Commit {
            id,
            locked: keys,
            invisible: writes.to_vec(),
        });
        // A single write is no transaction: it is visible at once.
        if writes.len() == 1 {
            self.advance(self.commits.len() - 1, 0);
            self.commits.pop();
        }
        Sent::Begun(id)
    }

    pub(crate) fn under_way(&self) -> usize {
        self.commits.len()
    }

    pub(crate) fn is_under_way(&self, id: u64) -> bool {
        self.commits.iter().any(|commit| commit.id == id)
    }

    /// One further step of one of the commits under way: an item becomes visible, or all are unlocked.
    pub(crate) fn step(&mut self, index: usize, rng: &mut Rng) {
        match self.commits[index].invisible.len() {
            0 => drop(self.commits.swap_remove(index)),
            left => self.advance(index, rng.below(left)),
        }
    }

    /// Makes all writes at once, for the first state of a scenario.
    pub(crate) fn play(&mut self, writes: Vec<Write>) {
        assert!(matches!(self.send(&writes), Sent::Begun(_)));
        while let Some(index) = self.commits.len().checked_sub(1) {
            match self.commits[index].invisible.len() {
                0 => drop(self.commits.pop()),
                _ => self.advance(index, 0),
            }
        }
    }

    fn advance(&mut self, index: usize, write: usize) {
        let write = self.commits[index].invisible.swap_remove(write);
        self.changes += 1;
        let key = write.key();
        let state_copy = matches!(write, Write::SetState { .. });
        if let Write::Append(entry) = &write {
            self.appended.push((entry.at, entry.conversation));
            match self.logs.iter_mut().find(|(c, _)| *c == entry.conversation) {
                Some((_, newest)) => *newest = entry.slot.max(*newest),
                None => self.logs.push((entry.conversation, entry.slot)),
            }
        }
        if let ItemKey::Binding(held) = &key {
            let binding = match self.items.get(&key) {
                Some(Item::Binding(binding)) => Some(*binding),
                _ => None,
            };
            self.bindings_before.insert(held.clone(), binding);
        }
        let before = self.items.remove(&key);
        let mut after = after(write, before);
        if let Some(Item::Metadata(metadata)) = &mut after
            && state_copy
            && self.state_copies_uncounted
        {
            metadata.version -= 1;
        }
        if let Some(after) = after {
            self.items.insert(key, after);
        }
    }
}

fn holds(condition: Condition, item: Option<&Item>) -> bool {
    match (condition, item) {
        (Condition::None, _) => true,
        (Condition::Absent, item) => item.is_none(),
        (Condition::Exists, item) => item.is_some(),
        (Condition::HeldBy(holder), Some(Item::Binding(binding))) => binding.conversation == holder,
        (Condition::HeldBy(holder), Some(Item::Name(conversation))) => *conversation == holder,
        (Condition::Version(v), Some(Item::Metadata(metadata))) => metadata.version == v,
        (Condition::Version(v), Some(Item::Participant(participant))) => participant.version == v,
        (Condition::Version(v), Some(Item::Webhook(webhook))) => webhook.version == v,
        (Condition::Version(v), Some(Item::Revision(revision))) => revision.version == v,
        (Condition::HeldBy(_) | Condition::Version(_), _) => false,
    }
}

fn found(item: Option<&Item>) -> Found {
    match item {
        None => Found::Nothing,
        Some(Item::Entry(entry)) => Found::Entry(Box::new(entry.clone())),
        Some(Item::Journal(entry)) => Found::Journal(Box::new(entry.clone())),
        Some(Item::Binding(binding)) => Found::Binding(*binding),
        Some(Item::Name(conversation)) => Found::Name(*conversation),
        Some(_) => Found::Record,
    }
}

/// The item after the write.
fn after(write: Write, before: Option<Item>) -> Option<Item> {
    match write {
        Write::Append(entry) => Some(Item::Entry(entry)),
        Write::Journal(entry) => Some(Item::Journal(entry)),
        Write::Claim { binding, .. } => Some(Item::Binding(binding)),
        Write::ClaimName { conversation, .. } => Some(Item::Name(conversation)),
        Write::ClaimIdentity { participant, .. } => Some(Item::Identity(participant)),
        Write::PutMetadata(metadata) => Some(Item::Metadata(metadata)),
        Write::PutParticipant(participant) => Some(Item::Participant(participant)),
        Write::PutTimer { due, .. } => Some(Item::Timer(due)),
        Write::PutPurge { .. } => Some(Item::Purge),
        Write::PutWebhook(webhook) => Some(Item::Webhook(webhook)),
        Write::PutRevision { revision, .. } => Some(Item::Revision(revision)),
        Write::Release { .. }
        | Write::ReleaseName { .. }
        | Write::ReleaseIdentity { .. }
        | Write::DeleteMetadata { .. }
        | Write::DeleteParticipant { .. }
        | Write::DeleteTimer { .. } => None,
        Write::SetState { state, at, .. } => match before {
            Some(Item::Metadata(metadata)) => Some(Item::Metadata(Metadata {
                version: metadata.version + 1,
                state,
                date_updated: at,
                ..metadata
            })),
            other => other,
        },
        Write::Blank { .. } => match before {
            Some(Item::Entry(mut entry)) => {
                for event in &mut entry.events {
                    if let Event::MessageAdded(message) = event {
                        message.body.clear();
                    }
                }
                Some(Item::Entry(entry))
            }
            other => other,
        },
    }
}
