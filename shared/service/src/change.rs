//! A REST change: who asks for it, how it fails, and its part in the loop.

use std::time::Duration;

use routing::{
    ChangeFacts, ChangeRequest, Conflict, ConversationServiceSid, ConversationSid, Decision, Fresh,
    Message, Next, PreActionCall, PreActionReply, Refusal, Settings, Source, Write,
};
use store::{Deadline, StoreError};

use crate::carry_out::{Contended, Task, carry_out};
use crate::pre_action::call_pre_action_webhook;
use crate::{App, InvalidEdit};

/// One REST request that changes something.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The conversation service that the path names. `None`: the account's default service.
    pub service: Option<ConversationServiceSid>,
    /// `X-Twilio-Webhook-Enabled: true`.
    pub webhooks: bool,
    pub deadline: Deadline,
}

impl Asked {
    /// The settings of the account and of the service. The account's default service may be another than the one that is
    /// read here; the decision asks for it then.
    pub(crate) async fn settings(&self, app: &App) -> Result<Settings, StoreError> {
        let service = self.service.unwrap_or(ConversationServiceSid::DEFAULT);
        app.store.settings_get(&[service], self.deadline).await
    }

    /// How long a change may take.
    pub const TIME_MAX: Duration = Duration::from_secs(15);
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    InvalidEdit(#[from] InvalidEdit),
    /// Other changes were first until the deadline. Nothing was changed.
    #[error("too many other requests change the same at once")]
    Contended,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Contended> for ChangeError {
    fn from(_: Contended) -> ChangeError {
        ChangeError::Contended
    }
}

/// Makes a change. `gather` reads its facts; `decide` is its decision, from `routing`.
pub(crate) async fn make_change<F, T, G, Fut, D>(
    app: &App,
    asked: Asked,
    gather: G,
    decide: D,
) -> Result<T, ChangeError>
where
    G: Fn() -> Fut,
    Fut: Future<Output = Result<ChangeFacts<F>, StoreError>>,
    D: Fn(&ChangeFacts<F>, ChangeRequest<'_>) -> Decision<T>,
{
    let change = Change {
        app,
        asked,
        gather,
        decide,
    };
    carry_out(app, &change, asked.deadline).await
}

struct Change<'a, G, D> {
    app: &'a App,
    asked: Asked,
    gather: G,
    decide: D,
}

impl<F, T, G, Fut, D> Task for Change<'_, G, D>
where
    G: Fn() -> Fut,
    Fut: Future<Output = Result<ChangeFacts<F>, StoreError>>,
    D: Fn(&ChangeFacts<F>, ChangeRequest<'_>) -> Decision<T>,
{
    type Facts = ChangeFacts<F>;
    type Outcome = T;
    type Refusal = Refusal;
    type Error = ChangeError;

    fn settings(facts: &mut ChangeFacts<F>) -> &mut Settings {
        &mut facts.settings
    }

    async fn gather(&self) -> Result<ChangeFacts<F>, StoreError> {
        (self.gather)().await
    }

    fn decide(
        &self,
        facts: &ChangeFacts<F>,
        fresh: &Fresh,
        reply: Option<&PreActionReply>,
    ) -> Decision<T> {
        let request = ChangeRequest {
            fresh,
            now: self.app.clock.now(),
            service: self.asked.service,
            quiet: !self.asked.webhooks,
            reply,
        };
        (self.decide)(facts, request)
    }

    async fn ask(
        &self,
        call: &PreActionCall,
        fresh: &Fresh,
    ) -> Result<PreActionReply, ChangeError> {
        let reply = call_pre_action_webhook(
            self.app,
            call,
            Source::Api,
            fresh.change,
            Message::BODY_REST_CHARACTERS_MAX,
            self.asked.deadline,
        );
        Ok(reply.await?)
    }

    fn learn(
        &self,
        facts: &mut ChangeFacts<F>,
        conflict: Conflict,
        writes: &[Write],
        _slots_lost: u32,
    ) -> Next {
        facts.learn(conflict, writes)
    }

    async fn read_tail(
        &self,
        facts: &mut ChangeFacts<F>,
        conversation: ConversationSid,
    ) -> Result<(), StoreError> {
        let deadline = self.asked.deadline;
        facts.learn_tail(self.app.store.tail_get(conversation, deadline).await?);
        Ok(())
    }
    async fn read_tail_and_settings(
        &self,
        facts: &mut ChangeFacts<F>,
        conversation: ConversationSid,
    ) -> Result<(), StoreError> {
        let (store, deadline) = (&self.app.store, self.asked.deadline);
        let services: Vec<_> = facts.settings.services().collect();
        let (tail, settings) = tokio::try_join!(
            store.tail_get(conversation, deadline),
            store.settings_get(&services, deadline)
        )?;
        facts.learn_tail(tail);
        facts.settings = settings;
        Ok(())
    }
}
