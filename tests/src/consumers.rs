//! The consumers, run step by step: what the stream, the clock and the hand-off do when they work by themselves.

use std::sync::Mutex;
use std::time::Duration;

use routing::ConversationSid;
use serde_json::Value;
use service::dispatch::{HandOff, HandOffError};

use crate::system::TestSystem;

impl TestSystem {
    /// Runs the consumers of a conversation to their end, as one hand-off does.
    pub async fn run(&self, conversation: &str) {
        dispatch::hand_off::run(&self.app, &[conversation.to_owned()])
            .await
            .expect("a run");
    }

    /// Gives an event to the function `dispatch`, does the runs that it hands off, and returns its response.
    pub async fn invoke(&self, event: Value) -> Value {
        let response = self.try_invoke(event).await;
        response.unwrap_or_else(|error| panic!("an invocation failed: {error:?}"))
    }

    /// Does the work of one minute tick, and the runs that it hands off. On a busy machine the time of a tick may end
    /// before its work; then the next tick does the rest.
    pub async fn tick(&self) {
        let event = serde_json::json!({"clock": {}});
        for _ in 1..TICKS_MAX {
            if self.try_invoke(event.clone()).await.is_ok() {
                return;
            }
        }
        self.invoke(event).await;
    }

    async fn try_invoke(&self, event: Value) -> Result<Value, impl std::fmt::Debug> {
        let noted = Noted::default();
        let response = dispatch::handle(&self.app, &noted, event).await;
        for conversations in noted.into_inner() {
            // Lambda does not report how an asynchronous invocation ended.
            let _ = dispatch::hand_off::run(&self.app, &conversations).await;
        }
        response
    }

    /// Moves the clock, then does the work of one minute tick.
    pub async fn advance_and_tick(&self, by: Duration) {
        self.advance(by);
        self.tick().await;
    }
}

/// How many ticks a busy machine may need for what one tick does on a quiet one.
const TICKS_MAX: usize = 5;

/// A hand-off that notes the conversations, in the lists in which they come.
#[derive(Default)]
struct Noted(Mutex<Vec<Vec<String>>>);

impl Noted {
    fn into_inner(self) -> Vec<Vec<String>> {
        self.0.into_inner().expect("no thread panics with the lock")
    }
}

impl HandOff for Noted {
    async fn hand_off(&self, conversations: Vec<ConversationSid>) -> Result<(), HandOffError> {
        let sids = conversations.iter().map(ToString::to_string).collect();
        let mut noted = self.0.lock().expect("no thread panics with the lock");
        noted.push(sids);
        Ok(())
    }
}
