//! The purge: it deletes the items that the table still has of a deleted conversation. It begins at the earliest a day
//! after the deletion (`PURGE_AFTER` of `routing::change::conversation`), and waits until every consumer has passed the
//! last slot. It deletes the last slot last.

use std::time::Duration;

use jiff::Timestamp;
use routing::{ConversationSid, Look};
use store::{Deadline, StoreError};

use super::{Run, after};
use crate::App;

/// How long a purge waits for consumers until it looks again.
const PUT_OFF: Duration = Duration::from_secs(3_600);

/// Deletes a part of the items, or the last of them. `seen` is the time that the purge was set to.
pub(super) async fn purge(
    app: &App,
    conversation: ConversationSid,
    seen: Timestamp,
    deadline: Deadline,
) -> Result<(), StoreError> {
    let look = app.store.look(conversation, deadline).await?;
    let run = Run {
        app,
        conversation,
        deadline,
    };
    let Some(tail) = look.tail() else {
        return app
            .store
            .purge_end(conversation, look.consumers(), None, deadline)
            .await;
    };
    if !tail.header.terminal || consumers_remain(run, &look).await? {
        let due = after(app.clock.now(), PUT_OFF);
        return app
            .store
            .purge_put_off(conversation, seen, due, deadline)
            .await;
    }
    if app
        .store
        .purge_before(conversation, tail.slot, deadline)
        .await?
    {
        app.store
            .purge_end(conversation, look.consumers(), Some(tail.slot), deadline)
            .await?;
        tracing::info!(%conversation, "conversation {conversation} is purged");
    }
    Ok(())
}

/// Whether a consumer has not passed the last slot, holds a lease, or has a lane. Makes each consumer due that lags: no ring
/// comes for a deleted conversation, and the sweep may have read its changes before an endpoint was set.
async fn consumers_remain(run: Run<'_>, look: &Look) -> Result<bool, StoreError> {
    let mut remain = false;
    for consumer in look.consumers() {
        let busy = look
            .cursor(consumer)
            .is_some_and(|cursor| cursor.leased(run.now()) || !cursor.lanes.is_empty());
        remain |= run.wake(consumer, look).await? || busy;
    }
    Ok(remain)
}
