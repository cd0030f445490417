//! What happens after a commit: consumers read the conversations' logs, and deliver what the entries owe.
//!
//! Three things [`run`] the consumers of a conversation:
//!
//! - the *doorbell*: the table's stream tells which logs have grown. Each record is a *ring*. The doorbell calls no
//!   other party's network; it hands the conversations off ([`HandOff`]), and returns;
//! - the *clock* ([`tick`]): about once a minute it fires the timers that are due, and hands off the conversations whose
//!   cursors are due;
//! - the *sweep* ([`sweep`]): it reads the changes of a while ago, and makes every cursor due whose consumer lags, because
//!   a ring was lost.
//!
//! The cast: [`post`] delivers events to an endpoint, one after the other. [`fan_out`] delivers to several recipients, each
//! at its own pace: those of [`relay`], which sends messages out, and of [`numbers`], which calls the numbers' own
//! webhooks. [`due`] finds due times, [`timer`] closes and parks conversations, [`purge`] removes deleted conversations.
//!
//! This module makes no choice: the next step of a consumer is a value of [`routing::consumer`], which it carries out.

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
use routing::consumer::action::{Approach, Runner};
use routing::consumer::lag::{Lag, LagStep};
use routing::consumer::step::{Step, approach, step};
use routing::{
    AttemptResult, Attempted, Consumer, ConversationSid, Cursor, CursorWrite, Entry, Limits, Look,
    Looks, Moment, RUN_TIME_MAX, Then,
};
use store::{Deadline, StoreError};

use crate::App;
use crate::app::random;

pub use due::{TickError, TickFailure, tick};
pub use sweep::{Swept, sweep};

/// The bounds of a run.
const LIMITS: &Limits = &Limits::SHIPPED;

/// The way from the doorbell to a [`run`].
pub trait HandOff {
    /// Starts runs of the conversations' consumers, and does not wait for them.
    fn hand_off(
        &self,
        conversations: Vec<ConversationSid>,
    ) -> impl Future<Output = Result<(), HandOffError>> + Send;
}

/// The hand-off failed: no run has the conversations.
#[derive(Debug, thiserror::Error)]
#[error("failed to hand conversations off")]
pub struct HandOffError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// How many conversations are handed off at once. They run side by side.
pub const HAND_OFF_MAX: usize = 25;

/// Runs every consumer of a conversation, from its cursor. The run ends when there is nothing more to do now, or after
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

impl Run<'_> {
    async fn consumer(self, consumer: Consumer, first: Look) -> Result<(), StoreError> {
        let store = &self.app.store;
        let mut look = first;
        let mut looks = Looks::new(LIMITS);
        while looks.allows_another(self.moment()) {
            match self.work(consumer, &look).await? {
                None => store::pause(1, self.deadline).await,
                Some(Then::Stop) => return Ok(()),
                Some(then) => {
                    let tail = store.tail_get(self.conversation, self.deadline).await?;
                    if !then.looks_again(tail.map(|tail| tail.slot)) {
                        return Ok(());
                    }
                }
            }
            look = store.look(self.conversation, self.deadline).await?;
        }
        self.wake(consumer, &look).await.map(drop)
    }

    /// Carries out the step that a look asks for. `None`: the look is too old, and the run did nothing.
    async fn work(self, consumer: Consumer, look: &Look) -> Result<Option<Then>, StoreError> {
        let at = self.now();
        let slot = match approach(consumer, look, at) {
            Approach::Stop => return Ok(Some(Then::Stop)),
            Approach::ClearDue(write) => {
                self.write(consumer, &write).await?;
                return Ok(Some(Then::Stop));
            }
            Approach::Read(slot) => slot,
        };
        let entries = self.entries(slot, look).await?;
        let runner = Runner {
            owner: random(),
            moment: self.moment(),
            limits: LIMITS,
        };
        let then = match step(consumer, look, at, &entries, runner) {
            Step::PauseAndLook => return Ok(None),
            Step::Stop => Then::Stop,
            Step::PassOver(write, then) => {
                self.write(consumer, &write).await?;
                then
            }
            Step::Deliver(take, mut deliveries) => match self.write(consumer, &take).await? {
                Some(cursor) => {
                    deliveries.leased(cursor);
                    post::deliver(self, consumer, look, deliveries).await?
                }
                None => Then::Stop,
            },
            Step::FanOut(take, mut fan_out) => match self.write(consumer, &take).await? {
                Some(cursor) => {
                    fan_out.leased(cursor);
                    fan_out::deliver(self, consumer, look, fan_out).await?
                }
                None => Then::Stop,
            },
        };
        Ok(Some(then))
    }

    /// Makes the consumer due if it lags. Returns whether it lags.
    async fn wake(self, consumer: Consumer, look: &Look) -> Result<bool, StoreError> {
        let Some(write) = self.lags(consumer, look).await? else {
            return Ok(false);
        };
        if self.write(consumer, &write).await?.is_some() {
            let (conversation, consumer) = (self.conversation, consumer.as_str());
            tracing::info!(%conversation, consumer, "{consumer} lags in conversation {conversation}; it is due now");
        }
        Ok(true)
    }

    /// The write that makes a consumer due, if the consumer lags.
    async fn lags(
        self,
        consumer: Consumer,
        look: &Look,
    ) -> Result<Option<CursorWrite>, StoreError> {
        let mut lag = Lag::new(consumer, look, LIMITS);
        loop {
            match lag.next(self.now()) {
                LagStep::UpToDate => return Ok(None),
                LagStep::Behind(write) => return Ok(Some(write)),
                LagStep::Read(slot) => lag.read(&self.entries(slot, look).await?),
            }
        }
    }

    async fn entries(self, slot: u64, look: &Look) -> Result<Vec<Entry>, StoreError> {
        let store = &self.app.store;
        store
            .stretch(self.conversation, slot, look, self.deadline)
            .await
    }

    async fn write(
        self,
        consumer: Consumer,
        write: &CursorWrite,
    ) -> Result<Option<Cursor>, StoreError> {
        let store = &self.app.store;
        store
            .cursor_write(self.conversation, consumer, write, self.deadline)
            .await
    }

    fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    fn moment(&self) -> Moment {
        Moment {
            now: self.now(),
            left: self.deadline.remaining(),
        }
    }

    fn attempted(&self, result: AttemptResult) -> Attempted {
        Attempted {
            result,
            now: self.now(),
            random: u32::from_be_bytes(random()),
        }
    }
}

fn after(at: Timestamp, duration: Duration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}
