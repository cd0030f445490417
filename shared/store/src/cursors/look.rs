//! Reads a look and the stretches of a log for consumers: settings, cursors and entries.

use routing::{Consumer, ConversationSid, Cursor, Entry, Limits, Look, Settings, gapless};

use crate::Store;
use crate::attempt::Deadline;
use crate::error::StoreError;
use crate::item::{self, Item, cursor, log_key};
use crate::key;

/// How many cursors a conversation may have: the relay, the numbers, the account's and the service's endpoint, the five
/// webhooks that a conversation may have, and as many that were removed.
const CURSORS_MAX: i32 = 14;

impl Store {
    /// Settings, cursors and the newest entries, read side by side; then the conversation's service, if its endpoint is
    /// owed entries.
    pub async fn look(
        &self,
        conversation: ConversationSid,
        deadline: Deadline,
    ) -> Result<Look, StoreError> {
        let (cursors, (newest, _), account) = tokio::try_join!(
            self.cursors_get(conversation, deadline),
            self.log_query(
                conversation,
                key::LOG_FIRST,
                key::LOG_END,
                true,
                i32::from(Limits::SHIPPED.newest_max),
                deadline
            ),
            self.account_get(deadline),
        )?;
        let mut newest = entries(newest)?;
        newest.reverse();
        let mut look = Look {
            settings: Settings::new(account, Vec::new()),
            cursors,
            newest,
        };
        if let Some(sid) = look.service_needed() {
            let service = self.conversation_service_get(sid, deadline).await?;
            look.settings.insert(sid, service);
        }
        Ok(look)
    }

    async fn cursors_get(
        &self,
        conversation: ConversationSid,
        deadline: Deadline,
    ) -> Result<Vec<(Consumer, Cursor)>, StoreError> {
        let (items, _) = self
            .log_query(
                conversation,
                key::CURSOR_FIRST,
                key::CURSOR_END,
                false,
                CURSORS_MAX,
                deadline,
            )
            .await?;
        items.into_iter().map(cursor::from_item).collect()
    }

    /// The entries from `slot` on, up to the first that is missing; where there are many, not all of them.
    pub async fn stretch(
        &self,
        conversation: ConversationSid,
        slot: u64,
        look: &Look,
        deadline: Deadline,
    ) -> Result<Vec<Entry>, StoreError> {
        if let Some(entries) = look.entries_from(slot) {
            return Ok(entries);
        }
        let (items, _) = self
            .log_query(
                conversation,
                &key::log_from(slot),
                key::LOG_END,
                false,
                i32::from(Limits::SHIPPED.stretch_max),
                deadline,
            )
            .await?;
        Ok(gapless(entries(items)?, slot))
    }
}

/// The entries among the items of a log, in their order.
fn entries(items: Vec<Item>) -> Result<Vec<Entry>, StoreError> {
    items
        .into_iter()
        .filter(|item| log_key(item).is_some_and(|(_, entry)| entry))
        .map(item::entry::from_item)
        .collect()
}
