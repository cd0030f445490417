//! Lambda: doorbell, hand-off and clock in; webhooks, outbound messages and timers out.
//!
//! Three ways lead in, one file each. The table's stream is only a [`doorbell`]: it tells which logs have grown, and the
//! invocation calls nobody's network but our own function's, which it hands the conversations off to. The
//! [`hand_off`] lets their consumers run. The [`clock`] fires what is due, and finds what a lost ring left behind.

pub mod clock;
pub mod doorbell;
pub mod hand_off;
mod invoke;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use service::App;
use service::dispatch::HandOff;

pub use invoke::Invoke;

/// What the function is invoked with: one of the three ways in.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Event {
    Stream {
        #[serde(rename = "Records")]
        records: Vec<Value>,
    },
    HandOff {
        conversations: Vec<String>,
    },
    Clock {
        #[serde(rename = "clock")]
        _clock: IgnoredAny,
    },
}

/// Why an invocation failed; it is repeated, which harms nothing.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    #[error("the event is neither of the stream, nor of the hand-off, nor of the clock")]
    Event(#[source] serde_json::Error),
    #[error(transparent)]
    HandOff(#[from] hand_off::RunError),
    #[error(transparent)]
    Clock(#[from] clock::ClockError),
}

/// Answers one invocation. The answer to the stream names what is to be delivered again.
pub async fn handle(
    app: &App,
    hand_off: &impl HandOff,
    event: Value,
) -> Result<Value, DispatchError> {
    match serde_json::from_value(event).map_err(DispatchError::Event)? {
        Event::Stream { records } => {
            let failed = doorbell::ring(doorbell::rings(&records), hand_off).await;
            let failures = failed
                .into_iter()
                .map(|sequence| json!({"itemIdentifier": sequence}));
            Ok(json!({"batchItemFailures": failures.collect::<Vec<_>>()}))
        }
        Event::HandOff { conversations } => {
            hand_off::run(app, &conversations).await?;
            Ok(Value::Null)
        }
        Event::Clock { .. } => {
            clock::tick(app, hand_off).await?;
            Ok(Value::Null)
        }
    }
}
