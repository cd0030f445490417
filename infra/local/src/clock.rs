//! The clock, moved by hand: it stops at every instant at which something falls due.

use std::time::Duration;

use jiff::Timestamp;
use service::App;
use service::dispatch::{self, DELIVERY_TIME_MAX, SWEEP_DISTANCE, TickError};
use store::{Deadline, SHARDS, StoreError};

use crate::tasks::Tasks;

/// At how many instants a moved clock stops.
const INSTANTS_MAX: usize = 1_000;
/// How long it waits at each for the runs of consumers: an attempt, and what is written of it. A retry's next pause counts
/// from the attempt, and the lease of a run that lasts longer runs out when the clock moves on.
const RUNS_TIME_MAX: Duration = DELIVERY_TIME_MAX.saturating_add(Duration::from_secs(5));
/// How long the clock goes from instant to instant. Then it jumps: an endpoint that hangs does not stop it.
const STOPS_TIME_MAX: Duration = Duration::from_secs(60);
/// How long the sweep may take, or what is due at one instant.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Moves the clock forward. What falls due on the way is done at its own instant, timers and retries alike; what the
/// sweep finds, at the end.
pub async fn advance(app: &App, tasks: &Tasks, by: Duration) -> Result<(), TickError> {
    let moved = stop_by_stop(app, tasks, by).await;
    let swept = dispatch::sweep(app, SWEEP_DISTANCE, Deadline::after(TIME_MAX)).await;
    let woken = tick(app, tasks).await;
    moved.and(swept.map_err(Into::into)).and(woken)
}

async fn stop_by_stop(app: &App, tasks: &Tasks, by: Duration) -> Result<(), TickError> {
    let deadline = Deadline::after(STOPS_TIME_MAX);
    let target = app.clock.now().checked_add(by).unwrap_or(Timestamp::MAX);
    for _ in 0..INSTANTS_MAX {
        tick(app, tasks).await?;
        let now = app.clock.now();
        if now >= target {
            return Ok(());
        }
        if deadline.passed() {
            break;
        }
        let next = next(app, now).await?;
        app.clock
            .advance(between(now, next.unwrap_or(target).min(target)));
    }
    app.clock.advance(between(app.clock.now(), target));
    tick(app, tasks).await
}

/// What is due by now is done, and the runs that it takes have ended.
async fn tick(app: &App, tasks: &Tasks) -> Result<(), TickError> {
    dispatch::tick(app, tasks, TIME_MAX).await?;
    tasks.wait(RUNS_TIME_MAX).await;
    Ok(())
}

/// When something falls due next.
async fn next(app: &App, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let deadline = Deadline::after(TIME_MAX);
    let mut first: Option<Timestamp> = None;
    for shard in 0..SHARDS {
        let at = app.store.due_next(shard, now, deadline).await?;
        first = first.into_iter().chain(at).min();
    }
    Ok(first)
}

/// Zero where `to` is past.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
