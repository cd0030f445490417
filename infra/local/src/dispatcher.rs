//! What works by itself in the local stack: the stream and the clock.

use std::time::Duration;

use service::dispatch::{self, SWEEP_DISTANCE};
use service::{App, ErrorChain};
use store::Deadline;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::stream::{self, Stream};
use crate::tasks::Tasks;

/// How often the clock looks for what is due. Deployed, once a minute.
const DUE_EVERY: Duration = Duration::from_secs(1);
/// How often the sweep begins.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long each may take.
const TIME_MAX: Duration = Duration::from_secs(50);

/// Stream and clock, running. Dropped, they end where they are.
#[derive(Debug)]
pub struct Dispatcher {
    tasks: Tasks,
    loops: [JoinHandle<()>; 2],
}

impl Dispatcher {
    /// Begins. What was left behind when the table was last in use is woken at once.
    ///
    /// # Errors
    /// If the engine has no stream, or does not answer.
    pub async fn start(
        app: App,
        tasks: Tasks,
        endpoint: &str,
    ) -> Result<Dispatcher, Box<dyn std::error::Error + Send + Sync>> {
        let arn = app.store.stream_arn().await?;
        let arn = arn.ok_or("the table has no stream")?;
        let stream = Stream::open(stream::client(endpoint), arn).await?;
        let pump = tokio::spawn(stream.pump(tasks.clone()));
        let clock = tokio::spawn(clock(app, tasks.clone()));
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

async fn clock(app: App, tasks: Tasks) {
    let mut every = interval(DUE_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Nobody else writes the table yet, or what they write is rung for.
    let mut distance = Duration::ZERO;
    let mut swept: Option<Instant> = None;
    loop {
        every.tick().await;
        if swept.is_none_or(|at| at.elapsed() > SWEEP_EVERY) {
            swept = Some(Instant::now());
            let deadline = Deadline::after(TIME_MAX);
            if let Err(error) = dispatch::sweep(&app, distance, deadline).await {
                let error = ErrorChain(&error);
                tracing::warn!(
                    %error,
                    "the sweep could not be finished; it goes on from its mark"
                );
            }
            distance = SWEEP_DISTANCE;
        }
        if let Err(error) = dispatch::tick(&app, &tasks, TIME_MAX).await {
            let error = ErrorChain(&error);
            tracing::warn!(%error, "not all that is due could be done; it is due again");
        }
    }
}
