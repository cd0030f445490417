//! The clock, once a minute: what lags is woken, and what is due is done or handed off.

use std::time::Duration;

use service::App;
use service::dispatch::{self, HandOff, SWEEP_DISTANCE, TickError};
use store::{Deadline, StoreError};

/// How long the sweep and the rest may take, one after the other: less than until the clock's next-but-one time.
pub const SWEEP_TIME_MAX: Duration = Duration::from_secs(50);
pub const DUE_TIME_MAX: Duration = Duration::from_secs(50);

/// What was not done; it is still there the next time.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    #[error("the sweep could not be finished")]
    Sweep(#[source] StoreError),
    #[error("not all that is due could be done")]
    Due(#[source] TickError),
}

/// A sweep that fails does not keep what is due from being done.
pub async fn tick(app: &App, hand_off: &impl HandOff) -> Result<(), ClockError> {
    let swept = dispatch::sweep(app, SWEEP_DISTANCE, Deadline::after(SWEEP_TIME_MAX)).await;
    dispatch::tick(app, hand_off, DUE_TIME_MAX)
        .await
        .map_err(ClockError::Due)?;
    swept.map_err(ClockError::Sweep)
}
