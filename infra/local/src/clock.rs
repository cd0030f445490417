//! The clock that a user moves: it stops at every instant at which something falls due.

use std::error::Error;
use std::time::Duration;

use jiff::Timestamp;
use routing::{DELIVERY_TIME_MAX, SWEEP_DISTANCE};
use service::App;
use service::dispatch;
use store::{Deadline, SHARDS, StoreError};

use crate::tasks::Tasks;

/// At how many instants a moved clock stops at most.
const INSTANTS_MAX: usize = 1_000;
/// How long it waits at each instant for the runs of consumers: an attempt, and the writes after it. The pause before the
/// next retry counts from the attempt. The lease of a run that lasts longer ends when the clock moves on.
const RUNS_TIME_MAX: Duration = DELIVERY_TIME_MAX.saturating_add(Duration::from_secs(5));
/// How long the clock goes from instant to instant. Then it jumps, so that an endpoint that hangs does not stop it.
const STOPS_TIME_MAX: Duration = Duration::from_secs(60);
/// How long the sweep may take, or the work on what is due at one instant.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Why the clock did not do all that fell due. The clock has moved nevertheless.
pub type AdvanceError = Box<dyn Error + Send + Sync>;

/// Moves the clock forward. It does timers and retries at the instants at which they fall due. It wakes the consumers
/// that the sweep finds at the end.
pub async fn advance(app: &App, tasks: &Tasks, by: Duration) -> Result<(), AdvanceError> {
    let moved = stop_by_stop(app, tasks, by).await;
    let swept = dispatch::sweep(app, SWEEP_DISTANCE, Deadline::after(TIME_MAX)).await;
    let woken = tick(app, tasks).await;
    moved.and(swept.map_err(Into::into)).and(woken)
}

async fn stop_by_stop(app: &App, tasks: &Tasks, by: Duration) -> Result<(), AdvanceError> {
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
        let next = next_due(app, now).await?;
        app.clock
            .advance(between(now, next.unwrap_or(target).min(target)));
    }
    app.clock.advance(between(app.clock.now(), target));
    tick(app, tasks).await
}

/// Does what is due by now, and waits for the end of the runs.
async fn tick(app: &App, tasks: &Tasks) -> Result<(), AdvanceError> {
    dispatch::tick(app, tasks, TIME_MAX).await?;
    tasks.wait(RUNS_TIME_MAX).await;
    Ok(())
}

/// The first instant after `after` at which something falls due.
pub(crate) async fn next_due(app: &App, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let deadline = Deadline::after(TIME_MAX);
    let mut first: Option<Timestamp> = None;
    for shard in 0..SHARDS {
        let at = app.store.due_next(shard, after, deadline).await?;
        first = first.into_iter().chain(at).min();
    }
    Ok(first)
}

/// Zero if `to` is before `from`.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
