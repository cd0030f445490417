//! Facts for the decision on a message: strongly consistent, in as few sequential calls as they allow.

use routing::{Binding, Facts, Holder, Inbound, Key};

use crate::attempt::Deadline;
use crate::error::StoreError;
use crate::{Store, item, key};

impl Store {
    /// Everything that the decision on a message depends on: one round of reads, and the holder's tail after it.
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
        let holder = match binding.filter(|_| journal.is_none()) {
            Some(Binding { conversation, .. }) => Some(Holder {
                conversation,
                tail: self.tail_get(conversation, deadline).await?,
            }),
            None => None,
        };
        let (number, configuration) = receiver;
        // No resource makes sender pools yet.
        Ok(Facts {
            journal,
            holder,
            number,
            configuration,
            pool: None,
            account,
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
        let (tail, receiver, account) = tokio::try_join!(
            self.tail_get(conversation, deadline),
            self.receiver_get(inbound.to(), deadline),
            self.account_get(deadline),
        )?;
        facts.learn_tail(tail);
        (facts.number, facts.configuration) = receiver;
        facts.account = account;
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
