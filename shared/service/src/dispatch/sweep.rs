//! The sweep: finds what a lost ring left behind. Every change is named once in the time index; the sweep reads it at a
//! distance from now, from a durable mark on, and wakes every consumer that lags, before the mark moves.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use routing::ConversationSid;
use store::{Deadline, SHARDS, StoreError};

use super::Run;
use crate::{App, ErrorChain};

/// How far behind now the sweep reads: a change stands in the time index by then (a request and its repetitions take a
/// minute at most), and every run that could have dealt with it is over.
pub const SWEEP_DISTANCE: Duration = Duration::from_secs(300);

/// Where a sweep begins that has no mark yet: further back than any change that the stream could have lost.
const FIRST_SWEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Where nothing happens, marks are moved this seldom.
const IDLE_MARK: SignedDuration = SignedDuration::from_hours(1);
/// How many shards are swept side by side, and how many conversations of each are looked at.
const SHARDS_AT_ONCE: usize = 4;
const LOOKS_AT_ONCE: usize = 8;

/// Wakes every consumer that lags behind a change which is older than `distance`, and moves the marks as far as
/// [`SWEEP_DISTANCE`] allows.
pub async fn sweep(app: &App, distance: Duration, deadline: Deadline) -> Result<(), StoreError> {
    // Side by side, so that one which fails or is late keeps no other from its end.
    let swept: Vec<_> = stream::iter(0..SHARDS)
        .map(|shard| sweep_shard(app, shard, distance, deadline))
        .buffer_unordered(SHARDS_AT_ONCE)
        .collect()
        .await;
    swept.into_iter().collect()
}

async fn sweep_shard(
    app: &App,
    shard: u8,
    distance: Duration,
    deadline: Deadline,
) -> Result<(), StoreError> {
    let now = app.clock.now();
    let before = |distance| now.checked_sub(distance).unwrap_or(Timestamp::MIN);
    let (until, mark_until) = (before(distance), before(SWEEP_DISTANCE));
    // A mark from the future is of a clock that was moved, and has gone back with its process.
    let mark = app.store.sweep_mark_get(shard, deadline).await?;
    let mark = mark.filter(|mark| *mark <= now);
    let mut from = mark.unwrap_or(before(FIRST_SWEEP));
    while from < until {
        let changed = app.store.changed(shard, from, until, deadline).await?;
        let quiet = changed.conversations.is_empty();
        stream::iter(changed.conversations)
            .map(|conversation| wake_lagging(app, conversation, deadline))
            .buffer_unordered(LOOKS_AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
        let reached = changed.until.min(mark_until);
        let old = mark.is_none_or(|mark| reached.duration_since(mark) > IDLE_MARK);
        if reached > from.min(mark_until) && (!quiet || old) {
            app.store.sweep_mark_put(shard, reached, deadline).await?;
        }
        from = changed.until;
    }
    Ok(())
}

/// Compares the end of a log with the cursors, strongly.
async fn wake_lagging(
    app: &App,
    conversation: ConversationSid,
    deadline: Deadline,
) -> Result<(), StoreError> {
    match look_and_wake(app, conversation, deadline).await {
        Err(error) if !error.retryable() => {
            // One conversation that can't be read must not keep the sweep from all others.
            let error = ErrorChain(&error);
            tracing::error!(%conversation, %error, "conversation {conversation} can't be read; its consumers stand still");
            Ok(())
        }
        other => other,
    }
}

async fn look_and_wake(
    app: &App,
    conversation: ConversationSid,
    deadline: Deadline,
) -> Result<(), StoreError> {
    let run = Run {
        app,
        conversation,
        deadline,
    };
    let look = app.store.look(conversation, deadline).await?;
    for consumer in look.consumers() {
        run.wake(consumer, &look).await?;
    }
    Ok(())
}
