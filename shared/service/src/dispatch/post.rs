//! The account's post-action webhook: every event in its order, one after the other; an event that fails holds up those
//! behind it, in its own conversation alone.

use routing::{
    Backlog, Consumer, Cursor, Delivery, Endpoint, Look, Position, Scope, backlog, retry_at,
};
use store::{Held, Rest, Seen, StoreError};

use super::{DELIVERY_TIME_MAX, IDLE_SLOTS_MAX, Looked, Run, jitter};
use crate::{ErrorChain, parameters};

/// Delivers what lies ahead of the cursor in one stretch of the log.
pub(super) async fn go_on(run: Run<'_>, scope: Scope, look: &Look) -> Result<Looked, StoreError> {
    let (store, conversation, now) = (&run.app.store, run.conversation, run.now());
    let consumer = Consumer::Post(scope);
    let cursor = look.cursor(consumer);
    let seen = Seen {
        conversation,
        consumer,
        cursor,
        at: now,
    };
    let Some(tail) = look.tail() else {
        // It may have been made due while it was purged.
        run.clear_due(seen).await?;
        return Ok(Looked::Done);
    };
    let endpoint = look.endpoint(scope);
    let beginning = endpoint
        .as_ref()
        .map(|endpoint| Position::slot(endpoint.since));
    // A due time is the pause after a failed attempt. A newer generation of the endpoint does not wait for it.
    let waits = |cursor: &Cursor| {
        cursor.due_ahead(now) && beginning.is_none_or(|beginning| cursor.next >= beginning)
    };
    if cursor.is_some_and(|cursor| cursor.leased(now) || waits(cursor)) {
        return Ok(Looked::Done);
    }
    let woken = cursor.is_some_and(|cursor| cursor.due.is_some());
    let (Some(endpoint), Some(beginning)) = (endpoint, beginning) else {
        // The endpoint is gone; one that comes later starts later.
        run.clear_due(seen).await?;
        return Ok(Looked::Done);
    };
    let stands = cursor.map_or(beginning, |cursor| cursor.next);
    let from = stands.max(beginning);
    let entries = match from.slot > tail.slot {
        true => Vec::new(),
        false => {
            store
                .stretch(conversation, from.slot, look, run.deadline)
                .await?
        }
    };
    let ahead = backlog(from, &entries, &endpoint);
    let ended = ahead.end.slot > tail.slot;
    let Some(first) = ahead.deliveries.first().map(|delivery| delivery.position) else {
        if ahead.settings_too_old {
            store::pause(1, run.deadline).await;
            return Ok(Looked::Again);
        }
        let idle = ahead.end.slot.saturating_sub(stands.slot);
        if woken || ahead.filtered || idle >= IDLE_SLOTS_MAX {
            store
                .cursor_skip(seen, ahead.end, ended, run.deadline)
                .await?;
            // Whoever saw more found the cursor moved, and left it to this run. A gap is rung for when it closes.
            return Ok(match ended || ahead.end > stands {
                true => Looked::Left(ahead.end.slot),
                false => Looked::Done,
            });
        }
        return Ok(Looked::Done);
    };
    let lease = run.lease();
    let held = store.cursor_lease(seen, first, lease, run.deadline);
    match held.await? {
        Some(held) => {
            let failures = match stands == first {
                true => held.cursor.failures,
                false => 0,
            };
            deliver(run, held, failures, &endpoint, &ahead, ended).await
        }
        None => Ok(Looked::Done),
    }
}

/// Whether the webhook is owed something that no run has come to.
pub(super) async fn lags(
    run: Run<'_>,
    scope: Scope,
    look: &Look,
) -> Result<Option<Position>, StoreError> {
    let (Some(tail), Some(endpoint)) = (look.tail(), look.endpoint(scope)) else {
        return Ok(None);
    };
    let cursor = look.cursor(Consumer::Post(scope));
    let beginning = Position::slot(endpoint.since);
    let first = cursor.map_or(beginning, |cursor| cursor.next.max(beginning));
    let mut from = first;
    while from.slot <= tail.slot {
        let entries = run
            .app
            .store
            .stretch(run.conversation, from.slot, look, run.deadline)
            .await?;
        let ahead = backlog(from, &entries, &endpoint);
        if !ahead.deliveries.is_empty() || ahead.settings_too_old {
            return Ok(Some(first));
        }
        if entries.is_empty() {
            break;
        }
        from = ahead.end;
    }
    Ok(None)
}

/// `ended`: nothing lies behind the stretch. Else the cursor stays due, for nobody may come back to it.
async fn deliver(
    run: Run<'_>,
    mut held: Held,
    mut failures: u32,
    endpoint: &Endpoint,
    ahead: &Backlog<'_>,
    ended: bool,
) -> Result<Looked, StoreError> {
    let store = &run.app.store;
    for (index, delivery) in ahead.deliveries.iter().enumerate() {
        let position = delivery.position;
        if index > 0 {
            failures = 0;
            let until = run.lease_until();
            let moved = store.cursor_move(&mut held, position, 0, Vec::new(), until, run.deadline);
            if !moved.await? {
                return Ok(Looked::Done);
            }
        }
        let rest = |failures, due| Rest {
            next: position,
            failures,
            lanes: Vec::new(),
            due: Some(due),
        };
        if !run.has_time() {
            let rest = rest(failures, run.now());
            store.cursor_leave(held, &rest, run.deadline).await?;
            return Ok(Looked::Done);
        }
        let Err(Failure { asked_s }) = attempt(run, endpoint, *delivery, failures).await else {
            continue;
        };
        failures += 1;
        if let Some(due) = retry_at(run.now(), failures, asked_s, jitter()) {
            store
                .cursor_leave(held, &rest(failures, due), run.deadline)
                .await?;
            return Ok(Looked::Done);
        }
        let (conversation, event) = (run.conversation, delivery.event.name().as_str());
        tracing::error!(
            %conversation, event, failures,
            "{event} of conversation {conversation} is given up after {failures} attempts; what follows goes on"
        );
    }
    let rest = Rest {
        next: ahead.end,
        failures: 0,
        lanes: Vec::new(),
        due: (!ended).then(|| run.now()),
    };
    store.cursor_leave(held, &rest, run.deadline).await?;
    Ok(Looked::Left(ahead.end.slot))
}

/// The webhook was not told, or did not say that it was.
struct Failure {
    /// The pause that it asks for, in seconds.
    asked_s: Option<i64>,
}

/// Tells one event once. Anything but 2xx, redirects too, is a failure.
async fn attempt(
    run: Run<'_>,
    endpoint: &Endpoint,
    Delivery {
        position,
        entry,
        event,
    }: Delivery<'_>,
    failures: u32,
) -> Result<(), Failure> {
    let place = position.event;
    let parameters = parameters::of_event(entry, event, place, run.app.account, failures);
    let token = entry.event_id(place);
    let told = run
        .app
        .caller
        .notify(&endpoint.call, &parameters, token, DELIVERY_TIME_MAX)
        .await;
    let (conversation, event) = (run.conversation, event.name().as_str());
    match told {
        Ok(heard) if (200..300).contains(&heard.status) => {
            tracing::debug!(%conversation, event, "{event} of conversation {conversation} is delivered");
            Ok(())
        }
        Ok(heard) => {
            let status = heard.status;
            tracing::warn!(
                %conversation, event, status, failures,
                "{event} of conversation {conversation} was answered {status}"
            );
            Err(Failure {
                asked_s: heard.retry_after_s,
            })
        }
        Err(error) => {
            let error = ErrorChain(&error);
            tracing::warn!(
                %conversation, event, %error, failures,
                "{event} of conversation {conversation} could not be delivered"
            );
            Err(Failure { asked_s: None })
        }
    }
}
