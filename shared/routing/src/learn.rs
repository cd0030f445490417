//! What a lost race teaches a message's decision.

use crate::conflict::{Conflict, Found};
use crate::facts::Facts;
use crate::inbound::Inbound;
use crate::key::Key;
use crate::plan::ItemKey;

/// What to do after a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The facts are complete again: decide.
    Decide,
    /// Read the tail of the holder's log, then decide.
    ReadTail,
    /// Read everything again.
    Gather,
}

impl Facts {
    /// Takes in what stood in the way of a plan. `lost` counts the lost slots of this request, this one included.
    pub fn learn(&mut self, conflict: Conflict, inbound: &Inbound, lost: u32) -> Next {
        let (mut slot_taken, mut other) = (None, false);
        for (key, found) in conflict.found {
            match (key, found) {
                (_, Found::Journal(entry)) => {
                    self.journal = Some(*entry);
                    return Next::Decide;
                }
                (ItemKey::Slot(..), Found::Entry(entry)) => slot_taken = Some(*entry),
                _ => other = true,
            }
        }
        let (Some(entry), false) = (slot_taken, other) else {
            // Cancellation reasons are no snapshot: where a binding's condition failed, only fresh reads tell.
            return Next::Gather;
        };
        let Some(holder) = self
            .holder
            .as_mut()
            .filter(|holder| holder.conversation == entry.conversation)
        else {
            return Next::Gather;
        };
        let holds = match inbound.routing_key() {
            Some(Key::Pair(pair)) => entry.header.holds(&pair).is_some(),
            _ => false,
        };
        if !holds {
            return Next::Gather;
        }
        // One lost slot is a neighbour; two are a crowd, and the tail is further on.
        if lost > 1 {
            return Next::ReadTail;
        }
        holder.tail = Some(entry.tail());
        Next::Decide
    }
}
