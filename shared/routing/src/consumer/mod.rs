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
//! - A run's last move gives the lease back, and only then does the run read the end of the log once more.
//! - A due time is cleared only by a run that saw it, and that saw nothing behind the end of what it read.
//!
//! Every choice is a value: a run asks [`step`] what to do and carries the answer out. A consumer with one recipient goes
//! on as [`post`] says, one with several as [`fan_out`] says.
//!
//! The cast: [`endpoint`] tells which webhooks are told of an entry; [`look`] is what a consumer reads first, and it
//! names the consumers that there are; [`cursor`] is a consumer's position, and [`write`](mod@write) what moves it;
//! [`lag`] finds what no run has come to; [`limits`] and [`retry`] hold the bounds and the schedule of attempts.

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
