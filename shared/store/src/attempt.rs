//! One request, repeated where that can help and cannot harm.
//!
//! The SDK's own retries are off: this file decides which requests may be repeated, and which result a failure means.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use tokio::time::Instant;

use crate::error::StoreError;

/// The instant by which a request must have its response. No call begins after it.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn after(duration: Duration) -> Deadline {
        Deadline(Instant::now() + duration)
    }

    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    pub fn passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// The deadline, or an earlier one: no more than `time` from now.
    pub fn within(self, time: Duration) -> Deadline {
        Deadline(self.0.min(Instant::now() + time))
    }

    /// The deadline, moved nearer: the steps after it need `reserve`.
    pub fn less(self, reserve: Duration) -> Deadline {
        Deadline(self.0.checked_sub(reserve).unwrap_or(self.0))
    }
}

/// The result of a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Surely not done: throttled, or another transaction holds an item. May be sent again.
    NotDone,
    /// Done or not done: only the same request may be sent again.
    Unknown,
    /// Will not be done.
    Refused,
}

pub(crate) fn classify<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Failure {
    let SdkError::ServiceError(service) = error else {
        return match error {
            SdkError::ConstructionFailure(_) => Failure::Refused,
            _ => Failure::Unknown,
        };
    };
    match service.err().code() {
        Some(
            "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ThrottlingException"
            | "ThrottlingError"
            | "TransactionConflictException",
        ) => Failure::NotDone,
        // The request's own earlier attempt is still at work.
        Some("TransactionInProgressException") => Failure::Unknown,
        _ if service.raw().status().is_server_error() => Failure::Unknown,
        _ => Failure::Refused,
    }
}

/// The longest pauses, in turns of a rival. Each pause is a random part of its window, so that rivals spread out. The first
/// window is enough for two rivals; the last gives each of two hundred rivals a turn.
const PAUSE_WINDOWS: [u32; 6] = [1, 3, 9, 27, 81, 243];
/// A turn on a log that takes a hundred changes a second. On a slower table each rival needs more time, and so does the
/// spread of all rivals: if windows do not grow with it, more and more of them meet.
const TURN_MIN: Duration = Duration::from_millis(10);

/// Waits before attempt number `attempt` (from 1), and leaves time for it.
pub async fn pause(attempt: u32, deadline: Deadline) {
    pause_after(attempt, TURN_MIN, deadline).await;
}

/// As [`pause`]. `took`: how long the attempt before this one took, which is a rival's turn.
pub async fn pause_after(attempt: u32, took: Duration, deadline: Deadline) {
    let last = PAUSE_WINDOWS.len() - 1;
    let index = usize::try_from(attempt.saturating_sub(1))
        .unwrap_or(last)
        .min(last);
    let window = took.max(TURN_MIN).saturating_mul(PAUSE_WINDOWS[index]);
    let window = window.min(deadline.remaining() / 2);
    let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1);
    let random = getrandom::u64().unwrap_or(u64::MAX / 2);
    tokio::time::sleep(Duration::from_millis(1 + random % window_ms).min(deadline.remaining()))
        .await;
}

/// The source of an error whose request got no answer. The attempt before it may tell why: a table that throttles, say.
#[derive(Debug, thiserror::Error)]
#[error("DynamoDB did not answer before the deadline")]
struct NoAnswer {
    #[source]
    before: Option<Box<dyn Error + Send + Sync>>,
}

fn late(operation: &'static str) -> StoreError {
    StoreError::Unavailable {
        operation,
        source: "the deadline had passed before the request".into(),
    }
}

/// Sends a read until it is answered or the deadline has passed.
pub(crate) async fn read<T, E, F, Fut>(
    operation: &'static str,
    deadline: Deadline,
    send: F,
) -> Result<T, StoreError>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if deadline.passed() {
        return Err(late(operation));
    }
    let (mut attempt, mut before) = (0, None);
    loop {
        attempt += 1;
        let error = match tokio::time::timeout_at(deadline.0, send()).await {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(error)) => error,
            Err(_) => {
                return Err(StoreError::Unavailable {
                    operation,
                    source: Box::new(NoAnswer { before }),
                });
            }
        };
        match classify(&error) {
            Failure::Refused => {
                return Err(StoreError::Refused {
                    operation,
                    source: Box::new(error),
                });
            }
            Failure::NotDone | Failure::Unknown => pause(attempt, deadline).await,
        }
        if deadline.passed() {
            return Err(StoreError::Unavailable {
                operation,
                source: Box::new(error),
            });
        }
        before = Some(error.into());
    }
}

/// The end of a write whose result is known.
pub(crate) enum Written<T, E> {
    Done(T),
    /// A condition failed, or something else that the caller tells apart.
    Failed(E),
}

/// Sends a write until its result is known or the deadline has passed. `decided` picks the replies in which DynamoDB
/// says that a condition did not hold; `again` those of them that say only "not now".
pub(crate) async fn write<T, E, F, Fut>(
    operation: &'static str,
    deadline: Deadline,
    send: F,
    decided: impl Fn(&E) -> bool,
    again: impl Fn(&E) -> bool,
) -> Result<Written<T, E>, StoreError>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let written = write_in_doubt(operation, deadline, send, decided, again).await?;
    Ok(written.0)
}

/// As [`write`]; and whether the result of an earlier attempt is unknown. Then a failed condition is not the last word:
/// the earlier attempt may still be on its way, and succeed when the condition holds.
pub(crate) async fn write_in_doubt<T, E, F, Fut>(
    operation: &'static str,
    deadline: Deadline,
    send: F,
    decided: impl Fn(&E) -> bool,
    again: impl Fn(&E) -> bool,
) -> Result<(Written<T, E>, bool), StoreError>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if deadline.passed() {
        return Err(late(operation));
    }
    let (mut attempt, mut before) = (0, None);
    // Once a result was unknown, "throttled" says nothing about the attempt before it.
    let mut unknown = false;
    loop {
        attempt += 1;
        let error = match tokio::time::timeout_at(deadline.0, send()).await {
            Ok(Ok(reply)) => return Ok((Written::Done(reply), unknown)),
            Ok(Err(error)) => error,
            Err(_) => {
                return Err(StoreError::Unknown {
                    operation,
                    source: Box::new(NoAnswer { before }),
                });
            }
        };
        let error = match error {
            SdkError::ServiceError(service) if decided(service.err()) && !again(service.err()) => {
                return Ok((Written::Failed(service.into_err()), unknown));
            }
            other => other,
        };
        if !error.as_service_error().is_some_and(&again) {
            match classify(&error) {
                // DynamoDB may have done an earlier attempt all the same.
                Failure::Refused => {
                    let source = Box::new(error);
                    return Err(match unknown {
                        true => StoreError::Unknown { operation, source },
                        false => StoreError::Refused { operation, source },
                    });
                }
                Failure::Unknown => unknown = true,
                Failure::NotDone => {}
            }
        }
        pause(attempt, deadline).await;
        if deadline.passed() {
            let source = Box::new(error);
            return Err(match unknown {
                true => StoreError::Unknown { operation, source },
                false => StoreError::Unavailable { operation, source },
            });
        }
        before = Some(error.into());
    }
}
