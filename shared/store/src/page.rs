//! Pages of lists. A token is the position of a row, encoded: the next page starts after this row. Clients can't read
//! it; the store checks it when it comes back.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Store;
use crate::attempt::{self, Deadline};
use crate::error::StoreError;
use crate::item::{self, Item};
use crate::key::Key;
use crate::table::{Index, PARTITION_KEY, SORT_KEY};

/// The page that a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows on a page, at least 1.
    pub size: usize,
    /// From the page before; `None`: the first page.
    pub token: Option<String>,
}

/// One page. It may be short, and even empty, and still have a next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// One token for each row.
    tokens: Vec<String>,
    /// `None`: no row is behind the last one.
    next: Option<String>,
}

impl<T> Page<T> {
    /// Rows with their positions. `next`: the position that the next page starts after, if there is one.
    pub(crate) fn new(
        list: ListKind,
        rows: impl IntoIterator<Item = (T, String)>,
        next: Option<String>,
    ) -> Page<T> {
        let rows = rows.into_iter();
        let (rows, tokens) = rows
            .map(|(row, position)| (row, token(list, &position)))
            .unzip();
        Page {
            rows,
            tokens,
            next: next.map(|position| token(list, &position)),
        }
    }

    /// The token of the page that begins after this many rows of this one, at least one of them or all. `None`: the
    /// list is at its end.
    pub fn next_after(&self, rows: usize) -> Option<&str> {
        match rows.checked_sub(1) {
            Some(last) if rows < self.rows.len() => self.tokens.get(last).map(String::as_str),
            _ => self.next.as_deref(),
        }
    }
}

/// A position is a sort key, and DynamoDB allows 1,024 bytes: this is the length of 1,023 encoded bytes.
const TOKEN_BYTES_MAX: usize = 1_364;

/// The lists that have tokens. A token is valid for its own list only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    Conversations,
    Participants,
    Messages,
    Participations,
    Numbers,
    AddressConfigurations,
    ConversationServices,
    MessagingServices,
    PoolNumbers,
    AlphaSenders,
    Bindings,
}

impl ListKind {
    fn mark(self) -> &'static str {
        match self {
            ListKind::Conversations => "c:",
            ListKind::Participants => "p:",
            ListKind::Messages => "m:",
            ListKind::Participations => "a:",
            ListKind::Numbers => "n:",
            ListKind::AddressConfigurations => "g:",
            ListKind::ConversationServices => "s:",
            ListKind::MessagingServices => "v:",
            ListKind::PoolNumbers => "o:",
            ListKind::AlphaSenders => "l:",
            ListKind::Bindings => "b:",
        }
    }
}

fn token(list: ListKind, position: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}{position}", list.mark()))
}

impl PageRequest {
    /// Refuses a token that no page of the list has given out.
    pub fn check(&self, list: ListKind) -> Result<(), StoreError> {
        self.position(list).map(drop)
    }

    /// The position that the page starts after.
    pub(crate) fn position(&self, list: ListKind) -> Result<Option<String>, StoreError> {
        let Some(token) = &self.token else {
            return Ok(None);
        };
        let bytes = (token.len() <= TOKEN_BYTES_MAX)
            .then(|| URL_SAFE_NO_PAD.decode(token).ok())
            .flatten();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let position = text
            .as_deref()
            .and_then(|text| text.strip_prefix(list.mark()))
            .filter(|position| !position.is_empty());
        position
            .map(|position| Some(position.to_owned()))
            .ok_or(StoreError::PageToken)
    }
}

/// The keys of one row of an index: of the item, and the row's position.
#[derive(Clone, Debug)]
pub(crate) struct IndexRow {
    pub(crate) item: Key,
    pub(crate) position: String,
}

impl IndexRow {
    pub(crate) fn of(item: &Item, index: Index) -> Option<IndexRow> {
        let position = item.get(index.sort_key)?.as_s().ok()?;
        Some(IndexRow {
            item: key_of(item)?,
            position: position.clone(),
        })
    }
}

fn key_of(item: &Item) -> Option<Key> {
    let text = |name| item.get(name).and_then(|value| value.as_s().ok()).cloned();
    Some(Key {
        pk: text(PARTITION_KEY)?,
        sk: text(SORT_KEY)?,
    })
}

/// DynamoDB's bound on a `BatchGetItem`.
const BATCH_MAX: usize = 100;
/// How often one batch is sent, with the keys that DynamoDB left unprocessed.
const BATCH_ROUNDS_MAX: u32 = 8;

impl Store {
    /// Up to `limit` rows of an index partition between two positions, both excluded. Rows are keys alone, so that the
    /// longest page is far below the megabyte at which DynamoDB ends an answer.
    pub(crate) async fn index_query(
        &self,
        index: Index,
        partition: String,
        (after, before): (Option<&str>, Option<&str>),
        newest_first: bool,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Vec<IndexRow>, StoreError> {
        // Sort keys are text without control characters, so these bound them all.
        let (low, high) = (after.unwrap_or("\u{1}"), before.unwrap_or("\u{10ffff}"));
        // DynamoDB refuses such bounds, and a client's filter or token can lead to them.
        if low > high {
            return Ok(Vec::new());
        }
        let names = HashMap::from([
            ("#p".to_owned(), index.partition_key.to_owned()),
            ("#s".to_owned(), index.sort_key.to_owned()),
        ]);
        let values = HashMap::from([
            (":p".to_owned(), AttributeValue::S(partition)),
            (":low".to_owned(), AttributeValue::S(low.to_owned())),
            (":high".to_owned(), AttributeValue::S(high.to_owned())),
        ]);
        // BETWEEN includes its bounds, so a page may bring the row that it starts after.
        let query_limit = i32::try_from(limit.saturating_add(2)).unwrap_or(i32::MAX);
        let send = || {
            self.client
                .query()
                .table_name(&self.table)
                .index_name(index.name)
                .key_condition_expression("#p = :p AND #s BETWEEN :low AND :high")
                .set_expression_attribute_names(Some(names.clone()))
                .set_expression_attribute_values(Some(values.clone()))
                .scan_index_forward(!newest_first)
                .limit(query_limit)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let found = attempt::read("read a list", deadline, send).await?;
        let items = found.items.unwrap_or_default();
        let rows = items.iter().filter_map(|item| IndexRow::of(item, index));
        let inside = rows.filter(|row| row.position != low && row.position != high);
        Ok(inside.take(limit).collect())
    }

    /// A page of the items that an index partition lists, by position.
    pub(crate) async fn index_page<T>(
        &self,
        index: Index,
        partition: String,
        list: ListKind,
        page: &PageRequest,
        read: impl Fn(Item) -> Result<T, StoreError>,
        deadline: Deadline,
    ) -> Result<Page<T>, StoreError> {
        let after = page.position(list)?;
        let bounds = (after.as_deref(), None);
        let mut found = self
            .index_query(index, partition, bounds, false, page.size + 1, deadline)
            .await?;
        let more = found.len() > page.size;
        found.truncate(page.size);
        let last = found.last().filter(|_| more);
        let next = last.map(|row| row.position.clone());
        let keys = found.iter().map(|row| row.item.clone()).collect();
        let mut rows = Vec::with_capacity(found.len());
        // Both are in the order of the list. An item that is gone left its row behind.
        let mut found = found.into_iter();
        for item in self.batch_get(keys, deadline).await? {
            let key = key_of(&item);
            let row = found.find(|row| key.as_ref() == Some(&row.item));
            rows.extend(row.map(|row| Ok::<_, StoreError>((read(item)?, row.position))));
        }
        let rows = rows.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Page::new(list, rows, next))
    }

    /// Items by their keys, in the order of the keys, read strongly; those that are gone are left out.
    pub(crate) async fn batch_get(
        &self,
        keys: Vec<Key>,
        deadline: Deadline,
    ) -> Result<Vec<Item>, StoreError> {
        let mut found: HashMap<(String, String), Item> = HashMap::new();
        for chunk in keys.chunks(BATCH_MAX) {
            let mut wanted: Vec<Item> = chunk.iter().cloned().map(item::key).collect();
            for round in 1.. {
                let request = KeysAndAttributes::builder()
                    .set_keys(Some(wanted))
                    .consistent_read(true)
                    .build();
                let request = request.map_err(|error| StoreError::Refused {
                    operation: "read a batch",
                    source: Box::new(error),
                })?;
                let send = || {
                    self.client
                        .batch_get_item()
                        .request_items(&self.table, request.clone())
                        .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                        .send()
                };
                let answer = attempt::read("read a batch", deadline, send).await?;
                for item in answer
                    .responses
                    .into_iter()
                    .flatten()
                    .flat_map(|(_, items)| items)
                {
                    let text = |name| {
                        item.get(name)
                            .and_then(|value| value.as_s().ok())
                            .cloned()
                            .unwrap_or_default()
                    };
                    found.insert((text(PARTITION_KEY), text(SORT_KEY)), item);
                }
                wanted = answer
                    .unprocessed_keys
                    .into_iter()
                    .flatten()
                    .flat_map(|(_, left)| left.keys)
                    .collect();
                if wanted.is_empty() {
                    break;
                }
                if round == BATCH_ROUNDS_MAX || deadline.passed() {
                    let source = "the table answers only parts of a batch".into();
                    return Err(StoreError::Unavailable {
                        operation: "read a batch",
                        source,
                    });
                }
                attempt::pause(round, deadline).await;
            }
        }
        Ok(keys
            .into_iter()
            .filter_map(|key| found.remove(&(key.pk, key.sk)))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_can_continue_after_any_of_its_rows() {
        let list = ListKind::Numbers;
        let rows = [('a', "1"), ('b', "2"), ('c', "3")].map(|(row, at)| (row, at.to_owned()));
        let after = |position: &str| Some(super::token(list, position));
        for (next, at_the_end) in [(None, None), (Some("3+"), after("3+"))] {
            let page = Page::new(list, rows.clone(), next.map(str::to_owned));
            assert_eq!(page.rows, ['a', 'b', 'c']);
            assert_eq!(page.next_after(1), after("1").as_deref());
            assert_eq!(page.next_after(2), after("2").as_deref());
            assert_eq!(page.next_after(3), at_the_end.as_deref());
        }
        let empty = Page::<char>::new(list, [], Some("9".to_owned()));
        assert_eq!(empty.next_after(0), after("9").as_deref());
    }

    #[test]
    fn a_token_comes_back_as_its_position_and_nothing_else_does() {
        let page = |token: &str| PageRequest {
            size: 1,
            token: Some(token.to_owned()),
        };
        let list = ListKind::Messages;
        let token = super::token(list, "0001#CHé");
        assert_eq!(
            page(&token).position(list).unwrap(),
            Some("0001#CHé".to_owned())
        );
        assert_eq!(
            PageRequest {
                size: 1,
                token: None
            }
            .position(list)
            .unwrap(),
            None
        );
        let other = super::token(ListKind::Participants, "1");
        let empty = super::token(list, "");
        for bad in [
            "",
            "!",
            "a b",
            "_____w",
            "MQ",
            &other,
            &empty,
            &"A".repeat(2_000),
        ] {
            assert!(
                matches!(page(bad).position(list), Err(StoreError::PageToken)),
                "{bad:?}"
            );
        }
    }
}
