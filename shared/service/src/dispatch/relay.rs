//! Messages out: to each participant that has an address, from its own proxy address, by the carrier that has that
//! number. Nothing is sent twice silently: a record is claimed before the carrier is called, and where nobody knows
//! whether the carrier took a message, somebody is told, and it is not sent again.

use std::time::Duration;

use carriers::{SendResult, Sending};
use routing::{CarrierName, Entry, Outbound, OutboundState, ParticipantSid};
use store::{Claimed, Deadline, StoreError, outbound_sid};

use super::fan_out::Served;
use super::{DELIVERY_TIME_MAX, Run, after};
use crate::App;
use crate::app::random;

/// How long a claim lasts: itself, the call, and the note of how it ended. Shorter than the lease under which it is made.
const CLAIM_TIME: Duration = Duration::from_secs(40);
/// How long what comes before the call may take. Whoever is held up for longer may have lost the lease, and does not call.
const PREPARE_TIME: Duration = Duration::from_secs(15);
/// How long the note may take, whatever is left of the run: without it, what is known is lost.
const NOTE_TIME: Duration = Duration::from_secs(10);

/// Sends an entry's message to a participant. `last`: a carrier that does not take it now is not asked again.
pub(super) async fn send(
    run: Run<'_>,
    entry: &Entry,
    participant: ParticipantSid,
    last: bool,
) -> Result<Served, StoreError> {
    let held = entry
        .header
        .pairs
        .iter()
        .find(|held| held.participant == participant);
    let (Some((message_sid, message)), Some(held)) = (entry.message(), held) else {
        return Ok(Served::Done);
    };
    let prepared = run.deadline.within(PREPARE_TIME);
    if message.is_empty() {
        return settle_deleted(run, entry.slot, participant, prepared).await;
    }
    let (store, conversation) = (&run.app.store, run.conversation);
    // Before the claim: from there on, whoever fails leaves a message behind that nobody knows of whether it was sent.
    let (number, configuration) = store.receiver_get(held.pair.proxy(), prepared).await?;
    let carrier = match (number, configuration) {
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
        state: claim(run, attempt),
    };
    let sid = outbound.sid;
    match store.outbound_claim(&outbound, prepared).await? {
        Claimed::Mine => {}
        Claimed::Found(state @ OutboundState::Sending { .. }) => {
            return settle_claimed(run, &Outbound { state, ..outbound }).await;
        }
        // Gone meanwhile: not to be sent without a record.
        Claimed::Found(OutboundState::Waiting) => return Ok(Served::Failed { asked_s: None }),
        Claimed::Found(_) => return Ok(Served::Done),
    }
    let sending = Sending {
        sid,
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
    let (to, from) = (held.pair.address().masked(), held.pair.proxy().masked());
    let (state, served) = match result {
        SendResult::Accepted { id } => {
            tracing::info!(%sid, %conversation, to, from, "message {sid} to {to} is sent");
            let left_out = sending.media.len().saturating_sub(sending.media_max());
            if left_out > 0 {
                tracing::warn!(%sid, %conversation, to, left_out, "message {sid} to {to} has more media than its channel carries");
            }
            (OutboundState::Sent { carrier_id: id }, Served::Done)
        }
        SendResult::NotAccepted { reason, .. } if last => {
            tracing::error!(
                %sid, %conversation, to, from, reason,
                "message {sid} to {to} is given up: its carrier does not take it"
            );
            (OutboundState::Failed { code: None }, Served::Done)
        }
        SendResult::NotAccepted {
            retry_after_s,
            reason,
        } => {
            tracing::warn!(%sid, %conversation, to, from, reason, "message {sid} to {to} waits: its carrier does not take it");
            let asked_s = retry_after_s;
            (OutboundState::Waiting, Served::Failed { asked_s })
        }
        SendResult::Refused { code, reason } => {
            tracing::warn!(%sid, %conversation, to, from, code, reason, "message {sid} to {to} is refused by its carrier");
            (OutboundState::Failed { code }, Served::Done)
        }
        SendResult::Unknown { reason } => {
            alarm(&outbound, &reason);
            (OutboundState::Unknown, Served::Done)
        }
    };
    // Without the note the claim runs out, and then it counts as unknown.
    store
        .outbound_note(sid, &attempt, &state, Deadline::after(NOTE_TIME))
        .await?;
    Ok(served)
}

fn claim(run: Run<'_>, attempt: [u8; 16]) -> OutboundState {
    OutboundState::Sending {
        attempt,
        until: after(run.now(), CLAIM_TIME),
    }
}

/// A message that was deleted is not sent any more. Somebody may have been at it before.
async fn settle_deleted(
    run: Run<'_>,
    slot: u64,
    participant: ParticipantSid,
    deadline: Deadline,
) -> Result<Served, StoreError> {
    let store = &run.app.store;
    let found = store.outbound_get(run.conversation, slot, participant, deadline);
    let Some(found) = found.await? else {
        return Ok(Served::Done);
    };
    if found.state != OutboundState::Waiting {
        return settle_claimed(run, &found).await;
    }
    let (attempt, sid) = (random(), found.sid);
    let state = claim(run, attempt);
    let claimed = Outbound { state, ..found };
    if store.outbound_claim(&claimed, deadline).await? == Claimed::Mine {
        let never = OutboundState::Failed { code: None };
        store.outbound_note(sid, &attempt, &never, deadline).await?;
    }
    Ok(Served::Done)
}

/// What becomes of a message that somebody else was to send.
async fn settle_claimed(run: Run<'_>, outbound: &Outbound) -> Result<Served, StoreError> {
    let OutboundState::Sending { attempt, until } = &outbound.state else {
        return Ok(Served::Done);
    };
    if *until > run.now() {
        return Ok(Served::Busy(*until));
    }
    let (sid, unknown) = (outbound.sid, OutboundState::Unknown);
    let store = &run.app.store;
    if store
        .outbound_note(sid, attempt, &unknown, run.deadline)
        .await?
    {
        alarm(outbound, "whoever sent it was never heard of again");
    }
    Ok(Served::Done)
}

fn alarm(outbound: &Outbound, reason: &str) {
    let (sid, conversation) = (outbound.sid, outbound.conversation);
    let to = outbound.pair.address().masked();
    tracing::error!(
        %sid, %conversation, to, reason, outbound = "unknown",
        "nobody knows whether message {sid} to {to} was sent; it is not sent again"
    );
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
        None => SendResult::not_accepted("the proxy address is no number of ours any more"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;

    use jiff::Timestamp;
    use routing::{CarrierMessageSid, ConversationSid, MessageSid, Pair};

    use super::*;
    use crate::dispatch::LEASE_TIME;

    #[test]
    fn a_message_is_noted_before_its_claim_runs_out_and_its_claim_before_the_lease() {
        assert!(PREPARE_TIME + DELIVERY_TIME_MAX + NOTE_TIME <= CLAIM_TIME);
        assert!(CLAIM_TIME < LEASE_TIME);
    }

    /// `infra/template.yaml` counts lines by this field, and by their level.
    #[test]
    fn what_nobody_knows_is_an_error_that_the_alarm_counts() {
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
