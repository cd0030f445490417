//! The cost of each outcome on DynamoDB, and its budget.
//!
//! Costs are read off the wire: DynamoDB bills each answer (`ReturnConsumedCapacity`).

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::carrier::{CARRIER_ATTEMPTS, sid};
use crate::engine::EngineKind;
use crate::json::text;
use crate::receiver::{Receiver, Reply};
use crate::system::{ADA, BOB, OURS, TestSystem};
use crate::wire::{Call, Fault};

/// The cost of one outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// The longest chain of calls that waited for one another.
    pub calls: usize,
    pub read_units: f64,
    pub write_units: f64,
    pub index_units: f64,
}

/// An outcome, its cost, and its budget.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: &'static str,
    pub cost: Cost,
    pub budget: Cost,
}

/// List price, in dollars a million units.
const WRITE_UNIT_DOLLARS: f64 = 0.625;
const READ_UNIT_DOLLARS: f64 = 0.125;
/// Some engines count an index entry of a transaction double; DynamoDB does not.
const INDEX_FACTOR_MAX: f64 = 2.0;

impl Cost {
    fn of(calls: &[Call]) -> Cost {
        let sum = |part: fn(&Call) -> f64| calls.iter().map(part).sum();
        Cost {
            calls: chain(calls),
            read_units: sum(|call| call.read_units),
            write_units: sum(|call| call.write_units),
            index_units: sum(|call| call.index_write_units),
        }
    }

    /// For a million of them.
    pub fn dollars(&self) -> f64 {
        (self.write_units + self.index_units) * WRITE_UNIT_DOLLARS
            + self.read_units * READ_UNIT_DOLLARS
    }
}

impl Row {
    pub fn exceeded(&self) -> bool {
        let (cost, budget) = (&self.cost, &self.budget);
        cost.calls > budget.calls
            || cost.read_units > budget.read_units
            || cost.write_units > budget.write_units
            || cost.index_units > budget.index_units * INDEX_FACTOR_MAX
    }
}

/// The most calls of which each began after the one before it had ended.
fn chain(calls: &[Call]) -> usize {
    let mut calls: Vec<&Call> = calls.iter().collect();
    calls.sort_by_key(|call| call.ended);
    let mut count = 0;
    let mut end: Option<Instant> = None;
    for call in calls {
        if end.is_none_or(|end| call.began >= end) {
            count += 1;
            end = Some(call.ended);
        }
    }
    count
}

/// What calls take on their way here, so that those that are made at once are seen to be.
const DISTANCE: Duration = Duration::from_millis(25);

struct Meter {
    system: TestSystem,
    rows: Vec<Row>,
}

impl Meter {
    /// Notes what was billed since [`TestSystem`]'s wire was last emptied.
    fn note(
        &mut self,
        name: &'static str,
        calls: usize,
        read_units: f64,
        write_units: f64,
        index_units: f64,
    ) {
        let billed = self.system.wire.take_calls();
        let budget = Cost {
            calls,
            read_units,
            write_units,
            index_units,
        };
        self.rows.push(Row {
            name,
            cost: Cost::of(&billed),
            budget,
        });
    }

    fn reset(&self) {
        self.system.wire.take_calls();
    }
}

/// Every outcome once, without contention and with items under 1 KB.
///
/// # Panics
/// If an outcome is not the expected one.
pub async fn outcomes(kind: EngineKind) -> Vec<Row> {
    let system = TestSystem::start(kind).await;
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let hook = Receiver::start(|_| Reply::new(200, "")).await;
    let (created, plain, forwarded) = ("+15550003001", OURS, "+15550003003");
    let pooled = "+15550003004";
    let body = "x".repeat(480);
    system.autocreation(created).await;
    system.number(plain, &[]).await;
    system
        .number(forwarded, &[("SmsUrl", &application.url())])
        .await;
    // An engine on this machine may answer one call before its neighbour has begun; a table is never that near.
    system.wire.fail_by(|_, _| Some(Fault::Late(DISTANCE)));
    let mut meter = Meter {
        system: system.clone(),
        rows: Vec::new(),
    };
    let mut number = 0;
    let mut next = || {
        number += 1;
        sid(number)
    };
    let accepted =
        |answer: crate::response::Response| assert!(answer.accepted(), "{}", answer.text());

    // What three address participants cost is what a busy conversation costs.
    let (conversation, participant) = system.bind(ADA, plain).await;
    for other in [BOB, "+15550001113"] {
        system
            .add_participant(&conversation, other, plain)
            .await
            .expect(201);
    }
    let path = format!("/v1/Conversations/{conversation}");
    let first = next();
    meter.reset();
    accepted(system.message(&first, ADA, plain, &body).await);
    meter.note("capture", 3, 6.0, 4.0, 2.0);
    accepted(system.message(&first, ADA, plain, &body).await);
    meter.note("duplicate", 2, 6.0, 0.0, 0.0);
    system
        .post(&path, &[("State", "inactive")])
        .await
        .expect(200);
    meter.reset();
    accepted(system.message(&next(), ADA, plain, &body).await);
    meter.note("capture that makes it active", 3, 6.0, 6.0, 3.0);
    accepted(system.message(&next(), ADA, created, &body).await);
    meter.note("autocreation", 3, 6.0, 10.0, 5.0);
    accepted(system.message(&next(), ADA, forwarded, &body).await);
    let mut fall_through = system.wire.take_calls();
    fall_through.retain(|call| call.operation != "UpdateItem");
    let budget = Cost {
        calls: 3,
        read_units: 4.0,
        write_units: 1.0,
        index_units: 2.0,
    };
    meter.rows.push(Row {
        name: "fall-through, before the answer",
        cost: Cost::of(&fall_through),
        budget,
    });
    accepted(system.message(&next(), ADA, "+15550009999", &body).await);
    meter.note("unroutable", 3, 4.0, 1.0, 2.0);
    pool(&system, pooled).await;
    meter.reset();
    accepted(system.message(&next(), ADA, pooled, &body).await);
    meter.note("autocreation by a messaging service", 3, 6.0, 10.0, 5.0);

    system
        .post(
            "/v1/Configuration/Webhooks",
            &[("PreWebhookUrl", &hook.url())],
        )
        .await
        .expect(200);
    meter.reset();
    accepted(system.message(&next(), ADA, plain, &body).await);
    // The facts are read again after the reply: the call can take seconds. The design does not count it.
    meter.note("capture with a pre-action webhook", 5, 12.0, 4.0, 2.0);
    accepted(system.message(&next(), BOB, created, &body).await);
    meter.note("autocreation with a pre-action webhook", 5, 12.0, 10.0, 5.0);
    hook.answer(|_| Reply::new(403, ""));
    accepted(system.message(&next(), ADA, plain, &body).await);
    meter.note("rejected by a pre-action webhook", 5, 12.0, 1.0, 2.0);
    system
        .post("/v1/Configuration/Webhooks", &[("PreWebhookUrl", "")])
        .await
        .expect(200);

    let timed = text(&system.conversations().await[0]["sid"]);
    system
        .post(
            &format!("/v1/Conversations/{timed}"),
            &[("Timers.Closed", "PT10M")],
        )
        .await
        .expect(200);
    system.advance(Duration::from_secs(601));
    meter.reset();
    accepted(system.message(&next(), BOB, created, &body).await);
    meter.note("expired, then autocreation", 4, 8.0, 16.0, 7.0);

    let empty = system.conversation(&[]).await;
    meter.reset();
    let added = text(
        &system
            .add_participant(&empty, "+15550001114", plain)
            .await
            .expect(201)["sid"],
    );
    meter.note("participant added", 2, 5.0, 6.0, 3.0);
    system
        .add_participant(&empty, ADA, plain)
        .await
        .expect_code(409, 50416);
    meter.note("participant refused, pair bound", 3, 6.0, 6.0, 3.0);
    system
        .delete(&format!("/v1/Conversations/{empty}/Participants/{added}"))
        .await
        .expect(204);
    meter.note("participant removed", 2, 4.0, 6.0, 3.0);
    system
        .post(&format!("{path}/Messages"), &[("Body", &body)])
        .await
        .expect(201);
    meter.note("message by REST", 2, 4.0, 1.0, 1.0);
    system
        .delete(&format!("{path}/Participants/{participant}"))
        .await
        .expect(204);
    meter.reset();
    system.post(&path, &[("State", "closed")]).await.expect(200);
    meter.note("close, two pairs", 2, 4.0, 8.0, 3.0);
    hook.answer(|_| Reply::new(200, ""));
    leaving(&mut meter, &hook.url(), &body).await;
    meter.rows
}

/// Puts a new number into the pool of a new messaging service that autocreates.
async fn pool(system: &TestSystem, number: &str) {
    let unlocked = [("HandleInboundMessagesWithConversations", "true")];
    system
        .post("/v1/Configuration", &unlocked)
        .await
        .expect(200);
    let services = "/messaging/v1/Services";
    let service = system.post(services, &[("FriendlyName", "pool")]).await;
    let path = format!(
        "{services}/{}/PhoneNumbers",
        text(&service.expect(201)["sid"])
    );
    let number = text(&system.number(number, &[]).await["sid"]);
    let added = system.post(&path, &[("PhoneNumberSid", &number)]).await;
    added.expect(201);
}

/// What leaves by itself, each time at the first attempt.
async fn leaving(meter: &mut Meter, hook: &str, body: &str) {
    let system = meter.system.clone();
    let conversation = system.conversation(&[]).await;
    let path = format!("/v1/Conversations/{conversation}");
    system.set_post_webhook(hook, &[]).await;
    let messages = format!("{path}/Messages");
    let post = || async {
        system
            .post_with_webhooks(&messages, &[("Body", body)])
            .await
    };
    // The first makes the cursor.
    post().await.expect(201);
    system.run(&conversation).await;
    post().await.expect(201);
    meter.reset();
    system.run(&conversation).await;
    meter.note("webhook gets one event", 4, 6.0, 2.0, 0.0);
    system.run(&conversation).await;
    meter.note("run with nothing to do", 1, 4.0, 0.0, 0.0);
    system
        .add_participant(&conversation, "+15550001115", OURS)
        .await
        .expect(201);
    system.post(&messages, &[("Body", body)]).await.expect(201);
    system.run(&conversation).await;
    system.post(&messages, &[("Body", body)]).await.expect(201);
    meter.reset();
    system.run(&conversation).await;
    meter.note("message sent to one participant", 7, 7.0, 4.0, 2.0);
}

/// Many messages at once: what each costs, and how long the last one takes.
#[derive(Clone, Debug)]
pub struct Crowd {
    pub name: String,
    pub calls: f64,
    pub read_units: f64,
    pub write_units: f64,
    pub slowest: Duration,
    /// Answers 5xx, after which the carrier sent again.
    pub refused: usize,
}

const CROWDS: [u64; 3] = [5, 20, 200];

/// Crowds on one pair, each beside as many messages on as many pairs.
///
/// # Panics
/// If a message is not accepted in the end.
pub async fn crowds(kind: EngineKind) -> Vec<Crowd> {
    let mut crowds = Vec::new();
    for count in CROWDS {
        for pairs in [1, count] {
            let system = TestSystem::start(kind).await;
            system.autocreation(OURS).await;
            let from = |number: u64| format!("+1555100{:04}", number % pairs);
            for number in 0..pairs {
                let first = system
                    .message(&sid(1_000_000 + number), &from(number), OURS, "first")
                    .await;
                assert!(first.accepted(), "{}", first.text());
            }
            system.wire.take_calls();
            let messages = (0..count).map(|number| {
                let (system, from) = (system.clone(), from(number));
                tokio::spawn(async move {
                    let began = Instant::now();
                    for attempt in 0..CARRIER_ATTEMPTS {
                        let answer = system.message(&sid(number), &from, OURS, "hello").await;
                        if !answer.status.is_server_error() {
                            assert!(answer.accepted(), "{}", answer.text());
                            return (began.elapsed(), attempt);
                        }
                    }
                    panic!("message {number} was never accepted");
                })
            });
            let answers: Vec<_> = join_all(messages)
                .await
                .into_iter()
                .map(|answer| answer.expect("no task panics"))
                .collect();
            let billed = system.wire.take_calls();
            let each = |sum: f64| sum / count as f64;
            crowds.push(Crowd {
                name: match pairs {
                    1 => format!("{count} on one pair"),
                    _ => format!("{count} on {count} pairs"),
                },
                calls: each(billed.len() as f64),
                read_units: each(billed.iter().map(|call| call.read_units).sum()),
                write_units: each(billed.iter().map(|call| call.write_units).sum()),
                slowest: answers
                    .iter()
                    .map(|(took, _)| *took)
                    .max()
                    .unwrap_or_default(),
                refused: answers.iter().map(|(_, attempts)| attempts).sum(),
            });
        }
    }
    crowds
}
