//! Consumers: the readers of a conversation's log, the deliveries that each entry owes them, and the position of each.
//!
//! The invariants:
//!
//! - A consumer reads entries in the order of their slots and stops at the first missing one.
//! - The commit of an entry decides which deliveries it owes, and to whom. Filters and URLs are those at the time of
//!   delivery.
//! - A run moves a cursor only from the position at which it saw the cursor. That alone keeps a consumer from skipping an
//!   entry. Leases and due times save work and time.
//!
//! - A run's last move gives the lease back, and only then does the run read the end of the log once more.
//! - Only a run that saw a due time clears it, and only if it saw no entry behind the end of the stretch that it read.
//!
//! Every choice is a value: a run asks [`step`] what to do and carries the answer out. A consumer with one recipient
//! follows [`post`], a consumer with several recipients follows [`fan_out`].
//!
//! The cast: [`endpoint`] tells which webhooks get an entry's events; a consumer first reads a [`look`], which names the
//! consumers of the conversation; [`cursor`] is a consumer's position, and [`write`](mod@write) moves it; [`lag`] finds
//! deliveries that no run has reached; [`limits`] and [`retry`] hold the bounds and the schedule of attempts.

pub mod action;
pub mod cursor;
pub mod endpoint;
pub mod fan_out;
pub mod lag;
pub mod limits;
pub mod look;
pub mod post;
pub mod retry;
pub mod step;
pub mod write;

use crate::{Entry, HeldPair, Recipient, Scope};

/// A reader of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Consumer {
    /// The post-action webhook of a scope: it gets every event, one after the other.
    Post(Scope),
    /// Sends messages to the participants that have an address, each at its own pace.
    Relay,
    /// Calls the numbers' own webhooks that want captured messages too, each at its own pace.
    Numbers,
}

impl Consumer {
    pub fn as_str(self) -> &'static str {
        match self {
            Consumer::Post(_) => "post",
            Consumer::Relay => "relay",
            Consumer::Numbers => "numbers",
        }
    }
}

impl Entry {
    /// The participants to whom the relay sends the entry's message: all that have an address, except its author.
    /// An empty message has recipients too: an attempt may have been under way when the message was deleted.
    pub fn addressees(&self) -> impl Iterator<Item = &HeldPair> {
        let message = self.message().map(|(_, message)| message);
        self.header.pairs.iter().filter(move |held| {
            message.is_some_and(|message| {
                message.participant != Some(held.participant)
                    && held.pair.address().to_string() != message.author
            })
        })
    }

    /// The recipients of the entry, for a consumer that has several.
    pub fn recipients_of(&self, consumer: Consumer) -> Vec<Recipient> {
        match consumer {
            Consumer::Post(_) => Vec::new(),
            Consumer::Relay => self
                .addressees()
                .map(|held| Recipient::Participant(held.participant))
                .collect(),
            Consumer::Numbers => self
                .number_webhook
                .as_ref()
                .map(|key| Recipient::Number(key.to.clone()))
                .into_iter()
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
