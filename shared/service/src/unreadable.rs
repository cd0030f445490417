//! A message that its carrier surely sent, and that can't be read: it is journaled, counted and alarmed.

use routing::{ChangeId, Unreadable};
use store::{Deadline, Recorded, StoreError};

use crate::App;
use crate::app::random;

/// Journals the message, as often as it comes, and tells an operator.
pub async fn journal_unreadable(
    app: &App,
    unreadable: &Unreadable,
    deadline: Deadline,
) -> Result<(), StoreError> {
    let change = ChangeId::from_bytes(random());
    let recorded = app
        .store
        .unreadable_put(unreadable, change, deadline)
        .await?;
    let duplicate = recorded == Recorded::Duplicate;
    let (message_sid, carrier) = (unreadable.key.sid, unreadable.key.carrier.as_str());
    let (outcome, reason) = (Unreadable::OUTCOME, unreadable.reason.as_str());
    let length = unreadable.raw.length();
    let kept = unreadable.raw.body().len();
    tracing::error!(
        %message_sid, outcome, duplicate, carrier, reason, length, kept,
        "message {message_sid} is unreadable: {reason}; its raw form stays in the journal"
    );
    Ok(())
}
