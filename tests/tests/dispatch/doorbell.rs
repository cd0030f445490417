//! The doorbell: rings that are lost, doubled, late, in disorder or unreadable harm nothing, and no run waits for them.

mod due_cursors;
mod lost_rings;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use routing::{Consumer, ConversationSid, CursorWrite, Limits, Position, Scope};
use serde_json::{Value, json};
use service::dispatch::{HAND_OFF_MAX, HandOff, HandOffError};
use store::{Deadline, DueKind, SHARDS};
use tests::carrier::{PATIENT_ATTEMPTS, sid};
use tests::json::{only, text};
use tests::receiver::{Receiver, Reply, parameters};
use tests::system::{ADA, OURS, TestSystem};
use tests::wire::Fault;

on_both_engines!(
    concurrent_runs_deliver_each_event_once,
    a_ring_while_a_run_is_leaving_is_not_lost,
    an_entry_behind_a_gap_waits_until_the_gap_closes,
);

on_the_embedded_engine!(
    a_batch_hands_each_conversation_off_once,
    only_an_entry_that_is_new_rings,
    the_doorbell_skips_an_unreadable_record,
    a_hand_off_that_fails_names_its_records_and_no_others,
    a_ring_does_not_wait_for_the_endpoint,
    an_unknown_conversation_stops_no_other,
    the_function_refuses_an_event_of_an_unknown_kind,
    doubled_late_and_disordered_rings_deliver_nothing_twice,
    an_unreadable_log_delays_no_other,
    a_late_first_ring_starts_a_run,
);

/// Longer than any lease, and than the distance of the sweep.
const RECOVERY: Duration = Duration::from_secs(360);

async fn hearing(system: &TestSystem) -> Receiver {
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    receiver
}

/// A hand-off that only notes the conversations, and refuses them if one of them is in `refused`.
#[derive(Default)]
struct Noted {
    given: Mutex<Vec<Vec<String>>>,
    refused: Vec<String>,
}

impl Noted {
    fn given(&self) -> Vec<String> {
        let given = self.given.lock().expect("no holder panics");
        given.concat()
    }
}

impl HandOff for Noted {
    async fn hand_off(&self, conversations: Vec<ConversationSid>) -> Result<(), HandOffError> {
        let sids: Vec<String> = conversations.iter().map(ToString::to_string).collect();
        let refused = sids.iter().any(|sid| self.refused.contains(sid));
        let mut given = self.given.lock().expect("no holder panics");
        given.push(sids);
        match refused {
            true => Err(HandOffError("refused".into())),
            false => Ok(()),
        }
    }
}

fn record(event: &str, pk: &str, sk: &str, number: usize) -> Value {
    json!({
        "eventID": format!("event-{number}"),
        "eventName": event,
        "eventSource": "aws:dynamodb",
        "dynamodb": {
            "Keys": {"pk": {"S": pk}, "sk": {"S": sk}},
            "SequenceNumber": number.to_string(),
            "StreamViewType": "KEYS_ONLY",
        },
    })
}

/// The records of the stream for the items of a conversation's partition, as if all were new.
async fn records(system: &TestSystem, conversation: &str) -> Vec<Value> {
    let pk = format!("C#{conversation}");
    let kept = system.sort_keys(conversation).await;
    (0..)
        .zip(kept)
        .map(|(number, sk)| record("INSERT", &pk, &sk, number))
        .collect()
}

async fn ring(system: &TestSystem, hand_off: &Noted, records: &[Value]) -> Value {
    dispatch::handle(&system.app, hand_off, json!({"Records": records}))
        .await
        .expect("an answer")
}

fn no_failures() -> Value {
    json!({"batchItemFailures": []})
}

async fn a_batch_hands_each_conversation_off_once(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (one, _) = system.bind(ADA, OURS).await;
    let two = system.conversation(&[("UniqueName", "two")]).await;
    for number in 0..3 {
        system.message(&sid(number), ADA, OURS, "hello").await;
    }
    let mut batch = records(&system, &one).await;
    batch.extend(records(&system, &two).await);
    batch.extend(batch.clone());
    batch.reverse();
    let hand_off = Noted::default();
    assert_eq!(ring(&system, &hand_off, &batch).await, no_failures());
    let mut given = hand_off.given();
    given.sort();
    let mut expected = [one, two];
    expected.sort();
    assert_eq!(given, expected);
}

async fn only_an_entry_that_is_new_rings(system: TestSystem) {
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    system.run(&conversation).await;
    assert_eq!(receiver.received().len(), 3);
    let path = format!("/v1/Conversations/{conversation}/Messages");
    let message = text(&system.messages(&conversation).await[0]["sid"]);
    let edit = [("Body", "hello!")];
    let message = format!("{path}/{message}");
    system.post(&message, &edit).await.expect(200);
    let pk = format!("C#{conversation}");
    let kept = system.sort_keys(&conversation).await;
    // All items except entries: cursors, records, versions of messages.
    let (entries, others): (Vec<&String>, Vec<&String>) =
        kept.iter().partition(|sk| sk.ends_with("#E"));
    assert_eq!(entries.len(), 2, "{kept:?}");
    assert!(others.len() >= 4, "{kept:?}");
    let mut silent: Vec<Value> = (0..)
        .zip(others)
        .map(|(number, sk)| record("INSERT", &pk, sk, number))
        .collect();
    for event in ["MODIFY", "REMOVE"] {
        silent.extend(entries.iter().map(|sk| record(event, &pk, sk, 7)));
    }
    for pk in ["J#SM1", "N#+15550002222", "ACC#0", "SW#00", "O#SM1"] {
        silent.push(record("INSERT", pk, "x", 8));
    }
    let hand_off = Noted::default();
    assert_eq!(ring(&system, &hand_off, &silent).await, no_failures());
    assert_eq!(hand_off.given(), [""; 0]);
    let loud = [record("INSERT", &pk, entries[1], 9)];
    assert_eq!(ring(&system, &hand_off, &loud).await, no_failures());
    assert_eq!(hand_off.given(), [conversation]);
}

async fn the_doorbell_skips_an_unreadable_record(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let good = records(&system, &conversation).await;
    let pk = format!("C#{conversation}");
    let entry = |slot: &str| format!("L#{slot}#E");
    let sid = conversation.as_str();
    let poison = vec![
        json!(null),
        json!(7),
        json!("INSERT"),
        json!([]),
        json!({}),
        json!({"eventName": "INSERT"}),
        json!({"eventName": "INSERT", "dynamodb": null}),
        json!({"eventName": "INSERT", "dynamodb": {"Keys": []}}),
        json!({"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"N": "1"}, "sk": {"S": "M"}}}}),
        json!({"eventName": 7, "dynamodb": {"Keys": {"pk": {"S": pk}, "sk": {"S": entry("0000000000")}}}}),
        json!({"dynamodb": {"Keys": {"pk": {"S": pk}, "sk": {"S": entry("0000000000")}}, "SequenceNumber": "1"}}),
        json!({"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": pk}, "sk": {"S": entry("0000000000")}}}}),
        json!({"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": pk}, "sk": {"S": entry("0000000000")}}, "SequenceNumber": 1}}),
        record("INSERT", &pk, &entry(""), 1),
        record("INSERT", &pk, &entry("zero"), 1),
        record("INSERT", &pk, &entry("99999999999999999999999"), 1),
        record("INSERT", &pk, "L#", 1),
        record("INSERT", &pk, "", 1),
        record("INSERT", "", "", 1),
        record("INSERT", "C#", &entry("0000000000"), 1),
        record("INSERT", "C#CH", &entry("0000000000"), 1),
        record("INSERT", sid, &entry("0000000000"), 1),
        record("INSERT", &format!("{pk}0"), &entry("0000000000"), 1),
        record(
            "INSERT",
            &format!("C#CH{}", "ü".repeat(16)),
            &entry("0000000000"),
            1,
        ),
    ];
    for poison in &poison {
        let hand_off = Noted::default();
        let alone = std::slice::from_ref(poison);
        assert_eq!(
            ring(&system, &hand_off, alone).await,
            no_failures(),
            "{poison}"
        );
        assert_eq!(hand_off.given(), [""; 0], "{poison}");
    }
    let hand_off = Noted::default();
    let batch = [poison.clone(), good, poison].concat();
    assert_eq!(ring(&system, &hand_off, &batch).await, no_failures());
    assert_eq!(hand_off.given(), [conversation]);
}

async fn a_hand_off_that_fails_names_its_records_and_no_others(system: TestSystem) {
    // More conversations than one hand-off has.
    let count = HAND_OFF_MAX + 5;
    let sids: Vec<String> = (0..count)
        .map(|number| format!("CH{number:032x}"))
        .collect();
    let mut batch = Vec::new();
    for slot in 0..2 {
        for (number, sid) in sids.iter().enumerate() {
            let (pk, sk) = (format!("C#{sid}"), format!("L#{slot:010}#E"));
            batch.push(record("INSERT", &pk, &sk, slot * 1_000 + number));
        }
    }
    let hand_off = Noted {
        refused: vec![sids[count - 1].clone()],
        ..Noted::default()
    };
    let answer = ring(&system, &hand_off, &batch).await;
    let failed = |numbers: &[usize]| {
        let items = numbers
            .iter()
            .map(|number| json!({"itemIdentifier": number.to_string()}));
        json!({"batchItemFailures": items.collect::<Vec<_>>()})
    };
    let numbers: Vec<usize> = (HAND_OFF_MAX..count)
        .chain(1_000 + HAND_OFF_MAX..1_000 + count)
        .collect();
    assert_eq!(answer, failed(&numbers));
    assert_eq!(hand_off.given().len(), count, "the others are handed off");

    // All hand-offs fail.
    let hand_off = Noted {
        refused: sids,
        ..Noted::default()
    };
    let answer = ring(&system, &hand_off, &batch).await;
    let named = answer["batchItemFailures"].as_array().map(Vec::len);
    assert_eq!(named, Some(batch.len()));
}

async fn a_ring_does_not_wait_for_the_endpoint(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "").after(Duration::from_secs(600))).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    let batch = records(&system, &conversation).await;
    let began = Instant::now();
    let event = json!({"Records": batch});
    let answer = dispatch::handle(&system.app, &system.tasks, event).await;
    assert_eq!(answer.expect("an answer"), no_failures());
    assert!(
        began.elapsed() < Duration::from_secs(300),
        "{:?}",
        began.elapsed()
    );
    // The endpoint gets the event all the same.
    receiver.wait_for(1).await;
    system.tasks.abort();
}

async fn an_unknown_conversation_stops_no_other(system: TestSystem) {
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    let unknown = format!("CH{:032x}", 7);
    let event = json!({"conversations": ["", "CH1", unknown, "nonsense", conversation]});
    assert_eq!(system.invoke(event).await, Value::Null);
    assert_eq!(
        parameters(&receiver.received(), "Sequence"),
        ["0", "1", "2"]
    );
    assert_eq!(
        system.sort_keys(&unknown).await,
        [""; 0],
        "nothing is made for it"
    );
}

async fn the_function_refuses_an_event_of_an_unknown_kind(system: TestSystem) {
    for event in [
        json!({}),
        json!(null),
        json!([]),
        json!("clock"),
        json!({"Records": 7}),
        json!({"conversations": "CH1"}),
        json!({"conversations": [7]}),
    ] {
        let answer = dispatch::handle(&system.app, &Noted::default(), event.clone()).await;
        assert!(answer.is_err(), "{event}: {answer:?}");
    }
}

async fn doubled_late_and_disordered_rings_deliver_nothing_twice(system: TestSystem) {
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    for number in 0..6 {
        system.message(&sid(number), ADA, OURS, "hello").await;
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    let mut rings = records(&system, &conversation).await;
    rings.reverse();
    let sequences: Vec<String> = (0..8).map(|number| number.to_string()).collect();
    for lateness in [0, 1, 60, 3_600, 100_000] {
        system.advance(Duration::from_secs(lateness));
        for ring in rings.iter().chain(&rings) {
            let answer = system.invoke(json!({"Records": [ring]})).await;
            assert_eq!(answer, no_failures());
        }
        assert_eq!(parameters(&receiver.received(), "Sequence"), sequences);
    }
    system.advance_and_tick(RECOVERY).await;
    assert_eq!(receiver.received().len(), 8);
}

async fn a_late_first_ring_starts_a_run(system: TestSystem) {
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    for (number, lateness) in (0..).zip([60, 3_600, 100_000]) {
        let from = format!("+1555100{number:04}");
        system.message(&sid(number), &from, OURS, "hello").await;
        let conversation = system.conversation_of(&from).await;
        let mut rings = records(&system, &conversation).await;
        rings.reverse();
        system.advance(Duration::from_secs(lateness));
        let answer = system.invoke(json!({"Records": rings})).await;
        assert_eq!(answer, no_failures());
        let received = receiver.received();
        let own = &received[received.len() - 3..];
        assert_eq!(parameters(own, "Sequence"), ["0", "1", "2"]);
        assert_eq!(received.len() as u64, 3 * (number + 1), "{lateness} s");
    }
}

async fn concurrent_runs_deliver_each_event_once(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "").after(Duration::from_millis(30))).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    for number in 0..10 {
        system.message(&sid(number), ADA, OURS, "hello").await;
        let conversation = text(&only(system.conversations().await)["sid"]);
        join_all((0..6).map(|_| system.run(&conversation))).await;
    }
    let sequences: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    assert_eq!(parameters(&receiver.received(), "Sequence"), sequences);
}

/// A run that finds the cursor leased by another run stops. The other run looks at the log once more after it has given
/// the cursor back.
async fn a_ring_while_a_run_is_leaving_is_not_lost(system: TestSystem) {
    const ROUNDS: u64 = 40;
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    system.message(&sid(0), ADA, OURS, "hello").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    for round in 0..ROUNDS {
        // Between the run's first look and its last.
        let delay = Duration::from_millis(round / 2);
        tokio::join!(system.run(&conversation), async {
            tokio::time::sleep(delay).await;
            let answer = system.message(&sid(1 + round), ADA, OURS, "hello").await;
            assert!(answer.accepted());
            system.run(&conversation).await;
        });
        // Either of the two runs may have delivered it.
        let received = receiver.received();
        assert_eq!(received.len() as u64, 4 + round, "round {round}");
    }
}

/// The time until midnight, in UTC: the time index begins a partition with every day.
fn until_midnight(system: &TestSystem) -> Duration {
    let now = system.now();
    let number = |range: std::ops::Range<usize>| now[range].parse::<u64>().expect("a number");
    let of_day = number(11..13) * 3_600 + number(14..16) * 60 + number(17..19);
    Duration::from_secs(86_400 - of_day)
}

/// A transaction becomes visible piece by piece: a slot may be visible before the slot in front of it. The gap is
/// among the newest entries, and further back.
async fn an_entry_behind_a_gap_waits_until_the_gap_closes(system: TestSystem) {
    let receiver = hearing(&system).await;
    system.number(OURS, &[]).await;
    for (number, behind) in (0..).zip([1, 9]) {
        let conversation = system.conversation(&[]).await;
        let address = format!("+1555100{number:04}");
        system
            .add_participant(&conversation, &address, OURS)
            .await
            .expect(201);
        let path = format!("/v1/Conversations/{conversation}");
        let messages = format!("{path}/Messages");
        let bodies: Vec<String> = (0..2 + behind).map(|n| format!("{behind}: {n}")).collect();
        for body in &bodies {
            let form = [("Author", "system"), ("Body", body)];
            system
                .post_with_webhooks(&messages, &form)
                .await
                .expect(201);
        }
        let entries = system.sort_keys(&conversation).await;
        let entries: Vec<_> = entries.iter().filter(|sk| sk.ends_with("#E")).collect();
        let missing = entries[entries.len() - 1 - behind];
        let gap = system
            .take_item(&format!("C#{conversation}"), missing)
            .await;
        let delivered = async || -> (Vec<String>, Vec<String>) {
            let received = receiver.received();
            let bodies = received
                .iter()
                .filter_map(|received| received.parameter("Body"));
            let own = |body: &str| body.starts_with(&format!("{behind}: "));
            let events = bodies.filter(|body| own(body)).map(str::to_owned).collect();
            let sent = system.outbox().await;
            let sent = sent.iter().map(|sent| text(&sent["body"]));
            (events, sent.filter(|body| own(body)).collect())
        };
        let first = bodies[..1].to_vec();
        for _ in 0..2 {
            system.run(&conversation).await;
            assert_eq!(delivered().await, (first.clone(), first.clone()));
            // The sweep looks at the log too.
            system.advance_and_tick(RECOVERY).await;
            assert_eq!(delivered().await, (first.clone(), first.clone()));
        }
        system.put_item(gap).await;
        system.run(&conversation).await;
        assert_eq!(delivered().await, (bodies.clone(), bodies));
    }
}

/// An entry, a cursor, and a journal entry that can't be read.
async fn an_unreadable_log_delays_no_other(system: TestSystem) {
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    let mut number = 0;
    for part in ["entry", "cursor", "journal entry"] {
        let mut conversations = Vec::new();
        for _ in 0..12 {
            number += 1;
            let from = format!("+1555100{number:04}");
            system.message(&sid(number), &from, OURS, "hello").await;
            conversations.push(system.conversation_of(&from).await);
        }
        let poisoned = &conversations[4];
        let (pk, sk) = match part {
            "entry" => (format!("C#{poisoned}"), "L#0000000000#E".to_owned()),
            "cursor" => (format!("C#{poisoned}"), "KP".to_owned()),
            _ => (format!("J#{}", sid(number - 7)), "simulator".to_owned()),
        };
        if part == "cursor" {
            let sid = ConversationSid::parse(poisoned).expect("a SID");
            let (store, now) = (&system.app.store, system.app.clock.now());
            let beginning = Position::default();
            let consumer = Consumer::Post(Scope::Account);
            let wake = CursorWrite::wake(beginning, true, now);
            let woken = store.cursor_write(sid, consumer, &wake, soon());
            assert!(woken.await.expect("a write").is_some());
        }
        let whole = system.take_item(&pk, &sk).await;
        let mut poison = whole.clone();
        for (name, value) in &mut poison {
            let key = ["pk", "sk", "gp", "gs", "xp", "xs"].contains(&name.as_str());
            if !key {
                *value = AttributeValue::Bool(true);
            }
        }
        system.put_item(poison).await;
        let before = receiver.received().len();
        system.advance_and_tick(RECOVERY).await;
        system.advance_and_tick(Duration::from_secs(60)).await;
        let delivered = receiver.received().len() - before;
        assert_eq!(delivered, 11 * 3, "{part}");
        // After the repair, the next ring delivers the event.
        system.put_item(whole).await;
        system.run(poisoned).await;
        assert_eq!(receiver.received().len() - before, 12 * 3, "{part}");
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}
