//! What a failed plan tells about the facts.

use std::time::Duration;

use crate::conflict::{Conflict, Found};
use crate::facts::Facts;
use crate::inbound::Inbound;
use crate::plan::ItemKey;
use crate::sid::ConversationSid;
use crate::tail::Tail;

/// The next step after a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The outcome is known: decide without a pause.
    DecideAtOnce,
    /// The facts are complete again: decide.
    Decide,
    /// Read the tail of this conversation's log, then decide.
    ReadTail(ConversationSid),
    /// Read the tail of this conversation's log and the settings, then decide.
    ReadTailAndSettings(ConversationSid),
    /// Read everything again.
    Gather,
}

/// How old the settings of a decision may be after a lost race. A request that changes settings may have returned
/// meanwhile, and its change must be in force.
pub const SETTINGS_AGE_MAX: Duration = Duration::from_millis(500);

impl Next {
    /// The same step after the pause that comes before it. `settings_age`: the time since the settings were read.
    pub fn after_pause(self, settings_age: Duration) -> Next {
        match self {
            Next::Decide if settings_age > SETTINGS_AGE_MAX => Next::Gather,
            Next::ReadTail(conversation) if settings_age > SETTINGS_AGE_MAX => {
                Next::ReadTailAndSettings(conversation)
            }
            _ => self,
        }
    }
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

    /// Takes in the tail that [`Facts::learn`] asked for.
    pub fn learn_tail(&mut self, tail: Option<Tail>) {
        if let Some(holder) = &mut self.holder {
            holder.tail = tail;
        }
    }
}
