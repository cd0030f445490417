//! A lost race: what stood where the conditions of a plan failed.

use crate::binding::Binding;
use crate::entry::Entry;
use crate::journal::JournalEntry;
use crate::pair::Pair;
use crate::plan::ItemKey;
use crate::sid::ConversationSid;

/// Another writer got there first: every condition that failed, and what stood there. Nothing of the plan happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Not empty.
    pub found: Vec<(ItemKey, Found)>,
}

/// What stood where a condition failed.
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
    /// Whether a slot was taken.
    pub fn slot_lost(&self) -> bool {
        self.found
            .iter()
            .any(|(key, found)| matches!((key, found), (ItemKey::Slot(..), Found::Entry(_))))
    }

    /// The binding that a claim ran into.
    pub fn binding(&self) -> Option<(&Pair, Binding)> {
        self.found
            .iter()
            .find_map(|(key, found)| match (key, found) {
                (ItemKey::Pair(pair), Found::Binding(binding)) => Some((pair, *binding)),
                _ => None,
            })
    }

    /// Whether an identity was claimed already.
    pub fn identity_taken(&self) -> bool {
        self.found
            .iter()
            .any(|(key, found)| matches!((key, found), (ItemKey::Identity(..), Found::Record)))
    }

    /// The conversation that has the unique name already.
    pub fn name_taken(&self) -> Option<ConversationSid> {
        self.found.iter().find_map(|(_, found)| match found {
            Found::Name(conversation) => Some(*conversation),
            _ => None,
        })
    }
}
