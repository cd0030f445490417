//! The deliveries to the endpoint and the carrier, and the promises about them.

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
    /// Every event that the endpoint got, and the steps at which it got it.
    delivered: BTreeMap<(ConversationSid, Position), (EventId, Vec<u64>)>,
    ids: BTreeSet<EventId>,
    /// The slots of the messages that the carrier accepted, in that order.
    accepted: BTreeMap<(ConversationSid, Recipient), Vec<u64>>,
    /// Messages that the carrier accepted, but whose reply was lost.
    reply_lost: BTreeSet<Message>,
    /// Messages for which a run raised an alarm.
    alarms: BTreeSet<Message>,
    replays: Vec<Replay>,
    /// Every filter that was in force.
    pub(crate) filters: Vec<Option<Vec<EventName>>>,
    /// The scenario has no fault that can repeat a delivery.
    once: bool,
}

/// A user asked for the events from `from` up to `next`, the cursor's position at that time.
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

    /// The endpoint of a generation gets an event.
    pub(crate) fn deliver(
        &mut self,
        world: &World,
        delivered: (ConversationSid, Position),
        id: EventId,
        generation: u64,
    ) {
        if let Err(broken) = self.try_deliver(world, delivered, id, generation) {
            world.breaks(broken);
        }
    }

    fn try_deliver(
        &mut self,
        world: &World,
        delivered: (ConversationSid, Position),
        id: EventId,
        generation: u64,
    ) -> Result<(), Broken> {
        let (conversation, position) = delivered;
        let table = world.table.borrow();
        let Some(entry) = table.entry(conversation, position.slot) else {
            return Err(format!("{position:?} is delivered, and is not committed"));
        };
        let event = entry.events.get(position.event as usize);
        promise!(
            is_owed(entry, generation) && event.is_some(),
            "an event of another generation: {position:?} to generation {generation}"
        );
        let filters = &self.filters;
        promise!(
            event.is_some_and(|event| filters.iter().any(|f| wants(f, event.name()))),
            "{position:?} is delivered against all filters"
        );
        let earlier = self
            .owed(&table, conversation, generation)
            .take_while(|owed| *owed < position)
            .find(|owed| !self.delivered.contains_key(&(conversation, *owed)));
        promise!(
            earlier.is_none(),
            "in order: {position:?} is delivered before {earlier:?}"
        );
        let again = self.delivered.get(&delivered);
        promise!(
            match again {
                Some((before, _)) => *before == id,
                None => self.ids.insert(id),
            },
            "one id: {position:?} is delivered as {id}, which is the id of another event, or not the first id of this one"
        );
        promise!(
            again.is_none() || !self.once,
            "without a fault nothing twice: {position:?}"
        );
        let (_, steps) = self.delivered.entry(delivered).or_insert((id, Vec::new()));
        steps.push(world.steps.get());
        Ok(())
    }

    /// The carrier accepts a message.
    pub(crate) fn accept(&mut self, world: &World, message: &Message, reply_lost: bool) {
        let (conversation, slot, recipient) = message;
        let whose = (*conversation, recipient.clone());
        let accepted = self.accepted.entry(whose).or_default();
        if accepted.contains(slot) {
            world.breaks(format!("sent twice: slot {slot} to {recipient:?}"));
        }
        if accepted.last().is_some_and(|last| last > slot) {
            world.breaks(format!(
                "in order for each recipient: slot {slot} after {accepted:?} to {recipient:?}"
            ));
        }
        accepted.push(*slot);
        if reply_lost {
            self.reply_lost.insert(message.clone());
        }
    }

    pub(crate) fn alarm(&mut self, message: &Message) {
        self.alarms.insert(message.clone());
    }

    pub(crate) fn replayed(&mut self, replay: Replay) {
        self.replays.push(replay);
    }

    /// No delivery waits for the sweep.
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

    /// For the state after a few further rings of each conversation, without new entries.
    pub(crate) fn check_at_rest(&self, world: &World) -> Result<(), Broken> {
        let cursors = world.dispatch.cursors.borrow();
        for whose in all_cursors(world) {
            let Some(cursor) = cursors.get(whose) else {
                continue;
            };
            let newest = world.table.borrow().newest(whose.0).unwrap_or_default();
            let has_webhook = world.account.borrow().webhooks.post_url.is_some();
            promise!(
                cursor.next.slot + LIMITS.idle_slots_max > newest + 1
                    || matches!(whose.1, Consumer::Post(_)) && !has_webhook,
                "bounded: {whose:?} stands at {cursor:?}, the tail is {newest}"
            );
        }
        Ok(())
    }

    /// For the state after enough rounds of the sweep and the due poller.
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
        for message in &self.reply_lost {
            let state = cursors.outbound(message);
            promise!(
                state == Some(&OutboundState::Unknown),
                "unknown: the answer for {message:?} was lost, its record says {state:?}"
            );
        }
        for (message, state) in cursors.all_outbound() {
            promise!(
                state.ended(),
                "unknown: no run ends the attempt for {message:?}, which is {state:?}"
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
                let delivered = self.delivered.get(&(replay.conversation, *owed));
                delivered.is_some_and(|(_, steps)| steps.iter().any(|step| *step > replay.step))
            };
            let lost = self
                .owed(&table, replay.conversation, generation)
                .filter(|owed| (replay.from..replay.next).contains(owed))
                .find(|owed| !again(owed));
            promise!(
                lost.is_none(),
                "replays: {lost:?} was asked for at step {}, and is not delivered again",
                replay.step
            );
        }
        Ok(())
    }

    /// The first delivery that is owed and not done.
    fn unfinished(&self, world: &World, cursors: &Cursors, whose: Whose) -> Option<String> {
        let (conversation, consumer) = whose;
        let what = match consumer {
            Consumer::Post(_) => {
                let webhooks = &world.account.borrow().webhooks;
                webhooks.post_url.as_ref()?;
                let table = world.table.borrow();
                self.owed(&table, conversation, webhooks.post_generation)
                    .find(|owed| !self.delivered.contains_key(&(conversation, *owed)))
                    .map(|owed| format!("{owed:?}"))
            }
            _ => messages(world, conversation)
                .into_iter()
                .find(|message| !cursors.outbound(message).is_some_and(|state| state.ended()))
                .map(|(_, slot, recipient)| format!("slot {slot} to {recipient:?}")),
        };
        what.map(|what| format!("{what} for {} of {conversation}", consumer.as_str()))
    }

    /// The events that the endpoint of a generation must get under each of the filters.
    fn owed<'a>(
        &'a self,
        table: &'a Table,
        conversation: ConversationSid,
        generation: u64,
    ) -> impl Iterator<Item = Position> + 'a {
        entries(table, conversation)
            .filter(move |entry| is_owed(entry, generation))
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
fn is_owed(entry: &Entry, generation: u64) -> bool {
    let post = entry.header.post;
    !entry.quiet
        && post.is_some_and(|post| post.generation == generation && post.since <= entry.slot)
}

fn wants(filter: &Option<Vec<EventName>>, event: EventName) -> bool {
    filter.as_ref().is_none_or(|filter| filter.contains(&event))
}

/// All messages that the logs have, each with each of its recipients.
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
