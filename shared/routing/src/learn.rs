//! What a failed plan tells about the facts.

use crate::conflict::{Conflict, Found};
use crate::facts::Facts;
use crate::inbound::Inbound;
use crate::plan::ItemKey;
use crate::sid::ConversationSid;

/// The next step after a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The outcome is known: decide without a pause.
    DecideAtOnce,
    /// The facts are complete again: decide.
    Decide,
    /// Read the tail of this conversation's log, then decide.
    ReadTail(ConversationSid),
    /// Read everything again.
    Gather,
}

impl Facts {
    /// Takes in why a plan failed. `slots_lost` counts the lost slots of this request, this one included.
    pub fn learn(&mut self, conflict: Conflict, inbound: &Inbound, slots_lost: u32) -> Next {
        let (mut slot_taken, mut other) = (None, false);
        for (key, found) in conflict.found {
            match (key, found) {
                (_, Found::Journal(entry)) => {
                    self.journal = Some(*entry);
                    return Next::DecideAtOnce;
                }
                (ItemKey::Slot(..), Found::Entry(entry)) => slot_taken = Some(*entry),
                _ => other = true,
            }
        }
        let (Some(entry), false) = (slot_taken, other) else {
            // The reasons of a cancelled transaction are no snapshot: if a binding's condition failed, only new reads tell.
            return Next::Gather;
        };
        let Some(holder) = self
            .holder
            .as_mut()
            .filter(|holder| holder.conversation == entry.conversation)
        else {
            return Next::Gather;
        };
        let key = inbound.binding_key();
        if key.is_none_or(|key| entry.header.holds(&key).is_none()) {
            return Next::Gather;
        }
        // After one lost slot the entry found there is the tail, as a rule. After two, many writers are at work, and the
        // tail is further on.
        if slots_lost > 1 {
            return Next::ReadTail(holder.conversation);
        }
        holder.tail = Some(entry.tail());
        Next::Decide
    }
}
