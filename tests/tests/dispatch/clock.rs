//! The clock: it hands off due cursors first and then fires timers and purges. No backlog of one kind delays another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use routing::{Consumer, ConversationSid, CursorWrite, Position};
use service::dispatch::{self, HAND_OFF_MAX, HandOff, HandOffError, TickFailure};
use store::{Deadline, DueKind, SHARDS};
use tests::system::TestSystem;
use tests::wire::Fault;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

on_both_engines!(everything_that_falls_due_in_one_millisecond_is_found,);

on_the_embedded_engine!(
    a_retry_does_not_wait_for_a_mass_deletion,
    a_hand_off_that_fails_stops_no_other,
    a_list_that_cannot_be_read_stops_no_other,
    the_conversation_that_waits_longest_is_handed_off_first,
    timers_that_hang_leave_time_to_purges,
);

/// Longer than any of these tests lasts.
const TICK_TIME: Duration = Duration::from_secs(60);

/// A hand-off that notes each conversation, and refuses some.
struct NotedHandOff {
    given: UnboundedSender<ConversationSid>,
    refused: Option<ConversationSid>,
}

fn noted() -> (NotedHandOff, UnboundedReceiver<ConversationSid>) {
    let (given, receiver) = unbounded_channel();
    let refused = None;
    (NotedHandOff { given, refused }, receiver)
}

impl HandOff for NotedHandOff {
    async fn hand_off(&self, conversations: Vec<ConversationSid>) -> Result<(), HandOffError> {
        for conversation in &conversations {
            self.given.send(*conversation).expect("the test listens");
        }
        match self.refused {
            Some(refused) if conversations.contains(&refused) => {
                Err(HandOffError("no room".into()))
            }
            _ => Ok(()),
        }
    }
}

fn all(mut given: UnboundedReceiver<ConversationSid>) -> Vec<ConversationSid> {
    let mut all = Vec::new();
    while let Ok(conversation) = given.try_recv() {
        all.push(conversation);
    }
    all
}

fn numbered(number: usize) -> ConversationSid {
    ConversationSid::parse(&format!("CH{number:032x}")).expect("a SID")
}

/// Makes a cursor due since `age`.
async fn due_since(system: &TestSystem, conversation: ConversationSid, age: Duration) {
    let at = system.app.clock.now() - age;
    let deadline = Deadline::after(TICK_TIME);
    let (store, beginning) = (&system.app.store, Position::default());
    let consumer = Consumer::Relay;
    let wake = CursorWrite::wake(beginning, true, at);
    let woken = store.cursor_write(conversation, consumer, &wake, deadline);
    assert!(woken.await.expect("a write").is_some());
}

async fn due_conversations(system: &TestSystem, kind: DueKind) -> Vec<ConversationSid> {
    let mut found = Vec::new();
    for shard in 0..SHARDS {
        let (now, deadline) = (system.app.clock.now(), Deadline::after(TICK_TIME));
        let list = system.app.store.due_list(kind, shard, now, deadline).await;
        found.extend(
            list.expect("a list")
                .into_iter()
                .map(|due| due.conversation),
        );
    }
    found
}

/// Adds copies of an item of a conversation for other conversations, all in the index partition of the same shard.
async fn copy(
    system: &TestSystem,
    (of, sk): (&str, &str),
    others: impl Iterator<Item = ConversationSid>,
    shard: Option<&str>,
) {
    let item = system.take_item(&format!("C#{of}"), sk).await;
    system.put_item(item.clone()).await;
    let partition = item["gp"].as_s().expect("text").rsplit_once('#');
    let (list, own) = partition.expect("a shard");
    let partition = format!("{list}#{}", shard.unwrap_or(own));
    let copies = others.map(|other| {
        let mut copy = item.clone();
        let other = other.to_string();
        for name in ["pk", "gs"] {
            let value = copy[name].as_s().expect("text").replace(of, &other);
            copy.insert(name.to_owned(), AttributeValue::S(value));
        }
        copy.insert("gp".to_owned(), AttributeValue::S(partition.clone()));
        copy
    });
    system.put_items(copies.collect()).await;
}

/// The shard in whose list a cursor stands.
async fn shard_of(system: &TestSystem, conversation: ConversationSid) -> String {
    let item = system.take_item(&format!("C#{conversation}"), "KR").await;
    system.put_item(item.clone()).await;
    let partition = item["gp"].as_s().expect("text").rsplit_once('#');
    partition.expect("a shard").1.to_owned()
}

/// The shard of the retry has more purges than the clock reads at once, and all are due for longer than the retry.
async fn a_retry_does_not_wait_for_a_mass_deletion(system: TestSystem) {
    const DELETED: usize = 2_100;
    let deleted = system.conversation(&[]).await;
    let path = format!("/v1/Conversations/{deleted}");
    system.delete(&path).await.expect(204);
    system.advance(Duration::from_secs(25 * 3_600));
    let waiting = numbered(0);
    due_since(&system, waiting, Duration::from_secs(1)).await;
    let shard = shard_of(&system, waiting).await;
    let others = (1..=DELETED).map(numbered);
    copy(&system, (&deleted, "Z"), others, Some(&shard)).await;

    let purged = Arc::new(AtomicBool::new(false));
    let purges = purged.clone();
    system.wire.fail_by(move |operation, _| {
        purges.fetch_or(operation == "TransactWriteItems", Ordering::SeqCst);
        None
    });
    let (hand_off, mut given) = noted();
    tokio::select! {
        given = given.recv() => assert_eq!(given, Some(waiting)),
        ended = dispatch::tick(&system.app, &hand_off, TICK_TIME) => {
            panic!("nothing was handed off: {ended:?}")
        }
    }
    assert!(!purged.load(Ordering::SeqCst), "a purge came first");
}

async fn a_hand_off_that_fails_stops_no_other(system: TestSystem) {
    const WAITING: usize = HAND_OFF_MAX * 2 + 1;
    for number in 0..WAITING {
        let age = Duration::from_secs(100 - number as u64);
        due_since(&system, numbered(number), age).await;
    }
    let (mut hand_off, given) = noted();
    hand_off.refused = Some(numbered(0));
    let ended = dispatch::tick(&system.app, &hand_off, TICK_TIME).await;
    assert_eq!(all(given).len(), WAITING);
    let error = ended.expect_err("a hand-off has failed");
    assert!(matches!(error.first, TickFailure::HandOff(_)), "{error}");
}

async fn a_list_that_cannot_be_read_stops_no_other(system: TestSystem) {
    const WAITING: usize = 40;
    let mut readable = Vec::new();
    for number in 0..WAITING {
        let conversation = numbered(number);
        due_since(&system, conversation, Duration::from_secs(1)).await;
        if shard_of(&system, conversation).await != "00" {
            readable.push(conversation);
        }
    }
    assert!(readable.len() > WAITING / 2);
    system.wire.fail_by(|operation, body| {
        let first = body.contains("#00\"");
        (operation == "Query" && first).then_some(Fault::NoTable)
    });
    let (hand_off, given) = noted();
    let ended = dispatch::tick(&system.app, &hand_off, TICK_TIME).await;
    assert!(ended.is_err());
    let mut given = all(given);
    given.sort();
    assert_eq!(given, readable);
}

/// The order of SIDs does not matter.
async fn the_conversation_that_waits_longest_is_handed_off_first(system: TestSystem) {
    const WAITING: usize = 60;
    for number in 0..WAITING {
        let age = Duration::from_secs(1 + number as u64);
        due_since(&system, numbered(number), age).await;
    }
    let (hand_off, given) = noted();
    let ended = dispatch::tick(&system.app, &hand_off, TICK_TIME).await;
    ended.expect("all is handed off");
    let oldest_first: Vec<_> = (0..WAITING).rev().map(numbered).collect();
    assert_eq!(all(given), oldest_first);
}

async fn timers_that_hang_leave_time_to_purges(system: TestSystem) {
    const TICKS_MAX: u32 = 8;
    let timed = system.conversation(&[("Timers.Closed", "PT10M")]).await;
    // Timers of other conversations, whose reads hang.
    let hanging = "CHffffffff";
    let others = (0..100).map(|number| {
        let sid = format!("{hanging}{number:024x}");
        ConversationSid::parse(&sid).expect("a SID")
    });
    copy(&system, (&timed, "T"), others, None).await;
    let deleted = system.conversation(&[]).await;
    let path = format!("/v1/Conversations/{deleted}");
    system.delete(&path).await.expect(204);
    system.advance(Duration::from_secs(25 * 3_600));
    system.wire.fail_by(move |_, body| {
        let hangs = body.contains(hanging);
        hangs.then_some(Fault::Late(Duration::from_secs(3_600)))
    });
    let (hand_off, _given) = noted();
    for round in 0..TICKS_MAX {
        // The timers have failed. A busy machine needs longer; each tick has twice the time of the tick before.
        let time = Duration::from_secs(3) * 2_u32.pow(round);
        let _ = dispatch::tick(&system.app, &hand_off, time).await;
        if system.sort_keys(&deleted).await.is_empty() {
            return;
        }
    }
    panic!("{:?}", system.sort_keys(&deleted).await);
}

/// More than the clock reads with one call.
async fn everything_that_falls_due_in_one_millisecond_is_found(system: TestSystem) {
    const DUE: usize = 1_000;
    let timed = system.conversation(&[("Timers.Closed", "PT10M")]).await;
    let others = (1..DUE).map(numbered);
    copy(&system, (&timed, "T"), others, None).await;
    system.advance(Duration::from_secs(700));
    let mut found = due_conversations(&system, DueKind::Timer).await;
    found.sort();
    found.dedup();
    assert_eq!(found.len(), DUE);
    // And each cursor of a conversation, all due at once.
    let conversation = numbered(0);
    let (store, now) = (&system.app.store, system.app.clock.now());
    let consumers = [Consumer::Relay, Consumer::Numbers];
    for consumer in consumers {
        let deadline = Deadline::after(TICK_TIME);
        let beginning = Position::default();
        let wake = CursorWrite::wake(beginning, true, now);
        let woken = store.cursor_write(conversation, consumer, &wake, deadline);
        assert!(woken.await.expect("a write").is_some());
    }
    let found = due_conversations(&system, DueKind::Cursor).await;
    assert_eq!(found, consumers.map(|_| conversation));
}
