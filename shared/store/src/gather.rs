//! Facts for the decision on a message: strongly consistent, in as few sequential calls as they allow.

use routing::{Binding, Facts, Holder, Inbound, Key, Services, Settings};

use crate::attempt::Deadline;
use crate::error::StoreError;
use crate::{Store, item, key};

impl Store {
    /// Everything that the decision on a message depends on: one round of reads; after it, the holder's tail, and beside
    /// it the services whose settings the decision needs first.
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
        let binding = binding.filter(|_| journal.is_none());
        let mut facts = Facts {
            journal,
            holder: None,
            number: receiver.number,
            configuration: receiver.configuration,
            pool: receiver.pool.map(|place| place.service),
            settings: Settings::new(account, Vec::new()),
        };
        let services = match &binding {
            _ if facts.journal.is_some() => Services::default(),
            Some(binding) => Services {
                conversation: Some(binding.service),
                messaging: None,
            },
            None => facts.services_of_unbound(),
        };
        let tail = async {
            match &binding {
                Some(binding) => self.tail_get(binding.conversation, deadline).await,
                None => Ok(None),
            }
        };
        let services = self.services_get(&mut facts.settings, services, deadline);
        let (tail, ()) = tokio::try_join!(tail, services)?;
        facts.holder = binding.map(|Binding { conversation, .. }| Holder { conversation, tail });
        Ok(facts)
    }

    /// Reads the tail of the holder's log again, and the settings with it, which may have changed since the facts were
    /// gathered: one round of calls.
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
        facts.number = receiver.number;
        facts.configuration = receiver.configuration;
        facts.pool = receiver.pool.map(|place| place.service);
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
