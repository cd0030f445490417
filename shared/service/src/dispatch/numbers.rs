//! A number's own webhook that wants captured messages too: told as if no conversation had taken the message, but for
//! its answer, which is ignored.

use routing::{Entry, InboundWebhook, Target};
use store::{Deadline, StoreError};

use super::fan_out::Served;
use super::{DELIVERY_TIME_MAX, Run};
use crate::forward::{ReplyUse, forward};

/// Tells the number's webhook, and its fallback where that fails, of the message of an entry.
pub(super) async fn tell(run: Run<'_>, entry: &Entry) -> Result<Served, StoreError> {
    let (Some(key), Some((_, message))) = (&entry.number_webhook, entry.message()) else {
        return Ok(Served::Done);
    };
    let store = &run.app.store;
    let (journal, (number, _)) = tokio::try_join!(
        store.journal_get(key, run.deadline),
        store.receiver_get(&key.to, run.deadline),
    )?;
    let wanted = number.filter(|number| number.inbound_webhook == InboundWebhook::Always);
    let target = wanted.and_then(|number| {
        Some(Target {
            call: number.sms?,
            fallback: number.sms_fallback,
        })
    });
    let (Some(journal), Some(target)) = (journal, target) else {
        return Ok(Served::Done);
    };
    let mut inbound = journal.inbound;
    inbound.body.clone_from(&message.body);
    inbound.media.clone_from(&message.media);
    let deadline = Deadline::after(DELIVERY_TIME_MAX);
    let (app, change) = (run.app, entry.change);
    let reply = forward(
        app,
        &inbound,
        &target,
        change,
        ReplyUse::StatusOnly,
        deadline,
    )
    .await;
    Ok(match reply {
        Ok(_) => Served::Done,
        Err(no_reply) => Served::Failed {
            asked_s: no_reply.retry_after_s,
        },
    })
}
