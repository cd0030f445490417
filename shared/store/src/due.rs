//! What falls due: cursors that wait for a time, timers, purges. Each kind has lists of its own, spread over shards, so
//! that a backlog of one kind hides nothing of another. The lists hold only what waits. They may lag behind the table,
//! so each run reads the item itself before it acts.

use std::time::Duration;

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use jiff::Timestamp;
use routing::{ConversationSid, ItemKey};

use crate::attempt::{self, Deadline};
use crate::error::StoreError;
use crate::key::DueKind;
use crate::table::GSI1;
use crate::{Store, item, key};

/// A cursor, a timer or a purge that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub conversation: ConversationSid,
    /// The time that it is set to.
    pub at: Timestamp,
}

/// How many rows one query reads.
const PAGE: usize = 200;
/// How many pages of a list one call reads; the rest is still due at the next call.
const PAGES_MAX: usize = 10;

impl Store {
    /// The first of a shard's cursors, timers or purges that are due by `now`, oldest first: up to
    /// `PAGE * PAGES_MAX`. A conversation stands there once for each of its cursors.
    pub async fn due_list(
        &self,
        kind: DueKind,
        shard: u8,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<Due>, StoreError> {
        let end = key::millisecond(next_millisecond(now));
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let rows = self
                .index_query(
                    GSI1,
                    key::due_partition(kind, shard),
                    (after.as_deref(), Some(&end)),
                    false,
                    PAGE,
                    deadline,
                )
                .await?;
            let full = rows.len() == PAGE;
            found.extend(rows.iter().filter_map(|row| {
                Some(Due {
                    conversation: key::parse_conversation(&row.item.pk)?,
                    at: key::parse_millisecond(&row.position)?,
                })
            }));
            if !full {
                break;
            }
            after = rows.into_iter().last().map(|row| row.position);
        }
        Ok(found)
    }

    /// The first instant after `now` at which something of a shard falls due.
    pub async fn due_next(
        &self,
        shard: u8,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Option<Timestamp>, StoreError> {
        let beginning = key::millisecond(next_millisecond(now));
        let mut next: Option<Timestamp> = None;
        for kind in DueKind::ALL {
            let rows = self
                .index_query(
                    GSI1,
                    key::due_partition(kind, shard),
                    (Some(&beginning), None),
                    false,
                    1,
                    deadline,
                )
                .await?;
            let first = rows
                .first()
                .and_then(|row| key::parse_millisecond(&row.position));
            next = next.into_iter().chain(first).min();
        }
        Ok(next)
    }

    /// Clears a timer, if it is still set to the time that this run saw.
    pub async fn timer_clear(
        &self,
        conversation: ConversationSid,
        seen: Timestamp,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let key = item::key(key::of(&ItemKey::Timer(conversation)));
        let send = || {
            self.client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .condition_expression("t = :seen")
                .expression_attribute_values(":seen", item::milliseconds(seen))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let decided = DeleteItemError::is_conditional_check_failed_exception;
        let written = attempt::write("clear a timer", deadline, send, decided, |_| false);
        written.await.map(drop)
    }

    /// Sets a timer anew, if it is still set to the time that this run saw.
    pub async fn timer_rearm(
        &self,
        conversation: ConversationSid,
        seen: Timestamp,
        due: Timestamp,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let key = key::of(&ItemKey::Timer(conversation));
        let item = item::claim::due(DueKind::Timer, key, conversation, due);
        self.put_due("set a timer", item, seen, deadline).await
    }

    /// Puts a purge off, if it is still set to the time that this run saw.
    pub async fn purge_put_off(
        &self,
        conversation: ConversationSid,
        seen: Timestamp,
        due: Timestamp,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let key = key::of(&ItemKey::Purge(conversation));
        let item = item::claim::due(DueKind::Purge, key, conversation, due);
        self.put_due("put a purge off", item, seen, deadline).await
    }

    async fn put_due(
        &self,
        operation: &'static str,
        item: item::Item,
        seen: Timestamp,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let send = || {
            self.client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .condition_expression("t = :seen")
                .expression_attribute_values(":seen", item::milliseconds(seen))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let decided = PutItemError::is_conditional_check_failed_exception;
        let written = attempt::write(operation, deadline, send, decided, |_| false);
        written.await.map(drop)
    }
}

/// A position that begins with this time sorts behind everything that is due by `at`.
fn next_millisecond(at: Timestamp) -> Timestamp {
    at.checked_add(Duration::from_millis(1)).unwrap_or(at)
}
