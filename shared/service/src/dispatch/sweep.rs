//! The sweep finds the changes of lost rings. The time index names every change once. The sweep reads this index at a
//! distance from now, in each shard from a durable mark on. It wakes every consumer that lags behind, before it moves the
//! mark; from then on the due index is responsible.
//!
//! It also meets every forwarded message once, and raises the alarm for each that is still pending.
//!
//! A mark moves page by page, so a sweep that ends early keeps its progress, and the next sweep continues there.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use routing::{ConversationSid, SWEEP_DISTANCE};
use store::{Changed, Deadline, PendingForward, SHARDS, StoreError};

use super::Run;
use crate::{App, ErrorChain};

/// Where the sweep begins in a shard that has no mark: further back than any change that the stream could have lost.
const FIRST_SWEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How far a mark stays behind in a shard without changes. A read of nothing costs less than a write of the mark.
const IDLE_MARK: SignedDuration = SignedDuration::from_hours(1);
/// How far the sweep may be behind at its end. If it is further behind, an operator must act: the sweep finds lost rings
/// that much later.
const BEHIND_MAX: SignedDuration = SignedDuration::from_hours(1);
/// How many shards a sweep reads at once, and at how many conversations of each it looks at once.
const SHARDS_AT_ONCE: usize = 4;
const LOOKS_AT_ONCE: usize = 8;
/// The last part of the sweep's time, as a divisor: no page begins in it, so that those that began before can end.
const ENDING_SHARE: u32 = 10;

/// Wakes every consumer that lags behind a change which is older than `distance`, and moves the marks as far as
/// [`SWEEP_DISTANCE`] allows.
///
/// The shard that is furthest behind comes first. Each shard has a slice of the time, and a failure of one stops no other.
///
/// # Errors
/// The first failure, after the others are swept. Each has a log line of its own.
pub async fn sweep(app: &App, distance: Duration, deadline: Deadline) -> Result<Swept, StoreError> {
    let now = app.clock.now();
    let before = |distance| now.checked_sub(distance).unwrap_or(Timestamp::MIN);
    let ending = deadline.remaining() / ENDING_SHARE;
    let sweep = Sweep {
        app,
        until: before(distance),
        mark_until: before(SWEEP_DISTANCE),
        ending,
        last: deadline.less(ending),
        deadline,
    };
    let marks = (0..SHARDS).map(|shard| app.store.sweep_mark_get(shard, deadline));
    let (mut shards, mut unknown) = (Vec::new(), None);
    for (shard, mark) in (0..).zip(join_all(marks).await) {
        match mark {
            Ok(mark) => {
                // A mark from the future comes from a clock that was moved and that has gone back with its process.
                let mark = mark.filter(|mark| *mark <= now);
                let from = mark.unwrap_or(before(FIRST_SWEEP));
                shards.push(Shard { shard, mark, from });
            }
            Err(error) => {
                log_failure(shard, &error);
                unknown.get_or_insert(error);
            }
        }
    }
    let (left, first_error) = sweep.all(shards).await;
    for shard in &left {
        shard.report(sweep.until);
    }
    match unknown.or(first_error) {
        Some(error) => Err(error),
        None if left.is_empty() => Ok(Swept::Whole),
        None => Ok(Swept::Part),
    }
}

/// The end of a sweep that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    /// It read every change that is old enough.
    Whole,
    /// Its time was over before. The next sweep continues.
    Part,
}

fn log_failure(shard: u8, error: &StoreError) {
    let error = ErrorChain(error);
    tracing::warn!(
        shard, %error,
        "the sweep of shard {shard} failed; the next one continues from its mark"
    );
}

/// One sweep.
#[derive(Clone, Copy)]
struct Sweep<'a> {
    app: &'a App,
    until: Timestamp,
    mark_until: Timestamp,
    /// How long a page may take that begins at the end of a slice.
    ending: Duration,
    /// No page begins after this.
    last: Deadline,
    deadline: Deadline,
}

/// How far a shard is swept.
#[derive(Clone, Copy, Debug)]
struct Shard {
    shard: u8,
    mark: Option<Timestamp>,
    /// The next page begins after this moment.
    from: Timestamp,
}

impl Sweep<'_> {
    /// Sweeps the shards in rounds, until no shard has anything left or the time is over. The outcome is the shards that
    /// have something left, and the first failure. A shard that fails is not swept again.
    async fn all(self, mut shards: Vec<Shard>) -> (Vec<Shard>, Option<StoreError>) {
        let mut first_error = None;
        while !shards.is_empty() && !self.last.passed() {
            shards.sort_by_key(|shard| (shard.from, shard.shard));
            let mut waiting = shards.len();
            let mut swept = stream::iter(shards)
                .map(|shard| {
                    let time = slice(self.last.remaining(), waiting);
                    waiting -= 1;
                    self.shard(shard, time)
                })
                .buffer_unordered(SHARDS_AT_ONCE);
            let mut left = Vec::new();
            while let Some((shard, swept)) = swept.next().await {
                match swept {
                    Ok(()) if shard.from < self.until => left.push(shard),
                    Ok(()) => {}
                    Err(error) => {
                        log_failure(shard.shard, &error);
                        first_error.get_or_insert(error);
                    }
                }
            }
            drop(swept);
            shards = left;
        }
        (shards, first_error)
    }

    /// Sweeps a shard, page by page, for as long as `time`.
    async fn shard(self, mut shard: Shard, time: Duration) -> (Shard, Result<(), StoreError>) {
        let (last, deadline) = (
            self.last.within(time),
            self.deadline.within(time + self.ending),
        );
        while shard.from < self.until && !last.passed() {
            if let Err(error) = self.page(&mut shard, deadline).await {
                return (shard, Err(error));
            }
        }
        (shard, Ok(()))
    }

    async fn page(self, shard: &mut Shard, deadline: Deadline) -> Result<(), StoreError> {
        let Sweep { app, until, .. } = self;
        let changed = app
            .store
            .changed(shard.shard, shard.from, until, deadline)
            .await?;
        let conversations = changed.conversations.iter().copied();
        stream::iter(conversations)
            .map(|conversation| wake_lagging(app, conversation, deadline))
            .buffer_unordered(LOOKS_AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
        // Directly before the mark: the next sweep reads a failed page again, so a failed page raises no alarm.
        for error in &changed.unreadable {
            let error = ErrorChain(error);
            tracing::error!(%error, "a journal entry can't be read; the sweep wakes no consumer for it");
        }
        let reached = changed.until.min(self.mark_until);
        let passed = changed
            .pending
            .iter()
            .filter(|forward| forward.at <= reached);
        passed.for_each(raise_alarm);
        if shard.mark_moves(reached, &changed) {
            app.store
                .sweep_mark_put(shard.shard, reached, deadline)
                .await?;
            shard.mark = Some(reached);
        }
        shard.from = changed.until;
        Ok(())
    }
}

impl Shard {
    /// Whether the mark is worth a write. A page with changes is: the next sweep would read them again, and count its
    /// pending forwards again.
    fn mark_moves(&self, reached: Timestamp, page: &Changed) -> bool {
        let idle = |mark: Timestamp| reached.duration_since(mark) <= IDLE_MARK;
        self.mark
            .is_none_or(|mark| reached > mark && (page.rows > 0 || !idle(mark)))
    }

    /// Logs how far the sweep is behind in a shard for which it had no time.
    fn report(&self, until: Timestamp) {
        let shard = self.shard;
        let behind = until.duration_since(self.from);
        let behind_s = behind.as_secs();
        if behind > BEHIND_MAX {
            tracing::error!(
                shard,
                behind_s,
                "the sweep is {behind_s} s behind in shard {shard}: lost rings are found that much later"
            );
        } else {
            tracing::warn!(
                shard,
                behind_s,
                "the sweep's time is over, {behind_s} s behind in shard {shard}; the next one continues"
            );
        }
    }
}

/// The slice of the time for the next of the shards that wait for their turn. A shard leaves the time that it does not
/// need to the next.
fn slice(remaining: Duration, waiting: usize) -> Duration {
    let turns = waiting.div_ceil(SHARDS_AT_ONCE).max(1);
    remaining / u32::try_from(turns).unwrap_or(u32::MAX)
}

/// `infra/template.yaml` counts these lines. A forward is counted when the mark passes it. If the mark can't be written,
/// or two sweeps run at once, it is counted again: the alarm comes twice rather than never.
fn raise_alarm(forward: &PendingForward) {
    let message_sid = forward.message;
    tracing::error!(
        %message_sid,
        forward = "pending",
        "message {message_sid} was forwarded, and no result is noted: the application may have it or not"
    );
}

/// Compares the end of a log with the cursors, strongly. One conversation that can't be read stops no sweep.
async fn wake_lagging(
    app: &App,
    conversation: ConversationSid,
    deadline: Deadline,
) -> Result<(), StoreError> {
    match look_and_wake(app, conversation, deadline).await {
        Err(error) if !error.retryable() => {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_turn_has_the_same_time_and_passes_on_what_it_does_not_need() {
        let seconds = Duration::from_secs;
        for (remaining, waiting, expected) in [
            (40, 16, 10),
            (40, 13, 10),
            (30, 12, 10),
            (40, 12, 13),
            (40, 4, 40),
            (40, 1, 40),
        ] {
            let slice = slice(seconds(remaining), waiting);
            assert_eq!(
                slice.as_secs(),
                expected,
                "{remaining} s, {waiting} waiting"
            );
        }
    }

    #[test]
    fn a_mark_is_written_for_changes_and_once_an_hour() {
        let at = |minutes: i64| Timestamp::from_second(1_790_000_000 + 60 * minutes).unwrap();
        let check = |mark: Option<i64>, reached: i64, rows: usize, moves: bool| {
            let shard = Shard {
                shard: 0,
                mark: mark.map(at),
                from: at(0),
            };
            let page = Changed {
                until: at(reached),
                rows,
                conversations: BTreeSet::new(),
                pending: Vec::new(),
                unreadable: Vec::new(),
            };
            let context = format!("{mark:?} {reached} {rows}");
            assert_eq!(shard.mark_moves(at(reached), &page), moves, "{context}");
        };
        // A shard that was never swept, one with changes, and an idle one.
        check(None, 0, 0, true);
        check(Some(0), 1, 1, true);
        check(Some(0), 1, 0, false);
        check(Some(0), 60, 0, false);
        check(Some(0), 61, 0, true);
        // The page ends where the mark already is.
        check(Some(0), 0, 7, false);
        check(Some(1), 0, 7, false);
    }
}
