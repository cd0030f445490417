//! Facts for a decision: strongly consistent, in as few sequential calls as they allow.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use routing::{
    AccountSettings, AddressConfiguration, Binding, ConversationSid, Facts, Holder, Inbound, Key,
    NumberSettings, Pair, Tail,
};

use crate::Store;
use crate::attempt::{self, Deadline};
use crate::error::StoreError;
use crate::item::{self, Item};
use crate::key::{self, ACCOUNT_COPIES};
use crate::table::{PARTITION_KEY, SORT_KEY};

/// A number's partition holds its settings, its address configuration and its place in a sender pool.
const NUMBER_PARTITION_ITEMS_MAX: i32 = 3;

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

    /// The newest entry of a log. Always read strongly; `None`: there is no such log.
    pub async fn tail_get(
        &self,
        conversation: ConversationSid,
        deadline: Deadline,
    ) -> Result<Option<Tail>, StoreError> {
        let (items, _) = self
            .log_query(
                conversation,
                key::LOG_FIRST,
                key::LOG_END,
                true,
                1,
                deadline,
            )
            .await?;
        let newest = items.into_iter().next().map(item::entry::from_item);
        Ok(newest.transpose()?.map(|entry| entry.tail()))
    }

    /// One of the account's equal copies, picked at random.
    pub async fn account_get(&self, deadline: Deadline) -> Result<AccountSettings, StoreError> {
        let copy = getrandom::u32().unwrap_or(0) % u32::from(ACCOUNT_COPIES);
        let item = self.get(key::account(copy as u8), deadline).await?;
        item.map_or_else(|| Ok(AccountSettings::default()), item::account::from_item)
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

    /// What is set up for a receiving address.
    pub async fn receiver_get(
        &self,
        address: &routing::Address,
        deadline: Deadline,
    ) -> Result<(Option<NumberSettings>, Option<AddressConfiguration>), StoreError> {
        let partition = key::number_partition(address);
        let send = || {
            self.client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(partition.clone()))
                .limit(NUMBER_PARTITION_ITEMS_MAX)
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let found = attempt::read("read what is set up for an address", deadline, send).await?;
        let (mut number, mut configuration) = (None, None);
        for item in found.items.unwrap_or_default() {
            match item.get(SORT_KEY) {
                Some(AttributeValue::S(sk)) if sk == key::NUMBER => {
                    number = Some(item::number::from_item(item)?)
                }
                Some(AttributeValue::S(sk)) if sk == key::ADDRESS_CONFIGURATION => {
                    configuration = Some(item::address_configuration::from_item(item)?);
                }
                _ => {}
            }
        }
        Ok((number, configuration))
    }

    /// One item, read strongly.
    pub(crate) async fn get(
        &self,
        key: key::Key,
        deadline: Deadline,
    ) -> Result<Option<Item>, StoreError> {
        let key = item::key(key);
        let send = || {
            self.client
                .get_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        Ok(attempt::read("read an item", deadline, send).await?.item)
    }

    /// Items of a conversation's partition between two sort keys, both included, and whether there may be more behind
    /// them: DynamoDB ends an answer at `limit` items or at a megabyte. Read strongly.
    pub(crate) async fn log_query(
        &self,
        conversation: ConversationSid,
        from: &str,
        to: &str,
        newest_first: bool,
        limit: i32,
        deadline: Deadline,
    ) -> Result<(Vec<Item>, bool), StoreError> {
        let names = HashMap::from([
            ("#pk".to_owned(), PARTITION_KEY.to_owned()),
            ("#sk".to_owned(), SORT_KEY.to_owned()),
        ]);
        let values = HashMap::from([
            (
                ":pk".to_owned(),
                AttributeValue::S(key::conversation(conversation)),
            ),
            (":from".to_owned(), AttributeValue::S(from.to_owned())),
            (":to".to_owned(), AttributeValue::S(to.to_owned())),
        ]);
        let send = || {
            self.client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :to")
                .set_expression_attribute_names(Some(names.clone()))
                .set_expression_attribute_values(Some(values.clone()))
                .scan_index_forward(!newest_first)
                .limit(limit)
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let found = attempt::read("read a conversation's items", deadline, send).await?;
        Ok((
            found.items.unwrap_or_default(),
            found.last_evaluated_key.is_some(),
        ))
    }
}
