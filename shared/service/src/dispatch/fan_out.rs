//! Consumers that serve several recipients: each entry to all of its recipients at once; a recipient that fails goes on
//! in a lane of its own, from its first unfinished slot, and the others do not wait for it.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use routing::{Consumer, Entry, Lane, Look, Position, Recipient, retry_at};
use store::{Held, Rest, Seen, StoreError};
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
    let cursor = look.cursor(consumer);
    let seen = Seen {
        conversation,
        consumer,
        cursor,
        at: now,
    };
    let Some(tail) = look.tail() else {
        // It may have been made due while it was purged.
        run.clear_due(seen).await?;
        return Ok(Looked::Done);
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
        .any(|entry| !entry.recipients_of(consumer).is_empty());
    let end = entries
        .last()
        .map_or(from, |last| Position::slot(last.slot + 1));
    let ended = end.slot > tail.slot;
    if !owed && !lanes_due {
        let woken = cursor.is_some_and(|cursor| cursor.due.is_some_and(|due| due <= now));
        if woken || end.slot - from.slot >= IDLE_SLOTS_MAX {
            store.cursor_skip(seen, end, ended, run.deadline).await?;
            // Whoever saw more found the cursor moved, and left it to this run. A gap is rung for when it closes.
            return Ok(match ended || end > from {
                true => Looked::Left(end.slot),
                false => Looked::Done,
            });
        }
        return Ok(Looked::Done);
    }
    let lease = run.lease();
    let held = store.cursor_lease(seen, from, lease, run.deadline);
    match held.await? {
        Some(held) => serve(run, held, look, &entries, end, ended).await,
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
    let cursor = look.cursor(consumer);
    let first = cursor.map_or(Position::default(), |cursor| cursor.next);
    // A run that moved the cursor and died left lanes behind, and no due time.
    if cursor.is_some_and(|cursor| cursor.due.is_none() && !cursor.lanes.is_empty()) {
        return Ok(Some(first));
    }
    let mut slot = first.slot;
    while slot <= tail.slot {
        let entries = run
            .app
            .store
            .stretch(run.conversation, slot, look, run.deadline)
            .await?;
        let owes = |entry: &Entry| !entry.recipients_of(consumer).is_empty();
        if entries.iter().any(owes) {
            return Ok(Some(first));
        }
        let Some(last) = entries.last() else {
            break;
        };
        slot = last.slot + 1;
    }
    Ok(None)
}

/// First those who keep up, then those who lag: whoever hangs in a lane has what comes meanwhile behind it for no longer
/// than [`LANE_TIME_MAX`] and one attempt. `ended`: nothing lies behind the stretch. Else the cursor stays due, for nobody
/// may come back to it.
async fn serve(
    run: Run<'_>,
    mut held: Held,
    look: &Look,
    entries: &[Entry],
    end: Position,
    ended: bool,
) -> Result<Looked, StoreError> {
    let store = &run.app.store;
    let consumer = held.consumer;
    let mut lanes = held.cursor.lanes.clone();
    let mut next = held.cursor.next;
    for entry in entries {
        let recipients: Vec<Recipient> = entry
            .recipients_of(consumer)
            .into_iter()
            .filter(|recipient| !lanes.iter().any(|lane| &lane.recipient == recipient))
            .collect();
        if !recipients.is_empty() {
            if !saved(run, &mut held, next, &lanes).await? {
                return Ok(Looked::Done);
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
    if lanes.iter().any(|lane| lane.due <= run.now()) {
        if !saved(run, &mut held, end, &lanes).await? {
            return Ok(Looked::Done);
        }
        lanes = went_on(run, &held, look).await?;
    }
    let due = (!ended).then(|| run.now());
    store
        .cursor_leave(held, &rest(end, lanes, due), run.deadline)
        .await?;
    Ok(Looked::Left(end.slot))
}

/// Of what has been done so far the cursor must tell before more is. `false`: the run holds it no more.
async fn saved(
    run: Run<'_>,
    held: &mut Held,
    next: Position,
    lanes: &[Lane],
) -> Result<bool, StoreError> {
    if next == held.cursor.next && lanes == held.cursor.lanes {
        return Ok(true);
    }
    let (until, deadline) = (run.lease_until(), run.deadline);
    let store = &run.app.store;
    store
        .cursor_move(held, next, 0, lanes.to_vec(), until, deadline)
        .await
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
async fn went_on(run: Run<'_>, held: &Held, look: &Look) -> Result<Vec<Lane>, StoreError> {
    let now = run.now();
    let each = held.cursor.lanes.iter().map(|lane| async move {
        match lane.due <= now && run.has_time() {
            true => go_on_in_lane(run, held, look, lane).await,
            false => Ok(Some(lane.clone())),
        }
    });
    let lanes: Result<Vec<Option<Lane>>, StoreError> = join_all(each).await.into_iter().collect();
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
        if entry.recipients_of(consumer).contains(&lane.recipient) {
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
