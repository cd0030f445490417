//! Runs of consumers: every call of the table, the endpoint and the carrier is one step.
//!
//! A run decides nothing itself: it carries out the values of `routing::consumer`, as `service::dispatch` does.
//! A mutant changes such a value, or how it is carried out.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use routing::consumer::action::{Approach, Runner};
use routing::consumer::fan_out::{FanOut, FanOutStep, LaneRun, LaneStep};
use routing::consumer::lag::{Lag, LagStep};
use routing::consumer::post::{Deliveries, DeliveriesStep};
use routing::consumer::step::{Step, approach, step};
use routing::consumer::write::AfterRefusal;
use routing::{
    AttemptResult, Attempted, Consumer, ConversationSid, Cursor, CursorWrite, Delivery, Entry,
    Lane, Limits, Look, Looks, Moment, Position, RUN_TIME_MAX, Settings, Then, gapless,
};

use super::cursors::{Cursors, Whose};
use super::world::{World, step as pass};
use super::{Procedure, mutate};

/// Smaller than the shipped limits, so that short logs reach them.
pub(crate) const LIMITS: Limits = Limits {
    looks_max: 2,
    idle_slots_max: 2,
    newest_max: 4,
    stretch_max: 3,
    lag_stretches_max: 2,
};

/// One run.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) world: Rc<World>,
    pub(crate) conversation: ConversationSid,
    consumer: Consumer,
    pub(crate) deadline: Timestamp,
}

/// A run's time is up.
pub(crate) struct Stopped;

/// Runs one consumer of a conversation, from its cursor.
pub(crate) async fn run(world: Rc<World>, (conversation, consumer): Whose) {
    let run = Run::new(world, conversation, consumer);
    if run.run_to_its_end().await.is_err() {
        run.note(|| "stops: its time is up".to_owned());
    }
}

/// Makes every consumer of the conversation due that lags, as the sweep does.
pub(crate) async fn wake(world: Rc<World>, conversation: ConversationSid) -> Result<(), Stopped> {
    let look = Run::new(Rc::clone(&world), conversation, Consumer::Relay)
        .look()
        .await?;
    for consumer in look.consumers() {
        if world.dispatch.consumers.contains(&consumer) {
            let run = Run::new(Rc::clone(&world), conversation, consumer);
            run.wake(&look).await?;
        }
    }
    Ok(())
}

impl Run {
    fn new(world: Rc<World>, conversation: ConversationSid, consumer: Consumer) -> Run {
        let deadline = after(world.now(), RUN_TIME_MAX);
        Run {
            world,
            conversation,
            consumer,
            deadline,
        }
    }

    async fn run_to_its_end(&self) -> Result<(), Stopped> {
        let mut look = self.look().await?;
        let mut looks = Looks::new(&LIMITS);
        while looks.allows_another(self.moment()) {
            match self.work(&look).await? {
                None => self.step().await?,
                Some(Then::Stop) => return Ok(()),
                Some(then) => {
                    if !then.looks_again(self.newest_slot().await?) {
                        return Ok(());
                    }
                }
            }
            let before = self.next(&look);
            look = self.look().await?;
            let next = self.next(&look);
            if self.world.healthy.get() && next <= before {
                self.world
                    .breaks(format!("bounded: a run looks again at {next:?}"));
            }
        }
        match self.world.procedure {
            Procedure::NoWakeAtTheEnd => Ok(()),
            _ => self.wake(&look).await,
        }
    }

    fn next(&self, look: &Look) -> Option<Position> {
        look.cursor(self.consumer).map(|cursor| cursor.next)
    }

    async fn newest_slot(&self) -> Result<Option<u64>, Stopped> {
        self.step().await?;
        Ok(self.world.table.borrow().newest(self.conversation))
    }

    /// Carries out the step that a look asks for. `None`: the look is too old.
    async fn work(&self, look: &Look) -> Result<Option<Then>, Stopped> {
        let (consumer, at) = (self.consumer, self.now());
        let slot = match approach(consumer, look, at) {
            Approach::Stop => return Ok(Some(Then::Stop)),
            Approach::ClearDue(write) => {
                self.write(write).await?;
                return Ok(Some(Then::Stop));
            }
            Approach::Read(slot) => slot,
        };
        let entries = self.entries(slot, look).await?;
        let runner = Runner {
            owner: self.world.random(),
            moment: self.moment(),
            limits: &LIMITS,
        };
        let short = match (self.world.procedure, entries.is_empty()) {
            // The end of the stretch counts as the end of the log.
            (Procedure::DueClearedBeforeTheEnd, false) => {
                let newest = entries.clone();
                Some(Look {
                    newest,
                    ..look.clone()
                })
            }
            _ => None,
        };
        let look = short.as_ref().unwrap_or(look);
        let then = match step(consumer, look, at, &entries, runner) {
            Step::PauseAndLook => return Ok(None),
            Step::Stop => Then::Stop,
            Step::PassOver(write, then) => {
                self.write(write).await?;
                mutate::after_passing_over(then, self.world.procedure)
            }
            Step::Deliver(take, mut deliveries) => match self.write(take).await? {
                Some(cursor) => {
                    deliveries.leased(cursor);
                    self.deliver(look, deliveries).await?
                }
                None => Then::Stop,
            },
            Step::FanOut(take, mut fan_out) => match self.write(take).await? {
                Some(cursor) => {
                    fan_out.leased(cursor);
                    self.fan_out(look, fan_out).await?
                }
                None => Then::Stop,
            },
        };
        Ok(Some(then))
    }

    /// Makes the consumer due if it lags.
    async fn wake(&self, look: &Look) -> Result<(), Stopped> {
        let procedure = self.world.procedure;
        let mut look = look.clone();
        for (_, cursor) in &mut look.cursors {
            mutate::lagging_cursor(cursor, procedure);
        }
        let mut lag = Lag::new(self.consumer, &look, &LIMITS);
        let mut stretches = 0;
        loop {
            match lag.next(self.now()) {
                LagStep::UpToDate => return Ok(()),
                LagStep::Behind(write) => {
                    self.note(|| "lags".to_owned());
                    return self.write(write).await.map(drop);
                }
                LagStep::Read(_)
                    if stretches > 0 && procedure == Procedure::SweepLooksAtOneStretch =>
                {
                    return Ok(());
                }
                LagStep::Read(slot) => lag.read(&self.entries(slot, &look).await?),
            }
            stretches += 1;
        }
    }

    /// An endpoint's deliveries.
    async fn deliver(&self, look: &Look, mut deliveries: Deliveries<'_>) -> Result<Then, Stopped> {
        let Consumer::Post(scope) = self.consumer else {
            return Ok(Then::Stop);
        };
        let generation = look
            .endpoint(scope)
            .map_or(0, |endpoint| endpoint.generation);
        loop {
            match deliveries.next(self.moment()) {
                DeliveriesStep::Move(write) => match self.write(write).await? {
                    Some(_) => deliveries.moved(),
                    None => return Ok(Then::Stop),
                },
                DeliveriesStep::Attempt { delivery, .. } => {
                    let result = self.attempt(generation, delivery).await;
                    deliveries.attempted(self.attempted(result));
                }
                DeliveriesStep::Leave(write, then) => return self.leave(write, then).await,
            }
        }
    }

    /// Delivers one event once. The call may be made though the run's time is up.
    async fn attempt(
        &self,
        generation: u64,
        Delivery {
            position,
            entry,
            event,
        }: Delivery<'_>,
    ) -> AttemptResult {
        let (world, faults) = (&self.world, self.world.faults);
        let failed = AttemptResult::Failed { asked_s: None };
        pass().await;
        if world.happens(faults.delivery_failed) {
            self.note(|| format!("the delivery of {position:?} fails"));
            return failed;
        }
        let id = entry.event_id(position.event);
        self.note(|| format!("delivers {position:?}, {}", event.name().as_str()));
        let delivered = (self.conversation, position);
        world
            .dispatch
            .deliveries
            .borrow_mut()
            .deliver(world, delivered, id, generation);
        pass().await;
        match world.happens(faults.reply_lost) {
            true => failed,
            false => AttemptResult::Done,
        }
    }

    /// The deliveries to several recipients.
    async fn fan_out(&self, look: &Look, mut fan_out: FanOut<'_>) -> Result<Then, Stopped> {
        loop {
            match fan_out.next(self.moment()) {
                FanOutStep::Move(write) => match self.write(write).await? {
                    Some(_) => fan_out.moved(),
                    None => return Ok(Then::Stop),
                },
                FanOutStep::Attempt(attempts) => {
                    let sends = attempts.iter().map(|attempt| self.send(attempt));
                    let results = side_by_side(&self.world, sends).await;
                    let mut attempted = Vec::new();
                    for (attempt, result) in attempts.iter().cloned().zip(results) {
                        attempted.push((attempt, self.attempted(result?)));
                    }
                    fan_out.attempted(attempted);
                }
                FanOutStep::RunLanes(lanes) => {
                    let each = lanes.iter().map(|lane| self.run_lane(look, &fan_out, lane));
                    let ended = side_by_side(&self.world, each).await;
                    let ended: Result<Vec<Option<Lane>>, Stopped> = ended.into_iter().collect();
                    fan_out.lanes_ended(lanes.into_iter().zip(ended?).collect());
                }
                FanOutStep::Leave(write, then) => return self.leave(write, then).await,
            }
        }
    }

    async fn run_lane(
        &self,
        look: &Look,
        fan_out: &FanOut<'_>,
        lane: &Lane,
    ) -> Result<Option<Lane>, Stopped> {
        let began = self.moment();
        let entries = self.entries(lane.slot, look).await?;
        let mut lane = LaneRun::new(fan_out, lane.clone(), &entries, began);
        loop {
            match lane.next(self.moment()) {
                LaneStep::Attempt(attempt) => {
                    let result = self.send(&attempt).await?;
                    lane.attempted(self.attempted(result));
                }
                LaneStep::End(lane) => return Ok(lane),
            }
        }
    }

    /// The last move of a run, and what follows it.
    async fn leave(&self, write: CursorWrite, then: Then) -> Result<Then, Stopped> {
        match self.world.procedure {
            Procedure::NoLastLook => {
                self.write(write).await?;
                Ok(Then::Stop)
            }
            Procedure::LastLookBeforeTheLeaseIsBack => {
                let tail = self.look().await?.tail();
                self.write(write).await?;
                match then.looks_again(tail.map(|tail| tail.slot)) {
                    true => Ok(Then::LookIfAnyFrom(0)),
                    false => Ok(Then::Stop),
                }
            }
            _ => {
                self.write(write).await?;
                Ok(then)
            }
        }
    }

    /// The cursor after a write; `None`: another run was first.
    async fn write(&self, write: CursorWrite) -> Result<Option<Cursor>, Stopped> {
        let whole = mutate::write(write, self.world.procedure);
        let mut write = &whole;
        loop {
            let (whose, sent) = ((self.conversation, self.consumer), write.clone());
            let written = self
                .update(move |cursors| cursors.write(whose, &sent))
                .await?;
            self.note(|| format!("to {}: {:?}, {written:?}", write.purpose, write.assignments));
            let found = match written {
                Ok(cursor) => return Ok(Some(cursor)),
                Err(found) => found,
            };
            match write.after_refusal(found.as_ref()) {
                AfterRefusal::Done => return Ok(found),
                AfterRefusal::Write(instead) => write = instead,
                AfterRefusal::Lost => return Ok(None),
            }
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.world.now()
    }

    fn moment(&self) -> Moment {
        let left = self.deadline.duration_since(self.now());
        Moment {
            now: self.now(),
            left: Duration::try_from(left).unwrap_or(Duration::ZERO),
        }
    }

    fn attempted(&self, result: AttemptResult) -> Attempted {
        Attempted {
            result,
            now: self.now(),
            random: self.world.below(1 << 16) as u32,
        }
    }

    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        let consumer = self.consumer.as_str();
        self.world.note(|| format!("  {consumer}: {}", line()));
    }

    pub(crate) async fn step(&self) -> Result<(), Stopped> {
        self.step_within(self.deadline).await
    }

    pub(crate) async fn step_within(&self, deadline: Timestamp) -> Result<(), Stopped> {
        pass().await;
        match self.now() < deadline {
            true => Ok(()),
            false => Err(Stopped),
        }
    }

    pub(crate) async fn update<T>(
        &self,
        update: impl Fn(&mut Cursors) -> T + Clone + 'static,
    ) -> Result<T, Stopped> {
        self.update_within(self.deadline, update).await
    }

    /// One conditional update. The run repeats it if its answer is lost.
    pub(crate) async fn update_within<T>(
        &self,
        deadline: Timestamp,
        update: impl Fn(&mut Cursors) -> T + Clone + 'static,
    ) -> Result<T, Stopped> {
        loop {
            self.step_within(deadline).await?;
            if self.world.happens(self.world.faults.delayed_copy) {
                let copy = update.clone();
                self.world.delay_update(Box::new(move |cursors| {
                    copy(cursors);
                }));
            }
            let updated = update(&mut self.world.dispatch.cursors.borrow_mut());
            if !self.world.answer_lost() {
                return Ok(updated);
            }
        }
    }

    /// Cursor, settings and the newest entries, in any order.
    async fn look(&self) -> Result<Look, Stopped> {
        let (mut settings, mut cursor, mut newest) = (Settings::default(), None, Vec::new());
        for read in self.world.shuffled([0, 1, 2]) {
            match read {
                0 => {
                    self.step().await?;
                    let cursors = self.world.dispatch.cursors.borrow();
                    cursor = cursors.get((self.conversation, self.consumer)).cloned();
                }
                1 => {
                    let mut entries = self.query(0).await?;
                    let newest_max = usize::from(LIMITS.newest_max);
                    newest = entries.split_off(entries.len().saturating_sub(newest_max));
                }
                _ => {
                    self.step().await?;
                    settings = self.world.settings();
                }
            }
        }
        self.note(|| {
            let slots: Vec<u64> = newest.iter().map(|entry| entry.slot).collect();
            format!("looks: {cursor:?}, newest {slots:?}")
        });
        let procedure = self.world.procedure;
        let mut look = Look {
            settings,
            cursors: cursor.map(|c| (self.consumer, c)).into_iter().collect(),
            newest,
        };
        mutate::look(&mut look, procedure);
        Ok(look)
    }

    /// The entries from a slot on, not as one: some of the slots are read later than the others.
    async fn query(&self, from: u64) -> Result<Vec<Entry>, Stopped> {
        self.step().await?;
        let (mut entries, early) = {
            let table = self.world.table.borrow();
            let all = || {
                let newest = table.newest(self.conversation);
                let slots = newest.map_or(0..0, |newest| from..newest + 1);
                slots.filter_map(|slot| table.entry(self.conversation, slot).cloned())
            };
            if self.world.below(2) == 0 {
                return Ok(all().collect());
            }
            // Of the last two slots, and of those that come, one or the other.
            let end = table.newest(self.conversation).unwrap_or_default() + 3;
            let early: Vec<u64> = (end.saturating_sub(4)..end)
                .filter(|_| self.world.below(2) == 0)
                .collect();
            let entries: Vec<Entry> = all().filter(|e| early.contains(&e.slot)).collect();
            (entries, early)
        };
        for _ in 0..self.world.pick(&[1, 12]) {
            self.step().await?;
        }
        let table = self.world.table.borrow();
        let newest = table.newest(self.conversation);
        let slots = newest.map_or(0..0, |newest| from..newest + 1);
        let late = slots.filter(|slot| !early.contains(slot));
        entries.extend(late.filter_map(|slot| table.entry(self.conversation, slot).cloned()));
        entries.sort_by_key(|entry| entry.slot);
        Ok(entries)
    }

    /// The entries from `slot` on, up to the first that is missing; where there are many, not all of them.
    async fn entries(&self, slot: u64, look: &Look) -> Result<Vec<Entry>, Stopped> {
        let gaps = self.world.procedure == Procedure::GapsPassedOver;
        let entries = match look.entries_from(slot) {
            Some(_) if gaps => {
                let newest = look.newest.iter();
                newest.filter(|e| e.slot >= slot).cloned().collect()
            }
            Some(entries) => entries,
            None => {
                let mut entries = self.query(slot).await?;
                entries.truncate(usize::from(LIMITS.stretch_max));
                match gaps {
                    true => entries,
                    false => gapless(entries, slot),
                }
            }
        };
        let procedure = self.world.procedure;
        Ok(mutate::entries(entries, self.consumer, look, procedure))
    }
}

fn after(at: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap();
    at.checked_add(duration).unwrap()
}

/// Polls all futures to their ends, one step of one future at a time.
async fn side_by_side<F: Future>(
    world: &World,
    futures: impl Iterator<Item = F>,
) -> Vec<F::Output> {
    let mut left: Vec<(usize, Pin<Box<F>>)> = futures.map(Box::pin).enumerate().collect();
    let mut done: Vec<(usize, F::Output)> = Vec::new();
    std::future::poll_fn(|context| {
        while !left.is_empty() {
            let chosen = world.below(left.len());
            match left[chosen].1.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(output) => done.push((left.swap_remove(chosen).0, output)),
            }
        }
        Poll::Ready(())
    })
    .await;
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, output)| output).collect()
}
