//! A conversation's log, and the other items of its partition.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use routing::{ConversationSid, Entry, Tail};

use crate::attempt::{self, Deadline};
use crate::error::StoreError;
use crate::item::{self, Item};
use crate::table::{PARTITION_KEY, SORT_KEY};
use crate::{Store, key};

impl Store {
    /// The entry in a slot. `None`: the slot is free.
    pub async fn entry_get(
        &self,
        conversation: ConversationSid,
        slot: u64,
        deadline: Deadline,
    ) -> Result<Option<Entry>, StoreError> {
        let item = self.get(key::slot(conversation, slot), deadline).await?;
        item.map(item::entry::from_item).transpose()
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
