//! The doorbell: the table's stream tells which logs have grown. A record that tells it is a *ring*.
//!
//! Lost, doubled, late and reordered rings harm nothing: the run that a ring starts reads the log, and the sweep finds the
//! changes of lost rings. So the doorbell skips a record that it can't read, and the shard's next records follow.

use routing::ConversationSid;
use serde_json::Value;
use service::ErrorChain;
use service::dispatch::{HAND_OFF_MAX, HandOff};

/// A record of the stream that tells that a log has grown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    pub conversation: ConversationSid,
    /// The record's sequence number in the stream.
    pub sequence: String,
}

/// The rings among the records of a stream event, in their order.
pub fn rings(records: &[Value]) -> Vec<Ring> {
    records.iter().filter_map(ring_of).collect()
}

fn ring_of(record: &Value) -> Option<Ring> {
    let keys = &record["dynamodb"]["Keys"];
    let (pk, sk) = (keys["pk"]["S"].as_str(), keys["sk"]["S"].as_str());
    let sequence = record["dynamodb"]["SequenceNumber"].as_str();
    let (Some(pk), Some(sk), Some(sequence), Some(event)) =
        (pk, sk, sequence, record["eventName"].as_str())
    else {
        tracing::error!("a record of the stream can't be read; the sweep finds its change");
        return None;
    };
    let conversation = (event == "INSERT").then(|| store::rung(pk, sk)).flatten()?;
    Some(Ring {
        conversation,
        sequence: sequence.to_owned(),
    })
}

/// Hands the distinct conversations off. The outcome is the sequence numbers of the rings whose hand-off failed.
pub async fn ring(rings: Vec<Ring>, hand_off: &impl HandOff) -> Vec<String> {
    let mut distinct: Vec<ConversationSid> = Vec::new();
    for ring in &rings {
        if !distinct.contains(&ring.conversation) {
            distinct.push(ring.conversation);
        }
    }
    let mut failed = Vec::new();
    for some in distinct.chunks(HAND_OFF_MAX) {
        if let Err(error) = hand_off.hand_off(some.to_vec()).await {
            let (error, count) = (ErrorChain(&error), some.len());
            tracing::warn!(
                %error,
                count,
                "{count} conversations could not be handed off; the stream delivers their rings again"
            );
            let of_some = rings
                .iter()
                .filter(|ring| some.contains(&ring.conversation));
            failed.extend(of_some.map(|ring| ring.sequence.clone()));
        }
    }
    failed
}
