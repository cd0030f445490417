//! The promises that routing keeps, checked whenever no commit is half visible.
//!
//! The check folds every log, entry by entry, into the state that it tells. All other items must agree with that state.

use std::collections::HashMap;

use routing::change::conversation::ConversationEdit;
use routing::change::message::MessageEdit;
use routing::change::participant::ParticipantEdit;
use routing::{
    Binding, ChangeId, ConversationSid, EarlierMessage, Entry, Event, Header, ItemKey, Message,
    MessageKey, Outcome, Participant, Snapshot, State,
};

use super::table::{Item, Table};

/// A promise, and how it was broken.
pub(crate) type Broken = String;

macro_rules! promise {
    ($holds:expr, $($broken:tt)+) => {
        if !$holds {
            return Err(format!($($broken)+));
        }
    };
}

/// The wish of a REST change. Its event must tell the state before it with only this changed.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Conversation(ConversationEdit),
    Participant(ParticipantEdit),
    Message(MessageEdit),
}

/// The responses to carriers and callers, and the content of the logs so far.
#[derive(Clone, Default)]
pub(crate) struct History {
    pub(crate) edits: HashMap<ChangeId, Edit>,
    /// Responses to carriers: the message, and the outcome's word.
    pub(crate) answered: Vec<(MessageKey, &'static str)>,
    /// REST changes whose response was a success.
    pub(crate) acknowledged: Vec<(ConversationSid, ChangeId)>,
    /// REST changes whose response was a refusal.
    pub(crate) refused: Vec<ChangeId>,
    /// The last generation of the post-action webhook whose URL was removed.
    pub(crate) post_generation_ended: u64,
    logs: Vec<Log>,
}

/// The state that a log tells.
#[derive(Clone)]
struct Log {
    conversation: ConversationSid,
    changes: Vec<ChangeId>,
    header: Header,
    snapshot: Snapshot,
    participants: Vec<Participant>,
    /// By slot; `None`: deleted. Without text where it was blanked before it could be looked at.
    messages: Vec<(u64, Option<Message>)>,
}

/// The message that asked for a change, as `support::fresh` marks it; 0: none.
pub(crate) fn message_of(change: ChangeId) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&change.as_bytes()[4..8]);
    u32::from_be_bytes(number)
}

impl History {
    /// Must not be called during a commit.
    pub(crate) fn check(&mut self, table: &Table, keys: &[MessageKey]) -> Result<(), Broken> {
        for conversation in table.conversations() {
            self.read_on(table, conversation, keys)?;
        }
        self.claims(table)?;
        self.records(table)?;
        for key in keys {
            self.journal(table, key)?;
        }
        Ok(())
    }

    /// The check at the end, when no process runs.
    pub(crate) fn check_end(&self, table: &Table) -> Result<(), Broken> {
        for log in &self.logs {
            for (slot, change) in (0..).zip(&log.changes) {
                let entry = table.entry(log.conversation, slot);
                promise!(
                    entry.is_some_and(|entry| entry.change == *change),
                    "written once: slot {slot} of {} changed",
                    log.conversation
                );
            }
        }
        for (conversation, change) in &self.acknowledged {
            let log = self.logs.iter().find(|l| l.conversation == *conversation);
            promise!(
                log.is_some_and(|log| log.changes.contains(change)),
                "acknowledged change {change} is not in {conversation}"
            );
        }
        for change in &self.refused {
            let made = self.logs.iter().find(|log| log.changes.contains(change));
            promise!(
                made.is_none(),
                "refused is not made: change {change} is in {:?}",
                made.map(|log| log.conversation)
            );
        }
        for (key, word) in &self.answered {
            let journal = table.journal(key).map(|entry| entry.outcome.as_str());
            promise!(
                journal == Some(word),
                "{key:?} was answered {word}, the journal says {journal:?}"
            );
        }
        Ok(())
    }

    fn read_on(
        &mut self,
        table: &Table,
        conversation: ConversationSid,
        keys: &[MessageKey],
    ) -> Result<(), Broken> {
        let known = self
            .logs
            .iter()
            .position(|l| l.conversation == conversation);
        let next = known.map_or(0, |log| self.logs[log].changes.len() as u64);
        let ended = self.post_generation_ended;
        for slot in next..=table.newest(conversation).unwrap_or_default() {
            let Some(entry) = table.entry(conversation, slot) else {
                return Err(format!("dense slots: {conversation} has no slot {slot}"));
            };
            let known = self
                .logs
                .iter()
                .position(|l| l.conversation == conversation);
            match known {
                Some(log) => self.logs[log].follow(entry, &self.edits, ended)?,
                None => self.logs.push(Log::begin(entry, &self.edits, ended)?),
            }
            let number = message_of(entry.change);
            if entry.message().is_some() && number > 0 {
                let place = table
                    .journal(&keys[number as usize - 1])
                    .and_then(|journal| Some((journal.outcome.place()?, journal.change)));
                promise!(
                    place == Some(((conversation, slot), entry.change)),
                    "exactly once: message {number} stands in slot {slot} of {conversation}, its journal says {place:?}"
                );
            }
        }
        Ok(())
    }

    /// One owner: bindings, names and identities agree with the newest headers and events, and there are no others.
    fn claims(&self, table: &Table) -> Result<(), Broken> {
        let (mut pairs, mut names, mut identities) = (0, 0, 0);
        for log in &self.logs {
            let conversation = log.conversation;
            for held in &log.header.pairs {
                pairs += 1;
                let binding = table.binding(&held.pair);
                let says = |b: &Binding| {
                    (b.conversation, b.participant, b.service)
                        == (conversation, held.participant, log.header.service)
                };
                promise!(
                    binding.as_ref().is_some_and(says),
                    "one owner: {conversation} holds {:?}, its binding says {binding:?}",
                    held.pair
                );
            }
            if let (Some(name), false) = (&log.snapshot.unique_name, log.header.terminal) {
                names += 1;
                let key = ItemKey::Name(log.header.service, name.clone());
                promise!(
                    matches!(table.item(&key), Some(Item::Name(c)) if *c == conversation),
                    "unique names: {conversation} does not have {name}"
                );
            }
            for participant in &log.participants {
                let Some(identity) = &participant.identity else {
                    continue;
                };
                identities += 1;
                let key = ItemKey::Identity(conversation, identity.clone());
                promise!(
                    matches!(table.item(&key), Some(Item::Identity(p)) if *p == participant.sid),
                    "identities: {} of {conversation} does not have {identity}",
                    participant.sid
                );
            }
        }
        let count = |of: fn(&Item) -> bool| table.items().filter(|(_, item)| of(item)).count();
        for (what, said, there) in [
            ("binding", pairs, count(|i| matches!(i, Item::Binding(_)))),
            ("name", names, count(|i| matches!(i, Item::Name(_)))),
            (
                "identity",
                identities,
                count(|i| matches!(i, Item::Identity(_))),
            ),
        ] {
            promise!(
                said == there,
                "{there} items of kind {what}, but {said} are held"
            );
        }
        Ok(())
    }

    /// All or nothing: the records agree with the logs.
    fn records(&self, table: &Table) -> Result<(), Broken> {
        let mut participants = 0;
        for log in &self.logs {
            let (conversation, header) = (log.conversation, &log.header);
            let metadata = table.metadata(conversation);
            let purge = table.item(&ItemKey::Purge(conversation));
            promise!(
                (metadata.is_none(), purge.is_some()) == (header.terminal, header.terminal),
                "deletion: the metadata or the purge of {conversation} contradicts its log"
            );
            if let Some(metadata) = metadata {
                promise!(
                    (metadata.state, metadata.timers) == (header.state, header.timers),
                    "state copy: {conversation} is {:?}, its metadata says {:?}",
                    header.state,
                    metadata.state
                );
                promise!(
                    snapshot_eq(
                        &log.snapshot,
                        &metadata.friendly_name,
                        &metadata.unique_name,
                        &metadata.attributes
                    ),
                    "no lost update: the metadata of {conversation} contradicts its events"
                );
            }
            for participant in &log.participants {
                participants += 1;
                let key = ItemKey::Participant(conversation, participant.sid);
                promise!(
                    matches!(table.item(&key), Some(Item::Participant(p)) if p == participant),
                    "no lost update: the record of {} contradicts its events",
                    participant.sid
                );
            }
            for (slot, message) in &log.messages {
                let revision = table.revision(conversation, *slot);
                let edited = match table.entry(conversation, *slot).and_then(Entry::message) {
                    Some((_, added)) => message.as_ref() != Some(added),
                    None => true,
                };
                promise!(
                    match revision {
                        Some(revision) => revision.message == *message,
                        None => !edited,
                    },
                    "no lost update: the message in slot {slot} of {conversation} contradicts its events"
                );
            }
            if let Some(due) = header.due() {
                let timer = table.item(&ItemKey::Timer(conversation));
                promise!(
                    matches!(timer, Some(Item::Timer(at)) if *at <= due),
                    "timers: {conversation} is due, and no timer wakes it"
                );
            }
        }
        let there = |of: fn(&Item) -> bool| table.items().filter(|(_, item)| of(item)).count();
        let records = there(|item| matches!(item, Item::Participant(_)));
        promise!(
            records == participants,
            "all or nothing: {records} records of participants, {participants} participants"
        );
        for (_, item) in table.items() {
            let conversation = match item {
                Item::Metadata(metadata) => metadata.conversation,
                Item::Webhook(webhook) => webhook.conversation,
                _ => continue,
            };
            promise!(
                self.logs.iter().any(|log| log.conversation == conversation),
                "all or nothing: {conversation} has a record, and no log"
            );
        }
        Ok(())
    }

    /// Exactly once: the logs have what the journal names.
    fn journal(&self, table: &Table, key: &MessageKey) -> Result<(), Broken> {
        let Some(entry) = table.journal(key) else {
            return Ok(());
        };
        let text = (
            entry.inbound.body.is_empty(),
            entry.inbound.media.is_empty(),
        );
        if let Some((conversation, slot)) = entry.outcome.place() {
            let stands = table
                .entry(conversation, slot)
                .filter(|stands| stands.change == entry.change && stands.message().is_some());
            promise!(
                stands.is_some() && text == (true, true),
                "exactly once: the journal of {key:?} names {conversation} {slot}, where it is not"
            );
            let autocreated = matches!(entry.outcome, Outcome::Autocreated { .. });
            promise!(
                autocreated == (slot == 0),
                "the outcome of {key:?} and its slot {slot} do not fit"
            );
        } else {
            promise!(!text.0, "the text of {key:?} is nowhere");
        }
        Ok(())
    }
}

fn snapshot_eq(
    snapshot: &Snapshot,
    friendly_name: &Option<String>,
    unique_name: &Option<String>,
    attributes: &str,
) -> bool {
    snapshot.friendly_name == *friendly_name
        && snapshot.unique_name == *unique_name
        && snapshot.attributes == attributes
}

impl Log {
    fn begin(entry: &Entry, edits: &HashMap<ChangeId, Edit>, ended: u64) -> Result<Log, Broken> {
        let Some(Event::ConversationAdded(snapshot)) = entry.events.first() else {
            return Err(format!(
                "{} does not begin with its making",
                entry.conversation
            ));
        };
        let mut log = Log {
            conversation: entry.conversation,
            changes: Vec::new(),
            header: Header {
                message_index: 0,
                event_number: 0,
                participants: 0,
                ..entry.header.clone()
            },
            snapshot: snapshot.clone(),
            participants: Vec::new(),
            messages: Vec::new(),
        };
        log.follow(entry, edits, ended)?;
        Ok(log)
    }

    /// Takes in the next entry. `ended`: see [`History::post_generation_ended`].
    fn follow(
        &mut self,
        entry: &Entry,
        edits: &HashMap<ChangeId, Edit>,
        ended: u64,
    ) -> Result<(), Broken> {
        let (slot, conversation) = (self.changes.len() as u64, self.conversation);
        let (before, after) = (&self.header, &entry.header);
        promise!(
            !before.terminal,
            "nothing follows the terminal slot: slot {slot} of {conversation}"
        );
        promise!(
            before.state != State::Closed || after.terminal,
            "closed is final: slot {slot} of {conversation}"
        );
        promise!(
            !self.changes.contains(&entry.change),
            "never made twice: {} is in {conversation} again, slot {slot}",
            entry.change
        );
        promise!(
            after.last_activity >= before.last_activity,
            "last activity goes back in slot {slot} of {conversation}"
        );
        promise!(
            after.event_number == before.event_number + entry.events.len() as u64
                && entry.event_number() == before.event_number,
            "dense event numbers: slot {slot} of {conversation}"
        );
        if let Some(before) = before.post {
            promise!(
                after.post.map_or(before.generation <= ended, |after| {
                    after == before || after.generation > before.generation
                }),
                "the endpoint of {before:?} loses events: slot {slot} of {conversation} names {:?}",
                after.post
            );
        }
        promise!(
            after.state != State::Closed || after.pairs.is_empty(),
            "a closed conversation holds nothing: slot {slot} of {conversation}"
        );
        let (mut state, mut index) = (before.state, before.message_index);
        for event in &entry.events {
            let fits = self.take(
                event,
                slot,
                &mut state,
                &mut index,
                edits.get(&entry.change),
            );
            promise!(
                fits,
                "slot {slot} of {conversation} has an untrue event: {event:?}"
            );
        }
        promise!(
            index == after.message_index && index <= self.header.message_index + 1,
            "dense message indexes: slot {slot} of {conversation}"
        );
        promise!(
            state == after.state || after.terminal,
            "slot {slot} of {conversation} is {:?}, its events say {state:?}",
            after.state
        );
        let with_pair = self.participants.iter().filter(|p| p.pair.is_some());
        promise!(
            self.participants.len() as u64 == after.participants
                && (after.state == State::Closed || with_pair.count() == after.pairs.len()),
            "slot {slot} of {conversation} counts other participants than its events"
        );
        self.changes.push(entry.change);
        self.header = entry.header.clone();
        Ok(())
    }

    /// Whether the event fits what came before it, and the wish that caused it.
    fn take(
        &mut self,
        event: &Event,
        slot: u64,
        state: &mut State,
        index: &mut u64,
        edit: Option<&Edit>,
    ) -> bool {
        let known = |sid| {
            self.participants
                .iter()
                .position(|p: &Participant| p.sid == sid)
        };
        match event {
            Event::ConversationAdded(_) => slot == 0,
            Event::ConversationUpdated(snapshot) => {
                let before = std::mem::replace(&mut self.snapshot, snapshot.clone());
                let Some(Edit::Conversation(edit)) = edit else {
                    return false;
                };
                snapshot_eq(
                    snapshot,
                    &edit.friendly_name.clone().or(before.friendly_name),
                    &edit.unique_name.clone().or(before.unique_name),
                    edit.attributes.as_ref().unwrap_or(&before.attributes),
                )
            }
            Event::ConversationRemoved {
                state: last,
                snapshot,
            } => {
                last == state
                    && snapshot_eq(
                        &self.snapshot,
                        &snapshot.friendly_name,
                        &snapshot.unique_name,
                        &snapshot.attributes,
                    )
            }
            Event::ConversationStateUpdated { from, to, .. } => {
                std::mem::replace(state, *to) == *from && from != to
            }
            Event::ParticipantAdded(participant) => {
                let new = known(participant.sid).is_none();
                self.participants.push(participant.clone());
                new
            }
            Event::ParticipantUpdated(participant) => {
                let (Some(known), Some(Edit::Participant(edit))) = (known(participant.sid), edit)
                else {
                    return false;
                };
                let before = std::mem::replace(&mut self.participants[known], participant.clone());
                participant.version == before.version + 1
                    && participant.last_read_index
                        == edit.last_read_index.or(before.last_read_index)
                    && participant.attributes
                        == *edit.attributes.as_ref().unwrap_or(&before.attributes)
            }
            Event::ParticipantRemoved(participant) => match known(participant.sid) {
                Some(known) => self.participants.swap_remove(known) == *participant,
                None => false,
            },
            Event::MessageAdded(message) => {
                *index += 1;
                self.messages.push((slot, Some(message.clone())));
                message.index + 1 == *index
            }
            Event::MessageUpdated(EarlierMessage { sid, message, .. }) => {
                let Some(Edit::Message(edit)) = edit else {
                    return false;
                };
                let Some(place) = self.message_mut(sid.slot()) else {
                    return false;
                };
                let Some(before) = place.replace(message.clone()) else {
                    return false;
                };
                message.index == before.index
                    && (before.body.is_empty()
                        || message.body == *edit.body.as_ref().unwrap_or(&before.body))
                    && message.attributes == *edit.attributes.as_ref().unwrap_or(&before.attributes)
            }
            Event::MessageRemoved(EarlierMessage { sid, message, .. }) => self
                .message_mut(sid.slot())
                .and_then(Option::take)
                .is_some_and(|before| before.body.is_empty() || before == *message),
        }
    }

    fn message_mut(&mut self, slot: u64) -> Option<&mut Option<Message>> {
        let place = self.messages.iter_mut().find(|(at, _)| *at == slot);
        place.map(|(_, message)| message)
    }
}
