//! The consumers, run step by step: what the stream, the clock and the hand-off do when they work by themselves.

use std::time::Duration;

use routing::ConversationSid;
use serde_json::Value;
use service::App;
use service::dispatch::{HandOff, HandOffError};

use crate::system::TestSystem;

impl TestSystem {
    /// Runs the consumers of a conversation to their end, as one hand-off does.
    pub async fn run(&self, conversation: &str) {
        dispatch::hand_off::run(&self.app, &[conversation.to_owned()])
            .await
            .expect("a run");
    }

    /// Gives an event to the function `dispatch`, waits for the runs that it hands off, and returns its response.
    pub async fn invoke(&self, event: Value) -> Value {
        let response = dispatch::handle(&self.app, &AtOnce(&self.app), event).await;
        response.unwrap_or_else(|error| panic!("an invocation failed: {error:?}"))
    }

    /// Does the work of one minute tick, and waits for the runs that it hands off.
    pub async fn tick(&self) {
        self.invoke(serde_json::json!({"clock": {}})).await;
    }

    /// Moves the clock, then does the work of one minute tick.
    pub async fn advance_and_tick(&self, by: Duration) {
        self.advance(by);
        self.tick().await;
    }
}

/// A hand-off that waits for the runs that it begins.
struct AtOnce<'a>(&'a App);

impl HandOff for AtOnce<'_> {
    async fn hand_off(&self, conversations: Vec<ConversationSid>) -> Result<(), HandOffError> {
        let sids: Vec<String> = conversations.iter().map(ToString::to_string).collect();
        // Lambda does not report how an asynchronous invocation ended.
        let _ = dispatch::hand_off::run(self.0, &sids).await;
        Ok(())
    }
}
