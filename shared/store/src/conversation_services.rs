//! Conversation services.

use routing::{ConversationService, ConversationServiceSid};

use crate::account::any_copy;
use crate::attempt::Deadline;
use crate::error::StoreError;
use crate::page::{ListKind, Page, PageRequest};
use crate::record::RecordError;
use crate::table::GSI1;
use crate::{Store, item, key};

impl Store {
    /// `None`: there is no such service. The account's first service is there before any request has written it.
    pub async fn conversation_service_get(
        &self,
        sid: ConversationServiceSid,
        deadline: Deadline,
    ) -> Result<Option<ConversationService>, StoreError> {
        let key = key::conversation_service(sid, any_copy());
        let found = self.get(key, deadline).await?;
        let found = found
            .map(item::conversation_service::from_item)
            .transpose()?;
        let is_default = sid == ConversationServiceSid::DEFAULT;
        Ok(found.or_else(|| is_default.then(ConversationService::unwritten_default)))
    }

    /// Writes a service; version 1 is a new one. In force when this returns: all copies change together, and each reader
    /// reads one of them strongly.
    pub async fn conversation_service_put(
        &self,
        service: &ConversationService,
        deadline: Deadline,
    ) -> Result<(), RecordError> {
        let item_of = |copy| item::conversation_service::to_item(service, copy);
        let puts = self.replacing_copies(item_of, service.version)?;
        self.record_write("write a conversation service", puts, deadline)
            .await
    }

    /// In the order of their creation; without the account's first service while no request has written it.
    pub async fn conversation_service_list(
        &self,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<ConversationService>, StoreError> {
        let list = key::CONVERSATION_SERVICE_LIST.to_owned();
        let read = item::conversation_service::from_item;
        self.index_page(
            GSI1,
            list,
            ListKind::ConversationServices,
            page,
            read,
            deadline,
        )
        .await
    }
}
