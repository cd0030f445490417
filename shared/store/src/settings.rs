//! What users configure: single records, replaced if nobody else replaced them meanwhile.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem};
use routing::{AccountSettings, Address, AddressConfiguration, NumberSettings};

use crate::attempt::Deadline;
use crate::error::StoreError;
use crate::item::Item;
use crate::key::ACCOUNT_COPIES;
use crate::page::{ListKind, Page, PageRequest};
use crate::table::{GSI1, PARTITION_KEY, SORT_KEY};
use crate::{Store, item, key};

#[derive(Debug)]
pub enum SettingsError {
    /// Somebody else changed the record since it was read, or made it first.
    Changed,
    Store(StoreError),
}

impl From<StoreError> for SettingsError {
    fn from(error: StoreError) -> SettingsError {
        SettingsError::Store(error)
    }
}

impl Store {
    /// Replaces the account's settings, whose version is one more than the one that was read. In force when this
    /// returns: all copies change together, and every message reads one of them strongly.
    pub async fn account_put(
        &self,
        settings: &AccountSettings,
        deadline: Deadline,
    ) -> Result<(), SettingsError> {
        let mut puts = Vec::with_capacity(ACCOUNT_COPIES.into());
        for copy in 0..ACCOUNT_COPIES {
            puts.push(self.replacing(item::account::to_item(settings, copy)?, settings.version)?);
        }
        self.record_write("write the account's settings", puts, deadline)
            .await
    }

    /// Writes a number; version 1 is a new one.
    pub async fn number_put(
        &self,
        number: &NumberSettings,
        deadline: Deadline,
    ) -> Result<(), SettingsError> {
        let put = self.replacing(item::number::to_item(number)?, number.version)?;
        self.record_write("write a number", vec![put], deadline)
            .await
    }

    pub async fn number_delete(
        &self,
        number: &NumberSettings,
        deadline: Deadline,
    ) -> Result<(), SettingsError> {
        let delete = self.deleting(item::number::to_item(number)?)?;
        self.record_write("delete a number", vec![delete], deadline)
            .await
    }

    /// In the order in which they were made.
    pub async fn number_list(
        &self,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<NumberSettings>, StoreError> {
        let (list, read) = (key::NUMBER_LIST.to_owned(), item::number::from_item);
        self.index_page(GSI1, list, ListKind::Settings, page, read, deadline)
            .await
    }

    /// Writes an address configuration; version 1 is a new one.
    pub async fn address_configuration_put(
        &self,
        configuration: &AddressConfiguration,
        deadline: Deadline,
    ) -> Result<(), SettingsError> {
        let item = item::address_configuration::to_item(configuration)?;
        let put = self.replacing(item, configuration.version)?;
        self.record_write("write an address configuration", vec![put], deadline)
            .await
    }

    pub async fn address_configuration_delete(
        &self,
        configuration: &AddressConfiguration,
        deadline: Deadline,
    ) -> Result<(), SettingsError> {
        let delete = self.deleting(item::address_configuration::to_item(configuration)?)?;
        self.record_write("delete an address configuration", vec![delete], deadline)
            .await
    }

    /// In the order in which they were made.
    pub async fn address_configuration_list(
        &self,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<AddressConfiguration>, StoreError> {
        let (list, read) = (
            key::ADDRESS_CONFIGURATION_LIST.to_owned(),
            item::address_configuration::from_item,
        );
        self.index_page(GSI1, list, ListKind::Settings, page, read, deadline)
            .await
    }

    /// Whether we receive on an address: it is one of our numbers, or has an address configuration.
    pub async fn owns(&self, address: &Address, deadline: Deadline) -> Result<bool, StoreError> {
        let (number, configuration) = self.receiver_get(address, deadline).await?;
        Ok(number.is_some() || configuration.is_some())
    }

    /// The put of a record in a new version: of one that is not there, or over the version before it. A record that was
    /// made anew in between has a SID of its own, and is another record.
    fn replacing(&self, item: Item, new_version: u64) -> Result<TransactWriteItem, StoreError> {
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

    /// The delete of the record in the version that was seen.
    fn deleting(&self, mut item: Item) -> Result<TransactWriteItem, StoreError> {
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
    async fn record_write(
        &self,
        operation: &'static str,
        items: Vec<TransactWriteItem>,
        deadline: Deadline,
    ) -> Result<(), SettingsError> {
        match self.transaction(operation, items, deadline).await? {
            None => Ok(()),
            Some(_) => Err(SettingsError::Changed),
        }
    }
}

/// The attribute that tells a record from one that was made after it was deleted.
const SID: &str = "sid";

fn unbuilt(error: BuildError) -> StoreError {
    StoreError::Refused {
        operation: "build a transaction",
        source: Box::new(error),
    }
}
