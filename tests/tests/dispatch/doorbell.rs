//! The doorbell: rings that are lost, doubled, late, in disorder or unreadable harm nothing, and nobody waits for them.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use routing::ConversationSid;
use serde_json::{Value, json};
use service::dispatch::{HAND_OFF_MAX, HandOff, HandOffError};
use tests::receiver::{Receiver, Reply, parameters};
use tests::system::{ADA, OURS, TestSystem, only, sid, text};

on_both_engines!(
    a_batch_hands_each_conversation_off_once,
    only_an_entry_that_is_new_rings,
    a_record_that_cannot_be_read_is_passed_over,
    a_hand_off_that_fails_names_its_records_and_no_others,
    a_ring_does_not_wait_for_the_endpoint,
    a_conversation_that_is_none_keeps_no_other_from_running,
    an_event_of_no_known_kind_is_refused,
    rings_doubled_late_and_in_disorder_tell_nothing_twice,
    runs_at_once_tell_each_event_once,
    a_ring_while_a_run_is_leaving_is_not_lost,
    a_lost_ring_is_found_by_the_sweep,
    a_lost_ring_behind_many_silent_changes_is_found,
    lost_rings_are_found_in_every_shard_and_on_both_sides_of_midnight,
    a_dispatcher_that_starts_tells_what_was_left_behind,
    a_dispatcher_that_starts_goes_on_where_a_run_died,
);

/// Longer than any lease, and than the sweep lies behind.
const RECOVERY: Duration = Duration::from_secs(360);

async fn hearing(system: &TestSystem) -> Receiver {
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    system.hear(&receiver.url(), &[]).await;
    receiver
}

/// A hand-off that only notes what it is given, and refuses it if it holds one of those.
#[derive(Default)]
struct Noted {
    given: Mutex<Vec<Vec<String>>>,
    refused: Vec<String>,
}

impl Noted {
    fn given(&self) -> Vec<String> {
        let given = self.given.lock().expect("nobody panics with it in hand");
        given.concat()
    }
}

impl HandOff for Noted {
    async fn hand_off(&self, conversations: Vec<ConversationSid>) -> Result<(), HandOffError> {
        let sids: Vec<String> = conversations.iter().map(ToString::to_string).collect();
        let refused = sids.iter().any(|sid| self.refused.contains(sid));
        let mut given = self.given.lock().expect("nobody panics with it in hand");
        given.push(sids);
        match refused {
            true => Err(HandOffError("nobody is there".into())),
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

/// What the stream tells when all that stands in a conversation's partition is new.
async fn records(system: &TestSystem, conversation: &str) -> Vec<Value> {
    let pk = format!("C#{conversation}");
    let kept = system.kept(conversation).await;
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
    let (one, _) = system.bound(ADA, OURS).await;
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
    let kept = system.kept(&conversation).await;
    // Everything but entries: cursors, records, versions of messages.
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

async fn a_record_that_cannot_be_read_is_passed_over(system: TestSystem) {
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
    // More than are handed off at once.
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

    // All of them fail.
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
    system.hear(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    let batch = records(&system, &conversation).await;
    let began = Instant::now();
    let event = json!({"Records": batch});
    let answer = dispatch::handle(&system.app, &system.tasks, event).await;
    assert_eq!(answer.expect("an answer"), no_failures());
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    // And yet the endpoint is told.
    receiver.wait_for(1).await;
    system.tasks.abort();
}

async fn a_conversation_that_is_none_keeps_no_other_from_running(system: TestSystem) {
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
        system.kept(&unknown).await,
        [""; 0],
        "nothing is made for it"
    );
}

async fn an_event_of_no_known_kind_is_refused(system: TestSystem) {
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

async fn rings_doubled_late_and_in_disorder_tell_nothing_twice(system: TestSystem) {
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
    system.later(RECOVERY).await;
    assert_eq!(receiver.received().len(), 8);
}

async fn runs_at_once_tell_each_event_once(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "").after(Duration::from_millis(30))).await;
    system.hear(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    for number in 0..10 {
        system.message(&sid(number), ADA, OURS, "hello").await;
        let conversation = text(&only(system.conversations().await)["sid"]);
        join_all((0..6).map(|_| system.run(&conversation))).await;
    }
    let sequences: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    assert_eq!(parameters(&receiver.received(), "Sequence"), sequences);
}

/// Whoever is rung for while another run has the cursor leaves; that other run looks once more when it has given the
/// cursor back.
async fn a_ring_while_a_run_is_leaving_is_not_lost(system: TestSystem) {
    const ROUNDS: u64 = 40;
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    system.message(&sid(0), ADA, OURS, "hello").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    for round in 0..ROUNDS {
        // Somewhere between the run's first look and its last.
        let delay = Duration::from_millis(round / 2);
        tokio::join!(system.run(&conversation), async {
            tokio::time::sleep(delay).await;
            let answer = system.message(&sid(1 + round), ADA, OURS, "hello").await;
            assert!(answer.accepted());
            system.run(&conversation).await;
        });
        // Whichever of the two it was.
        let received = receiver.received();
        assert_eq!(received.len() as u64, 4 + round, "round {round}");
    }
}

async fn a_lost_ring_is_found_by_the_sweep(system: TestSystem) {
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    // Nobody rings. The clock of the local stack, through its door.
    system.pass("PT6M").await;
    let received = receiver.wait_for(3).await;
    assert_eq!(parameters(&received, "Sequence"), ["0", "1", "2"]);
    // Once more, where the cursor stands already and the sweep has been before.
    let form = [("FriendlyName", "Ada")];
    let path = format!("/v1/Conversations/{conversation}");
    system.post_with_webhooks(&path, &form).await.expect(200);
    system.pass("PT6M").await;
    let received = receiver.wait_for(4).await;
    assert_eq!(
        received[3].parameter("EventType"),
        Some("onConversationUpdated")
    );
    for _ in 0..3 {
        system.later(RECOVERY).await;
    }
    assert_eq!(receiver.received().len(), 4);
}

/// More of them than are read at once.
async fn a_lost_ring_behind_many_silent_changes_is_found(system: TestSystem) {
    const SILENT: u64 = 110;
    system.autocreation(OURS).await;
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    let filters = [
        ("Filters", "onMessageAdded"),
        ("Filters", "onParticipantAdded"),
    ];
    system.hear(&receiver.url(), &filters).await;
    system.message(&sid(0), ADA, OURS, "hello").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    system.run(&conversation).await;
    assert_eq!(receiver.received().len(), 2);
    let path = format!("/v1/Conversations/{conversation}");
    let participants = format!("{path}/Participants");
    let name = |number: u64| format!("name {number}");
    // The stream stands still meanwhile. First changes that are quiet, then some that a filter keeps back.
    let expected = |count: u64| {
        let identities = (1..=count).map(|number| format!("agent-{number}"));
        identities.collect::<Vec<String>>()
    };
    for (round, webhooks) in [(1, false), (2, true)] {
        for number in 0..SILENT {
            let name = name(round * SILENT + number);
            let form = [("FriendlyName", name.as_str())];
            let answer = match webhooks {
                true => system.post_with_webhooks(&path, &form).await,
                false => system.update(&conversation, &form).await,
            };
            answer.expect(200);
        }
        let identity = format!("agent-{round}");
        let form = [("Identity", identity.as_str())];
        let added = system.post_with_webhooks(&participants, &form).await;
        added.expect(201);
        for _ in 0..3 {
            system.later(RECOVERY).await;
        }
        let received = receiver.received();
        let told = parameters(&received[2..], "Identity");
        assert_eq!(told, expected(round), "filtered: {webhooks}");
    }
}

/// Conversations stand in shards of the time index; none is forgotten, on whichever side of midnight.
async fn lost_rings_are_found_in_every_shard_and_on_both_sides_of_midnight(system: TestSystem) {
    const CONVERSATIONS: u64 = 60;
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    // A minute before midnight, and a minute after.
    let now = system.now();
    let number = |range: std::ops::Range<usize>| now[range].parse::<u64>().expect("a number");
    let of_day = number(11..13) * 3_600 + number(14..16) * 60 + number(17..19);
    system
        .later(Duration::from_secs(86_400 - 60 - of_day))
        .await;
    for side in 0..2 {
        let messages = (0..CONVERSATIONS / 2).map(|number| {
            let (system, number) = (system.clone(), side * CONVERSATIONS / 2 + number);
            async move {
                let from = format!("+1555100{number:04}");
                let sent = system.message(&sid(number), &from, OURS, "hello").await;
                assert!(sent.accepted());
            }
        });
        join_all(messages).await;
        system.advance(Duration::from_secs(120));
    }
    system.later(RECOVERY).await;
    assert_eq!(receiver.received().len() as u64, CONVERSATIONS * 3);
}

async fn a_dispatcher_that_starts_tells_what_was_left_behind(system: TestSystem) {
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    let running = system.clone().dispatch().await;
    system.message(&sid(1), ADA, OURS, "before").await;
    receiver.wait_for(3).await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    // Until the run has given its cursor back.
    system.run(&conversation).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(running);
    for number in 2..5 {
        system.message(&sid(number), ADA, OURS, "meanwhile").await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.received().len(), 3, "nobody is there");
    let running = system.clone().dispatch().await;
    let received = receiver.wait_for(6).await;
    let sequences = parameters(&received, "Sequence");
    assert_eq!(sequences, ["0", "1", "2", "3", "4", "5"]);
    system.message(&sid(5), ADA, OURS, "after").await;
    let received = receiver.wait_for(7).await;
    assert_eq!(received[6].parameter("Body"), Some("after"));
    drop(running);
}

async fn a_dispatcher_that_starts_goes_on_where_a_run_died(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "").after(Duration::from_secs(600))).await;
    system.hear(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    let running = system.clone().dispatch().await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    receiver.wait_for(1).await;
    drop(running);
    receiver.answer(|_| Reply::new(200, ""));
    let running = system.clone().dispatch().await;
    // The dead run's lease.
    system.advance(Duration::from_secs(60));
    let received = receiver.wait_for(4).await;
    assert_eq!(parameters(&received, "Sequence"), ["0", "0", "1", "2"]);
    assert_eq!(received[0].token(), received[1].token());
    drop(running);
}
