//! Single records: read one, or replace or delete it if no other request has changed it since.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{Delete, Put, ReturnConsumedCapacity, TransactWriteItem};

use crate::attempt::{self, Deadline};
use crate::error::StoreError;
use crate::item::{self, Item};
use crate::key::SETTINGS_COPIES;
use crate::table::{PARTITION_KEY, SORT_KEY};
use crate::{Store, key};

#[derive(Debug)]
pub enum RecordError {
    /// Another request changed the record since it was read, or made it first. `in_doubt`: an earlier attempt of this
    /// request had an unknown result, and may still succeed if the record goes back to that state.
    Changed {
        in_doubt: bool,
    },
    Store(StoreError),
}

impl From<StoreError> for RecordError {
    fn from(error: StoreError) -> RecordError {
        RecordError::Store(error)
    }
}

impl Store {
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

    /// The put of a record in a new version: of one that is not there, or over the version before it. A record that was
    /// deleted and made again has another SID, and is another record.
    pub(crate) fn replacing(
        &self,
        item: Item,
        new_version: u64,
    ) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder().table_name(&self.table);
        let put = match new_version.checked_sub(1).filter(|before| *before > 0) {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(before) => {
                let put = put.expression_attribute_values(":before", item::number(before));
                match item.get(SID) {
                    Some(sid) => put
                        .condition_expression("v = :before AND sid = :sid")
                        .expression_attribute_values(":sid", sid.clone()),
                    None => put.condition_expression("v = :before"),
                }
            }
        };
        let put = put.set_item(Some(item)).build().map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// The puts of all equal copies of a record. `item_of` makes the item of a copy.
    pub(crate) fn replacing_copies(
        &self,
        item_of: impl Fn(u8) -> Result<Item, StoreError>,
        new_version: u64,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        (0..SETTINGS_COPIES)
            .map(|copy| self.replacing(item_of(copy)?, new_version))
            .collect()
    }

    /// The delete of the record in the version that was seen.
    pub(crate) fn deleting(&self, mut item: Item) -> Result<TransactWriteItem, StoreError> {
        let mut delete = Delete::builder()
            .table_name(&self.table)
            .condition_expression("v = :seen AND sid = :sid");
        for (name, value) in [("v", ":seen"), (SID, ":sid")] {
            if let Some(seen) = item.remove(name) {
                delete = delete.expression_attribute_values(value, seen);
            }
        }
        item.retain(|name, _| name == PARTITION_KEY || name == SORT_KEY);
        let delete = delete.set_key(Some(item)).build().map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// A transaction, though it is often of one item: its client token keeps a repetition from being made twice.
    pub(crate) async fn record_write(
        &self,
        operation: &'static str,
        items: Vec<TransactWriteItem>,
        deadline: Deadline,
    ) -> Result<(), RecordError> {
        match self.transaction(operation, items, deadline).await? {
            None => Ok(()),
            Some(cancelled) => Err(RecordError::Changed {
                in_doubt: cancelled.in_doubt,
            }),
        }
    }
}

/// The attribute that tells a record from one that was made after it was deleted.
const SID: &str = "sid";

pub(crate) fn unbuilt(error: BuildError) -> StoreError {
    StoreError::Refused {
        operation: "build a transaction",
        source: Box::new(error),
    }
}
