//! Lambda: doorbell, hand-off and clock in; webhooks, outbound messages and timers out.
//!
//! Lambda invokes the function with one of three events, each with a file. The table's stream is only a [`doorbell`]: it
//! tells which logs have grown, and the invocation makes no call but to hand their conversations off to this same
//! function. The [`hand_off`] runs their consumers. The [`clock`] does the due work, and finds the changes of lost rings.

pub mod clock;
pub mod doorbell;
pub mod hand_off;
mod invoke;

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use lambda_runtime::Diagnostic;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use service::dispatch::{HandOff, TickFailure};
use service::{App, ErrorChain};

pub use invoke::Invoke;

use clock::ClockError;

/// The event of an invocation.
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

/// Why an invocation failed. Lambda repeats it, which harms nothing.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    #[error("the event is neither of the stream, nor of the hand-off, nor of the clock")]
    Event(#[source] serde_json::Error),
    #[error(transparent)]
    HandOff(#[from] hand_off::RunError),
    #[error(transparent)]
    Clock(#[from] clock::ClockError),
    /// The panic hook has printed the panic's message and place.
    #[error("the invocation panicked")]
    Panic,
}

impl DispatchError {
    /// The kind of the failure: `errorType` in the failure queue. An operator may select messages by it, so a word stays.
    pub fn kind(&self) -> &'static str {
        match self {
            DispatchError::Event(_) => "event",
            DispatchError::HandOff(_) => "run",
            DispatchError::Clock(ClockError::Sweep(_)) => "store",
            DispatchError::Clock(ClockError::Due(error)) => match error.first {
                TickFailure::Store(_) => "store",
                TickFailure::HandOff(_) => "hand-off",
            },
            DispatchError::Panic => "panic",
        }
    }
}

/// The text that Lambda logs of a failed invocation, and puts into the failure queue. An error's `Debug` form holds the table's
/// answer, and so messages; no part of it goes there.
impl From<&DispatchError> for Diagnostic {
    fn from(error: &DispatchError) -> Diagnostic {
        Diagnostic {
            error_type: error.kind().to_owned(),
            error_message: ErrorChain(error).to_string(),
        }
    }
}

/// Answers one invocation. The answer to the stream names the records that the stream delivers again.
pub async fn handle(
    app: &App,
    hand_off: &impl HandOff,
    event: Value,
) -> Result<Value, DispatchError> {
    let handled = AssertUnwindSafe(answer(app, hand_off, event)).catch_unwind();
    handled.await.unwrap_or(Err(DispatchError::Panic))
}

async fn answer(app: &App, hand_off: &impl HandOff, event: Value) -> Result<Value, DispatchError> {
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
