//! Facts for the decision on a message: strongly consistent, in as few sequential calls as they allow.

use routing::{Binding, Facts, Holder, Inbound, Key, Settings};

use crate::attempt::Deadline;
use crate::error::StoreError;
use crate::{Store, item, key};

impl Store {
    /// Everything that the decision on a message depends on: one round of reads; after it, the holder's tail, and beside
    /// it the service whose settings the decision needs first.
    pub async fn gather(&self, inbound: &Inbound, deadline: Deadline) -> Result<Facts, StoreError> {
        let key = inbound.binding_key();
        let binding = async {
            match &key {
                Some(key) => self.binding_get(key, deadline).await,
                None => Ok(None),
            }
        };
        let (journal, binding, receiver, account) = tokio::try_join!(
            self.journal_get(&inbound.key, deadline),
            binding,
            self.receiver_get(inbound.to(), deadline),
            self.account_get(deadline),
        )?;
        let (number, configuration) = receiver;
        let binding = binding.filter(|_| journal.is_none());
        let service = match &binding {
            Some(binding) => Some(binding.service),
            None => configuration
                .as_ref()
                .filter(|found| found.auto_creation.enabled && journal.is_none())
                .map(|found| {
                    found
                        .auto_creation
                        .service
                        .unwrap_or(account.default_service)
                }),
        };
        let tail = async {
            match &binding {
                Some(binding) => self.tail_get(binding.conversation, deadline).await,
                None => Ok(None),
            }
        };
        let services = async {
            match service {
                Some(sid) => Ok(vec![(
                    sid,
                    self.conversation_service_get(sid, deadline).await?,
                )]),
                None => Ok(Vec::new()),
            }
        };
        let (tail, services) = tokio::try_join!(tail, services)?;
        let settings = Settings::new(account, services);
        let holder = binding.map(|Binding { conversation, .. }| Holder { conversation, tail });
        // No resource makes sender pools yet.
        Ok(Facts {
            journal,
            holder,
            number,
            configuration,
            pool: None,
            settings,
        })
    }

    /// Reads the tail of the holder's log again, and the settings with it, which may have changed since the facts were
    /// gathered: one round of calls, three read units.
    pub async fn gather_tail_and_settings(
        &self,
        facts: &mut Facts,
        inbound: &Inbound,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let Some(Holder { conversation, .. }) = facts.holder else {
            return Ok(());
        };
        let services: Vec<_> = facts.settings.services().collect();
        let (tail, receiver, settings) = tokio::try_join!(
            self.tail_get(conversation, deadline),
            self.receiver_get(inbound.to(), deadline),
            self.settings_get(&services, deadline),
        )?;
        facts.learn_tail(tail);
        (facts.number, facts.configuration) = receiver;
        facts.settings = settings;
        Ok(())
    }

    pub async fn binding_get(
        &self,
        key: &Key,
        deadline: Deadline,
    ) -> Result<Option<Binding>, StoreError> {
        self.get(key::binding(key), deadline)
            .await?
            .map(item::binding::from_item)
            .transpose()
    }
}
