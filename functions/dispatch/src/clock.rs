//! The clock, once a minute: it sweeps, and then does the due work, which includes the consumers that the sweep woke.

use std::time::Duration;

use routing::SWEEP_DISTANCE;
use service::dispatch::{self, HandOff, TickError};
use service::{App, ErrorChain};
use store::{Deadline, StoreError};

/// How long the sweep may take, and after it the due work: together less than two minutes, so that no more
/// than two runs of the clock are under way at once.
pub const SWEEP_TIME_MAX: Duration = Duration::from_secs(50);
pub const DUE_TIME_MAX: Duration = Duration::from_secs(50);

/// The work that the clock could not do. The next minute does it.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    #[error("the sweep failed")]
    Sweep(#[source] StoreError),
    #[error("not all due work could be done")]
    Due(#[source] TickError),
}

/// Sweeps, and then does the due work, also after a failed sweep.
pub async fn tick(app: &App, hand_off: &impl HandOff) -> Result<(), ClockError> {
    let swept = dispatch::sweep(app, SWEEP_DISTANCE, Deadline::after(SWEEP_TIME_MAX)).await;
    let done = dispatch::tick(app, hand_off, DUE_TIME_MAX).await;
    match (swept, done) {
        (Ok(_), Ok(())) => Ok(()),
        (Ok(_), Err(error)) => Err(ClockError::Due(error)),
        (Err(error), Ok(())) => Err(ClockError::Sweep(error)),
        (Err(swept), Err(error)) => {
            let swept = ErrorChain(&swept);
            tracing::warn!(error = %swept, "the sweep failed, and so does the due work");
            Err(ClockError::Due(error))
        }
    }
}
