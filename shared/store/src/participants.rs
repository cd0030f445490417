//! Participants as readers see them.

use routing::{ConversationServiceSid, ConversationSid, Participant, ParticipantSid};

use crate::attempt::Deadline;
use crate::error::StoreError;
use crate::page::{ListKind, Page, PageRequest};
use crate::table::GSI2;
use crate::{Store, item, key};

impl Store {
    pub async fn participant_get(
        &self,
        conversation: ConversationSid,
        sid: ParticipantSid,
        deadline: Deadline,
    ) -> Result<Option<Participant>, StoreError> {
        self.get(key::participant(conversation, sid), deadline)
            .await?
            .map(item::participant::from_item)
            .transpose()
    }

    /// The participant that has an identity in a conversation.
    pub async fn identity_get(
        &self,
        conversation: ConversationSid,
        identity: &str,
        deadline: Deadline,
    ) -> Result<Option<ParticipantSid>, StoreError> {
        self.get(key::identity(conversation, identity), deadline)
            .await?
            .map(item::claim::participant)
            .transpose()
    }

    /// In the order in which they were added, for SIDs begin with their time.
    pub async fn participant_list(
        &self,
        conversation: ConversationSid,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<Participant>, StoreError> {
        let after = page.position(ListKind::Participants)?;
        let from = after.as_deref().unwrap_or(key::PARTICIPANT_FIRST);
        if !from.starts_with(key::PARTICIPANT_FIRST) || from > key::PARTICIPANT_END {
            return Err(StoreError::PageToken);
        }
        let limit = i32::try_from(page.size + 2).unwrap_or(i32::MAX);
        let (items, cut) = self
            .log_query(
                conversation,
                from,
                key::PARTICIPANT_END,
                false,
                limit,
                deadline,
            )
            .await?;
        let mut rows = Vec::with_capacity(items.len());
        for item in items {
            rows.push(item::participant::from_item(item)?);
        }
        let position =
            |participant: &Participant| key::participant(conversation, participant.sid).sk;
        rows.retain(|participant| after.as_deref() != Some(&position(participant)));
        let more = cut || rows.len() > page.size;
        rows.truncate(page.size);
        let next = rows.last().filter(|_| more).map(position);
        let rows = rows.into_iter().map(|row| {
            let position = position(&row);
            (row, position)
        });
        Ok(Page::new(ListKind::Participants, rows, next))
    }

    /// The participants with an address, over all conversations, sorted by conversation.
    pub async fn participants_by_address(
        &self,
        address: &str,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<Participant>, StoreError> {
        let partition = key::participants_of_address(address);
        let read = item::participant::from_item;
        self.index_page(
            GSI2,
            partition,
            ListKind::Participations,
            page,
            read,
            deadline,
        )
        .await
    }

    /// The participants with an identity, over all conversations of a service, sorted by conversation.
    pub async fn participants_by_identity(
        &self,
        service: ConversationServiceSid,
        identity: &str,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<Participant>, StoreError> {
        let partition = key::participants_of_identity(service, identity);
        let read = item::participant::from_item;
        self.index_page(
            GSI2,
            partition,
            ListKind::Participations,
            page,
            read,
            deadline,
        )
        .await
    }
}
