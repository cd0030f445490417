//! The clock's work on due times. First it hands off the conversations whose cursors are due; then it fires timers, and
//! after them purges. A backlog of one kind delays no other kind: each has lists of its own and a share of the time, and
//! one failure stops nothing else.

use std::collections::BTreeSet;
use std::future::ready;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use routing::ConversationSid;
use store::{Deadline, Due, DueKind, SHARDS, StoreError};
use tokio::time::timeout;

use super::{HAND_OFF_MAX, HandOff, HandOffError, purge, timer};
use crate::{App, ErrorChain};

/// The clock could not do all due work. Each failure has its own log line; the failed work stays due.
#[derive(Debug, thiserror::Error)]
#[error("{failed} steps of the clock failed, the first of them")]
pub struct TickError {
    failed: usize,
    #[source]
    pub first: TickFailure,
}

/// A list, a timer or a purge that failed, or a hand-off.
#[derive(Debug, thiserror::Error)]
pub enum TickFailure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    HandOff(#[from] HandOffError),
}

/// The parts of the time that belong to timers and to purges, as divisors. Hand-offs have the other half. A
/// kind leaves the time that it does not need to the kinds after it.
const TIMERS_SHARE: u32 = 4;
const PURGES_SHARE: u32 = 4;
/// The last part of the time, as a divisor: no step begins in it, so that the steps under way can end.
const ENDING_SHARE: u32 = 10;

/// How many lists are read at once, how many hand-offs are under way, how many timers or purges.
const LISTS_AT_ONCE: usize = 8;
const HAND_OFFS_AT_ONCE: usize = 8;
const FIRES_AT_ONCE: usize = 8;

/// Hands off the conversations whose cursors are due by now, and fires the due timers and purges.
///
/// The oldest due time comes first, in any order of SIDs. A run gives a cursor a later due time or none, and a timer or a purge
/// that fired is gone or set to a later time, so every due item comes to the front in its turn.
///
/// # Errors
/// If any step failed. All other steps are done.
pub async fn tick(app: &App, hand_off: &impl HandOff, time: Duration) -> Result<(), TickError> {
    let end = Deadline::after(time);
    let mut tick = Tick {
        app,
        ending: time / ENDING_SHARE,
        failed: 0,
        first: None,
    };
    let (timers, purges) = (time / TIMERS_SHARE, time / PURGES_SHARE);
    tick.hand_off_due(hand_off, end.less(timers + purges)).await;
    tick.fire_due(DueKind::Timer, end.less(purges)).await;
    tick.fire_due(DueKind::Purge, end).await;
    match tick.first {
        None => Ok(()),
        Some(first) => Err(TickError {
            failed: tick.failed,
            first,
        }),
    }
}

/// One tick, and its failures.
struct Tick<'a> {
    app: &'a App,
    /// The part of a share in which no step begins.
    ending: Duration,
    failed: usize,
    first: Option<TickFailure>,
}

impl Tick<'_> {
    async fn hand_off_due(&mut self, hand_off: &impl HandOff, deadline: Deadline) {
        let due = self.due_list(DueKind::Cursor, deadline).await;
        let mut distinct = BTreeSet::new();
        let conversations: Vec<ConversationSid> = due
            .into_iter()
            .map(|due| due.conversation)
            .filter(|conversation| distinct.insert(*conversation))
            .collect();
        let mut left = conversations.len();
        let hand_offs = conversations.chunks(HAND_OFF_MAX).map(<[_]>::to_vec);
        let hand_offs: Vec<Vec<ConversationSid>> = hand_offs.collect();
        let mut handed_off = stream::iter(hand_offs)
            .take_while(|_| ready(!deadline.passed()))
            .map(|some| async move {
                let count = some.len();
                let given = timeout(deadline.remaining(), hand_off.hand_off(some)).await;
                let given = given.unwrap_or_else(|late| Err(HandOffError(Box::new(late))));
                (count, given)
            })
            .buffer_unordered(HAND_OFFS_AT_ONCE);
        let mut failures = Vec::new();
        while let Some((count, given)) = handed_off.next().await {
            left -= count;
            if let Err(error) = given {
                let chain = ErrorChain(&error);
                tracing::warn!(
                    error = %chain, count,
                    "{count} conversations that are due could not be handed off; they stay due"
                );
                failures.push(error);
            }
        }
        drop(handed_off);
        for error in failures {
            self.fail(error);
        }
        if left > 0 {
            tracing::warn!(left, "the time is over; {left} conversations stay due");
        }
    }

    async fn fire_due(&mut self, kind: DueKind, deadline: Deadline) {
        let due = self.due_list(kind, deadline).await;
        let (app, last) = (self.app, deadline.less(self.ending));
        let mut left = due.len();
        let mut fired = stream::iter(due)
            .take_while(|_| ready(!last.passed()))
            .map(|due| fire(app, kind, due, deadline))
            .buffer_unordered(FIRES_AT_ONCE);
        while let Some(result) = fired.next().await {
            left -= 1;
            if let Err(error) = result {
                self.fail(error);
            }
        }
        if left > 0 {
            let kind = kind.as_str();
            tracing::warn!(left, kind, "the time is over; {left} {kind}s stay due");
        }
    }

    /// All due items of a kind, over all shards, oldest first.
    async fn due_list(&mut self, kind: DueKind, deadline: Deadline) -> Vec<Due> {
        let (app, now) = (self.app, self.app.clock.now());
        let mut lists = stream::iter(0..SHARDS)
            .map(|shard| async move {
                let list = app.store.due_list(kind, shard, now, deadline).await;
                (shard, list)
            })
            .buffer_unordered(LISTS_AT_ONCE);
        let mut found = Vec::new();
        while let Some((shard, list)) = lists.next().await {
            match list {
                Ok(list) => found.extend(list),
                Err(error) => {
                    let (kind, chain) = (kind.as_str(), ErrorChain(&error));
                    tracing::warn!(
                        shard, kind, error = %chain,
                        "the list of {kind}s in shard {shard} can't be read; they stay due"
                    );
                    self.fail(error);
                }
            }
        }
        found.sort_by_key(|due| due.at);
        found
    }

    fn fail(&mut self, error: impl Into<TickFailure>) {
        self.failed += 1;
        self.first.get_or_insert(error.into());
    }
}

/// Fires a timer or a purge. One conversation that can't be read fails no tick: it would fail each one.
async fn fire(app: &App, kind: DueKind, due: Due, deadline: Deadline) -> Result<(), StoreError> {
    let Due { conversation, at } = due;
    let fired = match kind {
        DueKind::Timer => timer::fire(app, conversation, at, deadline).await,
        DueKind::Purge => purge::purge(app, conversation, at, deadline).await,
        // The hand-off has done it.
        DueKind::Cursor => Ok(()),
    };
    let Err(error) = fired else {
        return Ok(());
    };
    let (kind, chain) = (kind.as_str(), ErrorChain(&error));
    if error.retryable() {
        tracing::warn!(
            %conversation, kind, error = %chain,
            "the {kind} of conversation {conversation} failed; it stays due"
        );
        return Err(error);
    }
    tracing::error!(
        %conversation, kind, error = %chain,
        "conversation {conversation} can't be read; its {kind} has no effect"
    );
    Ok(())
}
