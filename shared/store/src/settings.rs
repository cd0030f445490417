//! What users configure: single records, replaced if nobody else replaced them meanwhile.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem,
};
use routing::{AccountSettings, Address, AddressConfiguration, NumberSettings};

use crate::attempt::{self, Deadline, Written};
use crate::error::StoreError;
use crate::item::Item;
use crate::key::{ACCOUNT_COPIES, Key};
use crate::page::{self, IndexRow, Page, PageRequest};
use crate::table::GSI1;
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
            let put = Put::builder()
                .table_name(&self.table)
                .set_item(Some(item::account::to_item(settings, copy)?))
                .condition_expression(REPLACES)
                .expression_attribute_values(":before", version(settings.version - 1))
                .expression_attribute_values(":zero", version(0))
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .build()
                .map_err(|error| StoreError::Refused {
                    operation: "build a transaction",
                    source: Box::new(error),
                })?;
            puts.push(TransactWriteItem::builder().put(put).build());
        }
        let mut token = [0; 16];
        getrandom::fill(&mut token).expect("the operating system has randomness");
        let token = routing::ChangeId::from_bytes(token).to_string();
        let send = || {
            self.client
                .transact_write_items()
                .client_request_token(&token)
                .set_transact_items(Some(puts.clone()))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let decided = TransactWriteItemsError::is_transaction_canceled_exception;
        match attempt::write(
            "write the account's settings",
            deadline,
            send,
            decided,
            |_| false,
        )
        .await?
        {
            Written::Done(_) => Ok(()),
            Written::Failed(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                let found = canceled
                    .cancellation_reasons()
                    .first()
                    .and_then(|reason| reason.item().cloned());
                let own = found
                    .map(item::account::from_item)
                    .transpose()?
                    .is_some_and(|found| found == *settings);
                if own {
                    Ok(())
                } else {
                    Err(SettingsError::Changed)
                }
            }
            Written::Failed(other) => {
                let operation = "write the account's settings";
                Err(StoreError::Refused {
                    operation,
                    source: Box::new(other),
                }
                .into())
            }
        }
    }

    /// Writes a number; version 1 is a new one.
    pub async fn number_put(
        &self,
        number: &NumberSettings,
        deadline: Deadline,
    ) -> Result<(), SettingsError> {
        let item = item::number::to_item(number)?;
        let own = |found: Item| Ok(item::number::from_item(found)? == *number);
        self.record_put("write a number", item, number.version, own, deadline)
            .await
    }

    pub async fn number_delete(
        &self,
        number: &NumberSettings,
        deadline: Deadline,
    ) -> Result<(), SettingsError> {
        self.record_delete(
            "delete a number",
            key::number(&number.address),
            number.version,
            deadline,
        )
        .await
    }

    /// In the order in which they were made.
    pub async fn number_list(
        &self,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<NumberSettings>, StoreError> {
        self.record_list(key::NUMBER_LIST, page, item::number::from_item, deadline)
            .await
    }

    /// Writes an address configuration; version 1 is a new one.
    pub async fn address_configuration_put(
        &self,
        configuration: &AddressConfiguration,
        deadline: Deadline,
    ) -> Result<(), SettingsError> {
        let item = item::address_configuration::to_item(configuration)?;
        let own =
            |found: Item| Ok(item::address_configuration::from_item(found)? == *configuration);
        self.record_put(
            "write an address configuration",
            item,
            configuration.version,
            own,
            deadline,
        )
        .await
    }

    pub async fn address_configuration_delete(
        &self,
        configuration: &AddressConfiguration,
        deadline: Deadline,
    ) -> Result<(), SettingsError> {
        let key = key::address_configuration(&configuration.address);
        self.record_delete(
            "delete an address configuration",
            key,
            configuration.version,
            deadline,
        )
        .await
    }

    /// In the order in which they were made.
    pub async fn address_configuration_list(
        &self,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<AddressConfiguration>, StoreError> {
        let read = item::address_configuration::from_item;
        self.record_list(key::ADDRESS_CONFIGURATION_LIST, page, read, deadline)
            .await
    }

    /// Whether we receive on an address: it is one of our numbers, or has an address configuration.
    pub async fn owns(&self, address: &Address, deadline: Deadline) -> Result<bool, StoreError> {
        let (number, configuration) = self.receiver_get(address, deadline).await?;
        Ok(number.is_some() || configuration.is_some())
    }

    async fn record_put(
        &self,
        operation: &'static str,
        item: Item,
        new_version: u64,
        own: impl Fn(Item) -> Result<bool, StoreError>,
        deadline: Deadline,
    ) -> Result<(), SettingsError> {
        let send = || {
            self.client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .condition_expression(REPLACES)
                .expression_attribute_values(":before", version(new_version - 1))
                .expression_attribute_values(":zero", version(0))
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let decided = PutItemError::is_conditional_check_failed_exception;
        match attempt::write(operation, deadline, send, decided, |_| false).await? {
            Written::Done(_) => Ok(()),
            // An earlier attempt of ours, whose answer was lost, looks like a rival.
            Written::Failed(PutItemError::ConditionalCheckFailedException(failed)) => {
                match failed.item().cloned() {
                    Some(found) if own(found.clone())? => Ok(()),
                    _ => Err(SettingsError::Changed),
                }
            }
            Written::Failed(other) => Err(StoreError::Refused {
                operation,
                source: Box::new(other),
            }
            .into()),
        }
    }

    async fn record_delete(
        &self,
        operation: &'static str,
        key: Key,
        seen_version: u64,
        deadline: Deadline,
    ) -> Result<(), SettingsError> {
        let key = item::key(key);
        let send = || {
            self.client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .condition_expression("attribute_not_exists(pk) OR v = :seen")
                .expression_attribute_values(":seen", version(seen_version))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let decided = DeleteItemError::is_conditional_check_failed_exception;
        match attempt::write(operation, deadline, send, decided, |_| false).await? {
            Written::Done(_) => Ok(()),
            Written::Failed(DeleteItemError::ConditionalCheckFailedException(_)) => {
                Err(SettingsError::Changed)
            }
            Written::Failed(other) => Err(StoreError::Refused {
                operation,
                source: Box::new(other),
            }
            .into()),
        }
    }

    async fn record_list<T>(
        &self,
        list: &str,
        page: &PageRequest,
        read: impl Fn(Item) -> Result<T, StoreError>,
        deadline: Deadline,
    ) -> Result<Page<T>, StoreError> {
        let after = page.position()?;
        let bounds = (after.as_deref(), None);
        let mut found = self
            .index_query(
                GSI1,
                list.to_owned(),
                bounds,
                false,
                page.size + 1,
                deadline,
            )
            .await?;
        let more = found.len() > page.size;
        found.truncate(page.size);
        let next = found
            .last()
            .filter(|_| more)
            .map(|row: &IndexRow| page::encode(&row.position));
        let items = self
            .batch_get(found.into_iter().map(|row| row.item).collect(), deadline)
            .await?;
        let rows = items.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Page { rows, next })
    }
}

/// A record is new, or replaces the version before it.
const REPLACES: &str = "(attribute_not_exists(pk) AND :before = :zero) OR v = :before";

fn version(version: u64) -> AttributeValue {
    AttributeValue::N(version.to_string())
}
