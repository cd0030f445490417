//! Delivers events to an endpoint, one after the other.

use routing::consumer::post::{Deliveries, DeliveriesStep};
use routing::{AttemptResult, Consumer, DELIVERY_TIME_MAX, Delivery, Endpoint, Look, Then};
use store::StoreError;

use super::Run;
use crate::{ErrorChain, webhook_parameters};

/// Carries out the deliveries of a stretch, until the run leaves the cursor or has lost it.
pub(super) async fn deliver(
    run: Run<'_>,
    consumer: Consumer,
    look: &Look,
    mut deliveries: Deliveries<'_>,
) -> Result<Then, StoreError> {
    let endpoint = match consumer {
        Consumer::Post(scope) => look.endpoint(scope),
        Consumer::Relay | Consumer::Numbers => None,
    };
    let Some(endpoint) = endpoint else {
        return Ok(Then::Stop);
    };
    loop {
        match deliveries.next(run.moment()) {
            DeliveriesStep::Move(write) => match run.write(consumer, &write).await? {
                Some(_) => deliveries.moved(),
                None => return Ok(Then::Stop),
            },
            DeliveriesStep::Attempt { delivery, failures } => {
                let result = attempt(run, &endpoint, delivery, failures).await;
                if let Some((delivery, failures)) = deliveries.attempted(run.attempted(result)) {
                    let (conversation, event) = (run.conversation, delivery.event.name().as_str());
                    tracing::error!(
                        %conversation, event, failures,
                        "{event} of conversation {conversation} is given up after {failures} attempts; the next event follows"
                    );
                }
            }
            DeliveriesStep::Leave(write, then) => {
                run.write(consumer, &write).await?;
                return Ok(then);
            }
        }
    }
}

/// Delivers one event to the endpoint, once. Every status except 2xx is a failure; a redirect is not followed.
async fn attempt(
    run: Run<'_>,
    endpoint: &Endpoint,
    delivery: Delivery<'_>,
    failures: u32,
) -> AttemptResult {
    let Delivery {
        position,
        entry,
        event,
    } = delivery;
    let place = position.event;
    let parameters = webhook_parameters::of_event(entry, event, place, run.app.account, failures);
    let token = entry.event_id(place);
    let replied = run
        .app
        .caller
        .notify(&endpoint.call, &parameters, token, DELIVERY_TIME_MAX)
        .await;
    let (conversation, event) = (run.conversation, event.name().as_str());
    match replied {
        Ok(reply) if (200..300).contains(&reply.status) => {
            tracing::debug!(%conversation, event, "{event} of conversation {conversation} is delivered");
            AttemptResult::Done
        }
        Ok(reply) => {
            let status = reply.status;
            tracing::warn!(
                %conversation, event, status, failures,
                "the endpoint answers {event} of conversation {conversation} with {status}"
            );
            AttemptResult::Failed {
                asked_s: reply.retry_after_s,
            }
        }
        Err(error) => {
            let error = ErrorChain(&error);
            tracing::warn!(
                %conversation, event, %error, failures,
                "{event} of conversation {conversation} can't be delivered"
            );
            AttemptResult::Failed { asked_s: None }
        }
    }
}
