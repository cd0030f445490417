//! Due times of cursors: which runs set, keep and clear them, and what the clock reads.

use super::*;

on_both_engines!(
    a_cursor_made_due_while_a_run_has_it_stays_due,
    the_clock_looks_once_at_a_cursor_of_a_purged_conversation,
    the_clock_reads_no_cursor_that_is_not_due,
);

on_the_embedded_engine!(an_event_that_commits_during_a_run_is_delivered_though_the_run_ends,);

/// The number of looks of a run has a bound. A run that a ring starts in the meantime leaves the work to the first run.
async fn an_event_that_commits_during_a_run_is_delivered_though_the_run_ends(system: TestSystem) {
    const EVENTS: usize = 230;
    let created = system.post("/v1/Conversations", &[]).await.expect(201);
    let conversation = text(&created["sid"]);
    let path = format!("/v1/Conversations/{conversation}");
    // The endpoint makes the next change before it answers an event.
    let (maker, url) = (system.clone(), path.clone());
    let made = AtomicUsize::new(1);
    let receiver = Receiver::start(move |_| {
        let number = made.fetch_add(1, Ordering::SeqCst);
        if number < EVENTS {
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(rename(&maker, &url, number))
            });
        }
        Reply::new(200, "")
    })
    .await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    rename(&system, &path, 0).await;
    system.run(&conversation).await;
    let delivered = receiver.received().len();
    assert!(delivered < EVENTS, "{delivered} in one run");
    // The clock of the next second, long before the sweep; and of the one after it, on a slow machine.
    for _ in 0..3 {
        system.advance_and_tick(Duration::from_secs(1)).await;
    }
    let received = receiver.received();
    let all: Vec<String> = (0..EVENTS).map(|number| (number + 1).to_string()).collect();
    assert_eq!(parameters(&received, "Sequence"), all);
}

async fn rename(system: &TestSystem, path: &str, number: usize) {
    let name = number.to_string();
    let form = [("FriendlyName", name.as_str())];
    system.post_with_webhooks(path, &form).await.expect(200);
}

/// Another run makes a cursor due that a run has leased; when that run leaves, the cursor is still due.
async fn a_cursor_made_due_while_a_run_has_it_stays_due(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "").after(Duration::from_millis(500))).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    let path = "/v1/Conversations";
    let created = system.post_with_webhooks(path, &[]).await.expect(201);
    let conversation = text(&created["sid"]);
    let sid = ConversationSid::parse(&conversation).expect("a SID");
    let (_, made) = tokio::join!(system.run(&conversation), async {
        receiver.wait_for(1).await;
        let (store, now) = (&system.app.store, system.app.clock.now());
        let beginning = Position::default();
        let consumer = Consumer::Post(Scope::Account);
        let wake = CursorWrite::wake(beginning, false, now);
        let woken = store.cursor_write(sid, consumer, &wake, soon());
        woken.await.expect("a write")
    });
    assert!(made.is_some(), "it was not due");
    assert_eq!(due(&system).await, [sid]);
    // A look of a run clears it.
    system.advance_and_tick(Duration::from_secs(1)).await;
    assert_eq!(due(&system).await, []);
    assert_eq!(receiver.received().len(), 1);
}

/// A wake that arrives after the purge leaves such cursors.
async fn the_clock_looks_once_at_a_cursor_of_a_purged_conversation(system: TestSystem) {
    let sid = ConversationSid::parse(&format!("CH{:032x}", 7)).expect("a SID");
    let consumers = [
        Consumer::Post(Scope::Account),
        Consumer::Relay,
        Consumer::Numbers,
    ];
    for consumer in consumers {
        let (store, now) = (&system.app.store, system.app.clock.now());
        let beginning = Position::default();
        let wake = CursorWrite::wake(beginning, true, now);
        let woken = store.cursor_write(sid, consumer, &wake, soon());
        assert!(woken.await.expect("a write").is_some());
    }
    assert_eq!(due(&system).await.len(), consumers.len());
    system.advance_and_tick(Duration::from_secs(1)).await;
    assert_eq!(due(&system).await, []);
}

/// The conversations whose cursors are due by now, once for each cursor.
async fn due(system: &TestSystem) -> Vec<ConversationSid> {
    let mut found = Vec::new();
    for shard in 0..SHARDS {
        let (kind, now) = (DueKind::Cursor, system.app.clock.now());
        let due = system.app.store.due_list(kind, shard, now, soon()).await;
        found.extend(due.expect("a list").into_iter().map(|due| due.conversation));
    }
    found
}

/// The clock does not read later due times. Timers stay there for weeks.
async fn the_clock_reads_no_cursor_that_is_not_due(system: TestSystem) {
    // On a day that does not end during the test.
    let morning = until_midnight(&system) + Duration::from_secs(6 * 3_600);
    system.advance_and_tick(morning).await;
    let mut costs = Vec::new();
    for _ in 0..2 {
        for _ in 0..40 {
            system.conversation(&[("Timers.Closed", "P30D")]).await;
        }
        // The first sweep reads the changes; the second has nothing to do.
        for _ in 0..2 {
            system.advance_and_tick(RECOVERY).await;
        }
        system.wire.take_calls();
        system.tick().await;
        let calls = system.wire.take_calls();
        let scanned: u64 = calls.iter().map(|call| call.scanned).sum();
        costs.push((calls.len(), scanned));
    }
    assert_eq!(costs[0], costs[1]);
}
