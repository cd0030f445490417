//! A conflict: the items that made the conditions of a plan fail.

use crate::binding::Binding;
use crate::entry::Entry;
use crate::journal::JournalEntry;
use crate::plan::{ItemKey, Write};
use crate::sid::ConversationSid;

/// Another change was first: every condition that failed, and the item that stood there. Nothing of the plan happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Not empty.
    pub found: Vec<(ItemKey, Found)>,
    /// An earlier request with the same plan had an unknown result.
    pub in_doubt: bool,
}

/// The item that made a condition fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    Entry(Box<Entry>),
    Journal(Box<JournalEntry>),
    Binding(Binding),
    /// A unique name, and the conversation that has it.
    Name(ConversationSid),
    /// Some other version of a record.
    Record,
}

impl Conflict {
    /// Whether the plan of `writes` has happened, and the response to its first request was lost: what stands there is the
    /// plan's own. An earlier plan of the same change may have had another outcome; the journal tells that.
    pub fn is_own(&self, writes: &[Write]) -> bool {
        self.found.iter().any(|(key, found)| {
            let write = writes.iter().find(|write| write.key() == *key);
            match (write, found) {
                (Some(Write::Append(ours)), Found::Entry(there)) => ours.change == there.change,
                (Some(Write::Journal(ours)), Found::Journal(there)) => {
                    (ours.change, &ours.outcome) == (there.change, &there.outcome)
                }
                _ => false,
            }
        })
    }

    /// Whether the plan may happen after all. A slot or a journal entry that another change has written is never free
    /// again, so a plan that needs it is over.
    pub fn may_still_happen(&self) -> bool {
        let over = |found: &Found| matches!(found, Found::Entry(_) | Found::Journal(_));
        self.in_doubt && !self.found.iter().any(|(_, found)| over(found))
    }

    /// Whether a slot was taken.
    pub fn slot_lost(&self) -> bool {
        self.found
            .iter()
            .any(|(key, found)| matches!((key, found), (ItemKey::Slot(..), Found::Entry(_))))
    }
}
