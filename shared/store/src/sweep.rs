//! The sweep's reading: every change is named once in the time index, so whoever reads it from a durable mark on misses
//! none.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use routing::ConversationSid;

use crate::attempt::{self, Deadline};
use crate::error::StoreError;
use crate::item::{milliseconds, number};
use crate::key::{self, Key};
use crate::page::IndexRow;
use crate::table::GSI1;
use crate::{Store, item};

/// Conversations that changed in a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub conversations: BTreeSet<ConversationSid>,
    /// They are all that changed up to this moment, it included.
    pub until: Timestamp,
}

/// How many changes one look takes.
const PAGE: i32 = 1_000;
/// How many days one look covers; each day is a partition of its own.
const DAYS_MAX: usize = 40;

const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Store {
    /// The conversations of a shard that changed after `after` and up to `until`, or up to an earlier moment where that
    /// is enough for one look.
    pub async fn changed(
        &self,
        shard: u8,
        after: Timestamp,
        until: Timestamp,
        deadline: Deadline,
    ) -> Result<Changed, StoreError> {
        let mut conversations = BTreeSet::new();
        let mut from = after;
        for _ in 0..DAYS_MAX {
            let end_of_day = end_of_day(from).min(until);
            let (low, high) = (
                key::millisecond(later(from, MILLISECOND)),
                key::millisecond(end_of_day),
            );
            let partition = key::time_partition(later(from, MILLISECOND), shard);
            let (keys, all_until) = self.time_query(partition, (&low, &high), deadline).await?;
            conversations.extend(self.named(keys, deadline).await?);
            if let Some(until) = all_until {
                return Ok(Changed {
                    conversations,
                    until,
                });
            }
            from = end_of_day;
            if from >= until {
                break;
            }
        }
        Ok(Changed {
            conversations,
            until: from,
        })
    }

    /// The rows of a partition of the time index from `low` to `high`, both included; and, where that is too much for one
    /// look, the last millisecond of which it has all.
    async fn time_query(
        &self,
        partition: String,
        (low, high): (&str, &str),
        deadline: Deadline,
    ) -> Result<(Vec<Key>, Option<Timestamp>), StoreError> {
        let mut keys = Vec::new();
        let mut start = None;
        let mut first: Option<Timestamp> = None;
        loop {
            let send = || {
                self.client
                    .query()
                    .table_name(&self.table)
                    .index_name(GSI1.name)
                    .key_condition_expression("gp = :p AND gs BETWEEN :low AND :high")
                    .expression_attribute_values(":p", AttributeValue::S(partition.clone()))
                    .expression_attribute_values(":low", AttributeValue::S(low.to_owned()))
                    .expression_attribute_values(":high", AttributeValue::S(high.to_owned()))
                    .set_exclusive_start_key(start.clone())
                    .limit(PAGE)
                    .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                    .send()
            };
            let found = attempt::read("read what changed", deadline, send).await?;
            let mut last = None;
            let items = found.items.unwrap_or_default();
            for row in items.iter().filter_map(|item| IndexRow::of(item, GSI1)) {
                last = key::parse_millisecond(&row.position);
                first = first.or(last);
                keys.push(row.item);
            }
            let Some(next) = found.last_evaluated_key else {
                return Ok((keys, None));
            };
            // Of the last millisecond there may be more; where there is but one millisecond, all of it is read.
            if let (Some(first), Some(last)) = (first, last)
                && last > first
            {
                let before = last.checked_sub(MILLISECOND).unwrap_or(last);
                return Ok((keys, Some(before)));
            }
            start = Some(next);
        }
    }

    /// The conversations that rows of the time index name: an entry by its own key, a journal entry by what it says.
    async fn named(
        &self,
        keys: Vec<Key>,
        deadline: Deadline,
    ) -> Result<BTreeSet<ConversationSid>, StoreError> {
        let mut named = BTreeSet::new();
        let mut journaled = Vec::new();
        for key in keys {
            if let Some(conversation) = key::parse_conversation(&key.pk) {
                named.insert(conversation);
            } else if key.pk.starts_with("J#") && !key::is_unreadable(&key.sk) {
                journaled.push(key);
            }
        }
        for item in self.batch_get(journaled, deadline).await? {
            match item::journal::from_item(item) {
                Ok(entry) => {
                    named.extend(entry.outcome.place().map(|(conversation, _)| conversation))
                }
                // One that can't be read must not keep the sweep from all others.
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(
                        error,
                        "a journal entry can't be read; nobody is woken for it"
                    );
                }
            }
        }
        Ok(named)
    }

    /// Up to when a shard has been swept; `None`: never.
    pub async fn sweep_mark_get(
        &self,
        shard: u8,
        deadline: Deadline,
    ) -> Result<Option<Timestamp>, StoreError> {
        let item = self.get(key::sweep_mark(shard), deadline).await?;
        let ms = item.and_then(|item| item.get("t")?.as_n().ok()?.parse().ok());
        Ok(ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
    }

    pub async fn sweep_mark_put(
        &self,
        shard: u8,
        at: Timestamp,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let mut item = item::key(key::sweep_mark(shard));
        item.insert("t".to_owned(), milliseconds(at));
        item.insert("v".to_owned(), number(1));
        let send = || {
            self.client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let decided = PutItemError::is_conditional_check_failed_exception;
        let written = attempt::write("move the sweep's mark", deadline, send, decided, |_| false);
        written.await.map(drop)
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The last millisecond of the day, in UTC, of the moment after `at`.
fn end_of_day(at: Timestamp) -> Timestamp {
    let next = later(at, MILLISECOND);
    let start = next
        .to_zoned(TimeZone::UTC)
        .start_of_day()
        .map_or(next, |day| day.timestamp());
    later(start, DAY)
        .checked_sub(MILLISECOND)
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_with_its_last_millisecond() {
        for (at, end) in [
            ("2026-11-22T00:00:00Z", "2026-11-22T23:59:59.999Z"),
            ("2026-11-22T23:59:59.998Z", "2026-11-22T23:59:59.999Z"),
            ("2026-11-22T23:59:59.999Z", "2026-11-23T23:59:59.999Z"),
        ] {
            let (at, end): (Timestamp, Timestamp) = (at.parse().unwrap(), end.parse().unwrap());
            assert_eq!(end_of_day(at), end, "{at}");
        }
    }
}
