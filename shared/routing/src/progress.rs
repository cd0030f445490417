//! What a request remembers from one decision to the next.
//!
//! A request decides again after each failed plan. Its facts tell what stands in the table; its progress tells what its
//! own earlier plans may still do.

use crate::after_conflict::Next;
use crate::conflict::Conflict;
use crate::entry::Entry;
use crate::plan::Write;
use crate::sid::{ChangeId, ConversationSid};

/// The failed plans of one request. `T` is the outcome of a plan.
#[derive(Debug)]
pub struct Progress<T> {
    slots_lost: u32,
    doubt: Option<Doubt<T>>,
}

/// A plan that a condition refused after an earlier request with the same plan had an unknown result. The earlier request
/// may still be on its way, and succeed when the condition holds again. It can't once another change has the slot.
#[derive(Debug)]
struct Doubt<T> {
    outcome: T,
    change: ChangeId,
    conversation: ConversationSid,
    slot: u64,
}

impl<T> Default for Progress<T> {
    fn default() -> Progress<T> {
        Progress {
            slots_lost: 0,
            doubt: None,
        }
    }
}

impl<T> Progress<T> {
    /// Takes in why the plan of `writes` failed. `learn` takes the conflict into the facts; it gets the number of slots
    /// that the request has lost, this one included.
    pub fn failed(
        &mut self,
        conflict: Conflict,
        outcome: T,
        writes: &[Write],
        learn: impl FnOnce(Conflict, u32) -> Next,
    ) -> Next {
        if conflict.may_still_happen() {
            // A plan without a slot needs versions of records, and no version comes back.
            self.doubt = Doubt::of(outcome, writes).or(self.doubt.take());
            return Next::Gather;
        }
        self.slots_lost += u32::from(conflict.slot_lost());
        learn(conflict, self.slots_lost)
    }

    /// Whether an earlier plan may still happen. Meanwhile every error of the request counts as an unknown result: "refused"
    /// or "nothing was changed" might be untrue.
    pub fn in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// The slot of the plan in doubt. It is read after all facts: if the slot is still free then, the facts do not contain
    /// the plan.
    pub fn slot_in_doubt(&self) -> Option<(ConversationSid, u64)> {
        let doubt = self.doubt.as_ref()?;
        Some((doubt.conversation, doubt.slot))
    }

    /// Takes in the entry of [`Progress::slot_in_doubt`]. The outcome is that of the plan in doubt, if the plan has
    /// happened. If another change has the slot, the doubt ends.
    pub fn settle(&mut self, entry: Option<&Entry>) -> Option<T> {
        let entry = entry?;
        let doubt = self.doubt.take()?;
        (entry.change == doubt.change).then_some(doubt.outcome)
    }
}

impl<T> Doubt<T> {
    fn of(outcome: T, writes: &[Write]) -> Option<Doubt<T>> {
        let entry = writes.iter().find_map(|write| match write {
            Write::Append(entry) => Some(entry),
            _ => None,
        })?;
        Some(Doubt {
            outcome,
            change: entry.change,
            conversation: entry.conversation,
            slot: entry.slot,
        })
    }
}
