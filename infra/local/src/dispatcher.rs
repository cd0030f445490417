//! What works by itself in the local stack: the stream and the clock.

use std::time::Duration;

use jiff::Timestamp;
use routing::SWEEP_DISTANCE;
use service::dispatch::{self, Swept};
use service::{App, ErrorChain};
use store::{Deadline, pause};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::clock::next_due;
use crate::stream::Stream;
use crate::tasks::Tasks;
use crate::writes::{Writers, Writes};

/// How often the clock strikes. Deployed, once a minute.
const STRIKE_EVERY: Duration = Duration::from_secs(1);
/// How long the clock asks the table at every stroke after a write: a request that its caller gave up may arrive late.
const SETTLE_TIME: Duration = Duration::from_secs(3);
/// How often the clock asks at the least where other processes write the table too.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// How often the sweep begins.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long each sweep and each tick may take.
const TIME_MAX: Duration = Duration::from_secs(50);
/// How long a start asks an engine that throttles, fails or does not listen yet.
pub const START_TIME_MAX: Duration = Duration::from_secs(10);

/// Stream and clock, running. Dropped, they end where they are.
#[derive(Debug)]
pub struct Dispatcher {
    tasks: Tasks,
    loops: [JoinHandle<()>; 2],
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Dispatcher {
    /// Begins. The first sweep wakes what was left behind when the table was last in use. `client` reads the stream,
    /// `writes` observes the client of `app`.
    ///
    /// # Errors
    /// If the engine has no stream, or does not answer within [`START_TIME_MAX`].
    pub async fn start(
        app: App,
        tasks: Tasks,
        client: aws_sdk_dynamodbstreams::Client,
        writers: Writers,
        writes: &Writes,
    ) -> Result<Dispatcher, Failure> {
        let deadline = Deadline::after(START_TIME_MAX);
        let arn = app.store.stream_arn(deadline).await?;
        let arn = arn.ok_or("the table has no stream")?;
        let stream = open(client, arn, writers, writes, deadline).await?;
        let pump = tokio::spawn(stream.pump(tasks.clone()));
        let clock = tokio::spawn(clock(app, tasks.clone(), writers, writes.clone()));
        Ok(Dispatcher {
            tasks,
            loops: [pump, clock],
        })
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        for each in &self.loops {
            each.abort();
        }
        self.tasks.abort();
    }
}

/// Opens the stream, again and again until the deadline.
async fn open(
    client: aws_sdk_dynamodbstreams::Client,
    arn: String,
    writers: Writers,
    writes: &Writes,
    deadline: Deadline,
) -> Result<Stream, Failure> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match Stream::open(client.clone(), arn.clone(), writers, writes).await {
            Err(error) if deadline.passed() => return Err(error),
            Err(_) => pause(attempt, deadline).await,
            opened => return opened,
        }
    }
}

/// Strikes once a second. A stroke asks the table only if something may have fallen due, and sweeps only if a ring may be
/// lost.
async fn clock(app: App, tasks: Tasks, writers: Writers, writes: Writes) {
    let mut every = interval(STRIKE_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rest = Rest::new(writers, writes.subscribe());
    loop {
        every.tick().await;
        rest.hear_news();
        if let Some(distance) = rest.sweep_distance() {
            let began = Instant::now();
            let swept = dispatch::sweep(&app, distance, Deadline::after(TIME_MAX)).await;
            rest.swept(began, matches!(swept, Ok(Swept::Whole)));
            if let Err(error) = swept {
                let error = ErrorChain(&error);
                tracing::warn!(
                    %error,
                    "failed to finish the sweep; the next one continues from its mark"
                );
            }
        }
        if !rest.asks(app.clock.now()) {
            continue;
        }
        rest.next_due = match next_due(&app, Timestamp::UNIX_EPOCH).await {
            Ok(next) => next.unwrap_or(Timestamp::MAX),
            // Asked again at the next stroke.
            Err(_) => Timestamp::MIN,
        };
        if rest.next_due <= app.clock.now()
            && let Err(error) = dispatch::tick(&app, &tasks, TIME_MAX).await
        {
            let error = ErrorChain(&error);
            tracing::warn!(
                %error,
                "failed to do all that is due; it is due again at the next stroke"
            );
        }
    }
}

/// What the clock knows of the table without asking.
struct Rest {
    writers: Writers,
    news: watch::Receiver<u64>,
    last_news: Instant,
    last_asked: Option<Instant>,
    /// The first instant at which something falls due, as the table said when it was last asked.
    next_due: Timestamp,
    last_swept: Option<Instant>,
    /// When the last sweep began that came to its end.
    whole_sweep: Option<Instant>,
}

impl Rest {
    fn new(writers: Writers, news: watch::Receiver<u64>) -> Rest {
        Rest {
            writers,
            news,
            last_news: Instant::now(),
            last_asked: None,
            next_due: Timestamp::MIN,
            last_swept: None,
            whole_sweep: None,
        }
    }

    fn hear_news(&mut self) {
        if self.news.has_changed().unwrap_or_default() {
            self.news.mark_unchanged();
            self.last_news = Instant::now();
        }
    }

    /// Whether something may be due now.
    fn asks(&mut self, now: Timestamp) -> bool {
        let quiet_for = |at: Instant, time| at.elapsed() >= time;
        let others = self.writers == Writers::AnyProcess
            && self.last_asked.is_none_or(|at| quiet_for(at, ASK_EVERY));
        let asks = now >= self.next_due || !quiet_for(self.last_news, SETTLE_TIME) || others;
        if asks {
            self.last_asked = Some(Instant::now());
        }
        asks
    }

    /// How old a change must be for the sweep that begins now. `None`: no sweep begins now.
    fn sweep_distance(&self) -> Option<Duration> {
        let Some(last) = self.last_swept else {
            // This process has written nothing yet, so no ring can still be on its way.
            return Some(Duration::ZERO);
        };
        // A sweep comes to a change when the change is as old as the distance.
        let whole = self.whole_sweep.is_some_and(|began| {
            self.writers == Writers::ThisProcess && began > self.last_news + SWEEP_DISTANCE
        });
        (!whole && last.elapsed() > SWEEP_EVERY).then_some(SWEEP_DISTANCE)
    }

    fn swept(&mut self, began: Instant, whole: bool) {
        self.last_swept = Some(began);
        if whole {
            self.whole_sweep = Some(began);
        }
    }
}
