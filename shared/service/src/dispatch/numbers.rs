//! Calls a number's own webhook that wants captured messages too. The call is the same as for a forwarded message; its
//! reply has no effect.

use routing::{AttemptResult, DELIVERY_TIME_MAX, Entry, InboundWebhook, Target};
use store::{Deadline, StoreError};

use super::Run;
use crate::forward::{ReplyUse, forward};

/// Sends an entry's message to the number's webhook, and if that fails, to its fallback.
pub(super) async fn forward_captured(
    run: Run<'_>,
    entry: &Entry,
) -> Result<AttemptResult, StoreError> {
    let (Some(key), Some((_, message))) = (&entry.number_webhook, entry.message()) else {
        return Ok(AttemptResult::Done);
    };
    let store = &run.app.store;
    let (journal, receiver) = tokio::try_join!(
        store.journal_get(key, run.deadline),
        store.receiver_get(&key.to, run.deadline),
    )?;
    let wanted = receiver
        .number
        .filter(|number| number.inbound_webhook == InboundWebhook::Always);
    let target = wanted.and_then(|number| {
        Some(Target {
            call: number.sms?,
            fallback: number.sms_fallback,
        })
    });
    let (Some(journal), Some(target)) = (journal, target) else {
        return Ok(AttemptResult::Done);
    };
    let mut inbound = journal.inbound;
    inbound.body.clone_from(&message.body);
    inbound.media.clone_from(&message.media);
    let deadline = Deadline::after(DELIVERY_TIME_MAX);
    let (app, change) = (run.app, entry.change);
    let reply_use = ReplyUse::StatusOnly;
    let reply = forward(app, &inbound, &target, change, reply_use, deadline).await;
    Ok(match reply {
        Ok(_) => AttemptResult::Done,
        Err(no_reply) => AttemptResult::Failed {
            asked_s: no_reply.retry_after_s,
        },
    })
}
