//! Delivers entries to several recipients, each at its own pace.

use futures_util::future::join_all;
use routing::consumer::fan_out::{FanOut, FanOutStep, LaneRun, LaneStep, RecipientAttempt};
use routing::{AttemptResult, Consumer, Lane, Look, Recipient, Then};
use store::StoreError;

use super::{Run, numbers, relay};

/// Carries out the steps of the fan-out of a stretch, until the run leaves the cursor or has lost it.
pub(super) async fn deliver(
    run: Run<'_>,
    consumer: Consumer,
    look: &Look,
    mut fan_out: FanOut<'_>,
) -> Result<Then, StoreError> {
    loop {
        match fan_out.next(run.moment()) {
            FanOutStep::Move(write) => match run.write(consumer, &write).await? {
                Some(_) => fan_out.moved(),
                None => return Ok(Then::Stop),
            },
            FanOutStep::Attempt(attempts) => {
                // Each attempt ends, also if another one fails.
                let results = join_all(attempts.iter().map(|one| attempt(run, consumer, one)));
                let mut attempted = Vec::with_capacity(attempts.len());
                for (attempt, result) in attempts.iter().cloned().zip(results.await) {
                    attempted.push((attempt, run.attempted(result?)));
                }
                fan_out.attempted(attempted);
            }
            FanOutStep::RunLanes(lanes) => {
                let ended = join_all(
                    lanes
                        .iter()
                        .map(|lane| run_lane(run, consumer, look, &fan_out, lane)),
                );
                let ended: Result<Vec<Option<Lane>>, StoreError> =
                    ended.await.into_iter().collect();
                fan_out.lanes_ended(lanes.into_iter().zip(ended?).collect());
            }
            FanOutStep::Leave(write, then) => {
                run.write(consumer, &write).await?;
                return Ok(then);
            }
        }
    }
}

/// Runs one lane. Returns the lane afterwards; `None`: the recipient keeps up again.
async fn run_lane(
    run: Run<'_>,
    consumer: Consumer,
    look: &Look,
    fan_out: &FanOut<'_>,
    lane: &Lane,
) -> Result<Option<Lane>, StoreError> {
    let began = run.moment();
    let entries = run.entries(lane.slot, look).await?;
    let mut lane = LaneRun::new(fan_out, lane.clone(), &entries, began);
    loop {
        match lane.next(run.moment()) {
            LaneStep::Attempt(one) => {
                let result = attempt(run, consumer, &one).await?;
                lane.attempted(run.attempted(result));
            }
            LaneStep::End(lane) => return Ok(lane),
        }
    }
}

/// Makes one attempt to deliver an entry to a recipient.
async fn attempt(
    run: Run<'_>,
    consumer: Consumer,
    attempt: &RecipientAttempt<'_>,
) -> Result<AttemptResult, StoreError> {
    let RecipientAttempt {
        entry,
        recipient,
        last,
    } = attempt;
    match recipient {
        Recipient::Participant(participant) => relay::send(run, entry, *participant, *last).await,
        Recipient::Number(_) => {
            let result = numbers::forward_captured(run, entry).await?;
            if let (AttemptResult::Failed { .. }, true) = (result, last) {
                let (conversation, consumer) = (run.conversation, consumer.as_str());
                tracing::error!(
                    %conversation, consumer, slot = entry.slot,
                    "the number's own webhook did not take a message of conversation {conversation}; the delivery is given up"
                );
            }
            Ok(result)
        }
    }
}
