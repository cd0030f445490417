//! What the endpoint and the carrier were given, and the promises about it.

use std::collections::{BTreeMap, BTreeSet};

use routing::{
    Consumer, ConversationSid, Entry, EventId, EventName, OutboundState, Position, Recipient,
};

use super::consumer::LIMITS;
use super::cursors::{Cursors, Message, Whose};
use super::promises::Broken;
use super::table::Table;
use super::world::World;

macro_rules! promise {
    ($holds:expr, $($broken:tt)+) => {
        if !$holds {
            return Err(format!($($broken)+));
        }
    };
}

#[derive(Default)]
pub(crate) struct Deliveries {
    /// Every event that the endpoint heard, and the steps at which it did.
    told: BTreeMap<(ConversationSid, Position), (EventId, Vec<u64>)>,
    ids: BTreeSet<EventId>,
    /// The slots of the messages that the carrier took, in the order in which it took them.
    taken: BTreeMap<(ConversationSid, Recipient), Vec<u64>>,
    /// Messages of which the carrier's answer was lost.
    in_vain: BTreeSet<Message>,
    /// Messages for which an alarm was raised.
    alarms: BTreeSet<Message>,
    replays: Vec<Replay>,
    /// Every filter that was in force.
    pub(crate) filters: Vec<Option<Vec<EventName>>>,
    /// Nothing happens because of which an event is told twice.
    once: bool,
}

/// A user asked for everything from `from` on up to what was next then.
pub(crate) struct Replay {
    pub(crate) conversation: ConversationSid,
    pub(crate) from: Position,
    pub(crate) next: Position,
    pub(crate) step: u64,
}

impl Deliveries {
    pub(crate) fn new(once: bool) -> Deliveries {
        Deliveries {
            filters: vec![None],
            once,
            ..Deliveries::default()
        }
    }

    /// The endpoint of a generation hears an event.
    pub(crate) fn tell(
        &mut self,
        world: &World,
        told: (ConversationSid, Position),
        id: EventId,
        generation: u64,
    ) {
        if let Err(broken) = self.try_tell(world, told, id, generation) {
            world.breaks(broken);
        }
    }

    fn try_tell(
        &mut self,
        world: &World,
        told: (ConversationSid, Position),
        id: EventId,
        generation: u64,
    ) -> Result<(), Broken> {
        let (conversation, position) = told;
        let table = world.table.borrow();
        let Some(entry) = table.entry(conversation, position.slot) else {
            return Err(format!("{position:?} is told, and is not committed"));
        };
        let event = entry.events.get(position.event as usize);
        promise!(
            hears(entry, generation) && event.is_some(),
            "told what is not its own: generation {generation}, {position:?}"
        );
        let filters = &self.filters;
        promise!(
            event.is_some_and(|event| filters.iter().any(|f| wants(f, event.name()))),
            "{position:?} is told against all filters"
        );
        let earlier = self
            .owed(&table, conversation, generation)
            .take_while(|owed| *owed < position)
            .find(|owed| !self.told.contains_key(&(conversation, *owed)));
        promise!(
            earlier.is_none(),
            "in order: {position:?} is told before {earlier:?}"
        );
        let again = self.told.get(&told);
        promise!(
            match again {
                Some((before, _)) => *before == id,
                None => self.ids.insert(id),
            },
            "one id: {position:?} is told as {id}, which is another's, or not its own"
        );
        promise!(
            again.is_none() || !self.once,
            "without a fault nothing twice: {position:?}"
        );
        let (_, steps) = self.told.entry(told).or_insert((id, Vec::new()));
        steps.push(world.steps.get());
        Ok(())
    }

    /// The carrier takes a message.
    pub(crate) fn take(&mut self, world: &World, message: &Message, in_vain: bool) {
        let (conversation, slot, recipient) = message;
        let whose = (*conversation, recipient.clone());
        let taken = self.taken.entry(whose).or_default();
        if taken.contains(slot) {
            world.breaks(format!("sent twice: slot {slot} to {recipient:?}"));
        }
        if taken.last().is_some_and(|last| last > slot) {
            world.breaks(format!(
                "in order for each recipient: slot {slot} after {taken:?} to {recipient:?}"
            ));
        }
        taken.push(*slot);
        if in_vain {
            self.in_vain.insert(message.clone());
        }
    }

    pub(crate) fn alarm(&mut self, message: &Message) {
        self.alarms.insert(message.clone());
    }

    pub(crate) fn replayed(&mut self, replay: Replay) {
        self.replays.push(replay);
    }

    /// What waits for nothing but the sweep.
    pub(crate) fn check_at_once(&self, world: &World) -> Result<(), Broken> {
        let cursors = world.dispatch.cursors.borrow();
        for whose in all_cursors(world) {
            let due = cursors.get(whose).and_then(|cursor| cursor.due);
            let unfinished = self.unfinished(world, &cursors, whose);
            promise!(
                unfinished.is_none() || due.is_some(),
                "at once: {unfinished:?} waits for the sweep"
            );
        }
        Ok(())
    }

    /// The sweep has woken each consumer that lags, and the poller has let it run once: a recipient that waits, waits for its
    /// own lane.
    pub(crate) fn check_held_up(&self, world: &World) -> Result<(), Broken> {
        let cursors = world.dispatch.cursors.borrow();
        for whose in all_cursors(world).filter(|(_, consumer)| *consumer == Consumer::Relay) {
            let Some(cursor) = cursors.get(whose) else {
                continue;
            };
            for message in messages(world, whose.0) {
                let ended = cursors.outbound(&message).is_some_and(OutboundState::ended);
                promise!(
                    ended || cursor.lane(&message.2).is_some() || !cursor.due_ahead(world.now()),
                    "held up: {message:?} waits for {:?}",
                    cursor.lanes
                );
            }
        }
        Ok(())
    }

    /// Each conversation has rung a few times more, though there was nothing to ring for.
    pub(crate) fn check_at_rest(&self, world: &World) -> Result<(), Broken> {
        let cursors = world.dispatch.cursors.borrow();
        for whose in all_cursors(world) {
            let Some(cursor) = cursors.get(whose) else {
                continue;
            };
            let newest = world.table.borrow().newest(whose.0).unwrap_or_default();
            let heard = world.account.borrow().webhooks.post_url.is_some();
            promise!(
                cursor.next.slot + LIMITS.idle_slots_max > newest + 1
                    || matches!(whose.1, Consumer::Post(_)) && !heard,
                "bounded: {whose:?} stands at {cursor:?}, the tail is {newest}"
            );
        }
        Ok(())
    }

    /// The sweep and the due poller have come round often enough.
    pub(crate) fn check_end(&self, world: &World) -> Result<(), Broken> {
        let cursors = world.dispatch.cursors.borrow();
        for whose in all_cursors(world) {
            let unfinished = self.unfinished(world, &cursors, whose);
            promise!(unfinished.is_none(), "forgotten: {unfinished:?}");
            let cursor = cursors.get(whose);
            promise!(
                cursor.is_none_or(|cursor| cursor.due.is_none() && cursor.lanes.is_empty()),
                "bounded: {whose:?} never comes to rest: {cursor:?}"
            );
        }
        for message in &self.in_vain {
            let state = cursors.outbound(message);
            promise!(
                state == Some(&OutboundState::Unknown),
                "unknown: the answer for {message:?} was lost, its record says {state:?}"
            );
        }
        for (message, state) in cursors.all_outbound() {
            promise!(
                state.ended(),
                "unknown: nobody looks after {message:?}, which is {state:?}"
            );
        }
        for (message, state) in cursors.all_outbound() {
            promise!(
                *state != OutboundState::Unknown || self.alarms.contains(message),
                "alarm: {message:?} is unknown, and no alarm was raised"
            );
        }
        let generation = world.account.borrow().webhooks.post_generation;
        let table = world.table.borrow();
        for replay in &self.replays {
            if world.account.borrow().webhooks.post_url.is_none() {
                continue;
            }
            let again = |owed: &Position| {
                let told = self.told.get(&(replay.conversation, *owed));
                told.is_some_and(|(_, steps)| steps.iter().any(|step| *step > replay.step))
            };
            let lost = self
                .owed(&table, replay.conversation, generation)
                .filter(|owed| (replay.from..replay.next).contains(owed))
                .find(|owed| !again(owed));
            promise!(
                lost.is_none(),
                "replays: {lost:?} was asked for at step {}, and is not told again",
                replay.step
            );
        }
        Ok(())
    }

    /// The first thing that is owed and not done.
    fn unfinished(&self, world: &World, cursors: &Cursors, whose: Whose) -> Option<String> {
        let (conversation, consumer) = whose;
        let what = match consumer {
            Consumer::Post(_) => {
                let webhooks = &world.account.borrow().webhooks;
                webhooks.post_url.as_ref()?;
                let table = world.table.borrow();
                self.owed(&table, conversation, webhooks.post_generation)
                    .find(|owed| !self.told.contains_key(&(conversation, *owed)))
                    .map(|owed| format!("{owed:?}"))
            }
            _ => messages(world, conversation)
                .into_iter()
                .find(|message| !cursors.outbound(message).is_some_and(|state| state.ended()))
                .map(|(_, slot, recipient)| format!("slot {slot} to {recipient:?}")),
        };
        what.map(|what| format!("{what} for {} of {conversation}", consumer.as_str()))
    }

    /// What the endpoint of a generation must hear, whatever filter a run looks at.
    fn owed<'a>(
        &'a self,
        table: &'a Table,
        conversation: ConversationSid,
        generation: u64,
    ) -> impl Iterator<Item = Position> + 'a {
        entries(table, conversation)
            .filter(move |entry| hears(entry, generation))
            .flat_map(move |entry| {
                let events = (0..).zip(&entry.events);
                let wanted = events.filter(|(_, event)| {
                    let mut filters = self.filters.iter();
                    filters.all(|filter| wants(filter, event.name()))
                });
                wanted.map(|(event, _)| Position {
                    slot: entry.slot,
                    event,
                })
            })
    }
}

fn all_cursors(world: &World) -> impl Iterator<Item = Whose> {
    let conversations: Vec<ConversationSid> = world.table.borrow().conversations().collect();
    let consumers = world.dispatch.consumers.clone();
    conversations.into_iter().flat_map(move |conversation| {
        consumers
            .clone()
            .into_iter()
            .map(move |c| (conversation, c))
    })
}

fn entries(table: &Table, conversation: ConversationSid) -> impl Iterator<Item = &Entry> {
    let newest = table.newest(conversation);
    let slots = newest.map_or(0..0, |newest| 0..newest + 1);
    slots.filter_map(move |slot| table.entry(conversation, slot))
}

/// Whether the entry was committed, not quietly, under this generation of the webhook.
fn hears(entry: &Entry, generation: u64) -> bool {
    let post = entry.header.post;
    !entry.quiet
        && post.is_some_and(|post| post.generation == generation && post.since <= entry.slot)
}

fn wants(filter: &Option<Vec<EventName>>, event: EventName) -> bool {
    filter.as_ref().is_none_or(|filter| filter.contains(&event))
}

/// All messages that are there, with each recipient to which one is owed.
fn messages(world: &World, conversation: ConversationSid) -> Vec<Message> {
    let table = world.table.borrow();
    let there = |entry: &&Entry| {
        let message = entry.message();
        message.is_some_and(|(_, message)| !message.is_empty())
    };
    entries(&table, conversation)
        .filter(there)
        .flat_map(|entry| {
            let recipients = entry.addressees();
            recipients.map(|held| {
                let recipient = Recipient::Participant(held.participant);
                (conversation, entry.slot, recipient)
            })
        })
        .collect()
}
