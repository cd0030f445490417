//! Sends messages: to each participant that has an address, from its own proxy address, by the carrier that has that
//! number. [`routing`] decides how a run claims a message, and what a found record means.

use carriers::{SendResult, Sending};
use routing::{
    AttemptResult, CarrierName, CarrierResult, DELIVERY_TIME_MAX, Entry, NOTE_TIME, Outbound,
    OutboundState, PREPARE_TIME, ParticipantSid, Relaying, Settlement, after_call, relaying,
    settle, settle_deleted,
};
use store::{Claimed, Deadline, StoreError, outbound_sid};

use super::Run;
use crate::App;
use crate::app::random;

/// Sends an entry's message to a participant. `last`: if the carrier does not accept it now, no further attempt follows.
pub(super) async fn send(
    run: Run<'_>,
    entry: &Entry,
    participant: ParticipantSid,
    last: bool,
) -> Result<AttemptResult, StoreError> {
    let prepared = run.deadline.within(PREPARE_TIME);
    let (store, conversation) = (&run.app.store, run.conversation);
    let (held, message_sid, message) = match relaying(entry, participant) {
        Relaying::Done => return Ok(AttemptResult::Done),
        Relaying::Deleted => {
            let found = store.outbound_get(conversation, entry.slot, participant, prepared);
            let found = found.await?;
            let settlement = settle_deleted(found.as_ref().map(|found| &found.state), run.now());
            return match found {
                Some(found) => carry_out(run, settlement, &found, prepared).await,
                None => Ok(AttemptResult::Done),
            };
        }
        Relaying::Send { held, sid, message } => (held, sid, message),
    };
    // Before the claim: if a run fails after its claim, its message counts as one that may have been sent.
    let receiver = store.receiver_get(held.pair.proxy(), prepared).await?;
    let carrier = match (receiver.number, receiver.configuration) {
        (Some(number), _) => Some(number.carrier),
        (None, Some(_)) => Some(run.app.senders.default_name()),
        (None, None) => None,
    };
    let attempt: [u8; 16] = random();
    let mms = !message.media.is_empty();
    let outbound = Outbound {
        sid: outbound_sid(conversation, entry.slot, participant, mms),
        conversation,
        message: message_sid,
        participant,
        pair: held.pair.clone(),
        date_created: entry.at,
        state: OutboundState::claim(attempt, run.now()),
    };
    if let Claimed::Found(found) = store.outbound_claim(&outbound, prepared).await? {
        return carry_out(run, settle(&found, run.now()), &outbound, run.deadline).await;
    }
    let sending = Sending {
        sid: outbound.sid,
        from: held.pair.proxy(),
        to: held.pair.address(),
        body: &message.body,
        media: message
            .media
            .iter()
            .map(|medium| medium.url.as_str())
            .collect(),
        message: message_sid,
        conversation,
    };
    let result = call(run, carrier, &sending).await;
    let (result, reason) = carrier_result(result);
    log(&outbound, &sending, &result, last, reason.as_deref());
    let (state, ended) = after_call(result, last);
    let alarm = reason.as_deref().unwrap_or_default();
    // Without the note the claim runs out, and then the message counts as unknown.
    let note_by = Deadline::after(NOTE_TIME);
    note(run, &outbound, attempt, &state, alarm, note_by).await?;
    Ok(ended)
}

/// Carries out the end of a message that this run must not send.
async fn carry_out(
    run: Run<'_>,
    settlement: Settlement,
    outbound: &Outbound,
    deadline: Deadline,
) -> Result<AttemptResult, StoreError> {
    match settlement {
        Settlement::End(result) => return Ok(result),
        Settlement::Note { attempt, state } => {
            let reason = "the run that called the carrier did not note how the call ended";
            note(run, outbound, attempt, &state, reason, deadline).await?;
        }
        Settlement::ClaimAndNote(end) => {
            let attempt = random();
            let claimed = Outbound {
                state: OutboundState::claim(attempt, run.now()),
                ..outbound.clone()
            };
            let store = &run.app.store;
            if store.outbound_claim(&claimed, deadline).await? == Claimed::Mine {
                note(run, outbound, attempt, &end, "", deadline).await?;
            }
        }
    }
    Ok(AttemptResult::Done)
}

/// Notes how an attempt ended. A state that raises an alarm raises it first: this run may die after the note, or lose the
/// note's answer, and no later run looks at the record again.
async fn note(
    run: Run<'_>,
    outbound: &Outbound,
    attempt: [u8; 16],
    state: &OutboundState,
    reason: &str,
    deadline: Deadline,
) -> Result<(), StoreError> {
    if state.raises_alarm() {
        alarm(outbound, reason);
    }
    let store = &run.app.store;
    let noted = store.outbound_note(outbound.sid, &attempt, state, deadline);
    noted.await.map(drop)
}

fn alarm(outbound: &Outbound, reason: &str) {
    let (sid, conversation) = (outbound.sid, outbound.conversation);
    let to = outbound.pair.address().masked();
    tracing::error!(
        %sid, %conversation, to, reason, outbound = "unknown",
        "message {sid} to {to} may have been sent or not; it is not sent again"
    );
}

fn log(
    outbound: &Outbound,
    sending: &Sending<'_>,
    result: &CarrierResult,
    last: bool,
    reason: Option<&str>,
) {
    let (sid, conversation) = (outbound.sid, outbound.conversation);
    let (to, from) = (sending.to.masked(), sending.from.masked());
    match result {
        CarrierResult::Accepted { .. } => {
            tracing::info!(%sid, %conversation, to, from, "message {sid} to {to} is sent");
            let left_out = sending.media.len().saturating_sub(sending.media_max());
            if left_out > 0 {
                tracing::warn!(%sid, %conversation, to, left_out, "message {sid} to {to} has more media than its channel carries");
            }
        }
        CarrierResult::NotAccepted { .. } if last => {
            tracing::error!(%sid, %conversation, to, from, reason, "message {sid} to {to} is given up: its carrier does not accept it");
        }
        CarrierResult::NotAccepted { .. } => {
            tracing::warn!(%sid, %conversation, to, from, reason, "message {sid} to {to} waits: its carrier does not accept it");
        }
        CarrierResult::Refused { code } => {
            tracing::warn!(%sid, %conversation, to, from, code, reason, "message {sid} to {to} is refused by its carrier");
        }
        // The alarm has logged it.
        CarrierResult::Unknown => {}
    }
}

/// The result and its reason.
fn carrier_result(result: SendResult) -> (CarrierResult, Option<String>) {
    match result {
        SendResult::Accepted { id } => (CarrierResult::Accepted { carrier_id: id }, None),
        SendResult::NotAccepted {
            retry_after_s,
            reason,
        } => {
            let asked_s = retry_after_s;
            (CarrierResult::NotAccepted { asked_s }, Some(reason))
        }
        SendResult::Refused { code, reason } => (CarrierResult::Refused { code }, Some(reason)),
        SendResult::Unknown { reason } => (CarrierResult::Unknown, Some(reason)),
    }
}

/// Calls the carrier once. `None`: the proxy address has no carrier.
async fn call(run: Run<'_>, carrier: Option<CarrierName>, sending: &Sending<'_>) -> SendResult {
    let App {
        senders, caller, ..
    } = run.app;
    match carrier {
        Some(carrier) => {
            let http = caller.http();
            senders
                .send(carrier, http, sending, DELIVERY_TIME_MAX)
                .await
        }
        None => {
            SendResult::not_accepted("the proxy address is not a number of this account any more")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;

    use jiff::Timestamp;
    use routing::{CarrierMessageSid, ConversationSid, MessageSid, Pair};

    use super::*;

    /// `infra/template.yaml` counts lines by this field, and by their level.
    #[test]
    fn an_unknown_message_is_an_error_that_the_alarm_counts() {
        let outbound = Outbound {
            sid: CarrierMessageSid::from_bytes(false, [2; 16]),
            conversation: ConversationSid::from_bytes([1; 16]),
            message: MessageSid::from_bytes([3; 16]),
            participant: ParticipantSid::from_bytes([4; 16]),
            pair: Pair::new(
                "+15550001111".parse().unwrap(),
                "+15550002222".parse().unwrap(),
            )
            .unwrap(),
            date_created: Timestamp::UNIX_EPOCH,
            state: OutboundState::Unknown,
        };
        let (mut log, writer) = std::io::pipe().unwrap();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(Arc::new(writer))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            alarm(&outbound, "the carrier hung up");
        });
        let mut line = String::new();
        log.read_to_string(&mut line).unwrap();
        assert!(line.contains(" ERROR "), "{line}");
        assert!(line.contains(r#" outbound="unknown""#), "{line}");
        assert!(!line.contains("+15550001111"), "{line}");
    }
}
