//! Consumers: the readers of a conversation's log, what each entry owes them, and how far each has come.
//!
//! The invariants:
//!
//! - A consumer reads entries in the order of their slots and stops at the first missing one.
//! - What an entry owes, and to whom, is decided when the entry is committed; filters and URLs are those of the moment
//!   of delivery.
//! - A cursor moves on from where its mover saw it, and from nowhere else. That alone keeps a consumer from skipping
//!   an entry. Leases and due times save work and time.
//!
//! The cast: [`Endpoint`] is a webhook that hears events; [`Look`] is what a consumer reads first, and it names the
//! consumers that there are; [`Cursor`] is a consumer's position, with a [`Lane`] for each recipient that lags;
//! [`retry_at`] is the schedule of attempts.

pub(crate) mod cursor;
pub(crate) mod endpoint;
pub(crate) mod look;
pub(crate) mod post;
pub(crate) mod retry;

use crate::{Entry, HeldPair, Recipient, Scope};

/// A reader of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Consumer {
    /// The post-action webhook of a scope: it is told every event, one after the other.
    Post(Scope),
    /// Sends messages to the participants that have an address, each at its own pace.
    Relay,
    /// Tells the numbers' own webhooks that want captured messages too, each at its own pace.
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
