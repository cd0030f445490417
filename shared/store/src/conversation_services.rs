//! Conversation services, and the settings that a decision depends on.

use futures_util::future::try_join_all;
use routing::{ConversationService, ConversationServiceSid, Settings};

use crate::account::any_copy;
use crate::attempt::Deadline;
use crate::error::StoreError;
use crate::key::SETTINGS_COPIES;
use crate::page::{ListKind, Page, PageRequest};
use crate::record::RecordError;
use crate::table::GSI1;
use crate::{Store, item, key};

impl Store {
    /// The account's settings and these services, read strongly side by side.
    pub async fn settings_get(
        &self,
        services: &[ConversationServiceSid],
        deadline: Deadline,
    ) -> Result<Settings, StoreError> {
        let read = services.iter().map(|sid| async move {
            let service = self.conversation_service_get(*sid, deadline).await?;
            Ok::<_, StoreError>((*sid, service))
        });
        let (account, services) = tokio::try_join!(self.account_get(deadline), try_join_all(read))?;
        Ok(Settings::new(account, services))
    }

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
        let mut puts = Vec::with_capacity(SETTINGS_COPIES.into());
        for copy in 0..SETTINGS_COPIES {
            let item = item::conversation_service::to_item(service, copy)?;
            puts.push(self.replacing(item, service.version)?);
        }
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
