//! The sweep's reads and marks: the time index, which names every change once, and the marks up to which the sweep has
//! read it. A reader that continues from a durable mark misses no change.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use routing::{CarrierMessageSid, ConversationSid, ForwardState, Outcome};

use crate::attempt::{self, Deadline};
use crate::error::StoreError;
use crate::item::{Item, milliseconds, number};
use crate::key::{self, Key};
use crate::page::IndexRow;
use crate::table::GSI1;
use crate::{Store, item};

/// One page of the changes of a shard.
#[derive(Debug)]
pub struct Changed {
    /// The page has all changes up to this moment, which is included.
    pub until: Timestamp,
    /// How many changes there are.
    pub rows: usize,
    pub conversations: BTreeSet<ConversationSid>,
    pub pending: Vec<PendingForward>,
    /// One for each unreadable journal entry, whose content is unknown.
    pub unreadable: Vec<StoreError>,
}

/// A message that was forwarded, and whose result the journal does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingForward {
    pub message: CarrierMessageSid,
    /// When the message came, in whole milliseconds.
    pub at: Timestamp,
}

/// How many changes a page has, unless more of them have the same millisecond. The sweep's mark moves page by page, so a
/// page must fit into a shard's slice of the sweep's time even if the table is slow: 200 looks, 8 at once, take 11 s at
/// 450 ms each.
const PAGE: i32 = 200;
/// How many days without a change one page passes; each day is a partition of its own.
const DAYS_MAX: usize = 40;

const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Store {
    /// The first page of the changes of a shard after `after` and up to `until`.
    pub async fn changed(
        &self,
        shard: u8,
        after: Timestamp,
        until: Timestamp,
        deadline: Deadline,
    ) -> Result<Changed, StoreError> {
        let mut from = after;
        for _ in 0..DAYS_MAX {
            let first = later(from, MILLISECOND);
            let last = end_of_day(from).min(until);
            let bounds = (key::millisecond(first), key::millisecond(last));
            let partition = key::time_partition(first, shard);
            let (rows, reached) = self.time_query(partition, bounds, deadline).await?;
            from = reached.unwrap_or(last);
            if !rows.is_empty() {
                return self.page_of(rows, from, deadline).await;
            }
            if from >= until {
                break;
            }
        }
        self.page_of(Vec::new(), from, deadline).await
    }

    /// The rows of a partition of the time index from `low` to `high`, both included. If there are more than one page
    /// has, also the last millisecond that is read to its end; later rows are left out.
    async fn time_query(
        &self,
        partition: String,
        (low, high): (String, String),
        deadline: Deadline,
    ) -> Result<(Vec<TimeRow>, Option<Timestamp>), StoreError> {
        let mut rows: Vec<TimeRow> = Vec::new();
        let mut start = None;
        loop {
            let send = || {
                self.client
                    .query()
                    .table_name(&self.table)
                    .index_name(GSI1.name)
                    .key_condition_expression("gp = :p AND gs BETWEEN :low AND :high")
                    .expression_attribute_values(":p", AttributeValue::S(partition.clone()))
                    .expression_attribute_values(":low", AttributeValue::S(low.clone()))
                    .expression_attribute_values(":high", AttributeValue::S(high.clone()))
                    .set_exclusive_start_key(start.clone())
                    .limit(PAGE)
                    .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                    .send()
            };
            let found = attempt::read("read what changed", deadline, send).await?;
            let items = found.items.unwrap_or_default();
            rows.extend(items.iter().filter_map(TimeRow::of));
            let Some(next) = found.last_evaluated_key else {
                return Ok((rows, None));
            };
            // The last millisecond may have more rows. If the page has one millisecond only, all of it is read.
            if let Some((first, last)) = rows.first().zip(rows.last())
                && last.at > first.at
            {
                let reached = last.at.checked_sub(MILLISECOND).unwrap_or(last.at);
                rows.retain(|row| row.at <= reached);
                return Ok((rows, Some(reached)));
            }
            start = Some(next);
        }
    }

    /// What rows of the time index name: an entry names its conversation by its own key, a journal entry by its
    /// attributes, which are read.
    async fn page_of(
        &self,
        rows: Vec<TimeRow>,
        until: Timestamp,
        deadline: Deadline,
    ) -> Result<Changed, StoreError> {
        let mut page = Changed {
            until,
            rows: rows.len(),
            conversations: BTreeSet::new(),
            pending: Vec::new(),
            unreadable: Vec::new(),
        };
        let mut journaled = Vec::new();
        for row in rows {
            if let Some(conversation) = key::parse_conversation(&row.key.pk) {
                page.conversations.insert(conversation);
            } else if row.key.pk.starts_with(key::JOURNAL) && !key::is_unreadable(&row.key.sk) {
                journaled.push(row.key);
            }
        }
        for item in self.batch_get(journaled, deadline).await? {
            let entry = match item::journal::from_item(item) {
                Ok(entry) => entry,
                Err(error) => {
                    page.unreadable.push(error);
                    continue;
                }
            };
            let place = entry.outcome.place();
            page.conversations
                .extend(place.map(|(conversation, _)| conversation));
            let Outcome::Forwarded { state, .. } = entry.outcome else {
                continue;
            };
            if state == ForwardState::Pending {
                page.pending.push(PendingForward {
                    message: entry.inbound.key.sid,
                    at: entry.inbound.received_at,
                });
            }
        }
        Ok(page)
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

/// A row of the time index.
struct TimeRow {
    key: Key,
    at: Timestamp,
}

impl TimeRow {
    fn of(item: &Item) -> Option<TimeRow> {
        let row = IndexRow::of(item, GSI1)?;
        Some(TimeRow {
            at: key::parse_millisecond(&row.position)?,
            key: row.item,
        })
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
