//! The clock: once in a while, what was forgotten is made due, and what is due is done or handed off.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use routing::ConversationSid;
use store::{Deadline, Due, SHARDS, StoreError};

use super::{HAND_OFF_MAX, HandOff, HandOffError, purge, timer};
use crate::{App, ErrorChain};

/// Why the clock did not do all that it should. What is left is still due the next time.
#[derive(Debug, thiserror::Error)]
pub enum TickError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    HandOff(#[from] HandOffError),
}

/// How many timers fire side by side.
const TIMERS_AT_ONCE: usize = 8;

/// Fires what is due by now, and hands off the conversations whose consumers are due.
pub async fn tick(app: &App, hand_off: &impl HandOff, time: Duration) -> Result<(), TickError> {
    let deadline = Deadline::after(time);
    let mut conversations: BTreeSet<ConversationSid> = BTreeSet::new();
    let mut fires = Vec::new();
    for shard in 0..SHARDS {
        for due in app.store.due_list(shard, app.clock.now(), deadline).await? {
            match due {
                Due::Cursor(conversation, _) => {
                    conversations.insert(conversation);
                }
                Due::Timer(..) | Due::Purge(..) => fires.push(due),
            }
        }
    }
    // What fires needs nobody else, and one that fails keeps no other from its time.
    let fired: Vec<_> = stream::iter(fires)
        .map(|due| fire(app, due, deadline))
        .buffer_unordered(TIMERS_AT_ONCE)
        .collect()
        .await;
    let conversations: Vec<_> = conversations.into_iter().collect();
    for some in conversations.chunks(HAND_OFF_MAX) {
        if deadline.passed() {
            break;
        }
        hand_off.hand_off(some.to_vec()).await?;
    }
    fired.into_iter().collect::<Result<(), StoreError>>()?;
    Ok(())
}

/// A conversation that can't be read must not keep the clock from all others.
async fn fire(app: &App, due: Due, deadline: Deadline) -> Result<(), StoreError> {
    let fired = match due {
        Due::Timer(conversation, seen) => timer::fire(app, conversation, seen, deadline).await,
        Due::Purge(conversation, seen) => purge::purge(app, conversation, seen, deadline).await,
        Due::Cursor(..) => Ok(()),
    };
    match fired {
        Err(error) if !error.retryable() => {
            let (conversation, error) = (due.conversation(), ErrorChain(&error));
            tracing::error!(%conversation, %error, "conversation {conversation} can't be read; nothing falls due in it");
            Ok(())
        }
        other => other,
    }
}
