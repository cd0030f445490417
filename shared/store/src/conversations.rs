//! Conversations as readers see them.

use futures_util::future::try_join_all;
use jiff::Timestamp;
use routing::{ConversationServiceSid, ConversationSid, Metadata, State, Tail};

use crate::attempt::Deadline;
use crate::error::StoreError;
use crate::key::{self, SHARDS};
use crate::page::{ListKind, Page, PageRequest};
use crate::table::GSI1;
use crate::{Store, item};

/// A conversation: its metadata and its newest header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub metadata: Metadata,
    pub tail: Tail,
}

/// Which conversations a list shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConversationFilter {
    pub state: Option<State>,
    /// Created at this time or later.
    pub created_from: Option<Timestamp>,
    /// Created before this time.
    pub created_before: Option<Timestamp>,
}

/// How many rounds of the index a page with a filter may take; then it is given out short.
const LIST_ROUNDS_MAX: usize = 5;

impl Store {
    /// `None`: there is no such conversation, or it was deleted.
    pub async fn conversation_get(
        &self,
        sid: ConversationSid,
        deadline: Deadline,
    ) -> Result<Option<View>, StoreError> {
        let metadata = self.get(key::metadata(sid), deadline);
        let (metadata, tail) = tokio::try_join!(metadata, self.tail_get(sid, deadline))?;
        let (Some(metadata), Some(tail)) = (metadata, tail) else {
            return Ok(None);
        };
        Ok(Some(View {
            metadata: item::metadata::from_item(metadata)?,
            tail,
        })
        .filter(|view| !view.tail.header.terminal))
    }

    /// The conversation with a unique name.
    pub async fn name_get(
        &self,
        service: ConversationServiceSid,
        name: &str,
        deadline: Deadline,
    ) -> Result<Option<ConversationSid>, StoreError> {
        self.get(key::name(service, name), deadline)
            .await?
            .map(item::claim::holder)
            .transpose()
    }

    /// Newest first.
    pub async fn conversation_list(
        &self,
        service: ConversationServiceSid,
        filter: ConversationFilter,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<View>, StoreError> {
        let after = filter
            .created_from
            .map(|from| key::conversation_position(from, None));
        let end = filter
            .created_before
            .map(|end| key::conversation_position(end, None));
        let mut before: Option<String> = page
            .position(ListKind::Conversations)?
            .into_iter()
            .chain(end)
            .min();
        let mut rows = Vec::new();
        for _ in 0..LIST_ROUNDS_MAX {
            let wanted = page.size - rows.len();
            let queries = (0..SHARDS).map(|shard| {
                let partition = key::conversation_list(service, shard);
                self.index_query(
                    GSI1,
                    partition,
                    (after.as_deref(), before.as_deref()),
                    true,
                    // One more than wanted tells whether there is a next page.
                    wanted + 1,
                    deadline,
                )
            });
            let mut found: Vec<_> = try_join_all(queries).await?.into_iter().flatten().collect();
            found.sort_by(|a, b| b.position.cmp(&a.position));
            let last = found.len() <= wanted;
            found.truncate(wanted);
            before = found.last().map(|row| row.position.clone()).or(before);
            let items = self
                .batch_get(found.into_iter().map(|row| row.item).collect(), deadline)
                .await?;
            for item in items {
                let metadata = item::metadata::from_item(item)?;
                if filter.state.is_none_or(|state| state == metadata.state) {
                    rows.push(metadata);
                }
            }
            if last {
                before = None;
                break;
            }
            if rows.len() == page.size {
                break;
            }
        }
        let rows = self.with_tails(rows, deadline).await?;
        let rows = rows.into_iter().map(|view| {
            let metadata = &view.metadata;
            let sid = Some(metadata.conversation);
            let position = key::conversation_position(metadata.date_created, sid);
            (view, position)
        });
        Ok(Page::new(ListKind::Conversations, rows, before))
    }

    /// Conversations by their SIDs, in that order; those that are gone are left out.
    pub async fn conversations_get(
        &self,
        sids: &[ConversationSid],
        deadline: Deadline,
    ) -> Result<Vec<View>, StoreError> {
        let items = self
            .batch_get(
                sids.iter().map(|sid| key::metadata(*sid)).collect(),
                deadline,
            )
            .await?;
        let mut rows = Vec::with_capacity(items.len());
        for item in items {
            rows.push(item::metadata::from_item(item)?);
        }
        self.with_tails(rows, deadline).await
    }

    async fn with_tails(
        &self,
        rows: Vec<Metadata>,
        deadline: Deadline,
    ) -> Result<Vec<View>, StoreError> {
        let views = rows.into_iter().map(|metadata| async {
            let tail = self.tail_get(metadata.conversation, deadline).await?;
            Ok::<_, StoreError>(tail.map(|tail| View { metadata, tail }))
        });
        Ok(try_join_all(views).await?.into_iter().flatten().collect())
    }
}

impl View {
    /// When the conversation becomes inactive, and when it closes.
    pub fn dates(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let header = &self.tail.header;
        (
            header
                .timers
                .date_inactive(header.state, header.last_activity),
            header
                .timers
                .date_closed(header.state, header.last_activity),
        )
    }
}
