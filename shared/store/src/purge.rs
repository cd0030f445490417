//! The purge of a deleted conversation: its items are deleted, its last slot last.

use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, DeleteRequest, ReturnConsumedCapacity, TransactWriteItem, WriteRequest,
};
use routing::{Consumer, ConversationSid, ItemKey};

use crate::attempt::{self, Deadline};
use crate::error::StoreError;
use crate::item::Item;
use crate::table::{PARTITION_KEY, SORT_KEY};
use crate::{Store, item, key};

/// DynamoDB's bound on a `BatchWriteItem`.
const BATCH_MAX: usize = 25;
/// How many keys one query reads, and how many queries one step makes. The next step deletes the rest.
const PAGE: i32 = 500;
const PAGES_MAX: usize = 4;
/// How often one batch is sent, with the deletes that DynamoDB left unprocessed.
const BATCH_ROUNDS_MAX: u32 = 8;

impl Store {
    /// Deletes a conversation's items, except its last slot, its cursors and the purge itself. `true`: only these are
    /// left.
    pub async fn purge_before(
        &self,
        conversation: ConversationSid,
        last_slot: u64,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let last = key::slot(conversation, last_slot).sk;
        for _ in 0..PAGES_MAX {
            let (keys, more) = self.partition_keys(conversation, deadline).await?;
            let stays = |item: &Item| {
                let sk = item.get(SORT_KEY).and_then(|value| value.as_s().ok());
                sk.is_some_and(|sk| {
                    *sk == last || sk == key::PURGE || key::parse_cursor(sk).is_some()
                })
            };
            let going: Vec<Item> = keys.into_iter().filter(|item| !stays(item)).collect();
            if going.is_empty() && !more {
                return Ok(true);
            }
            for some in going.chunks(BATCH_MAX) {
                self.batch_delete(some, deadline).await?;
            }
            if !more {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Deletes what [`Store::purge_before`] leaves, in one transaction: a consumer without a cursor would begin anew at the
    /// last slot.
    pub async fn purge_end(
        &self,
        conversation: ConversationSid,
        consumers: impl IntoIterator<Item = Consumer>,
        last_slot: Option<u64>,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let cursors = consumers
            .into_iter()
            .map(|consumer| key::cursor(conversation, consumer));
        let purge = key::of(&ItemKey::Purge(conversation));
        let last = last_slot.map(|slot| key::slot(conversation, slot));
        let mut deletes = Vec::new();
        for key in cursors.chain(last).chain([purge]) {
            let delete = Delete::builder()
                .table_name(&self.table)
                .set_key(Some(item::key(key)))
                .build();
            let delete = delete.map_err(|error| StoreError::Refused {
                operation: "build a transaction",
                source: Box::new(error),
            })?;
            deletes.push(TransactWriteItem::builder().delete(delete).build());
        }
        self.transaction("end a purge", deletes, deadline)
            .await
            .map(drop)
    }

    async fn partition_keys(
        &self,
        conversation: ConversationSid,
        deadline: Deadline,
    ) -> Result<(Vec<Item>, bool), StoreError> {
        let partition = key::conversation(conversation);
        let send = || {
            self.client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(partition.clone()))
                .projection_expression(format!("{PARTITION_KEY}, {SORT_KEY}"))
                .limit(PAGE)
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let found = attempt::read("read a conversation's keys", deadline, send).await?;
        // DynamoDB ends an answer at a megabyte of items, even if it returns only their keys.
        let more = found.last_evaluated_key.is_some();
        Ok((found.items.unwrap_or_default(), more))
    }

    async fn batch_delete(&self, keys: &[Item], deadline: Deadline) -> Result<(), StoreError> {
        let operation = "delete a batch";
        let mut wanted = Vec::with_capacity(keys.len());
        for key in keys {
            let delete = DeleteRequest::builder().set_key(Some(key.clone())).build();
            let delete = delete.map_err(|error| StoreError::Refused {
                operation,
                source: Box::new(error),
            })?;
            wanted.push(WriteRequest::builder().delete_request(delete).build());
        }
        for round in 1..=BATCH_ROUNDS_MAX {
            let send = || {
                self.client
                    .batch_write_item()
                    .request_items(&self.table, wanted.clone())
                    .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                    .send()
            };
            // To delete an item that is gone changes nothing, so this may be repeated after an unknown result, as a read.
            let answer = attempt::read(operation, deadline, send).await?;
            wanted = answer
                .unprocessed_items
                .into_iter()
                .flatten()
                .flat_map(|(_, left)| left)
                .collect();
            if wanted.is_empty() {
                return Ok(());
            }
            attempt::pause(round, deadline).await;
        }
        Err(StoreError::Unavailable {
            operation,
            source: "the table deletes only parts of a batch".into(),
        })
    }
}
