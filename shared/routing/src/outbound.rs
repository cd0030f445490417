//! What we send: one record for each message and participant, so that no message is sent twice silently.
//!
//! The invariants:
//!
//! - A run claims the record before it calls the carrier, and calls the carrier only under its own claim. The claim
//!   names the attempt and a time by which the attempt has ended.
//! - A record that still says `sending` past that time stands for a message that the carrier may have taken or not. An
//!   alarm is raised, *then* the record becomes `unknown`, and the message is never sent again. The alarm comes first: the
//!   run may die after the note, or lose the note's answer, and no later run would look at the record again.
//! - Only a message that the carrier surely did not take is tried again.

use std::time::Duration;

use jiff::Timestamp;

use crate::consumer::action::AttemptResult;
use crate::consumer::limits::after;
use crate::{
    CarrierMessageSid, ConversationSid, Entry, HeldPair, Message, MessageSid, Pair, ParticipantSid,
};

/// How long a claim lasts: the claim itself, the call, and the note of how it ended. Shorter than the lease under which
/// it is made.
pub const CLAIM_TIME: Duration = Duration::from_secs(40);
/// How long everything before the call may take. A run that is held up for longer may have lost its lease, and does not
/// call.
pub const PREPARE_TIME: Duration = Duration::from_secs(15);
/// How long the note may take, also after the run's time is over: without the note, the carrier's answer is lost.
pub const NOTE_TIME: Duration = Duration::from_secs(10);

/// A message on its way to one participant. Its SID follows from conversation, slot and participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    pub sid: CarrierMessageSid,
    pub conversation: ConversationSid,
    pub message: MessageSid,
    pub participant: ParticipantSid,
    /// From the proxy address to the address.
    pub pair: Pair,
    pub date_created: Timestamp,
    pub state: OutboundState,
}

/// How far a message has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboundState {
    /// An attempt is calling the carrier, and has ended by `until`.
    Sending {
        /// A random mark of the attempt.
        attempt: [u8; 16],
        until: Timestamp,
    },
    /// The carrier surely has not taken the message; it is tried again later.
    Waiting,
    /// The carrier took the message, under an id of its own.
    Sent { carrier_id: Option<String> },
    /// The carrier refused the message, or it was given up; with the carrier's error code.
    Failed { code: Option<u32> },
    /// The carrier may have taken the message or not. An operator must look there.
    Unknown,
}

impl OutboundState {
    /// A claim for an attempt that begins now.
    pub fn claim(attempt: [u8; 16], now: Timestamp) -> OutboundState {
        OutboundState::Sending {
            attempt,
            until: after(now, CLAIM_TIME),
        }
    }

    /// Whether nothing further will be done.
    pub fn ended(&self) -> bool {
        match self {
            OutboundState::Sending { .. } | OutboundState::Waiting => false,
            OutboundState::Sent { .. } | OutboundState::Failed { .. } | OutboundState::Unknown => {
                true
            }
        }
    }

    /// Whether an alarm is raised before the record says so.
    pub fn raises_alarm(&self) -> bool {
        *self == OutboundState::Unknown
    }
}

/// What a write asks of the record that it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboundCondition {
    /// There is no record, or it waits for another attempt.
    Claimable,
    /// This attempt has claimed the record, and its end is not noted yet.
    ClaimedBy([u8; 16]),
}

impl OutboundCondition {
    pub fn holds(self, found: Option<&OutboundState>) -> bool {
        match self {
            OutboundCondition::Claimable => {
                matches!(found, None | Some(OutboundState::Waiting))
            }
            OutboundCondition::ClaimedBy(attempt) => matches!(
                found,
                Some(OutboundState::Sending { attempt: there, .. }) if *there == attempt
            ),
        }
    }
}

/// What the relay does for an entry's message to a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relaying<'a> {
    /// Nothing: there is no message, or the participant has no address.
    Done,
    /// The message was deleted and is not sent. Read its record and ask [`settle_deleted`]: an attempt may have been under
    /// way.
    Deleted,
    /// Claim the record, then call the carrier.
    Send {
        held: &'a HeldPair,
        sid: MessageSid,
        message: &'a Message,
    },
}

/// What the relay does first.
pub fn relaying(entry: &Entry, participant: ParticipantSid) -> Relaying<'_> {
    let held = entry
        .header
        .pairs
        .iter()
        .find(|held| held.participant == participant);
    match (entry.message(), held) {
        (Some((_, message)), Some(_)) if message.is_empty() => Relaying::Deleted,
        (Some((sid, message)), Some(held)) => Relaying::Send { held, sid, message },
        _ => Relaying::Done,
    }
}

/// What becomes of a message whose record says that this run must not send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    End(AttemptResult),
    /// Note the end of another run's attempt; then nothing further is to be done.
    Note {
        attempt: [u8; 16],
        state: OutboundState,
    },
    /// Claim the record, and if that succeeds, note this as the end; then nothing further is to be done.
    ClaimAndNote(OutboundState),
}

/// After a claim that found the record in this state.
pub fn settle(found: &OutboundState, now: Timestamp) -> Settlement {
    match found {
        OutboundState::Sending { until, .. } if *until > now => {
            Settlement::End(AttemptResult::Busy(*until))
        }
        OutboundState::Sending { attempt, .. } => Settlement::Note {
            attempt: *attempt,
            state: OutboundState::Unknown,
        },
        // The record went away after the claim failed. Without a record, the message is not sent.
        OutboundState::Waiting => Settlement::End(AttemptResult::Failed { asked_s: None }),
        OutboundState::Sent { .. } | OutboundState::Failed { .. } | OutboundState::Unknown => {
            Settlement::End(AttemptResult::Done)
        }
    }
}

/// For a message that was deleted, with the state of its record; `None`: it has none.
pub fn settle_deleted(found: Option<&OutboundState>, now: Timestamp) -> Settlement {
    match found {
        None => Settlement::End(AttemptResult::Done),
        Some(OutboundState::Waiting) => {
            Settlement::ClaimAndNote(OutboundState::Failed { code: None })
        }
        Some(found) => settle(found, now),
    }
}

/// What became of a message at its carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CarrierResult {
    Accepted {
        carrier_id: Option<String>,
    },
    /// The carrier surely has not taken the message, and may later.
    NotAccepted {
        /// The pause that the carrier asked for, in seconds.
        asked_s: Option<i64>,
    },
    /// The carrier will never take the message.
    Refused {
        code: Option<u32>,
    },
    Unknown,
}

/// What the record says after a call, and how the attempt ended. `last`: no further attempt is worth making.
pub fn after_call(result: CarrierResult, last: bool) -> (OutboundState, AttemptResult) {
    let done = AttemptResult::Done;
    match result {
        CarrierResult::Accepted { carrier_id } => (OutboundState::Sent { carrier_id }, done),
        CarrierResult::NotAccepted { .. } if last => (OutboundState::Failed { code: None }, done),
        CarrierResult::NotAccepted { asked_s } => {
            (OutboundState::Waiting, AttemptResult::Failed { asked_s })
        }
        CarrierResult::Refused { code } => (OutboundState::Failed { code }, done),
        CarrierResult::Unknown => (OutboundState::Unknown, done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DELIVERY_TIME_MAX, LEASE_TIME};

    #[test]
    fn a_message_is_noted_before_its_claim_runs_out_and_its_claim_before_the_lease() {
        assert!(PREPARE_TIME + DELIVERY_TIME_MAX + NOTE_TIME <= CLAIM_TIME);
        assert!(CLAIM_TIME < LEASE_TIME);
    }

    #[test]
    fn only_what_the_carrier_surely_did_not_take_is_tried_again() {
        let done = AttemptResult::Done;
        let (sent, failed) = (
            OutboundState::Sent { carrier_id: None },
            OutboundState::Failed { code: Some(7) },
        );
        let not = |asked_s| CarrierResult::NotAccepted { asked_s };
        let again = AttemptResult::Failed { asked_s: Some(9) };
        let given_up = OutboundState::Failed { code: None };
        for (result, last, expected) in [
            (
                CarrierResult::Accepted { carrier_id: None },
                false,
                (sent, done),
            ),
            (
                CarrierResult::Refused { code: Some(7) },
                false,
                (failed, done),
            ),
            (
                CarrierResult::Unknown,
                false,
                (OutboundState::Unknown, done),
            ),
            (CarrierResult::Unknown, true, (OutboundState::Unknown, done)),
            (not(Some(9)), false, (OutboundState::Waiting, again)),
            (not(Some(9)), true, (given_up, done)),
        ] {
            assert_eq!(
                after_call(result.clone(), last),
                expected,
                "{result:?} {last}"
            );
        }
    }

    #[test]
    fn a_claim_that_has_run_out_is_unknown_and_one_that_has_not_is_waited_for() {
        let now = Timestamp::UNIX_EPOCH;
        let claim = OutboundState::claim([1; 16], now);
        let until = after(now, CLAIM_TIME);
        let busy = Settlement::End(AttemptResult::Busy(until));
        let unknown = Settlement::Note {
            attempt: [1; 16],
            state: OutboundState::Unknown,
        };
        assert_eq!(settle(&claim, now), busy);
        assert_eq!(settle(&claim, until), unknown);
        assert_eq!(settle_deleted(Some(&claim), now), busy);
        assert_eq!(settle_deleted(Some(&claim), until), unknown);
        assert!(OutboundState::Unknown.raises_alarm());
    }

    #[test]
    fn a_deleted_message_that_waits_has_failed() {
        let now = Timestamp::UNIX_EPOCH;
        let failed = OutboundState::Failed { code: None };
        for (found, expected) in [
            (None, Settlement::End(AttemptResult::Done)),
            (
                Some(OutboundState::Waiting),
                Settlement::ClaimAndNote(failed.clone()),
            ),
            (Some(failed.clone()), Settlement::End(AttemptResult::Done)),
        ] {
            assert_eq!(settle_deleted(found.as_ref(), now), expected, "{found:?}");
        }
    }
}
