//! The causes of runs: rings, the sweep and the poller of due cursors. Also the clock, replays, and the healthy
//! continuation at the end of each scenario.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use jiff::{SignedDuration, Timestamp};
use routing::{Consumer, ConversationSid, CursorWrite, Position, SWEEP_DISTANCE, Scope};

use super::Procedure;
use super::consumer::{self, Stopped};
use super::cursors::Cursors;
use super::deliveries::{Deliveries, Replay};
use super::promises::Broken;
use super::schedule::STEPS_MAX;
use super::world::{World, step};
use crate::support;

pub(crate) const SWEEP_DISTANCE_S: i64 = SWEEP_DISTANCE.as_secs() as i64;
/// How long after its change an entry may come into the time index.
const INDEX_LAG_S_MAX: i64 = 120;
/// How long a request and its repetitions can last: those of writers, and copies in the network.
pub(crate) const REQUEST_S_MAX: i64 = 60;
/// How often a user asks for a replay until there are events to repeat.
const REPLAY_TRIES_MAX: usize = 12;
/// The rounds of the clock and its runs after which nothing is left to do.
const ROUNDS_MAX: usize = 6;
/// Longer than any attempt, lease or claim waits.
const ROUND_S: i64 = 40_000;

/// The state that consumers share, beside the table of logs.
#[derive(Default)]
pub(crate) struct Dispatch {
    /// Empty: no consumer reads the logs.
    pub(crate) consumers: Vec<Consumer>,
    pub(crate) cursors: RefCell<Cursors>,
    pub(crate) deliveries: RefCell<Deliveries>,
    /// Logs that have grown, and hand-offs.
    pub(crate) rings: RefCell<Vec<ConversationSid>>,
    /// Copies of updates that stay in the network, and when they were made.
    pub(crate) delayed: RefCell<Vec<(Timestamp, Update)>>,
}

pub(crate) type Update = Box<dyn FnOnce(&mut Cursors)>;

/// Takes note of the entries that have become visible: each will stand in the time index, and rings.
pub(crate) fn ring(world: &World) {
    let appended = std::mem::take(&mut world.table.borrow_mut().appended);
    if world.dispatch.consumers.is_empty() {
        return;
    }
    for (at, conversation) in appended {
        let mut cursors = world.dispatch.cursors.borrow_mut();
        cursors.unindexed.push((at, conversation));
        if world.happens(world.faults.ring_lost) {
            world.note(|| "the next ring is lost".to_owned());
            continue;
        }
        let mut rings = world.dispatch.rings.borrow_mut();
        rings.push(conversation);
        if world.happens(world.faults.ring_doubled) {
            rings.push(conversation);
        }
    }
}

/// The state after all rings were lost, and after a sweep.
pub(crate) fn begin_woken(world: &World) {
    world.table.borrow_mut().appended.clear();
    let conversations: Vec<ConversationSid> = world.table.borrow().conversations().collect();
    let cursors = &mut *world.dispatch.cursors.borrow_mut();
    cursors.mark = world.seconds_ago(SWEEP_DISTANCE_S);
    for conversation in conversations {
        for consumer in &world.dispatch.consumers {
            let whose = (conversation, *consumer);
            let write = CursorWrite::wake(Position::default(), false, world.now());
            let _ = cursors.write(whose, &write);
        }
    }
}

/// Wakes each consumer that lags behind a change between the mark and the distance from now, and moves the mark.
pub(crate) async fn sweep(world: Rc<World>) {
    let _ = try_sweep(world).await;
}

async fn try_sweep(world: Rc<World>) -> Result<(), Stopped> {
    step().await;
    let mark_until = match world.procedure {
        Procedure::SweepUpToNow => world.now(),
        _ => world.seconds_ago(SWEEP_DISTANCE_S),
    };
    // A sweep may look further than it moves its mark.
    let until = match world.below(3) {
        0 => world.now(),
        _ => mark_until,
    };
    let from = world.dispatch.cursors.borrow().mark;
    step().await;
    let changed: BTreeSet<ConversationSid> = {
        let cursors = world.dispatch.cursors.borrow();
        let indexed = cursors.indexed.iter();
        indexed
            .filter(|(at, _)| from < *at && *at <= until)
            .map(|(_, conversation)| *conversation)
            .collect()
    };
    world.note(|| format!("the sweep looks at {} logs up to {until}", changed.len()));
    let reached = until.min(mark_until);
    let move_mark = || {
        if reached > from {
            world.dispatch.cursors.borrow_mut().mark = reached;
            world.note(|| "the sweep moves its mark".to_owned());
        }
    };
    if world.procedure == Procedure::MarkBeforeWake {
        step().await;
        move_mark();
    }
    for conversation in changed {
        consumer::wake(Rc::clone(&world), conversation).await?;
    }
    if world.procedure != Procedure::MarkBeforeWake {
        step().await;
        move_mark();
    }
    Ok(())
}

/// Hands the conversations of due cursors off.
pub(crate) async fn poll_due(world: Rc<World>) {
    for _ in 0..2 {
        step().await;
        let due = world.dispatch.cursors.borrow().due(world.now());
        world.note(|| format!("due: {due:?}"));
        let mut rings = world.dispatch.rings.borrow_mut();
        rings.extend(due.into_iter().map(|(conversation, _)| conversation));
    }
}

/// A user asks for a replay.
pub(crate) async fn replay(world: Rc<World>) {
    step().await;
    let conversations: Vec<ConversationSid> = world.table.borrow().conversations().collect();
    let conversation = world.pick(&conversations);
    let whose = (conversation, Consumer::Post(Scope::Account));
    for _ in 0..REPLAY_TRIES_MAX {
        step().await;
        let mut cursors = world.dispatch.cursors.borrow_mut();
        let next = cursors.get(whose).map_or(0, |cursor| cursor.next.slot);
        let back = 1 + world.below(3) as u64;
        let from = Position::slot(next.saturating_sub(back));
        if let Some(next) = cursors.replay(whose, from, world.now()) {
            world.note(|| format!("a replay of {from:?} up to {next:?}"));
            let replay = Replay {
                conversation,
                from,
                next,
                step: world.steps.get(),
            };
            world.dispatch.deliveries.borrow_mut().replayed(replay);
            return;
        }
    }
}

/// Time passes. A run or a request takes as long only where the scenario lets it stall.
pub(crate) async fn tick(world: Rc<World>) {
    for _ in 0..3 {
        step().await;
        let seconds = match world.faults.stalls {
            true => world.pick(&[1, 6, 46, 46, 130, 310]),
            false => 1,
        };
        advance(&world, seconds);
    }
}

/// Time passes while attempts are made, which are slow.
pub(crate) async fn creep(world: Rc<World>) {
    for _ in 0..10 {
        for _ in 0..6 {
            step().await;
        }
        advance(&world, 6);
    }
}

fn advance(world: &World, seconds: i64) {
    world.now.set(world.now.get() + seconds);
    world.note(|| format!("the clock moves {seconds} s"));
    if seconds > 1 {
        // No transaction takes so long.
        let mut rng = world.rng.borrow_mut();
        while world.table.borrow().under_way() > 0 {
            world.table.borrow_mut().step(0, &mut rng);
        }
    }
    ring(world);
    let cursors = &mut *world.dispatch.cursors.borrow_mut();
    let oldest = world.seconds_ago(INDEX_LAG_S_MAX);
    let (late, rest) = std::mem::take(&mut cursors.unindexed)
        .into_iter()
        .partition(|(at, _)| *at <= oldest);
    cursors.indexed.extend::<Vec<_>>(late);
    cursors.unindexed = rest;
    let oldest = world.seconds_ago(REQUEST_S_MAX);
    let mut delayed = world.dispatch.delayed.borrow_mut();
    delayed.retain(|(made, _)| *made >= oldest);
    let mut delayed = world.delayed.borrow_mut();
    delayed.retain(|writes| super::scenario::made_at(writes).is_none_or(|made| made >= oldest));
}

pub(crate) async fn switch_filters(world: Rc<World>) {
    step().await;
    world.switch_filters();
}

/// Continues after all processes have ended. All rings are lost; no further fault happens; time passes.
pub(crate) fn continue_in_health(world: &Rc<World>) -> Result<(), Broken> {
    world.healthy.set(true);
    world.note(|| "from now on no fault happens".to_owned());
    let lasts = |round| match round {
        0 => SWEEP_DISTANCE_S + INDEX_LAG_S_MAX,
        _ => ROUND_S,
    };
    for round in 0..ROUNDS_MAX {
        advance(world, lasts(round));
        world.dispatch.rings.borrow_mut().clear();
        to_its_end(world, sweep(Rc::clone(world)))?;
        let due = world.dispatch.cursors.borrow().due(world.now());
        for whose in due {
            to_its_end(world, consumer::run(Rc::clone(world), whose))?;
        }
        if round == 0 {
            world.dispatch.deliveries.borrow().check_held_up(world)?;
        }
    }
    world.dispatch.deliveries.borrow().check_end(world)?;
    let conversations: Vec<ConversationSid> = world.table.borrow().conversations().collect();
    // Several rounds: no sweep makes a consumer due that has only entries to pass over.
    for _ in 0..ROUNDS_MAX {
        for conversation in &conversations {
            for consumer in &world.dispatch.consumers {
                let whose = (*conversation, *consumer);
                to_its_end(world, consumer::run(Rc::clone(world), whose))?;
            }
        }
    }
    world.dispatch.deliveries.borrow().check_at_rest(world)
}

fn to_its_end(world: &World, process: impl Future<Output = ()>) -> Result<(), Broken> {
    let mut process = pin!(process);
    let mut context = Context::from_waker(Waker::noop());
    while process.as_mut().poll(&mut context).is_pending() {
        world.steps.set(world.steps.get() + 1);
        if world.steps.get() > STEPS_MAX {
            return Err("bounded: a run does not end".to_owned());
        }
    }
    world.broken.take().map_or(Ok(()), Err)
}

impl World {
    pub(crate) fn seconds_ago(&self, seconds: i64) -> Timestamp {
        let before = self.now().checked_sub(SignedDuration::from_secs(seconds));
        before.unwrap()
    }

    pub(crate) fn delay_update(&self, update: Update) {
        self.note(|| "a copy of the next update stays in the network".to_owned());
        let mut delayed = self.dispatch.delayed.borrow_mut();
        delayed.push((self.now(), update));
    }

    /// A random mark.
    pub(crate) fn random(&self) -> [u8; 16] {
        let number = self.marks.get() + 1;
        self.marks.set(number);
        support::bytes(number, 0)
    }

    fn switch_filters(&self) {
        let mut account = self.account.borrow_mut();
        account.webhooks.filters = match account.webhooks.filters {
            Some(_) => None,
            None => Some(vec![routing::EventName::OnMessageAdded]),
        };
        let filters = account.webhooks.filters.clone();
        self.note(|| format!("filters := {filters:?}"));
        self.dispatch.deliveries.borrow_mut().filters.push(filters);
    }
}
