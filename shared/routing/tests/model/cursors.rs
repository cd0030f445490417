//! Cursors, records of what is sent, and the time index: the items that consumers and the sweep write, each by single
//! updates. Conditions and changes are the crate's own values.

use std::collections::BTreeMap;

use jiff::Timestamp;
use routing::{
    Consumer, ConversationSid, Cursor, CursorWrite, OutboundCondition, OutboundState, Position,
    Recipient,
};

use super::Procedure;

/// Whose cursor it is.
pub(crate) type Whose = (ConversationSid, Consumer);
/// A message to a recipient: the record's key.
pub(crate) type Message = (ConversationSid, u64, Recipient);

#[derive(Default)]
pub(crate) struct Cursors {
    cursors: BTreeMap<Whose, Cursor>,
    outbound: BTreeMap<Message, OutboundState>,
    /// Up to when the sweep has come.
    pub(crate) mark: Timestamp,
    /// Entries as the time index names them.
    pub(crate) indexed: Vec<(Timestamp, ConversationSid)>,
    /// Entries that the time index does not show yet.
    pub(crate) unindexed: Vec<(Timestamp, ConversationSid)>,
    procedure: Procedure,
}

#[derive(Clone)]
pub(crate) enum Claimed {
    Mine,
    Found(OutboundState),
}

impl Cursors {
    pub(crate) fn new(mark: Timestamp, procedure: Procedure) -> Cursors {
        Cursors {
            mark,
            procedure,
            ..Cursors::default()
        }
    }

    pub(crate) fn get(&self, whose: Whose) -> Option<&Cursor> {
        self.cursors.get(&whose)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (Whose, &Cursor)> {
        self.cursors.iter().map(|(whose, cursor)| (*whose, cursor))
    }

    pub(crate) fn due(&self, now: Timestamp) -> Vec<Whose> {
        let due = self.all().filter(|(_, cursor)| match cursor.due {
            Some(due) => due <= now,
            None => false,
        });
        due.map(|(whose, _)| whose).collect()
    }

    /// The cursor after the write, or what stands there where the condition fails.
    pub(crate) fn write(
        &mut self,
        whose: Whose,
        write: &CursorWrite,
    ) -> Result<Cursor, Option<Cursor>> {
        let found = self.get(whose).cloned();
        if !write.condition.holds(found.as_ref()) {
            return Err(found);
        }
        let cursor = write.apply(found);
        self.cursors.insert(whose, cursor.clone());
        Ok(cursor)
    }

    /// Moves a cursor back and makes it due; where it stood. `None`: it is not behind `to`.
    pub(crate) fn replay(
        &mut self,
        whose: Whose,
        to: Position,
        now: Timestamp,
    ) -> Option<Position> {
        let cursor = self.cursors.get_mut(&whose)?;
        if cursor.next <= to {
            return None;
        }
        cursor.due = Some(now);
        cursor.failures = 0;
        Some(std::mem::replace(&mut cursor.next, to))
    }

    pub(crate) fn all_outbound(&self) -> impl Iterator<Item = (&Message, &OutboundState)> {
        self.outbound.iter()
    }

    pub(crate) fn outbound(&self, message: &Message) -> Option<&OutboundState> {
        self.outbound.get(message)
    }

    pub(crate) fn claim(
        &mut self,
        message: &Message,
        attempt: [u8; 16],
        claim: &OutboundState,
        now: Timestamp,
    ) -> Claimed {
        let found = self.outbound.get(message);
        let run_out = match found {
            Some(OutboundState::Sending { until, .. }) => *until <= now,
            _ => false,
        };
        let claimable = OutboundCondition::Claimable.holds(found)
            || run_out && self.procedure == Procedure::ClaimRunsOut;
        if OutboundCondition::ClaimedBy(attempt).holds(found) {
            return Claimed::Mine;
        }
        if !claimable {
            return Claimed::Found(found.cloned().unwrap_or(OutboundState::Waiting));
        }
        if self.procedure != Procedure::NoClaimBeforeTheCall {
            self.outbound.insert(message.clone(), claim.clone());
        }
        Claimed::Mine
    }

    pub(crate) fn note(&mut self, message: &Message, attempt: [u8; 16], state: OutboundState) {
        let found = self.outbound.get(message);
        let unclaimed = found.is_none() && self.procedure == Procedure::NoClaimBeforeTheCall;
        if OutboundCondition::ClaimedBy(attempt).holds(found) || unclaimed {
            self.outbound.insert(message.clone(), state);
        }
    }
}
