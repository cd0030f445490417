//! What falls due: cursors that wait for a time, timers, purges. The due index is spread over shards and holds only what
//! waits; it may lag behind the table, so whoever finds something there looks at the item itself before it acts.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use jiff::Timestamp;
use routing::{Consumer, ConversationSid, ItemKey};

use crate::attempt::{self, Deadline};
use crate::error::StoreError;
use crate::table::GSI1;
use crate::{Store, item, key};

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    Cursor(ConversationSid, Consumer),
    /// With the time that it was set to.
    Timer(ConversationSid, Timestamp),
    Purge(ConversationSid, Timestamp),
}

impl Due {
    pub fn conversation(&self) -> ConversationSid {
        match self {
            Due::Cursor(conversation, _)
            | Due::Timer(conversation, _)
            | Due::Purge(conversation, _) => *conversation,
        }
    }
}

/// How much is read at once from a shard.
const PAGE: usize = 200;
/// How many pages of a shard one look takes; the rest is due at the next look.
const PAGES_MAX: usize = 10;

impl Store {
    /// What of a shard is due by now, oldest first; not all of it where there is very much.
    pub async fn due_list(
        &self,
        shard: u8,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Vec<Due>, StoreError> {
        let behind = key::millisecond(now.checked_add(MILLISECOND).unwrap_or(now));
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let rows = self
                .index_query(
                    GSI1,
                    key::due_partition(shard),
                    (after.as_deref(), Some(&behind)),
                    false,
                    PAGE,
                    deadline,
                )
                .await?;
            let full = rows.len() == PAGE;
            after = rows.last().map(|row| row.position.clone());
            for row in rows {
                let Some(conversation) = key::parse_conversation(&row.item.pk) else {
                    continue;
                };
                let at = key::parse_millisecond(&row.position).unwrap_or(now);
                let due = match row.item.sk.as_str() {
                    key::TIMER => Some(Due::Timer(conversation, at)),
                    key::PURGE => Some(Due::Purge(conversation, at)),
                    sk => key::parse_cursor(sk).map(|whose| Due::Cursor(conversation, whose)),
                };
                found.extend(due);
            }
            if !full {
                break;
            }
        }
        Ok(found)
    }

    /// The next instant after `now` at which something of a shard falls due.
    pub async fn due_next(
        &self,
        shard: u8,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Option<Timestamp>, StoreError> {
        let bounds = key::millisecond(now);
        let rows = self
            .index_query(
                GSI1,
                key::due_partition(shard),
                (Some(&bounds), None),
                false,
                1,
                deadline,
            )
            .await?;
        let first = rows.first();
        Ok(first.and_then(|row| key::parse_millisecond(&row.position)))
    }

    /// Clears a timer, if it still is the one that was seen.
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

    /// Sets a timer anew, if it still is the one that was seen.
    pub async fn timer_rearm(
        &self,
        conversation: ConversationSid,
        seen: Timestamp,
        due: Timestamp,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let key = key::of(&ItemKey::Timer(conversation));
        self.put_due("set a timer", key, conversation, seen, due, deadline)
            .await
    }

    /// Puts a purge off, if it still is the one that was seen.
    pub async fn purge_put_off(
        &self,
        conversation: ConversationSid,
        seen: Timestamp,
        due: Timestamp,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let key = key::of(&ItemKey::Purge(conversation));
        self.put_due("put a purge off", key, conversation, seen, due, deadline)
            .await
    }

    async fn put_due(
        &self,
        operation: &'static str,
        key: key::Key,
        conversation: ConversationSid,
        seen: Timestamp,
        due: Timestamp,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let item = item::claim::due(key, conversation, due);
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

const MILLISECOND: std::time::Duration = std::time::Duration::from_millis(1);
