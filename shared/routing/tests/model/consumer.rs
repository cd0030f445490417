//! Runs of consumers, as `service::dispatch` carries them out: every call of the table, the endpoint and the carrier is
//! one step.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use jiff::{SignedDuration, Timestamp};
use routing::{
    Backlog, Consumer, ConversationSid, Cursor, Delivery, Endpoint, Entry, Lane, Lease,
    OutboundState, Owed, Position, PostWebhook, Recipient, SettingsScope, Tail, Webhooks, backlog,
    gapless, retry_at,
};

use super::Procedure;
use super::cursors::{Claimed, Cursors, Held, Message, Rest, Seen, Whose};
use super::world::{World, step};

/// As in `service::dispatch`.
const RUN_TIME_MAX_S: i64 = 120;
const ATTEMPT_RESERVE_S: i64 = 20;
const LEASE_TIME_S: i64 = 45;
const CLAIM_TIME_S: i64 = 40;
const PREPARE_TIME_S: i64 = 15;
/// Fewer than in `service::dispatch` and `store::cursors`, so that short logs meet them.
pub(crate) const IDLE_SLOTS_MAX: u64 = 2;
const NEWEST: usize = 4;
const STRETCH: usize = 3;
const LOOKS_MAX: usize = 2;

/// One run.
#[derive(Clone)]
pub(crate) struct Run {
    world: Rc<World>,
    conversation: ConversationSid,
    consumer: Consumer,
    deadline: Timestamp,
}

/// A run's time is up.
pub(crate) struct Stopped;

enum Looked {
    Done,
    Again,
    Left(u64),
}

struct Look {
    webhooks: Webhooks,
    cursor: Option<Cursor>,
    newest: Vec<Entry>,
}

impl Look {
    fn tail(&self) -> Option<Tail> {
        self.newest.last().map(Entry::tail)
    }

    fn next(&self) -> Option<Position> {
        self.cursor.as_ref().map(|cursor| cursor.next)
    }
}

enum Served {
    Done,
    Failed { asked_s: Option<i64> },
    Busy(Timestamp),
}

/// How a carrier answered.
pub(crate) enum Taken {
    Accepted,
    Not { asked_s: Option<i64> },
    Refused,
    Unknown,
}

/// Lets one consumer of a conversation go on from its cursor.
pub(crate) async fn run(world: Rc<World>, (conversation, consumer): Whose) {
    let run = Run::new(world, conversation, consumer);
    if run.go_on().await.is_err() {
        run.note(|| "stops: its time is up".to_owned());
    }
}

/// Makes the consumer due if it lags, as the sweep does.
pub(crate) async fn wake(world: Rc<World>, (conversation, consumer): Whose) -> Result<(), Stopped> {
    let run = Run::new(world, conversation, consumer);
    let look = run.look().await?;
    run.wake(&look).await
}

impl Run {
    fn new(world: Rc<World>, conversation: ConversationSid, consumer: Consumer) -> Run {
        let deadline = after(world.now(), RUN_TIME_MAX_S);
        Run {
            world,
            conversation,
            consumer,
            deadline,
        }
    }

    async fn go_on(&self) -> Result<(), Stopped> {
        let mut look = self.look().await?;
        for _ in 0..LOOKS_MAX {
            self.note(|| {
                let slots: Vec<u64> = look.newest.iter().map(|entry| entry.slot).collect();
                format!("looks: {:?}, newest {slots:?}", look.cursor)
            });
            let looked = match self.consumer {
                Consumer::Post(_) => self.post(&look).await?,
                _ => self.fan_out(&look).await?,
            };
            match looked {
                Looked::Done => return Ok(()),
                Looked::Again => {}
                Looked::Left(slot) => {
                    self.step().await?;
                    let newest = self.world.table.borrow().newest(self.conversation);
                    if newest.is_none_or(|newest| newest < slot) {
                        return Ok(());
                    }
                }
            }
            let before = look.next();
            look = self.look().await?;
            if self.world.healthy.get() && look.next() <= before {
                let next = look.next();
                self.world
                    .breaks(format!("bounded: a run looks again at {next:?}"));
            }
            if !self.has_time() {
                break;
            }
        }
        match self.world.procedure {
            Procedure::NoWakeAtTheEnd => Ok(()),
            _ => self.wake(&look).await,
        }
    }

    /// Makes the consumer due if it lags.
    async fn wake(&self, look: &Look) -> Result<(), Stopped> {
        let (lags, even_if_ahead) = match self.consumer {
            Consumer::Post(_) => (self.post_lags(look).await?, false),
            _ => (
                self.fan_out_lags(look).await?,
                self.world.procedure != Procedure::LanesHoldUpOthers,
            ),
        };
        let Some(beginning) = lags else {
            return Ok(());
        };
        let (whose, now) = (self.whose(), self.now());
        self.note(|| format!("lags behind {beginning:?}"));
        self.update(move |cursors| cursors.wake(whose, beginning, even_if_ahead, now))
            .await
    }

    fn whose(&self) -> Whose {
        (self.conversation, self.consumer)
    }

    fn now(&self) -> Timestamp {
        self.world.now()
    }

    fn note(&self, line: impl FnOnce() -> String) {
        let consumer = self.consumer.as_str();
        self.world.note(|| format!("  {consumer}: {}", line()));
    }

    fn has_time(&self) -> bool {
        after(self.now(), ATTEMPT_RESERVE_S) < self.deadline
    }

    fn lease_until(&self) -> Timestamp {
        after(self.now(), LEASE_TIME_S)
    }

    fn leased(&self, cursor: &Cursor) -> bool {
        self.world.procedure != Procedure::NoLease && cursor.leased(self.now())
    }

    async fn step(&self) -> Result<(), Stopped> {
        self.step_within(self.deadline).await
    }

    async fn step_within(&self, deadline: Timestamp) -> Result<(), Stopped> {
        step().await;
        match self.now() < deadline {
            true => Ok(()),
            false => Err(Stopped),
        }
    }

    async fn update<T>(
        &self,
        update: impl Fn(&mut Cursors) -> T + Clone + 'static,
    ) -> Result<T, Stopped> {
        self.update_within(self.deadline, update).await
    }

    /// One conditional update: repeated where its answer is lost.
    async fn update_within<T>(
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
        let mut look = Look {
            webhooks: Webhooks::default(),
            cursor: None,
            newest: Vec::new(),
        };
        for read in self.world.shuffled([0, 1, 2]) {
            match read {
                0 => {
                    self.step().await?;
                    let cursors = self.world.dispatch.cursors.borrow();
                    look.cursor = cursors.get(self.whose()).cloned();
                }
                1 => {
                    let mut entries = self.query(0).await?;
                    look.newest = entries.split_off(entries.len().saturating_sub(NEWEST));
                }
                _ => {
                    self.step().await?;
                    look.webhooks = self.world.account.borrow().webhooks.clone();
                }
            }
        }
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

    /// The entries from `slot` on, up to the first that is missing; not all of them where there are many.
    async fn stretch(&self, slot: u64, look: &Look) -> Result<Vec<Entry>, Stopped> {
        let entries = match look.newest.first() {
            Some(oldest) if oldest.slot > slot => {
                let mut entries = self.query(slot).await?;
                entries.truncate(STRETCH);
                entries
            }
            _ => look.newest.clone(),
        };
        Ok(match self.world.procedure {
            Procedure::GapsPassedOver => entries.into_iter().filter(|e| e.slot >= slot).collect(),
            _ => gapless(entries, slot),
        })
    }

    async fn lease(&self, seen: &Seen, next: Position) -> Result<Option<Held>, Stopped> {
        let lease = Lease {
            owner: self.world.random(),
            until: self.lease_until(),
        };
        let taken = seen.clone();
        let cursor = self
            .update(move |cursors| cursors.lease(&taken, next, lease))
            .await?;
        self.note(|| match cursor {
            Some(_) => format!("takes the lease at {next:?}"),
            None => "does not get the lease".to_owned(),
        });
        Ok(cursor.map(|cursor| Held {
            whose: seen.whose,
            owner: lease.owner,
            cursor,
        }))
    }

    async fn move_on(
        &self,
        held: &mut Held,
        next: Position,
        lanes: Vec<Lane>,
    ) -> Result<bool, Stopped> {
        let (until, mover, there) = (self.lease_until(), held.clone(), lanes.clone());
        let moved = self
            .update(move |cursors| cursors.move_on(&mover, next, there.clone(), until))
            .await?;
        self.note(|| format!("moves to {next:?}: {moved}"));
        if moved {
            held.cursor.next = next;
            held.cursor.failures = 0;
            held.cursor.lanes = lanes;
        }
        Ok(moved)
    }

    async fn leave(&self, held: Held, rest: Rest) -> Result<(), Stopped> {
        self.note(|| format!("leaves: {:?}, due {:?}", rest.next, rest.due));
        let (leaver, left) = (held.clone(), rest.clone());
        let due_is_anothers = self
            .update(move |cursors| cursors.leave(&leaver, &left))
            .await?;
        if due_is_anothers {
            self.note(|| "leaves the due time of somebody else".to_owned());
            self.update(move |cursors| cursors.leave_but_due(&held, &rest))
                .await?;
        }
        Ok(())
    }

    async fn skip(&self, seen: &Seen, next: Position, ended: bool) -> Result<(), Stopped> {
        self.note(|| format!("passes over to {next:?}"));
        let seen = seen.clone();
        self.update(move |cursors| cursors.skip(&seen, next, ended))
            .await
    }

    /// Whoever saw more found the cursor moved, and left it to this run. A gap is rung for when it closes.
    async fn skip_and_look(
        &self,
        seen: &Seen,
        (stood, next): (Position, Position),
        tail: &Tail,
    ) -> Result<Looked, Stopped> {
        let ended = self.ended(next, tail);
        self.skip(seen, next, ended).await?;
        let look = self.world.procedure != Procedure::NoLookAfterPassingOver;
        Ok(match look && (ended || next > stood) {
            true => Looked::Left(next.slot),
            false => Looked::Done,
        })
    }

    /// Whether nothing lies behind a stretch that ends at `next`. Else the cursor stays due: the sweep may have passed by
    /// what lies there.
    fn ended(&self, next: Position, tail: &Tail) -> bool {
        next.slot > tail.slot || self.world.procedure == Procedure::DueClearedBeforeTheEnd
    }

    /// What follows the last move of a run.
    async fn leave_and_look(&self, held: Held, rest: Rest) -> Result<Looked, Stopped> {
        let end = rest.next;
        match self.world.procedure {
            Procedure::NoLastLook => {
                self.leave(held, rest).await?;
                Ok(Looked::Done)
            }
            Procedure::LastLookBeforeTheLeaseIsBack => {
                let look = self.look().await?;
                self.leave(held, rest).await?;
                let more = look.tail().is_some_and(|tail| tail.slot >= end.slot);
                Ok(if more { Looked::Again } else { Looked::Done })
            }
            _ => {
                self.leave(held, rest).await?;
                Ok(Looked::Left(end.slot))
            }
        }
    }
}

/// The post-action webhook.
impl Run {
    async fn post(&self, look: &Look) -> Result<Looked, Stopped> {
        let now = self.now();
        let Some(tail) = look.tail() else {
            return Ok(Looked::Done);
        };
        let cursor = look.cursor.as_ref();
        let seen = Seen {
            whose: self.whose(),
            cursor: look.cursor.clone(),
            at: now,
        };
        let endpoint = self.endpoint(&tail, look);
        let beginning = endpoint
            .as_ref()
            .map(|endpoint| Position::slot(endpoint.since));
        let waits = |cursor: &Cursor| {
            cursor.due_ahead(now) && beginning.is_none_or(|beginning| cursor.next >= beginning)
        };
        if cursor.is_some_and(|cursor| self.leased(cursor) || waits(cursor)) {
            return Ok(Looked::Done);
        }
        let woken = cursor.is_some_and(|cursor| cursor.due.is_some());
        let (Some(endpoint), Some(beginning)) = (endpoint, beginning) else {
            if let Some(cursor) = cursor.filter(|_| woken) {
                self.skip(&seen, cursor.next, true).await?;
            }
            return Ok(Looked::Done);
        };
        let stands = cursor.map_or(beginning, |cursor| cursor.next);
        let from = stands.max(beginning);
        let entries = self.ahead_of(from, &tail, look).await?;
        let ahead = backlog(from, &entries, &endpoint);
        let Some(first) = ahead.deliveries.first().map(|delivery| delivery.position) else {
            if ahead.settings_too_old {
                self.step().await?;
                return Ok(Looked::Again);
            }
            let idle = ahead.end.slot.saturating_sub(stands.slot);
            if woken || ahead.filtered || idle >= IDLE_SLOTS_MAX {
                let moved = (stands, ahead.end);
                return self.skip_and_look(&seen, moved, &tail).await;
            }
            return Ok(Looked::Done);
        };
        match self.lease(&seen, first).await? {
            Some(held) => {
                let failures = match stands == first {
                    true => held.cursor.failures,
                    false => 0,
                };
                let ended = self.ended(ahead.end, &tail);
                self.deliver(held, failures, &endpoint, &ahead, ended).await
            }
            None => Ok(Looked::Done),
        }
    }

    async fn post_lags(&self, look: &Look) -> Result<Option<Position>, Stopped> {
        let Some(tail) = look.tail() else {
            return Ok(None);
        };
        let Some(endpoint) = self.endpoint(&tail, look) else {
            return Ok(None);
        };
        let beginning = Position::slot(endpoint.since);
        let cursor = look.cursor.as_ref();
        let first = cursor.map_or(beginning, |cursor| cursor.next.max(beginning));
        let mut from = first;
        while from.slot <= tail.slot {
            let entries = self.ahead_of(from, &tail, look).await?;
            let ahead = backlog(from, &entries, &endpoint);
            if !ahead.deliveries.is_empty() || ahead.settings_too_old {
                return Ok(Some(first));
            }
            if entries.is_empty() || self.one_stretch() {
                break;
            }
            from = ahead.end;
        }
        Ok(None)
    }

    fn one_stretch(&self) -> bool {
        self.world.procedure == Procedure::SweepLooksAtOneStretch
    }

    fn endpoint(&self, tail: &Tail, look: &Look) -> Option<Endpoint> {
        let endpoint = Endpoint::of_account(&look.webhooks, tail)?;
        Some(match self.world.procedure {
            Procedure::BeginningAtTheFirstSlot => Endpoint {
                since: 0,
                ..endpoint
            },
            _ => endpoint,
        })
    }

    async fn ahead_of(
        &self,
        from: Position,
        tail: &Tail,
        look: &Look,
    ) -> Result<Vec<Entry>, Stopped> {
        if from.slot > tail.slot {
            return Ok(Vec::new());
        }
        let mut entries = self.stretch(from.slot, look).await?;
        if self.world.procedure == Procedure::EverythingIsHeard {
            for entry in &mut entries {
                entry.quiet = false;
                entry.header.post = Some(PostWebhook {
                    scope: SettingsScope::Account,
                    generation: look.webhooks.post_generation,
                    since: 0,
                });
                if let Some(endpoint) = self.endpoint(tail, look) {
                    assert_eq!(endpoint.is_owed(entry), Owed::Yes);
                }
            }
        }
        Ok(entries)
    }

    async fn deliver(
        &self,
        mut held: Held,
        mut failures: u32,
        endpoint: &Endpoint,
        ahead: &Backlog<'_>,
        ended: bool,
    ) -> Result<Looked, Stopped> {
        for (index, delivery) in ahead.deliveries.iter().enumerate() {
            let position = delivery.position;
            if index > 0 {
                failures = 0;
                if !self.move_on(&mut held, position, Vec::new()).await? {
                    return Ok(Looked::Done);
                }
            }
            let rest = |failures, due| Rest {
                next: position,
                failures,
                lanes: Vec::new(),
                due: Some(due),
            };
            if !self.has_time() {
                self.leave(held, rest(failures, self.now())).await?;
                return Ok(Looked::Done);
            }
            if self.tell(endpoint, *delivery).await {
                continue;
            }
            failures += 1;
            if let Some(due) = retry_at(self.now(), failures, None, self.jitter()) {
                self.leave(held, rest(failures, due)).await?;
                return Ok(Looked::Done);
            }
        }
        let rest = Rest {
            next: ahead.end,
            failures: 0,
            lanes: Vec::new(),
            due: (!ended).then(|| self.now()),
        };
        self.leave_and_look(held, rest).await
    }

    fn jitter(&self) -> u32 {
        self.world.below(1 << 16) as u32
    }

    /// Tells one event once. The call may be made though the run's time is up.
    async fn tell(
        &self,
        endpoint: &Endpoint,
        Delivery {
            position,
            entry,
            event,
        }: Delivery<'_>,
    ) -> bool {
        let (world, faults) = (&self.world, self.world.faults);
        step().await;
        if world.happens(faults.not_told) {
            self.note(|| format!("does not reach the endpoint with {position:?}"));
            return false;
        }
        let id = entry.event_id(position.event);
        self.note(|| format!("tells {position:?}, {}", event.name().as_str()));
        let told = (self.conversation, position);
        world
            .dispatch
            .deliveries
            .borrow_mut()
            .tell(world, told, id, endpoint.generation);
        step().await;
        !world.happens(faults.told_in_vain)
    }
}

/// The relay.
impl Run {
    async fn fan_out(&self, look: &Look) -> Result<Looked, Stopped> {
        let now = self.now();
        let Some(tail) = look.tail() else {
            return Ok(Looked::Done);
        };
        let cursor = look.cursor.as_ref();
        let seen = Seen {
            whose: self.whose(),
            cursor: look.cursor.clone(),
            at: now,
        };
        if cursor.is_some_and(|cursor| self.leased(cursor)) {
            return Ok(Looked::Done);
        }
        let from = cursor.map_or(Position::default(), |cursor| cursor.next);
        let entries = match from.slot > tail.slot {
            true => Vec::new(),
            false => self.stretch(from.slot, look).await?,
        };
        let lanes_due =
            cursor.is_some_and(|cursor| cursor.lanes.iter().any(|lane| lane.due <= now));
        let owed = entries
            .iter()
            .any(|entry| !entry.recipients_of(self.consumer).is_empty());
        let end = entries
            .last()
            .map_or(from, |last| Position::slot(last.slot + 1));
        if !owed && !lanes_due {
            let woken = cursor.is_some_and(|cursor| cursor.due.is_some_and(|due| due <= now));
            if woken || end.slot - from.slot >= IDLE_SLOTS_MAX {
                return self.skip_and_look(&seen, (from, end), &tail).await;
            }
            return Ok(Looked::Done);
        }
        match self.lease(&seen, from).await? {
            Some(held) => {
                self.serve(held, look, &entries, (end, self.ended(end, &tail)))
                    .await
            }
            None => Ok(Looked::Done),
        }
    }

    async fn fan_out_lags(&self, look: &Look) -> Result<Option<Position>, Stopped> {
        let Some(tail) = look.tail() else {
            return Ok(None);
        };
        let cursor = look.cursor.as_ref();
        let first = cursor.map_or(Position::default(), |cursor| cursor.next);
        // A run that crashed had moved the cursor with its lanes, and not yet set when they are due.
        let forgotten = self.world.procedure == Procedure::LanesWithoutDueNotLookedFor;
        if cursor.is_some_and(|cursor| cursor.due.is_none() && !cursor.lanes.is_empty())
            && !forgotten
        {
            return Ok(Some(first));
        }
        let mut slot = first.slot;
        while slot <= tail.slot {
            let entries = self.stretch(slot, look).await?;
            let owes = |entry: &Entry| !entry.recipients_of(self.consumer).is_empty();
            if entries.iter().any(owes) {
                return Ok(Some(first));
            }
            let Some(last) = entries.last().filter(|_| !self.one_stretch()) else {
                break;
            };
            slot = last.slot + 1;
        }
        Ok(None)
    }

    async fn serve(
        &self,
        mut held: Held,
        look: &Look,
        entries: &[Entry],
        (end, ended): (Position, bool),
    ) -> Result<Looked, Stopped> {
        let mut lanes = held.cursor.lanes.clone();
        let mut next = held.cursor.next;
        for entry in entries {
            let recipients: Vec<Recipient> = entry
                .recipients_of(self.consumer)
                .into_iter()
                .filter(|recipient| !lanes.iter().any(|lane| &lane.recipient == recipient))
                .collect();
            if !recipients.is_empty() {
                if !self.saved(&mut held, next, &lanes).await? {
                    return Ok(Looked::Done);
                }
                if !self.has_time() {
                    self.leave(held, rest(next, lanes, Some(self.now())))
                        .await?;
                    return Ok(Looked::Done);
                }
                let sends = recipients
                    .iter()
                    .map(|recipient| self.send(entry, recipient, 0));
                let served = side_by_side(&self.world, sends).await;
                for (recipient, served) in recipients.iter().zip(served) {
                    lanes.extend(self.lane(recipient.clone(), entry.slot, 0, served?));
                }
            }
            next = Position::slot(entry.slot + 1);
        }
        if lanes.iter().any(|lane| lane.due <= self.now()) {
            if !self.saved(&mut held, end, &lanes).await? {
                return Ok(Looked::Done);
            }
            lanes = self.went_on(&held, look).await?;
        }
        let due = (!ended).then(|| self.now());
        self.leave_and_look(held, rest(end, lanes, due)).await
    }

    async fn saved(
        &self,
        held: &mut Held,
        next: Position,
        lanes: &[Lane],
    ) -> Result<bool, Stopped> {
        if next == held.cursor.next && lanes == held.cursor.lanes {
            return Ok(true);
        }
        self.move_on(held, next, lanes.to_vec()).await
    }

    fn lane(&self, recipient: Recipient, slot: u64, failures: u32, served: Served) -> Option<Lane> {
        let (due, failures) = match served {
            Served::Done => return None,
            Served::Busy(until) => (Some(until), failures),
            Served::Failed { asked_s } => {
                let failures = failures + 1;
                (
                    retry_at(self.now(), failures, asked_s, self.jitter()),
                    failures,
                )
            }
        };
        due.map(|due| Lane {
            recipient,
            slot,
            due,
            failures,
        })
    }

    async fn went_on(&self, held: &Held, look: &Look) -> Result<Vec<Lane>, Stopped> {
        let now = self.now();
        let each = held.cursor.lanes.iter().map(|lane| async move {
            match lane.due <= now && self.has_time() {
                true => self.go_on_in_lane(held, look, lane).await,
                false => Ok(Some(lane.clone())),
            }
        });
        let lanes = side_by_side(&self.world, each).await;
        let lanes: Result<Vec<Option<Lane>>, Stopped> = lanes.into_iter().collect();
        Ok(lanes?.into_iter().flatten().collect())
    }

    async fn go_on_in_lane(
        &self,
        held: &Held,
        look: &Look,
        lane: &Lane,
    ) -> Result<Option<Lane>, Stopped> {
        let end = held.cursor.next.slot;
        let mut failures = lane.failures;
        let entries = self.stretch(lane.slot, look).await?;
        let later = |slot, failures, due| Lane {
            recipient: lane.recipient.clone(),
            slot,
            due,
            failures,
        };
        let mut slot = lane.slot;
        for entry in entries.iter().filter(|entry| entry.slot < end) {
            slot = entry.slot;
            if entry.recipients_of(self.consumer).contains(&lane.recipient) {
                if !self.has_time() {
                    return Ok(Some(later(slot, failures, self.now())));
                }
                let served = self.send(entry, &lane.recipient, failures).await?;
                if let Some(lane) = self.lane(lane.recipient.clone(), slot, failures, served) {
                    return Ok(Some(lane));
                }
            }
            failures = 0;
            slot += 1;
        }
        Ok((slot < end).then(|| later(slot, failures, self.now())))
    }

    async fn send(
        &self,
        entry: &Entry,
        recipient: &Recipient,
        failures: u32,
    ) -> Result<Served, Stopped> {
        let last = retry_at(Timestamp::UNIX_EPOCH, failures + 1, None, 0).is_none();
        let prepared = self.deadline.min(after(self.now(), PREPARE_TIME_S));
        // The number's carrier is read, or the record of a message that was deleted.
        self.step_within(prepared).await?;
        let message = (self.conversation, entry.slot, recipient.clone());
        if entry
            .message()
            .is_none_or(|(_, message)| message.is_empty())
        {
            return self.settle_deleted(message, prepared).await;
        }
        let (attempt, until, claimed) = self.claim(&message, prepared).await?;
        match claimed {
            Claimed::Mine => {}
            Claimed::Found(OutboundState::Sending { attempt, until }) => {
                return self.settle_claimed(message, attempt, until).await;
            }
            Claimed::Found(OutboundState::Waiting) => {
                return Ok(Served::Failed { asked_s: None });
            }
            Claimed::Found(_) => return Ok(Served::Done),
        }
        step().await;
        if self.now() >= until {
            // Assumed, for nobody can enforce it: who is held up, between its claim and its call, for longer than the
            // claim makes no call.
            return Err(Stopped);
        }
        let taken = self.call(&message);
        self.step().await?;
        let (state, served) = match taken {
            Taken::Accepted => (OutboundState::Sent { carrier_id: None }, Served::Done),
            Taken::Not { .. } if last => (OutboundState::Failed { code: None }, Served::Done),
            Taken::Not { asked_s } => (OutboundState::Waiting, Served::Failed { asked_s }),
            Taken::Refused => (OutboundState::Failed { code: None }, Served::Done),
            Taken::Unknown if self.world.procedure == Procedure::UnknownIsNotTaken => {
                (OutboundState::Waiting, Served::Failed { asked_s: None })
            }
            Taken::Unknown => (OutboundState::Unknown, Served::Done),
        };
        self.note_outbound(message, attempt, state).await?;
        Ok(served)
    }

    /// For a new attempt, until a time.
    async fn claim(
        &self,
        message: &Message,
        deadline: Timestamp,
    ) -> Result<([u8; 16], Timestamp, Claimed), Stopped> {
        let (attempt, now) = (self.world.random(), self.now());
        let (key, until) = (message.clone(), after(now, CLAIM_TIME_S));
        let claimed = self
            .update_within(deadline, move |cursors| {
                cursors.claim(&key, attempt, until, now)
            })
            .await?;
        Ok((attempt, until, claimed))
    }

    async fn settle_deleted(
        &self,
        message: Message,
        deadline: Timestamp,
    ) -> Result<Served, Stopped> {
        let found = {
            let cursors = self.world.dispatch.cursors.borrow();
            cursors.outbound(&message).cloned()
        };
        let procedure = self.world.procedure;
        match found {
            Some(OutboundState::Sending { attempt, until })
                if procedure != Procedure::DeletedIsForgotten =>
            {
                self.settle_claimed(message, attempt, until).await
            }
            Some(OutboundState::Waiting) if procedure != Procedure::DeletedWaitsForEver => {
                let (attempt, _, claimed) = self.claim(&message, deadline).await?;
                if let Claimed::Mine = claimed {
                    let never = OutboundState::Failed { code: None };
                    self.note_outbound(message, attempt, never).await?;
                }
                Ok(Served::Done)
            }
            _ => Ok(Served::Done),
        }
    }

    async fn settle_claimed(
        &self,
        message: Message,
        attempt: [u8; 16],
        until: Timestamp,
    ) -> Result<Served, Stopped> {
        if until > self.now() {
            return Ok(Served::Busy(until));
        }
        self.note_outbound(message, attempt, OutboundState::Unknown)
            .await?;
        Ok(Served::Done)
    }

    async fn note_outbound(
        &self,
        message: Message,
        attempt: [u8; 16],
        state: OutboundState,
    ) -> Result<(), Stopped> {
        self.note(|| format!("notes {state:?} of slot {}", message.1));
        self.update(move |cursors| cursors.note(&message, attempt, state.clone()))
            .await
    }

    fn call(&self, message: &Message) -> Taken {
        let (world, faults) = (&self.world, self.world.faults);
        let (slot, recipient) = (message.1, &message.2);
        if world.happens(faults.not_told) {
            self.note(|| format!("slot {slot} is not taken, for {recipient:?}"));
            return match world.below(8) {
                0 => Taken::Unknown,
                1 => Taken::Refused,
                2..4 => Taken::Not {
                    asked_s: Some(28_800),
                },
                _ => Taken::Not { asked_s: None },
            };
        }
        self.note(|| format!("slot {slot} is taken, for {recipient:?}"));
        let in_vain = world.happens(faults.told_in_vain);
        let deliveries = &world.dispatch.deliveries;
        deliveries.borrow_mut().take(world, message, in_vain);
        match in_vain {
            true => Taken::Unknown,
            false => Taken::Accepted,
        }
    }
}

fn rest(next: Position, lanes: Vec<Lane>, due: Option<Timestamp>) -> Rest {
    let due = lanes.iter().map(|lane| lane.due).chain(due).min();
    Rest {
        next,
        failures: 0,
        lanes,
        due,
    }
}

fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

/// Lets all go on, one step of one of them at a time.
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
