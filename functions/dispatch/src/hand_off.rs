//! The hand-off: it runs the consumers of several conversations side by side.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::join_all;
use routing::ConversationSid;
use service::{App, ErrorChain, dispatch};

/// Consumers of some conversations did not run to their end. Each reason has a log line.
#[derive(Debug, thiserror::Error)]
#[error("consumers of {failed} conversations could not run")]
pub struct RunError {
    failed: usize,
}

/// Runs the consumers of all conversations. One that fails stops no other.
pub async fn run(app: &App, conversations: &[String]) -> Result<(), RunError> {
    let conversations = conversations.iter().filter_map(|text| {
        let sid = ConversationSid::parse(text);
        if sid.is_none() {
            tracing::error!("{text:?} was handed off, and is not the SID of a conversation");
        }
        sid
    });
    let ran = join_all(conversations.map(|conversation| async move {
        // A panic in one conversation stops no other.
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
