//! A receiving address: the number, the address configuration, and the place in a sender pool.

use aws_sdk_dynamodb::types::{AttributeValue, Delete, ReturnConsumedCapacity, TransactWriteItem};
use routing::{Address, AddressConfiguration, NumberSettings, PoolNumber};

use crate::attempt::{self, Deadline};
use crate::error::StoreError;
use crate::page::{ListKind, Page, PageRequest};
use crate::record::{RecordError, unbuilt};
use crate::table::{GSI1, SORT_KEY};
use crate::{Store, item, key};

/// A number's partition holds its settings, its address configuration and its place in a sender pool.
const NUMBER_PARTITION_ITEMS_MAX: i32 = 3;

/// What a receiving address has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receiver {
    pub number: Option<NumberSettings>,
    pub configuration: Option<AddressConfiguration>,
    /// Counts as none if its service is gone.
    pub pool: Option<PoolNumber>,
}

impl Store {
    pub async fn receiver_get(
        &self,
        address: &Address,
        deadline: Deadline,
    ) -> Result<Receiver, StoreError> {
        let partition = key::number_partition(address);
        let send = || {
            self.client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(partition.clone()))
                .limit(NUMBER_PARTITION_ITEMS_MAX)
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
        };
        let found = attempt::read("read the settings of an address", deadline, send).await?;
        let mut receiver = Receiver::default();
        for item in found.items.unwrap_or_default() {
            match item.get(SORT_KEY) {
                Some(AttributeValue::S(sk)) if sk == key::NUMBER => {
                    receiver.number = Some(item::number::from_item(item)?);
                }
                Some(AttributeValue::S(sk)) if sk == key::ADDRESS_CONFIGURATION => {
                    let found = item::address_configuration::from_item(item)?;
                    receiver.configuration = Some(found);
                }
                Some(AttributeValue::S(sk)) if sk == key::POOL_NUMBER => {
                    receiver.pool = Some(item::pool::number_from_item(item)?);
                }
                _ => {}
            }
        }
        Ok(receiver)
    }

    /// Writes a number; version 1 is a new one.
    pub async fn number_put(
        &self,
        number: &NumberSettings,
        deadline: Deadline,
    ) -> Result<(), RecordError> {
        let put = self.replacing(item::number::to_item(number)?, number.version)?;
        self.record_write("write a number", vec![put], deadline)
            .await
    }

    /// Deletes a number, and with it its place in a sender pool.
    pub async fn number_delete(
        &self,
        number: &NumberSettings,
        deadline: Deadline,
    ) -> Result<(), RecordError> {
        let delete = self.deleting(item::number::to_item(number)?)?;
        let place = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(item::key(key::pool_number(&number.address))))
            .build()
            .map_err(unbuilt)?;
        let place = TransactWriteItem::builder().delete(place).build();
        self.record_write("delete a number", vec![delete, place], deadline)
            .await
    }

    /// In the order of their creation.
    pub async fn number_list(
        &self,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<NumberSettings>, StoreError> {
        let (list, read) = (key::NUMBER_LIST.to_owned(), item::number::from_item);
        self.index_page(GSI1, list, ListKind::Numbers, page, read, deadline)
            .await
    }

    /// Writes an address configuration; version 1 is a new one.
    pub async fn address_configuration_put(
        &self,
        configuration: &AddressConfiguration,
        deadline: Deadline,
    ) -> Result<(), RecordError> {
        let item = item::address_configuration::to_item(configuration)?;
        let put = self.replacing(item, configuration.version)?;
        self.record_write("write an address configuration", vec![put], deadline)
            .await
    }

    pub async fn address_configuration_delete(
        &self,
        configuration: &AddressConfiguration,
        deadline: Deadline,
    ) -> Result<(), RecordError> {
        let delete = self.deleting(item::address_configuration::to_item(configuration)?)?;
        self.record_write("delete an address configuration", vec![delete], deadline)
            .await
    }

    /// In the order of their creation.
    pub async fn address_configuration_list(
        &self,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<AddressConfiguration>, StoreError> {
        let (list, read) = (
            key::ADDRESS_CONFIGURATION_LIST.to_owned(),
            item::address_configuration::from_item,
        );
        self.index_page(
            GSI1,
            list,
            ListKind::AddressConfigurations,
            page,
            read,
            deadline,
        )
        .await
    }

    /// Whether we receive on an address: it is one of our numbers, or has an address configuration.
    pub async fn owns(&self, address: &Address, deadline: Deadline) -> Result<bool, StoreError> {
        let receiver = self.receiver_get(address, deadline).await?;
        Ok(receiver.number.is_some() || receiver.configuration.is_some())
    }
}
