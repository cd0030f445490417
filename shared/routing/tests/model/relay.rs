//! The relay: one attempt to send a message to a participant.

use jiff::{SignedDuration, Timestamp};
use routing::consumer::fan_out::RecipientAttempt;
use routing::{
    AttemptResult, CarrierResult, OutboundState, PREPARE_TIME, Recipient, Relaying, Settlement,
    after_call, relaying, settle, settle_deleted,
};

use super::consumer::{Run, Stopped};
use super::cursors::{Claimed, Message};
use super::world::step as pass;
use super::{Procedure, mutate};

impl Run {
    pub(crate) async fn send(
        &self,
        attempt: &RecipientAttempt<'_>,
    ) -> Result<AttemptResult, Stopped> {
        let RecipientAttempt {
            entry,
            recipient,
            last,
        } = attempt;
        let Recipient::Participant(participant) = recipient else {
            return Ok(AttemptResult::Done);
        };
        let prepare = SignedDuration::try_from(PREPARE_TIME).unwrap();
        let prepared = self.deadline.min(self.now().checked_add(prepare).unwrap());
        let message = (self.conversation, entry.slot, recipient.clone());
        let relaying = relaying(entry, *participant);
        if relaying == Relaying::Done {
            return Ok(AttemptResult::Done);
        }
        // The number's carrier is read, or the record of a message that was deleted.
        self.step_within(prepared).await?;
        if relaying == Relaying::Deleted {
            let found = self
                .world
                .dispatch
                .cursors
                .borrow()
                .outbound(&message)
                .cloned();
            let found = mutate::found_deleted(found, self.world.procedure);
            let settlement = settle_deleted(found.as_ref(), self.now());
            return self.carry_out(settlement, message, prepared).await;
        }
        let (attempt, claim, claimed) = self.claim(&message, prepared).await?;
        if let Claimed::Found(found) = claimed {
            let settlement = settle(&found, self.now());
            return self.carry_out(settlement, message, self.deadline).await;
        }
        pass().await;
        if let OutboundState::Sending { until, .. } = claim
            && self.now() >= until
        {
            // An assumption that no condition can enforce: a run that waits longer than its claim, between claim and call,
            // makes no call.
            return Err(Stopped);
        }
        let result = self.call(&message);
        self.step().await?;
        let result = match (result, self.world.procedure) {
            (CarrierResult::Unknown, Procedure::UnknownCountsAsNotAccepted) => {
                CarrierResult::NotAccepted { asked_s: None }
            }
            (result, _) => result,
        };
        let (state, ended) = after_call(result, *last);
        self.note_outbound(message, attempt, state).await?;
        Ok(ended)
    }

    /// For a new attempt.
    async fn claim(
        &self,
        message: &Message,
        deadline: Timestamp,
    ) -> Result<([u8; 16], OutboundState, Claimed), Stopped> {
        let (attempt, now) = (self.world.random(), self.now());
        let (key, claim) = (message.clone(), OutboundState::claim(attempt, now));
        let sent = claim.clone();
        let claimed = self
            .update_within(deadline, move |cursors| {
                cursors.claim(&key, attempt, &sent, now)
            })
            .await?;
        Ok((attempt, claim, claimed))
    }

    async fn carry_out(
        &self,
        settlement: Settlement,
        message: Message,
        deadline: Timestamp,
    ) -> Result<AttemptResult, Stopped> {
        match settlement {
            Settlement::End(result) => return Ok(result),
            Settlement::Note { attempt, state } => {
                self.note_outbound(message, attempt, state).await?;
            }
            Settlement::ClaimAndNote(end) => {
                let (attempt, _, claimed) = self.claim(&message, deadline).await?;
                if let Claimed::Mine = claimed {
                    self.note_outbound(message, attempt, end).await?;
                }
            }
        }
        Ok(AttemptResult::Done)
    }

    async fn note_outbound(
        &self,
        message: Message,
        attempt: [u8; 16],
        state: OutboundState,
    ) -> Result<(), Stopped> {
        let late = self.world.procedure == Procedure::AlarmAfterTheNote;
        let deliveries = &self.world.dispatch.deliveries;
        let alarm = state.raises_alarm();
        if alarm && !late {
            deliveries.borrow_mut().alarm(&message);
        }
        self.note(|| format!("notes {state:?} of slot {}", message.1));
        let key = message.clone();
        self.update(move |cursors| cursors.note(&key, attempt, state.clone()))
            .await?;
        if alarm && late {
            self.step().await?;
            deliveries.borrow_mut().alarm(&message);
        }
        Ok(())
    }

    fn call(&self, message: &Message) -> CarrierResult {
        let (world, faults) = (&self.world, self.world.faults);
        let (slot, recipient) = (message.1, &message.2);
        if world.happens(faults.delivery_failed) {
            self.note(|| format!("the carrier does not accept slot {slot} for {recipient:?}"));
            return match world.below(8) {
                0 => CarrierResult::Unknown,
                1 => CarrierResult::Refused { code: None },
                2..4 => CarrierResult::NotAccepted {
                    asked_s: Some(28_800),
                },
                _ => CarrierResult::NotAccepted { asked_s: None },
            };
        }
        self.note(|| format!("the carrier accepts slot {slot} for {recipient:?}"));
        let reply_lost = world.happens(faults.reply_lost);
        let deliveries = &world.dispatch.deliveries;
        deliveries.borrow_mut().accept(world, message, reply_lost);
        match reply_lost {
            true => CarrierResult::Unknown,
            false => CarrierResult::Accepted { carrier_id: None },
        }
    }
}
