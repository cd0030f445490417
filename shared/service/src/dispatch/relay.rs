//! Messages out: to each participant that has an address, from its own proxy address, by the carrier that has that
//! number. Nothing is sent twice silently: a record is claimed before the carrier is called, and where nobody knows
//! whether the carrier took a message, somebody is told, and it is not sent again.

use std::time::Duration;

use carriers::{Sending, Taken};
use routing::{CarrierName, Entry, Outbound, OutboundState, ParticipantSid};
use store::{Claimed, Deadline, StoreError, outbound_sid};

use super::fan_out::Served;
use super::{DELIVERY_TIME_MAX, Run, after};
use crate::app::random;

/// How long a claim lasts: the call, and the note of how it ended.
const CLAIM_TIME: Duration = Duration::from_secs(40);
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
    let (store, conversation) = (&run.app.store, run.conversation);
    // Before the claim: from there on, whoever fails leaves a message behind that nobody knows of whether it was sent.
    let (number, configuration) = store.receiver_get(held.pair.proxy(), run.deadline).await?;
    let carrier = match (number, configuration) {
        (Some(number), _) => Some(number.carrier),
        (None, Some(_)) => Some(run.app.carriers.default_name()),
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
        state: OutboundState::Sending {
            attempt,
            until: after(run.now(), CLAIM_TIME),
        },
    };
    let sid = outbound.sid;
    match store.outbound_claim(&outbound, run.deadline).await? {
        Claimed::Mine => {}
        Claimed::Found(OutboundState::Sending { attempt, until }) => {
            if until > run.now() {
                return Ok(Served::Busy(until));
            }
            let unknown = OutboundState::Unknown;
            let noted = store
                .outbound_note(sid, &attempt, &unknown, run.deadline)
                .await?;
            if noted {
                alarm(run, &outbound, "whoever sent it was never heard of again");
            }
            return Ok(Served::Done);
        }
        // Gone meanwhile: not to be sent without a record.
        Claimed::Found(OutboundState::Waiting) => return Ok(Served::Failed { asked_s: None }),
        Claimed::Found(_) => return Ok(Served::Done),
    }
    let sending = Sending {
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
    let taken = call(run, carrier, &sending).await;
    let (to, from) = (held.pair.address().masked(), held.pair.proxy().masked());
    let (state, served) = match taken {
        Taken::Accepted { id } => {
            tracing::info!(%sid, %conversation, to, from, "message {sid} to {to} is sent");
            (OutboundState::Sent { carrier_id: id }, Served::Done)
        }
        Taken::Not { reason, .. } if last => {
            tracing::error!(
                %sid, %conversation, to, from, reason,
                "message {sid} to {to} is given up: its carrier does not take it"
            );
            (OutboundState::Failed { code: None }, Served::Done)
        }
        Taken::Not {
            retry_after_s,
            reason,
        } => {
            tracing::warn!(%sid, %conversation, to, from, reason, "message {sid} to {to} waits: its carrier does not take it");
            let asked_s = retry_after_s;
            (OutboundState::Waiting, Served::Failed { asked_s })
        }
        Taken::Refused { code, reason } => {
            tracing::warn!(%sid, %conversation, to, from, code, reason, "message {sid} to {to} is refused by its carrier");
            (OutboundState::Failed { code }, Served::Done)
        }
        Taken::Unknown { reason } => {
            alarm(run, &outbound, &reason);
            (OutboundState::Unknown, Served::Done)
        }
    };
    // Without the note the claim runs out, and then it counts as unknown.
    store
        .outbound_note(sid, &attempt, &state, Deadline::after(NOTE_TIME))
        .await?;
    Ok(served)
}

fn alarm(run: Run<'_>, outbound: &Outbound, reason: &str) {
    let (sid, conversation) = (outbound.sid, run.conversation);
    let to = outbound.pair.address().masked();
    tracing::error!(
        %sid, %conversation, to, reason, outbound = "unknown",
        "nobody knows whether message {sid} to {to} was sent; it is not sent again"
    );
}

/// Calls the carrier, once.
async fn call(run: Run<'_>, carrier: Option<CarrierName>, sending: &Sending<'_>) -> Taken {
    let carriers = &run.app.carriers;
    let not = |reason: &str| Taken::Not {
        retry_after_s: None,
        reason: reason.to_owned(),
    };
    match carrier {
        Some(CarrierName::Twilio) => match &carriers.twilio {
            Some(sender) => {
                sender
                    .send(run.app.caller.http(), sending, DELIVERY_TIME_MAX)
                    .await
            }
            None => not("there are no credentials for Twilio"),
        },
        Some(CarrierName::Simulator) => match &carriers.simulator {
            Some(outbox) => outbox.send(sending),
            None => not("the simulator is not here"),
        },
        None => not("the proxy address is no number of ours any more"),
    }
}
