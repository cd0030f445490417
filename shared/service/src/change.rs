//! What the REST changes have in common: who asks, how they fail, and how they try again.

use std::time::Duration;

use routing::change::Refusal;
use routing::{
    AccountSettings, Binding, Cause, Conflict, ConversationServiceSid, ConversationSid, Fresh,
    SettingsInForce, Source, Tail, Write, close_expired,
};
use store::{CommitError, Deadline, StoreError};

use crate::{App, InvalidEdit};

/// One REST request that changes something.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// `X-Twilio-Webhook-Enabled: true`.
    pub webhooks: bool,
    pub deadline: Deadline,
}

impl Asked {
    /// How long a change may take.
    pub const TIME_MAX: Duration = Duration::from_secs(15);
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("there is no such thing")]
    NotFound,
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another conversation, or this one, holds the pair.
    #[error("conversation {} holds the pair", .0.conversation)]
    PairBound(Binding),
    #[error("the identity takes part already")]
    IdentityTaken,
    #[error("conversation {0} has the name")]
    NameTaken(ConversationSid),
    /// An address that is one of our own numbers can't take part from outside.
    #[error("the address is one of our own")]
    AddressIsOurs,
    #[error("the proxy address is not one of our own")]
    ProxyIsNotOurs,
    /// A record of that address is there already.
    #[error("the address has one already")]
    AddressTaken,
    #[error("the pre-action webhook rejected it")]
    Rejected,
    #[error(transparent)]
    InvalidEdit(#[from] InvalidEdit),
    /// Others were faster until the deadline. Nothing was changed.
    #[error("too many others change the same at once")]
    Contended,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One change, over its attempts.
pub(crate) struct Attempts<'a> {
    pub(crate) app: &'a App,
    pub(crate) asked: Asked,
    pub(crate) fresh: Fresh,
    attempt: u32,
}

/// What became of an attempt.
pub(crate) enum Attempt {
    Done,
    /// Another writer got there first; what it did is in the conflict.
    Again(Conflict),
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(app: &'a App, asked: Asked) -> Attempts<'a> {
        Attempts {
            app,
            asked,
            fresh: app.fresh(),
            attempt: 0,
        }
    }

    pub(crate) fn cause<'c>(&'c self, settings: SettingsInForce<'c>) -> Cause<'c> {
        Cause {
            fresh: &self.fresh,
            settings,
            source: Source::Api,
            quiet: !self.asked.webhooks,
        }
    }

    /// Commits; after a conflict, waits its turn.
    pub(crate) async fn commit(&mut self, writes: &[Write]) -> Result<Attempt, ChangeError> {
        match self.app.store.commit(writes, self.asked.deadline).await {
            Ok(()) => Ok(Attempt::Done),
            Err(CommitError::Store(error)) => Err(error.into()),
            Err(CommitError::Conflict(conflict)) => {
                self.attempt += 1;
                store::pause(self.attempt, self.asked.deadline).await;
                match self.asked.deadline.passed() {
                    true => Err(ChangeError::Contended),
                    false => Ok(Attempt::Again(conflict)),
                }
            }
        }
    }

    /// A conversation found past its closing time is closed before anything else is decided about it. Returns whether
    /// it was, or whether somebody else was faster; then its facts are to be read again.
    pub(crate) async fn closed_expired(
        &mut self,
        tail: &Tail,
        account: &AccountSettings,
    ) -> Result<bool, ChangeError> {
        let fresh = self.app.fresh();
        let cause = Cause {
            fresh: &fresh,
            settings: account.in_force(tail.header.service),
            source: Source::Timer,
            quiet: false,
        };
        let Some(plan) = close_expired(tail, cause) else {
            return Ok(false);
        };
        self.commit(&plan.writes).await?;
        Ok(true)
    }
}

/// The tail of a conversation that is there for readers.
pub(crate) fn present(tail: Option<Tail>) -> Result<Tail, ChangeError> {
    tail.filter(|tail| {
        !tail.header.terminal && tail.header.service == ConversationServiceSid::DEFAULT
    })
    .ok_or(ChangeError::NotFound)
}
