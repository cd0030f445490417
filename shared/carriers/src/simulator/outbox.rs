//! The messages that the simulator was asked to send.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use crate::{SendResult, Sending};

/// Messages sent, oldest first. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Arc<Mutex<VecDeque<Item>>>);

#[derive(Clone, Debug, Serialize)]
struct Item {
    from: String,
    to: Vec<String>,
    body: String,
    /// URLs.
    media: Vec<String>,
    message_sid: String,
    conversation_sid: String,
}

/// How many messages are kept; the oldest go first. A developer looks at the last few.
const MESSAGES_MAX: usize = 10_000;

impl Outbox {
    /// Always accepts the message.
    pub(crate) fn send(&self, sending: &Sending) -> SendResult {
        let item = Item {
            from: sending.from.to_string(),
            to: vec![sending.to.to_string()],
            body: sending.body.to_owned(),
            media: sending.media.iter().map(|url| (*url).to_owned()).collect(),
            message_sid: sending.message.to_string(),
            conversation_sid: sending.conversation.to_string(),
        };
        let mut items = self
            .0
            .lock()
            .expect("no code panics while it holds the lock");
        if items.len() == MESSAGES_MAX {
            items.pop_front();
        }
        items.push_back(item);
        SendResult::Accepted { id: None }
    }

    /// A JSON array of `{from, to[], body, media[], message_sid, conversation_sid}`.
    pub fn to_json(&self) -> String {
        let items = self
            .0
            .lock()
            .expect("no code panics while it holds the lock");
        serde_json::to_string(&*items).expect("an item holds text alone")
    }
}
