//! Consumers with several recipients: each entry goes to all of its recipients at once. A recipient that fails gets
//! its own lane, from its first unfinished slot, and the others do not wait for it.
//!
//! First come the recipients that keep up, then the lanes that are due. A lane lasts at most
//! [`LANE_TIME_MAX`] and one attempt; then the recipients that keep up get the entries that came during the lane.

use std::time::Duration;

use jiff::Timestamp;

use crate::consumer::action::{
    Approach, AttemptResult, Attempted, Choice, Runner, Then, pass_over,
};
use crate::consumer::limits::{LANE_TIME_MAX, Moment};
use crate::consumer::write::{CursorWrite, Held, Parting, Seen};
use crate::{Consumer, Cursor, Entry, Lane, Lease, Position, Recipient, Tail, retry_at};

pub(crate) fn next_position(cursor: Option<&Cursor>) -> Position {
    cursor.map_or(Position::default(), |cursor| cursor.next)
}

pub(crate) fn approach(seen: Seen<'_>) -> Approach {
    match seen.cursor.is_some_and(|cursor| cursor.leased(seen.at)) {
        true => Approach::Stop,
        false => Approach::Read(next_position(seen.cursor).slot),
    }
}

pub(crate) fn step<'a>(
    consumer: Consumer,
    tail: &Tail,
    seen: Seen<'_>,
    entries: &'a [Entry],
    runner: Runner<'_>,
) -> Choice<FanOut<'a>> {
    let from = next_position(seen.cursor);
    let end = entries
        .last()
        .map_or(from, |last| Position::slot(last.slot + 1));
    let ended = end.slot > tail.slot;
    let lane_due = |cursor: &Cursor| cursor.lanes.iter().any(|lane| lane.due <= seen.at);
    if any_recipient(consumer, entries) || seen.cursor.is_some_and(lane_due) {
        let lease = Lease {
            owner: runner.owner,
            until: runner.moment.lease_until(),
        };
        let take = CursorWrite::take(seen, from, lease);
        let fan_out = FanOut {
            consumer,
            held: Held {
                owner: runner.owner,
                cursor: take.apply(seen.cursor.cloned()),
            },
            entries,
            next: from,
            end,
            ended,
            lanes: Vec::new(),
            lanes_are_done: false,
        };
        return Choice::Take(take, fan_out);
    }
    let woken = seen
        .cursor
        .is_some_and(|cursor| cursor.due.is_some_and(|due| due <= seen.at));
    if woken || end.slot - from.slot >= runner.limits.idle_slots_max {
        return pass_over(seen, end, ended, end > from);
    }
    Choice::Stop
}

pub(crate) fn any_recipient(consumer: Consumer, entries: &[Entry]) -> bool {
    entries
        .iter()
        .any(|entry| !entry.recipients_of(consumer).is_empty())
}

/// The deliveries of one stretch to each of its recipients, by a run that has the cursor.
#[derive(Clone, Debug)]
pub struct FanOut<'a> {
    consumer: Consumer,
    held: Held,
    /// The rest of the stretch, which is still to be done.
    entries: &'a [Entry],
    /// The cursor's position after everything done so far.
    next: Position,
    end: Position,
    /// The stretch ends with the log. Else the cursor stays due, because no ring may come for what lies there.
    ended: bool,
    /// As they are now.
    lanes: Vec<Lane>,
    lanes_are_done: bool,
}

/// What a run does next for a consumer with several recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FanOutStep<'a> {
    /// Move the cursor: [`FanOut::moved`]. If that fails, another run has the cursor, and this one stops.
    Move(CursorWrite),
    /// Make these attempts side by side: [`FanOut::attempted`].
    Attempt(Vec<RecipientAttempt<'a>>),
    /// Run these lanes side by side, each as [`LaneRun`] says: [`FanOut::lanes_ended`].
    RunLanes(Vec<Lane>),
    Leave(CursorWrite, Then),
}

/// One attempt to deliver an entry to a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientAttempt<'a> {
    pub entry: &'a Entry,
    pub recipient: Recipient,
    /// If it fails, the entry is given up for this recipient.
    pub last: bool,
}

impl<'a> FanOut<'a> {
    /// The run has leased the cursor, which is now so.
    pub fn leased(&mut self, cursor: Cursor) {
        self.lanes.clone_from(&cursor.lanes);
        self.next = cursor.next;
        self.held.cursor = cursor;
    }

    pub fn next(&mut self, moment: Moment) -> FanOutStep<'a> {
        while let Some((entry, later)) = self.entries.split_first() {
            let recipients = self.keeping_up(entry);
            if recipients.is_empty() {
                self.next = Position::slot(entry.slot + 1);
                self.entries = later;
                continue;
            }
            if let Some(write) = self.unsaved(moment) {
                return FanOutStep::Move(write);
            }
            if !moment.has_time() {
                return self.leave(Some(moment.now), Then::Stop);
            }
            let attempts = recipients.into_iter().map(|recipient| RecipientAttempt {
                entry,
                recipient,
                last: is_last_attempt(0),
            });
            return FanOutStep::Attempt(attempts.collect());
        }
        self.next = self.end;
        let due: Vec<Lane> = self.due_lanes(moment.now).cloned().collect();
        if !self.lanes_are_done && !due.is_empty() {
            if let Some(write) = self.unsaved(moment) {
                return FanOutStep::Move(write);
            }
            if moment.has_time() {
                return FanOutStep::RunLanes(due);
            }
        }
        let due = (!self.ended).then_some(moment.now);
        self.leave(due, Then::LookIfAnyFrom(self.end.slot))
    }

    /// The recipients of an entry that have no lane.
    fn keeping_up(&self, entry: &Entry) -> Vec<Recipient> {
        let mut recipients = entry.recipients_of(self.consumer);
        recipients.retain(|recipient| !self.lanes.iter().any(|lane| lane.recipient == *recipient));
        recipients
    }

    fn due_lanes(&self, now: Timestamp) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().filter(move |lane| lane.due <= now)
    }

    /// The write that moves the cursor past everything done so far, before the next attempt. `None`: the cursor is there.
    fn unsaved(&self, moment: Moment) -> Option<CursorWrite> {
        let saved = self.next == self.held.cursor.next && self.lanes == self.held.cursor.lanes;
        let until = moment.lease_until();
        (!saved).then(|| CursorWrite::advance(&self.held, self.next, self.lanes.clone(), until))
    }

    fn leave(&self, due: Option<Timestamp>, then: Then) -> FanOutStep<'a> {
        let parting = Parting {
            next: self.next,
            failures: 0,
            lanes: self.lanes.clone(),
            due: self.lanes.iter().map(|lane| lane.due).chain(due).min(),
        };
        FanOutStep::Leave(CursorWrite::leave(&self.held, parting), then)
    }

    /// The run has moved the cursor.
    pub fn moved(&mut self) {
        self.held.advanced(self.next, self.lanes.clone());
    }

    /// The attempts have ended, each with its result.
    pub fn attempted(&mut self, attempts: Vec<(RecipientAttempt<'a>, Attempted)>) {
        let Some((entry, later)) = self.entries.split_first() else {
            return;
        };
        for (attempt, attempted) in attempts {
            let lane = lane_after(attempt.recipient, entry.slot, 0, attempted);
            self.lanes.extend(lane);
        }
        self.next = Position::slot(entry.slot + 1);
        self.entries = later;
    }

    /// How each of the lanes that were due ended; `None`: its recipient keeps up again.
    pub fn lanes_ended(&mut self, ended: Vec<(Lane, Option<Lane>)>) {
        self.lanes_are_done = true;
        let lanes = std::mem::take(&mut self.lanes).into_iter();
        self.lanes = lanes
            .filter_map(|lane| {
                let end = ended.iter().find(|(before, _)| *before == lane);
                end.map_or(Some(lane), |(_, after)| after.clone())
            })
            .collect();
    }
}

/// Whether an attempt after so many failures is the last one that is worth making.
fn is_last_attempt(failures: u32) -> bool {
    retry_at(Timestamp::UNIX_EPOCH, failures + 1, None, 0).is_none()
}

/// The lane of a recipient after an attempt at `slot`; `None`: the recipient keeps up.
fn lane_after(
    recipient: Recipient,
    slot: u64,
    failures: u32,
    attempted: Attempted,
) -> Option<Lane> {
    let (due, failures) = match attempted.result {
        AttemptResult::Done => return None,
        AttemptResult::Busy(until) => (Some(until), failures),
        AttemptResult::Failed { asked_s } => {
            let failures = failures + 1;
            let due = retry_at(attempted.now, failures, asked_s, attempted.random);
            (due, failures)
        }
    };
    due.map(|due| Lane {
        recipient,
        slot,
        due,
        failures,
    })
}

/// One recipient in its own lane: entry by entry, until it has caught up with the cursor, an attempt fails, or time is up.
#[derive(Clone, Debug)]
pub struct LaneRun<'a> {
    consumer: Consumer,
    /// The recipient's present position.
    lane: Lane,
    /// The slots before the cursor, which are the lane's.
    entries: &'a [Entry],
    end: u64,
    /// The run's remaining time at the beginning of the lane.
    left_at_first: Duration,
    ended: Option<Option<Lane>>,
}

/// What a run does next in a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneStep<'a> {
    /// Make this attempt: [`LaneRun::attempted`].
    Attempt(RecipientAttempt<'a>),
    /// The lane as it is now; `None`: the recipient keeps up again.
    End(Option<Lane>),
}

impl<'a> LaneRun<'a> {
    /// `entries`: the log from the lane's slot on, up to the first missing one.
    pub fn new(
        fan_out: &FanOut<'_>,
        lane: Lane,
        entries: &'a [Entry],
        moment: Moment,
    ) -> LaneRun<'a> {
        LaneRun {
            consumer: fan_out.consumer,
            lane,
            entries,
            end: fan_out.held.cursor.next.slot,
            left_at_first: moment.left,
            ended: None,
        }
    }

    pub fn next(&mut self, moment: Moment) -> LaneStep<'a> {
        if let Some(ended) = &self.ended {
            return LaneStep::End(ended.clone());
        }
        while let Some((entry, later)) = self.entries.split_first() {
            if entry.slot >= self.end {
                break;
            }
            self.lane.slot = entry.slot;
            let recipients = entry.recipients_of(self.consumer);
            if !recipients.contains(&self.lane.recipient) {
                self.pass(later);
                continue;
            }
            let took = self.left_at_first.saturating_sub(moment.left);
            if took > LANE_TIME_MAX || !moment.has_time() {
                return LaneStep::End(Some(self.due_now(moment)));
            }
            return LaneStep::Attempt(RecipientAttempt {
                entry,
                recipient: self.lane.recipient.clone(),
                last: is_last_attempt(self.lane.failures),
            });
        }
        let behind = self.lane.slot < self.end;
        LaneStep::End(behind.then(|| self.due_now(moment)))
    }

    fn due_now(&self, moment: Moment) -> Lane {
        Lane {
            due: moment.now,
            ..self.lane.clone()
        }
    }

    fn pass(&mut self, later: &'a [Entry]) {
        self.entries = later;
        self.lane.slot += 1;
        self.lane.failures = 0;
    }

    /// The attempt has ended.
    pub fn attempted(&mut self, attempted: Attempted) {
        let Lane {
            recipient,
            slot,
            failures,
            ..
        } = self.lane.clone();
        match lane_after(recipient, slot, failures, attempted) {
            Some(lane) => self.ended = Some(Some(lane)),
            None => {
                let later = self
                    .entries
                    .split_first()
                    .map_or(&[][..], |(_, later)| later);
                self.pass(later);
            }
        }
    }
}
