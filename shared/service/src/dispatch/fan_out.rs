//! Consumers that serve several recipients: each entry to all of its recipients at once; a recipient that fails goes on
//! in a lane of its own, from its first unfinished slot, and the others do not wait for it.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use routing::{Consumer, Entry, Lane, Position, Recipient, retry_at};
use store::{Held, Look, Rest, Seen, StoreError};
use tokio::time::Instant;

use super::{IDLE_SLOTS_MAX, Looked, Run, jitter, numbers, relay};

/// How an attempt to serve a recipient ended.
pub(super) enum Served {
    /// Nothing further is to be done for this entry.
    Done,
    Failed {
        /// The pause that was asked for, in seconds.
        asked_s: Option<i64>,
    },
    /// Somebody else is at it, until then.
    Busy(Timestamp),
}

/// How long a lane goes on before the cursor is moved: with one more attempt, less than a lease.
const LANE_TIME_MAX: Duration = Duration::from_secs(20);

/// Serves what lies ahead of the cursor in one stretch of the log, and the lanes that are due.
pub(super) async fn go_on(
    run: Run<'_>,
    consumer: Consumer,
    look: &Look,
) -> Result<Looked, StoreError> {
    let (store, conversation, now) = (&run.app.store, run.conversation, run.now());
    let Some(tail) = look.tail() else {
        return Ok(Looked::Done);
    };
    let cursor = look.cursor(consumer);
    let seen = Seen {
        conversation,
        consumer,
        cursor,
        at: now,
    };
    if cursor.is_some_and(|cursor| cursor.leased(now)) {
        return Ok(Looked::Done);
    }
    let from = cursor.map_or(Position::default(), |cursor| cursor.next);
    let entries = match from.slot > tail.slot {
        true => Vec::new(),
        false => {
            store
                .stretch(conversation, from.slot, look, run.deadline)
                .await?
        }
    };
    let lanes_due = cursor.is_some_and(|cursor| cursor.lanes.iter().any(|lane| lane.due <= now));
    let owed = entries
        .iter()
        .any(|entry| !entry.served(consumer).is_empty());
    let end = entries
        .last()
        .map_or(from, |last| Position::slot(last.slot + 1));
    if !owed && !lanes_due {
        let woken = cursor.is_some_and(|cursor| cursor.due.is_some_and(|due| due <= now));
        if woken || end.slot - from.slot >= IDLE_SLOTS_MAX {
            store.cursor_skip(seen, end, run.deadline).await?;
            let more = end > from && end.slot <= tail.slot;
            return Ok(if more { Looked::Again } else { Looked::Done });
        }
        return Ok(Looked::Done);
    }
    let lease = run.lease();
    let held = store.cursor_lease(seen, from, lease, run.deadline);
    match held.await? {
        Some(held) => serve(run, held, look, &entries, end).await,
        None => Ok(Looked::Done),
    }
}

/// Whether somebody is owed something that no run has come to.
pub(super) async fn lags(
    run: Run<'_>,
    consumer: Consumer,
    look: &Look,
) -> Result<Option<Position>, StoreError> {
    let Some(tail) = look.tail() else {
        return Ok(None);
    };
    let from = look
        .cursor(consumer)
        .map_or(Position::default(), |cursor| cursor.next);
    if from.slot > tail.slot {
        return Ok(None);
    }
    let entries = run
        .app
        .store
        .stretch(run.conversation, from.slot, look, run.deadline)
        .await?;
    let owed = entries
        .iter()
        .any(|entry| !entry.served(consumer).is_empty());
    Ok(owed.then_some(from))
}

async fn serve(
    run: Run<'_>,
    mut held: Held,
    look: &Look,
    entries: &[Entry],
    end: Position,
) -> Result<Looked, StoreError> {
    let store = &run.app.store;
    let consumer = held.consumer;
    let mut lanes = lanes(run, &held, look).await?;
    let mut next = held.cursor.next;
    for entry in entries {
        let recipients: Vec<Recipient> = entry
            .served(consumer)
            .into_iter()
            .filter(|recipient| !lanes.iter().any(|lane| &lane.recipient == recipient))
            .collect();
        if !recipients.is_empty() {
            // Of what has been done so far the cursor must tell before more is.
            if next != held.cursor.next || lanes != held.cursor.lanes {
                let (until, deadline) = (run.lease_until(), run.deadline);
                let moved = store
                    .cursor_move(&mut held, next, 0, lanes.clone(), until, deadline)
                    .await?;
                if !moved {
                    return Ok(Looked::Done);
                }
            }
            if !run.has_time() {
                let rest = rest(next, lanes, Some(run.now()));
                store.cursor_leave(held, &rest, run.deadline).await?;
                return Ok(Looked::Done);
            }
            let served = join_all(
                recipients
                    .iter()
                    .map(|recipient| one(run, consumer, entry, recipient, 0)),
            );
            for (recipient, served) in recipients.iter().zip(served.await) {
                let recipient = recipient.clone();
                lanes.extend(lane(run, recipient, entry.slot, 0, served?));
            }
        }
        next = Position::slot(entry.slot + 1);
    }
    store
        .cursor_leave(held, &rest(end, lanes, None), run.deadline)
        .await?;
    Ok(Looked::Left(end.slot))
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

/// Where a recipient goes on by itself after an attempt at `slot`; `None`: it keeps up.
fn lane(
    run: Run<'_>,
    recipient: Recipient,
    slot: u64,
    failures: u32,
    served: Served,
) -> Option<Lane> {
    let (due, failures) = match served {
        Served::Done => return None,
        Served::Busy(until) => (Some(until), failures),
        Served::Failed { asked_s } => {
            let failures = failures + 1;
            (retry_at(run.now(), failures, asked_s, jitter()), failures)
        }
    };
    due.map(|due| Lane {
        recipient,
        slot,
        due,
        failures,
    })
}

/// The lanes after those that are due have gone on, all at once.
async fn lanes(run: Run<'_>, held: &Held, look: &Look) -> Result<Vec<Lane>, StoreError> {
    let now = run.now();
    let went_on = held.cursor.lanes.iter().map(|lane| async move {
        match lane.due <= now && run.has_time() {
            true => go_on_in_lane(run, held, look, lane).await,
            false => Ok(Some(lane.clone())),
        }
    });
    let lanes: Result<Vec<Option<Lane>>, StoreError> =
        join_all(went_on).await.into_iter().collect();
    Ok(lanes?.into_iter().flatten().collect())
}

/// One recipient, entry by entry, until it has caught up with the cursor (`None`), an attempt fails, or time is up.
async fn go_on_in_lane(
    run: Run<'_>,
    held: &Held,
    look: &Look,
    lane: &Lane,
) -> Result<Option<Lane>, StoreError> {
    let (consumer, end) = (held.consumer, held.cursor.next.slot);
    let began = Instant::now();
    let mut failures = lane.failures;
    let entries = run
        .app
        .store
        .stretch(run.conversation, lane.slot, look, run.deadline)
        .await?;
    let later = |slot, failures, due| Lane {
        recipient: lane.recipient.clone(),
        slot,
        due,
        failures,
    };
    let mut slot = lane.slot;
    for entry in entries.iter().filter(|entry| entry.slot < end) {
        slot = entry.slot;
        if entry.served(consumer).contains(&lane.recipient) {
            if began.elapsed() > LANE_TIME_MAX || !run.has_time() {
                return Ok(Some(later(slot, failures, run.now())));
            }
            let served = one(run, consumer, entry, &lane.recipient, failures).await?;
            let recipient = lane.recipient.clone();
            if let Some(lane) = self::lane(run, recipient, slot, failures, served) {
                return Ok(Some(lane));
            }
        }
        failures = 0;
        slot += 1;
    }
    Ok((slot < end).then(|| later(slot, failures, run.now())))
}

/// Serves one recipient of one entry once. After the last attempt that is worth making, a failure is the end of it.
async fn one(
    run: Run<'_>,
    consumer: Consumer,
    entry: &Entry,
    recipient: &Recipient,
    failures: u32,
) -> Result<Served, StoreError> {
    let last = retry_at(Timestamp::UNIX_EPOCH, failures + 1, None, 0).is_none();
    match recipient {
        Recipient::Participant(participant) => relay::send(run, entry, *participant, last).await,
        Recipient::Number(_) => {
            let served = numbers::tell(run, entry).await?;
            if let (Served::Failed { .. }, true) = (&served, last) {
                let conversation = run.conversation;
                let consumer = consumer.as_str();
                tracing::error!(
                    %conversation, consumer, slot = entry.slot,
                    "a number's own webhook was not told of a message of conversation {conversation}; given up"
                );
            }
            Ok(served)
        }
    }
}
