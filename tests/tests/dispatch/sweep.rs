//! The sweep: its marks move past changes of every kind, no shard delays another, and a forwarded message without a result
//! raises the alarm once.

use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use routing::{ConversationSid, SWEEP_DISTANCE};
use service::dispatch::{self, Swept};
use store::{Deadline, DueKind, SHARDS, StoreError};
use tests::carrier::sid;
use tests::receiver::{Receiver, Reply};
use tests::system::{ADA, OURS, TestSystem};
use tests::wire::Fault;
use tracing::Level;
use tracing::instrument::WithSubscriber;

on_both_engines!(
    changes_that_name_no_conversation_are_read_once,
    the_next_sweep_continues_where_one_ended_early,
    shards_that_hang_leave_time_to_the_others,
    the_shard_that_is_furthest_behind_is_swept_first,
    a_forward_without_a_result_raises_the_alarm_once,
);

/// Longer than the sweep's distance, and than a forward lasts.
const PAST: Duration = Duration::from_secs(360);
/// Longer than any sweep of these tests lasts.
const SWEEP_TIME: Duration = Duration::from_secs(60);

type Item = HashMap<String, AttributeValue>;

async fn sweep(system: &TestSystem) -> Result<Swept, StoreError> {
    let deadline = Deadline::after(SWEEP_TIME);
    dispatch::sweep(&system.app, SWEEP_DISTANCE, deadline).await
}

/// An item that stays in the table.
async fn item(system: &TestSystem, pk: &str, sk: &str) -> Item {
    let item = system.take_item(pk, sk).await;
    system.put_item(item.clone()).await;
    item
}

fn text(item: &Item, name: &str) -> String {
    item[name].as_s().expect("text").clone()
}

fn with(mut item: Item, name: &str, text: String) -> Item {
    item.insert(name.to_owned(), AttributeValue::S(text));
    item
}

/// Moves a row of the time index to another shard.
fn in_shard(item: Item, shard: usize) -> Item {
    let partition = text(&item, "gp");
    let (day, _) = partition.rsplit_once('#').expect("a shard");
    let partition = format!("{day}#{shard:02}");
    with(item, "gp", partition)
}

/// Journals `count` messages to a number that is not set up, all in one shard and within `count` milliseconds.
async fn unroutable_messages(system: &TestSystem, count: usize) {
    let first = sid(0);
    let answer = system.message(&first, ADA, "+15550009999", "hello").await;
    assert!(answer.accepted());
    let journaled = item(system, &format!("J#{first}"), "simulator").await;
    let ms: usize = text(&journaled, "gs").parse().expect("a time");
    let others = (1..count).map(|number| {
        let pk = format!("J#{}", sid(number as u64));
        let other = with(journaled.clone(), "pk", pk);
        with(other, "gs", format!("{:013}", ms - number))
    });
    system.put_items(others.collect()).await;
}

/// How many index rows the sweep reads now, and how many units it writes.
async fn cost_of_a_sweep(system: &TestSystem) -> (u64, f64) {
    system.wire.take_calls();
    assert_eq!(sweep(system).await.expect("a sweep"), Swept::Whole);
    let calls = system.wire.take_calls();
    let scanned = calls.iter().map(|call| call.scanned).sum();
    let written = calls.iter().map(|call| call.write_units).sum();
    (scanned, written)
}

async fn changes_that_name_no_conversation_are_read_once(system: TestSystem) {
    const MESSAGES: usize = 450;
    sweep(&system).await.expect("the first sweep");
    unroutable_messages(&system, MESSAGES).await;
    system.advance(PAST);
    let (scanned, written) = cost_of_a_sweep(&system).await;
    assert!(scanned >= MESSAGES as u64, "{scanned}");
    assert!(written > 0.0);
    // An idle shard costs no write.
    system.advance(Duration::from_secs(60));
    assert_eq!(cost_of_a_sweep(&system).await, (0, 0.0));
}

/// The shard has more changes than one sweep reads: the table answers only one query of it.
async fn the_next_sweep_continues_where_one_ended_early(system: TestSystem) {
    const MESSAGES: usize = 1_100;
    const SWEEPS_MAX: u32 = 10;
    sweep(&system).await.expect("the first sweep");
    unroutable_messages(&system, MESSAGES).await;
    system.advance(PAST);
    let first = item(&system, &format!("J#{}", sid(0)), "simulator").await;
    let partition = format!("\"{}\"", text(&first, "gp"));
    let queries = Arc::new(AtomicUsize::new(0));
    let hang = |fault: Fault| {
        let (queries, partition) = (queries.clone(), partition.clone());
        system.wire.fail_by(move |_, body| {
            let own = usize::from(body.contains(&partition));
            let query = queries.fetch_add(own, Ordering::SeqCst) + own;
            (own == 1 && query > 1).then_some(fault)
        });
    };
    // First, the time ends in the middle of the sweep.
    let shard = partition.trim_matches('"').rsplit('#').next();
    let shard: u8 = shard.expect("a shard").parse().expect("a number");
    let mark = async || {
        let deadline = Deadline::after(SWEEP_TIME);
        let mark = system.app.store.sweep_mark_get(shard, deadline);
        mark.await.expect("a mark")
    };
    let before = mark().await;
    hang(Fault::Late(Duration::from_secs(3_600)));
    for round in 0.. {
        assert!(round < SWEEPS_MAX, "the mark does not move");
        queries.store(0, Ordering::SeqCst);
        // A busy machine needs longer; each sweep has twice the time of the sweep before.
        let deadline = Deadline::after(Duration::from_secs(2) * 2_u32.pow(round));
        let _ = dispatch::sweep(&system.app, SWEEP_DISTANCE, deadline).await;
        if mark().await != before {
            break;
        }
    }
    // Then, the table refuses a query.
    hang(Fault::NoTable);
    for round in 0.. {
        assert!(round < SWEEPS_MAX, "the sweep does not come to its end");
        queries.store(0, Ordering::SeqCst);
        if sweep(&system).await.is_ok() {
            break;
        }
    }
    system.wire.heal();
    assert_eq!(cost_of_a_sweep(&system).await, (0, 0.0));
}

/// As many shards as a sweep reads at once.
async fn shards_that_hang_leave_time_to_the_others(system: TestSystem) {
    const HANGING: usize = 4;
    const SWEEPS_MAX: u32 = 8;
    sweep(&system).await.expect("the first sweep");
    system
        .set_post_webhook("https://example.com/hook", &[])
        .await;
    let mut waiting = Vec::new();
    for shard in HANGING..usize::from(SHARDS) {
        let created = system.post_with_webhooks("/v1/Conversations", &[]).await;
        let conversation = tests::json::text(&created.expect(201)["sid"]);
        let entry = system.take_item(&format!("C#{conversation}"), "L#").await;
        system.put_item(in_shard(entry, shard)).await;
        waiting.push(ConversationSid::parse(&conversation).expect("a SID"));
    }
    let entry = item(&system, &format!("C#{}", waiting[0]), "L#").await;
    let hanging = "CHffffffff";
    let copies = (0..HANGING * 20).map(|number| {
        let pk = format!("C#{hanging}{number:024x}");
        in_shard(with(entry.clone(), "pk", pk), number % HANGING)
    });
    system.put_items(copies.collect()).await;
    system.advance(PAST);
    system.wire.fail_by(move |_, body| {
        let hangs = body.contains(hanging);
        hangs.then_some(Fault::Late(Duration::from_secs(3_600)))
    });
    for round in 0..SWEEPS_MAX {
        // A busy machine needs longer; each sweep has twice the time of the sweep before.
        let deadline = Deadline::after(Duration::from_secs(4) * 2_u32.pow(round));
        // The shards that hang have failed.
        let _ = dispatch::sweep(&system.app, SWEEP_DISTANCE, deadline).await;
        let mut due = Vec::new();
        for shard in 0..SHARDS {
            let (now, deadline) = (system.app.clock.now(), Deadline::after(SWEEP_TIME));
            let list = system
                .app
                .store
                .due_list(DueKind::Cursor, shard, now, deadline);
            due.extend(
                list.await
                    .expect("a list")
                    .iter()
                    .map(|due| due.conversation),
            );
        }
        if waiting
            .iter()
            .all(|conversation| due.contains(conversation))
        {
            return;
        }
    }
    panic!("shards wait for others");
}

async fn the_shard_that_is_furthest_behind_is_swept_first(system: TestSystem) {
    /// As many shards as a sweep reads at once.
    const FIRST: usize = 4;
    sweep(&system).await.expect("the first sweep");
    let mut mark = system.take_item("SW#09", "W").await;
    let ms: i64 = mark["t"].as_n().expect("a number").parse().expect("a time");
    mark.insert("t".to_owned(), AttributeValue::N((ms - 1).to_string()));
    system.put_item(mark).await;
    system.advance(PAST);
    let read: Arc<Mutex<Vec<String>>> = Arc::default();
    let queries = read.clone();
    system.wire.fail_by(move |_, body| {
        if let Some((_, rest)) = body.split_once("\"T#") {
            let partition = rest.split('"').next().unwrap_or_default().to_owned();
            queries.lock().expect("no test panics here").push(partition);
        }
        None
    });
    sweep(&system).await.expect("a sweep");
    let read = read.lock().expect("no test panics here");
    let first = &read[..FIRST];
    assert!(first.iter().any(|shard| shard.ends_with("#09")), "{read:?}");
}

/// The lines of level ERROR that tell of a forward without a result.
async fn alarms<T>(work: impl Future<Output = T>) -> Vec<String> {
    let (mut log, writer) = std::io::pipe().expect("a pipe");
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(Level::ERROR)
        .with_writer(Arc::new(writer))
        .finish();
    work.with_subscriber(subscriber).await;
    let mut lines = String::new();
    log.read_to_string(&mut lines).expect("lines");
    let lines = lines.lines().map(str::to_owned);
    lines
        .filter(|line| line.contains(r#"forward="pending""#))
        .collect()
}

/// Leaves a forwarded message without a result, as a process that dies does.
async fn forwarded_without_a_result(system: &TestSystem, number: u64) -> String {
    let sid = sid(number);
    let answer = system.message(&sid, ADA, OURS, "hello").await;
    assert!(answer.accepted(), "{}", answer.text());
    let mut entry = system.take_item(&format!("J#{sid}"), "simulator").await;
    entry.remove("fs").expect("a result");
    system.put_item(entry).await;
    sid
}

async fn a_forward_without_a_result_raises_the_alarm_once(system: TestSystem) {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    system.number(OURS, &[("SmsUrl", &application.url())]).await;
    let pending = forwarded_without_a_result(&system, 1).await;
    let answer = system.message(&sid(2), ADA, OURS, "hello").await;
    assert!(answer.accepted());
    application.answer(|_| Reply::new(500, ""));
    let answer = system.message(&sid(3), ADA, OURS, "hello").await;
    assert!(!answer.accepted());
    // The forward may still be under way. The local stack's first sweep reads it, and its mark does not pass it.
    let at_once = dispatch::sweep(&system.app, Duration::ZERO, Deadline::after(SWEEP_TIME));
    assert_eq!(alarms(at_once).await, [""; 0]);
    system.advance(PAST);
    let raised = alarms(sweep(&system)).await;
    assert_eq!(raised.len(), 1, "{raised:?}");
    assert!(
        raised[0].contains(&format!("message_sid={pending}")),
        "{raised:?}"
    );
    assert!(
        !raised[0].contains(ADA) && !raised[0].contains(OURS),
        "{raised:?}"
    );
    assert_eq!(alarms(sweep(&system)).await, [""; 0]);

    // The mark can't be written: the next sweep raises the alarm again, rather than never.
    application.answer(|_| Reply::new(200, "<Response/>"));
    forwarded_without_a_result(&system, 4).await;
    system.advance(PAST);
    system
        .wire
        .fail_by(|operation, _| (operation == "PutItem").then_some(Fault::NoTable));
    assert_eq!(alarms(sweep(&system)).await.len(), 1);
    system.wire.heal();
    assert_eq!(alarms(sweep(&system)).await.len(), 1);
    assert_eq!(alarms(sweep(&system)).await, [""; 0]);
}
