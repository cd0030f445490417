//! Messaging services and their sender pools.

use aws_sdk_dynamodb::types::{ConditionCheck, TransactWriteItem};
use routing::{AlphaSender, AlphaSenderSid, MessagingService, MessagingServiceSid, PoolNumber};

use crate::account::any_copy;
use crate::attempt::Deadline;
use crate::error::StoreError;
use crate::key::{PoolList, SETTINGS_COPIES};
use crate::page::{ListKind, Page, PageRequest};
use crate::record::{RecordError, unbuilt};
use crate::table::GSI1;
use crate::{Store, item, key};

impl Store {
    /// `None`: there is no such service. The account's first service is there before any request has written it.
    pub async fn messaging_service_get(
        &self,
        sid: MessagingServiceSid,
        deadline: Deadline,
    ) -> Result<Option<MessagingService>, StoreError> {
        let found = self
            .get(key::messaging_service(sid, any_copy()), deadline)
            .await?;
        let found = found.map(item::messaging_service::from_item).transpose()?;
        let is_default = sid == MessagingServiceSid::DEFAULT;
        Ok(found.or_else(|| is_default.then(MessagingService::unwritten_default)))
    }

    /// Writes a service; version 1 is a new one. In force when this returns: all copies change together, and each reader
    /// reads one of them strongly.
    pub async fn messaging_service_put(
        &self,
        service: &MessagingService,
        deadline: Deadline,
    ) -> Result<(), RecordError> {
        let item_of = |copy| item::messaging_service::to_item(service, copy);
        let puts = self.replacing_copies(item_of, service.version)?;
        self.record_write("write a messaging service", puts, deadline)
            .await
    }

    /// Deletes a service. From then on its sender pool counts as none, though the pool's items may still be there.
    pub async fn messaging_service_delete(
        &self,
        service: &MessagingService,
        deadline: Deadline,
    ) -> Result<(), RecordError> {
        let mut deletes = Vec::with_capacity(SETTINGS_COPIES.into());
        for copy in 0..SETTINGS_COPIES {
            deletes.push(self.deleting(item::messaging_service::to_item(service, copy)?)?);
        }
        self.record_write("delete a messaging service", deletes, deadline)
            .await
    }

    /// In the order of their creation; without the account's first service while no request has written it.
    pub async fn messaging_service_list(
        &self,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<MessagingService>, StoreError> {
        let list = key::MESSAGING_SERVICE_LIST.to_owned();
        let read = item::messaging_service::from_item;
        self.index_page(
            GSI1,
            list,
            ListKind::MessagingServices,
            page,
            read,
            deadline,
        )
        .await
    }

    /// Puts a number of ours into a sender pool; version 1 takes a free place, any other the place as it was seen. The
    /// number must still be there.
    pub async fn pool_number_put(
        &self,
        number: &PoolNumber,
        deadline: Deadline,
    ) -> Result<(), RecordError> {
        let item = item::pool::number_to_item(number)?;
        let put = self.replacing(item, number.version)?;
        let is_there = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(item::key(key::number(&number.address))))
            .condition_expression("sid = :sid")
            .expression_attribute_values(":sid", item::bytes(number.number.as_bytes()))
            .build()
            .map_err(unbuilt)?;
        let is_there = TransactWriteItem::builder()
            .condition_check(is_there)
            .build();
        self.record_write(
            "put a number into a sender pool",
            vec![put, is_there],
            deadline,
        )
        .await
    }

    pub async fn pool_number_delete(
        &self,
        number: &PoolNumber,
        deadline: Deadline,
    ) -> Result<(), RecordError> {
        let delete = self.deleting(item::pool::number_to_item(number)?)?;
        self.record_write("take a number out of a sender pool", vec![delete], deadline)
            .await
    }

    /// In the order of their entry. `short_codes`: the short codes, else all other numbers.
    pub async fn pool_number_list(
        &self,
        service: MessagingServiceSid,
        short_codes: bool,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<PoolNumber>, StoreError> {
        let list = match short_codes {
            true => PoolList::ShortCodes,
            false => PoolList::Numbers,
        };
        let (list, read) = (key::pool_list(service, list), item::pool::number_from_item);
        self.index_page(GSI1, list, ListKind::PoolNumbers, page, read, deadline)
            .await
    }

    pub async fn alpha_sender_get(
        &self,
        service: MessagingServiceSid,
        sid: AlphaSenderSid,
        deadline: Deadline,
    ) -> Result<Option<AlphaSender>, StoreError> {
        let found = self.get(key::alpha_sender(service, sid), deadline).await?;
        found.map(item::pool::alpha_sender_from_item).transpose()
    }

    pub async fn alpha_sender_put(
        &self,
        sender: &AlphaSender,
        deadline: Deadline,
    ) -> Result<(), RecordError> {
        let put = self.replacing(item::pool::alpha_sender_to_item(sender)?, 1)?;
        self.record_write("write a sender", vec![put], deadline)
            .await
    }

    pub async fn alpha_sender_delete(
        &self,
        sender: &AlphaSender,
        deadline: Deadline,
    ) -> Result<(), RecordError> {
        let delete = self.deleting(item::pool::alpha_sender_to_item(sender)?)?;
        self.record_write("delete a sender", vec![delete], deadline)
            .await
    }

    /// In the order of their creation.
    pub async fn alpha_sender_list(
        &self,
        service: MessagingServiceSid,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<AlphaSender>, StoreError> {
        let list = key::pool_list(service, PoolList::AlphaSenders);
        let read = item::pool::alpha_sender_from_item;
        self.index_page(GSI1, list, ListKind::AlphaSenders, page, read, deadline)
            .await
    }
}
