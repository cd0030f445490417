//! From a commit to the first attempt in the local stack: ten endpoints, first all well, then with one that hangs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::carrier::sid;
use crate::engine::EngineKind;
use crate::figures::percentile;
use crate::receiver::{Receiver, Reply};
use crate::system::TestSystem;

/// How long messages took from their commit to the first attempt at their endpoint.
#[derive(Clone, Debug)]
pub struct Latency {
    pub median: Duration,
    pub p99: Duration,
    pub messages: usize,
}

const ENDPOINTS: usize = 10;
/// Messages to each endpoint, each to a conversation of its own.
const MESSAGES: usize = 60;
/// Between two messages.
const PAUSE: Duration = Duration::from_millis(25);
/// Longer than any attempt lasts.
const HANGS: Duration = Duration::from_secs(60);

/// All ten; then the other nine while one hangs.
///
/// # Panics
/// If a message is not captured, or an endpoint does not get its events.
pub async fn measure(kind: EngineKind) -> (Latency, Latency) {
    let system = TestSystem::start(kind).await.start_dispatcher().await;
    let mut receivers = Vec::new();
    for index in 0..ENDPOINTS {
        let receiver = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
        let fields = [
            ("SmsUrl", receiver.url()),
            ("InboundWebhook", "always".to_owned()),
        ];
        let fields = fields
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        system.number(&number(index), &fields).await;
        system.autocreation(&number(index)).await;
        receivers.push(receiver);
    }
    let well = round(&system, &receivers, 0).await;
    receivers[0].answer(|_| Reply::new(200, "").after(HANGS));
    let others = round(&system, &receivers, 1).await;
    (well, others)
}

fn number(index: usize) -> String {
    format!("+1555400{index:04}")
}

/// The endpoints from `first` on are measured; all are written to.
async fn round(system: &TestSystem, receivers: &[Receiver], first: usize) -> Latency {
    let mut committed: Vec<HashMap<String, Instant>> = vec![HashMap::new(); receivers.len()];
    let mut counts: Vec<usize> = receivers.iter().map(|r| r.received().len()).collect();
    for message in 0..MESSAGES * receivers.len() {
        let endpoint = message % receivers.len();
        let sid = sid((first * 1_000_000 + message) as u64 + 1);
        let from = format!("+1555{:07}", first * 1_000_000 + message);
        let answer = system
            .message(&sid, &from, &number(endpoint), "hello")
            .await;
        assert!(answer.accepted(), "{}", answer.text());
        committed[endpoint].insert(sid, Instant::now());
        tokio::time::sleep(PAUSE).await;
    }
    let mut samples = Vec::new();
    for endpoint in first..receivers.len() {
        counts[endpoint] += MESSAGES;
        for received in receivers[endpoint].wait_for(counts[endpoint]).await {
            let sid = received.parameter("MessageSid").unwrap_or_default();
            if let Some(at) = committed[endpoint].remove(sid) {
                samples.push(received.at.saturating_duration_since(at));
            }
        }
    }
    Latency {
        messages: samples.len(),
        median: percentile(&mut samples, 50),
        p99: percentile(&mut samples, 99),
    }
}
