//! A conversation's timer: closes or parks the conversation at its due time. If messages have moved that time, it sets the
//! timer again.

use jiff::Timestamp;
use routing::{Cause, ConversationSid, Source, close_expired, park_idle};
use store::{CommitError, Deadline, StoreError};

use crate::App;
use crate::log_change_by_timer::log_change_by_timer;

/// Closes or parks the conversation, if the tail of its log says that this is due. `seen`: the time to which the timer was set.
pub(super) async fn fire(
    app: &App,
    conversation: ConversationSid,
    seen: Timestamp,
    deadline: Deadline,
) -> Result<(), StoreError> {
    let tail = app.store.tail_get(conversation, deadline).await?;
    let Some(tail) = tail else {
        return app.store.timer_clear(conversation, seen, deadline).await;
    };
    let service = tail.header.service;
    let settings = app.store.settings_get(&[service], deadline).await?;
    let fresh = app.fresh();
    let cause = Cause {
        fresh: &fresh,
        settings: settings.in_force(service).expect("the service was read"),
        source: Source::Timer,
        quiet: false,
    };
    if let Some(plan) = close_expired(&tail, cause).or_else(|| park_idle(&tail, cause)) {
        return match app.store.commit(&plan.writes, deadline).await {
            Ok(()) => {
                log_change_by_timer(conversation, plan.outcome.header.state);
                Ok(())
            }
            // Another writer took the slot first. The timer is still there, and the clock looks at it again.
            Err(CommitError::Conflict(_)) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
        };
    }
    match tail.header.due() {
        Some(due) => {
            app.store
                .timer_rearm(conversation, seen, due, deadline)
                .await
        }
        None => app.store.timer_clear(conversation, seen, deadline).await,
    }
}
