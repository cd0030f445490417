//! Facts: what the table held when it was read; and what a lost race teaches.

use jiff::Timestamp;

use crate::{
    AccountSettings, AddressConfiguration, ChangeId, Conflict, ConversationSid, Found, Header,
    Inbound, ItemKey, JournalEntry, Key, MessagingService, NumberSettings, ParticipantSid,
    PreActionReply, WebhookSid,
};

/// The newest entry of a log, as far as routing cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    pub conversation: ConversationSid,
    pub slot: u64,
    pub header: Header,
}

/// The conversation that the binding names, and its newest entry, read after the binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub conversation: ConversationSid,
    /// `None`: the log could not be seen yet.
    pub tail: Option<Tail>,
}

/// Everything that the decision on a message depends on, besides the message. Read strongly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub journal: Option<JournalEntry>,
    /// `None`: the pair is not bound.
    pub holder: Option<Holder>,
    pub number: Option<NumberSettings>,
    pub configuration: Option<AddressConfiguration>,
    /// The messaging service whose sender pool holds the receiving number.
    pub pool: Option<MessagingService>,
    pub account: AccountSettings,
    /// What a pre-action webhook said, if one was asked.
    pub pre_action: Option<PreActionReply>,
}

/// What no fact tells: the time, and ids. One for each request, kept over its retries, so that every attempt writes
/// the same change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    pub now: Timestamp,
    pub change: ChangeId,
    pub conversation: ConversationSid,
    pub participant: ParticipantSid,
    pub webhook: WebhookSid,
}

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
