//! The log's line on a change of a conversation's state by its timer.
//!
//! Three runs can be first to commit such a change: the clock fires the timer, a REST change closes an expired
//! conversation before it decides, and a message's plan closes the expired holder of its pair. Each logs this line.

use routing::{ConversationSid, State};

/// Logs that the timer made the conversation `state`.
pub(crate) fn log_change_by_timer(conversation: ConversationSid, state: State) {
    let state = state.as_str();
    tracing::info!(%conversation, state, "conversation {conversation} is {state} by its timer");
}
