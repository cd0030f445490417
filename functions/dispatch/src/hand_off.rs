//! The hand-off: conversations whose consumers are to run, side by side.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::join_all;
use routing::ConversationSid;
use service::{App, ErrorChain, dispatch};

/// Some conversations' consumers could not run to their end; each reason is logged.
#[derive(Debug, thiserror::Error)]
#[error("consumers of {failed} conversations could not run")]
pub struct RunError {
    failed: usize,
}

/// Lets the consumers of all of them run. One that fails keeps no other from its end.
pub async fn run(app: &App, conversations: &[String]) -> Result<(), RunError> {
    let conversations = conversations.iter().filter_map(|text| {
        let sid = ConversationSid::parse(text);
        if sid.is_none() {
            tracing::error!("{text:?} was handed off, and is no conversation");
        }
        sid
    });
    let ran = join_all(conversations.map(|conversation| async move {
        // A defect that one conversation meets is not the others'.
        let run = AssertUnwindSafe(dispatch::run(app, conversation)).catch_unwind();
        match run.await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => {
                let error = ErrorChain(&error);
                tracing::warn!(%conversation, %error, "consumers of conversation {conversation} could not run");
            }
            Err(_) => {
                tracing::error!(%conversation, "a consumer of conversation {conversation} panicked");
            }
        }
        false
    }));
    match ran.await.into_iter().filter(|ran| !ran).count() {
        0 => Ok(()),
        failed => Err(RunError { failed }),
    }
}
