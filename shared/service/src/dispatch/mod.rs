//! What happens after a commit: consumers read the conversations' logs, and tell the world.
//!
//! The doorbell says which logs have grown, and calls nobody's network; whoever it hands the conversations off to lets
//! their consumers [`run`]; the clock ([`tick`]) finds what waits for a time, and what a lost ring left behind.
//!
//! The cast: [`post`] tells the account's post-action webhook, event by event. [`fan_out`] serves several recipients,
//! each at its own pace: those of [`relay`], which sends messages out, and of [`numbers`], which tells the numbers' own
//! webhooks. [`due`] looks for what is due, [`sweep`] for what was forgotten, [`timer`] closes and parks conversations,
//! [`purge`] removes what was deleted.
//!
//! Refused here: to decide what an entry owes to whom, which is [`routing`]'s.

mod due;
mod fan_out;
mod numbers;
mod post;
mod purge;
mod relay;
mod sweep;
mod timer;

use std::future::Future;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use routing::{Consumer, ConversationSid, Lease, Look, Position};
use store::{Deadline, Seen, StoreError};

use crate::App;
use crate::app::random;

pub use due::{TickError, TickFailure, tick};
pub use sweep::{SWEEP_DISTANCE, Swept, sweep};

/// How long a run may last, all its attempts included. Shorter than [`SWEEP_DISTANCE`]: a run must not clear a due time
/// that the sweep has passed by.
pub const RUN_TIME_MAX: Duration = Duration::from_secs(120);
/// How long one attempt at one recipient may take.
pub const DELIVERY_TIME_MAX: Duration = Duration::from_secs(15);
/// What must be left of a run's time for an attempt to begin: the attempt, and the writes after it.
const ATTEMPT_RESERVE: Duration = Duration::from_secs(20);
/// How long a run has a cursor to itself after each of its moves; between two moves lies one attempt, or a bounded
/// number of them.
const LEASE_TIME: Duration = Duration::from_secs(45);
/// How often a run looks for more. What is left after that is due for the next run.
const LOOKS_MAX: usize = 200;
/// How many slots that owe nothing a cursor may lag behind before it is moved for that alone: moving it costs a write,
/// not moving it a longer read.
const IDLE_SLOTS_MAX: u64 = 4;

/// The way from the doorbell to a [`run`].
pub trait HandOff {
    /// Sees to it that the conversations' consumers run; does not wait for them.
    fn hand_off(
        &self,
        conversations: Vec<ConversationSid>,
    ) -> impl Future<Output = Result<(), HandOffError>> + Send;
}

/// Nobody took the conversations over.
#[derive(Debug, thiserror::Error)]
#[error("failed to hand conversations off")]
pub struct HandOffError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// How many conversations are handed off at once. They run side by side.
pub const HAND_OFF_MAX: usize = 25;

/// Lets every consumer of a conversation go on from its cursor. It ends where nothing more is to be done now, or after
/// [`RUN_TIME_MAX`].
pub async fn run(app: &App, conversation: ConversationSid) -> Result<(), StoreError> {
    let deadline = Deadline::after(RUN_TIME_MAX);
    let look = app.store.look(conversation, deadline).await?;
    let run = Run {
        app,
        conversation,
        deadline,
    };
    let consumers = look.consumers().into_iter();
    let ran = join_all(consumers.map(|consumer| run.consumer(consumer, look.clone())));
    ran.await.into_iter().collect()
}

/// One run.
#[derive(Clone, Copy)]
struct Run<'a> {
    app: &'a App,
    conversation: ConversationSid,
    deadline: Deadline,
}

/// How a look at the log ended.
enum Looked {
    /// Nothing is left, or it is somebody else's, or it must wait for a time.
    Done,
    /// There is more.
    Again,
    /// The run has left the cursor at this slot; whatever stands there now came while it was leaving.
    Left(u64),
}

impl Run<'_> {
    async fn consumer(self, consumer: Consumer, first: Look) -> Result<(), StoreError> {
        let mut look = first;
        for _ in 0..LOOKS_MAX {
            let looked = match consumer {
                Consumer::Post(scope) => post::go_on(self, scope, &look).await?,
                Consumer::Relay | Consumer::Numbers => {
                    fan_out::go_on(self, consumer, &look).await?
                }
            };
            let store = &self.app.store;
            match looked {
                Looked::Done => return Ok(()),
                Looked::Again => {}
                Looked::Left(slot) => {
                    let tail = store.tail_get(self.conversation, self.deadline).await?;
                    if tail.is_none_or(|tail| tail.slot < slot) {
                        return Ok(());
                    }
                }
            }
            look = store.look(self.conversation, self.deadline).await?;
            if !self.has_time() {
                break;
            }
        }
        // Whoever rang meanwhile left it to this run.
        self.wake(consumer, &look).await
    }

    /// Makes a consumer due that lags.
    async fn wake(self, consumer: Consumer, look: &Look) -> Result<(), StoreError> {
        let Some(beginning) = self.lags(consumer, look).await? else {
            return Ok(());
        };
        // What waits in a lane keeps nobody else waiting.
        let even_if_ahead = !matches!(consumer, Consumer::Post(_));
        let (conversation, now) = (self.conversation, self.now());
        let store = &self.app.store;
        let woken = store.cursor_wake(
            conversation,
            consumer,
            beginning,
            even_if_ahead,
            now,
            self.deadline,
        );
        if woken.await? {
            let consumer = consumer.as_str();
            tracing::info!(%conversation, consumer, "{consumer} lags in conversation {conversation}, and is made due");
        }
        Ok(())
    }

    /// Nobody is owed anything: a cursor that is due waits for nothing.
    async fn clear_due(self, seen: Seen<'_>) -> Result<(), StoreError> {
        let woken = seen.cursor.filter(|cursor| cursor.due.is_some());
        match woken {
            Some(cursor) => {
                let store = &self.app.store;
                store
                    .cursor_skip(seen, cursor.next, true, self.deadline)
                    .await
            }
            None => Ok(()),
        }
    }

    /// Where a consumer goes on that is owed something which no run has come to.
    async fn lags(self, consumer: Consumer, look: &Look) -> Result<Option<Position>, StoreError> {
        match consumer {
            Consumer::Post(scope) => post::lags(self, scope, look).await,
            Consumer::Relay | Consumer::Numbers => fan_out::lags(self, consumer, look).await,
        }
    }

    fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    fn lease(&self) -> Lease {
        Lease {
            owner: random(),
            until: self.lease_until(),
        }
    }

    fn lease_until(&self) -> Timestamp {
        after(self.now(), LEASE_TIME)
    }

    /// Whether there is time for another attempt.
    fn has_time(&self) -> bool {
        self.deadline.remaining() > ATTEMPT_RESERVE
    }
}

fn after(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

fn jitter() -> u32 {
    u32::from_be_bytes(random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_run_lasts_as_long_as_the_sweep_lies_behind() {
        assert!(RUN_TIME_MAX + DELIVERY_TIME_MAX < SWEEP_DISTANCE);
        assert!(DELIVERY_TIME_MAX < ATTEMPT_RESERVE);
        assert!(ATTEMPT_RESERVE < LEASE_TIME && LEASE_TIME < RUN_TIME_MAX);
    }
}
