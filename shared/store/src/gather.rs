//! Facts for the decision on a message: strongly consistent, in as few sequential calls as they allow.

use routing::{Binding, Facts, Holder, Inbound, Key, Pair};

use crate::attempt::Deadline;
use crate::error::StoreError;
use crate::{Store, item, key};

impl Store {
    /// Everything that the decision on a message depends on: one round of reads, and the holder's tail after it.
    pub async fn gather(&self, inbound: &Inbound, deadline: Deadline) -> Result<Facts, StoreError> {
        let pair = match inbound.routing_key() {
            Some(Key::Pair(pair)) => Some(pair),
            _ => None,
        };
        let binding = async {
            match &pair {
                Some(pair) => self.binding_get(pair, deadline).await,
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
            pre_action: None,
        })
    }

    pub async fn binding_get(
        &self,
        pair: &Pair,
        deadline: Deadline,
    ) -> Result<Option<Binding>, StoreError> {
        self.get(key::pair(pair), deadline)
            .await?
            .map(item::binding::from_item)
            .transpose()
    }
}
