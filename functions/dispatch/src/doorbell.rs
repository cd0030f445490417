//! The doorbell: the table's stream tells which logs have grown.
//!
//! Lost, doubled, late and reordered rings harm nothing: whoever is rung for reads the log, and the sweep finds what was
//! never rung for. So a record that nobody understands is passed over, and does not hold up the shard.

use routing::ConversationSid;
use serde_json::Value;
use service::ErrorChain;
use service::dispatch::{HAND_OFF_MAX, HandOff};

/// One record of the stream that says that a log has grown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    pub conversation: ConversationSid,
    /// What the stream calls the record.
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
        tracing::error!(
            "a record of the stream can't be read; the sweep will find what it is about"
        );
        return None;
    };
    let conversation = (event == "INSERT").then(|| store::rung(pk, sk)).flatten()?;
    Some(Ring {
        conversation,
        sequence: sequence.to_owned(),
    })
}

/// Hands the distinct conversations off. The outcome is the sequence numbers of rings that nobody took over.
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
                "{count} conversations could not be handed off; they are rung for again"
            );
            let of_some = rings
                .iter()
                .filter(|ring| some.contains(&ring.conversation));
            failed.extend(of_some.map(|ring| ring.sequence.clone()));
        }
    }
    failed
}
