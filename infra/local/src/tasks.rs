//! The hand-off in one process: a task for each conversation.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use routing::ConversationSid;
use service::dispatch::{self, HandOff, HandOffError};
use service::{App, ErrorChain};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Runs of consumers. Clones share them; they end with the last clone.
#[derive(Clone, Debug)]
pub struct Tasks {
    app: App,
    running: Arc<Mutex<JoinSet<()>>>,
    permits: Arc<Semaphore>,
}

/// How many conversations' consumers run at once. Further conversations wait: an endpoint that hangs keeps each of its
/// conversations for 15 s, and others must find room beside them.
const RUNNING_MAX: usize = 2_000;
/// How often [`Tasks::wait`] looks whether all runs have ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);

impl Tasks {
    pub fn new(app: App) -> Tasks {
        Tasks {
            app,
            running: Arc::default(),
            permits: Arc::new(Semaphore::new(RUNNING_MAX)),
        }
    }

    /// Ends all runs where they are, as the death of the process does.
    pub fn abort(&self) {
        self.lock().abort_all();
    }

    /// Waits until no run is under way, but no longer than `time`.
    pub async fn wait(&self, time: Duration) {
        let all = async {
            while self.permits.available_permits() < RUNNING_MAX {
                sleep(LOOK_EVERY).await;
            }
        };
        let _ = timeout(time, all).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.running.lock().expect("no thread panics with the lock")
    }
}

impl HandOff for Tasks {
    async fn hand_off(&self, conversations: Vec<ConversationSid>) -> Result<(), HandOffError> {
        for conversation in conversations {
            let permit = self.permits.clone().acquire_owned().await;
            let permit = permit.map_err(|closed| HandOffError(Box::new(closed)))?;
            let app = self.app.clone();
            let mut running = self.lock();
            running.spawn(async move {
                let _permit = permit;
                if let Err(error) = dispatch::run(&app, conversation).await {
                    let error = ErrorChain(&error);
                    tracing::warn!(%conversation, %error, "consumers of conversation {conversation} could not run; the sweep wakes them");
                }
            });
            while running.try_join_next().is_some() {}
        }
        Ok(())
    }
}
