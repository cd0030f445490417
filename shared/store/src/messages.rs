//! Messages as readers see them: the entry that added one, and its current version.

use jiff::Timestamp;
use routing::{ConversationSid, Entry, Message, MessageSid, Revision};

use crate::attempt::Deadline;
use crate::error::StoreError;
use crate::item::{self, Item, log_key};
use crate::page::{ListKind, Page, PageRequest};
use crate::{Store, key};

/// A message that is there, in its current version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageView {
    pub conversation: ConversationSid,
    pub sid: MessageSid,
    pub message: Message,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

/// How many queries a page may take; a log of few messages among many other entries gives short pages.
const LIST_ROUNDS_MAX: usize = 10;

impl MessageView {
    /// `None`: the entry added no message, or it was deleted.
    pub fn of(entry: &Entry, revision: Option<&Revision>) -> Option<MessageView> {
        let (sid, added) = entry.message()?;
        let (message, date_updated) = match revision {
            Some(revision) => (revision.message.as_ref()?, revision.date_updated),
            None => (added, entry.at),
        };
        let message = message.clone();
        Some(MessageView {
            conversation: entry.conversation,
            sid,
            message,
            date_created: entry.at,
            date_updated,
        })
    }
}

impl Store {
    /// The entry that added a message, and the message's current version if it was edited or deleted.
    pub async fn message_get(
        &self,
        conversation: ConversationSid,
        sid: MessageSid,
        deadline: Deadline,
    ) -> Result<Option<(Entry, Option<Revision>)>, StoreError> {
        let from = key::log_from(sid.slot());
        let to = format!("{from}~");
        let (items, _) = self
            .log_query(conversation, &from, &to, false, 2, deadline)
            .await?;
        let mut found = read(items)?;
        Ok(found
            .pop()
            .filter(|(entry, _)| entry.message().is_some_and(|(there, _)| there == sid)))
    }

    /// By index.
    pub async fn message_list(
        &self,
        conversation: ConversationSid,
        order: Order,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page<MessageView>, StoreError> {
        let mut position = match page.position(ListKind::Messages)? {
            Some(text) => {
                let slot = text.parse().ok().filter(|slot| *slot < key::SLOTS_MAX);
                Some(slot.ok_or(StoreError::PageToken)?)
            }
            None => None,
        };
        let page_of = |rows: Vec<MessageView>, next: Option<u64>| {
            let rows = rows.into_iter().map(|row| {
                let position = row.sid.slot().to_string();
                (row, position)
            });
            let next = next.map(|slot| slot.to_string());
            Page::new(ListKind::Messages, rows, next)
        };
        let mut rows: Vec<MessageView> = Vec::new();
        // An entry and a version for each row, one pair more to see whether there is a next page.
        let limit = i32::try_from(2 * (page.size + 1)).unwrap_or(i32::MAX);
        for _ in 0..LIST_ROUNDS_MAX {
            let newest_first = order == Order::Descending;
            let (from, to) = match (order, position) {
                (_, None) => (key::LOG_FIRST.to_owned(), key::LOG_END.to_owned()),
                (Order::Ascending, Some(slot)) => {
                    (key::log_from(slot + 1), key::LOG_END.to_owned())
                }
                (Order::Descending, Some(slot)) => (key::LOG_FIRST.to_owned(), key::log_from(slot)),
            };
            let (mut items, more) = self
                .log_query(conversation, &from, &to, newest_first, limit, deadline)
                .await?;
            if more {
                drop_torn(&mut items, order);
            }
            for (entry, revision) in read(items)? {
                let Some(view) = MessageView::of(&entry, revision.as_ref()) else {
                    position = Some(entry.slot);
                    continue;
                };
                if rows.len() == page.size {
                    return Ok(page_of(rows, position));
                }
                position = Some(entry.slot);
                rows.push(view);
            }
            if !more {
                return Ok(page_of(rows, None));
            }
        }
        Ok(page_of(rows, position))
    }
}

/// The last item of a full answer, if the other half of its slot may stand behind it: a version comes before its entry
/// when the log is read forward, and after it when it is read backward.
fn drop_torn(items: &mut Vec<Item>, order: Order) {
    let last_is_entry = items
        .last()
        .and_then(log_key)
        .is_some_and(|(_, entry)| entry);
    if last_is_entry == (order == Order::Descending) {
        items.pop();
    }
}

/// Entries, each with its message's current version, in the order of the items.
fn read(items: Vec<Item>) -> Result<Vec<(Entry, Option<Revision>)>, StoreError> {
    let mut found: Vec<(Entry, Option<Revision>)> = Vec::with_capacity(items.len());
    let mut waiting: Option<Revision> = None;
    for item in items {
        if log_key(&item).is_some_and(|(_, entry)| entry) {
            let entry = item::entry::from_item(item)?;
            let revision = waiting
                .take()
                .filter(|revision| revision.slot == entry.slot);
            found.push((entry, revision));
        } else {
            let revision = item::revision::from_item(item)?;
            match found
                .last_mut()
                .filter(|(entry, _)| entry.slot == revision.slot)
            {
                Some((_, place)) => *place = Some(revision),
                None => waiting = Some(revision),
            }
        }
    }
    Ok(found)
}
