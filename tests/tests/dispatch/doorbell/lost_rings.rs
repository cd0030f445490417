//! Lost rings: the sweep and the start of a dispatcher find their changes.

use super::*;

on_both_engines!(
    a_lost_ring_is_found_by_the_sweep,
    a_lost_ring_behind_many_silent_changes_is_found,
    lost_rings_are_found_in_every_shard_and_on_both_sides_of_midnight,
    lost_rings_are_found_wherever_the_list_of_changes_is_cut,
    a_dispatcher_delivers_at_its_start_what_the_last_one_left,
    a_dispatcher_continues_at_its_start_where_a_run_died,
);

async fn a_lost_ring_is_found_by_the_sweep(system: TestSystem) {
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    // No ring comes. The clock of the local stack moves, through its URL.
    system.advance_by_door("PT6M").await;
    let received = receiver.wait_for(3).await;
    assert_eq!(parameters(&received, "Sequence"), ["0", "1", "2"]);
    // Once more, with a cursor that exists and after a sweep.
    let form = [("FriendlyName", "Ada")];
    let path = format!("/v1/Conversations/{conversation}");
    system.post_with_webhooks(&path, &form).await.expect(200);
    system.advance_by_door("PT6M").await;
    let received = receiver.wait_for(4).await;
    assert_eq!(
        received[3].parameter("EventType"),
        Some("onConversationUpdated")
    );
    for _ in 0..3 {
        system.advance_and_tick(RECOVERY).await;
    }
    assert_eq!(receiver.received().len(), 4);
}

/// More silent changes than one query reads.
async fn a_lost_ring_behind_many_silent_changes_is_found(system: TestSystem) {
    // More changes than one search reads.
    let limits = Limits::SHIPPED;
    let read_max = u64::from(limits.lag_stretches_max) * u64::from(limits.stretch_max);
    let silent = read_max + 10;
    system.autocreation(OURS).await;
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    let filters = [
        ("Filters", "onMessageAdded"),
        ("Filters", "onParticipantAdded"),
    ];
    system.set_post_webhook(&receiver.url(), &filters).await;
    system.message(&sid(0), ADA, OURS, "hello").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    system.run(&conversation).await;
    assert_eq!(receiver.received().len(), 2);
    let path = format!("/v1/Conversations/{conversation}");
    let participants = format!("{path}/Participants");
    let name = |number: u64| format!("name {number}");
    // The stream stands still. First come quiet changes, then changes that a filter holds back.
    let expected = |count: u64| {
        let identities = (1..=count).map(|number| format!("agent-{number}"));
        identities.collect::<Vec<String>>()
    };
    for (round, webhooks) in [(1, false), (2, true)] {
        for number in 0..silent {
            let name = name(round * silent + number);
            let form = [("FriendlyName", name.as_str())];
            let answer = match webhooks {
                true => system.post_with_webhooks(&path, &form).await,
                false => system.update_conversation(&conversation, &form).await,
            };
            answer.expect(200);
        }
        let identity = format!("agent-{round}");
        let form = [("Identity", identity.as_str())];
        let added = system.post_with_webhooks(&participants, &form).await;
        added.expect(201);
        for _ in 0..3 {
            system.advance_and_tick(RECOVERY).await;
        }
        let received = receiver.received();
        let delivered = parameters(&received[2..], "Identity");
        assert_eq!(delivered, expected(round), "filtered: {webhooks}");
    }
}

/// How many ticks a busy machine may need for the work of one tick on an idle machine.
const TICKS_MAX: usize = 10;

/// The shards of the time index hold conversations on both sides of midnight; the sweep forgets none.
async fn lost_rings_are_found_in_every_shard_and_on_both_sides_of_midnight(system: TestSystem) {
    const CONVERSATIONS: u64 = 60;
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    // A minute before the midnight of tomorrow, and a minute after.
    let midnight = until_midnight(&system);
    system
        .advance_and_tick(midnight + Duration::from_secs(86_400 - 60))
        .await;
    for side in 0..2 {
        let messages = (0..CONVERSATIONS / 2).map(|number| {
            let (system, number) = (system.clone(), side * CONVERSATIONS / 2 + number);
            async move {
                let from = format!("+1555100{number:04}");
                let sent = sid(number);
                let sent = system.message_repeated(&sent, &from, OURS, "hello", PATIENT_ATTEMPTS);
                assert!(sent.await.accepted());
            }
        });
        join_all(messages).await;
        system.advance(Duration::from_secs(120));
    }
    // One tick finds them all; on a busy machine its time may end before.
    for _ in 0..TICKS_MAX {
        system.advance_and_tick(RECOVERY).await;
        if receiver.received().len() as u64 >= CONVERSATIONS * 3 {
            break;
        }
    }
    assert_eq!(receiver.received().len() as u64, CONVERSATIONS * 3);
}

/// Changes of the same moment stand on both sides of the cut. The table cuts an answer to a batch as well.
async fn lost_rings_are_found_wherever_the_list_of_changes_is_cut(system: TestSystem) {
    const CHANGED: usize = 24;
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    let mut expected = 0;
    for size in [1, 2, 3] {
        for number in 0..CHANGED {
            // By REST, and by a message: an entry names the first; an entry and a journal entry name the second.
            let form = [("FriendlyName", "cut")];
            let path = "/v1/Conversations";
            system.post_with_webhooks(path, &form).await.expect(201);
            let number = size * CHANGED + number;
            let from = format!("+1555100{number:04}");
            let message = sid(number as u64);
            let sent = system.message(&message, &from, OURS, "cut").await;
            assert!(sent.accepted());
            expected += 1 + 3;
        }
        in_two_moments(&system).await;
        system.wire.fail_by(move |operation, body| match operation {
            "Query" if body.contains("\"T#") => Some(Fault::Part(size)),
            "BatchGetItem" => Some(Fault::Part(1)),
            _ => None,
        });
        system.advance_and_tick(RECOVERY).await;
        system.wire.heal();
        assert_eq!(receiver.received().len(), expected, "{size} at once");
    }
}

/// Moves every change of the last minute to one of two neighbouring milliseconds. Many concurrent machines have the same effect.
async fn in_two_moments(system: &TestSystem) {
    let client = system.client();
    let past = system.app.clock.now() - Duration::from_secs(60);
    let (day, ms) = (
        past.strftime("T#%Y-%m-%d#").to_string(),
        past.as_millisecond(),
    );
    let scan = client
        .scan()
        .table_name(system.table())
        .filter_expression("begins_with(gp, :t) AND gs > :past")
        .expression_attribute_values(":t", AttributeValue::S("T#".to_owned()))
        .expression_attribute_values(":past", AttributeValue::S(format!("{:013}", ms + 1)));
    let found = scan.send().await.expect("a page").items.unwrap_or_default();
    assert!(found.len() >= 24, "{}", found.len());
    for (number, mut item) in (0..).zip(found) {
        let shard = item["gp"].as_s().expect("text").rsplit('#').next();
        let partition = format!("{day}{}", shard.expect("a shard"));
        let moment = format!("{:013}", ms + number % 2);
        item.insert("gp".to_owned(), AttributeValue::S(partition));
        item.insert("gs".to_owned(), AttributeValue::S(moment));
        system.put_item(item).await;
    }
}

async fn a_dispatcher_delivers_at_its_start_what_the_last_one_left(system: TestSystem) {
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    let running = system.clone().start_dispatcher().await;
    system.message(&sid(1), ADA, OURS, "before").await;
    receiver.wait_for(3).await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    // Waits until the run has given its cursor back.
    system.run(&conversation).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(running);
    for number in 2..5 {
        system.message(&sid(number), ADA, OURS, "meanwhile").await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.received().len(), 3, "no dispatcher runs");
    let running = system.clone().start_dispatcher().await;
    let received = receiver.wait_for(6).await;
    let sequences = parameters(&received, "Sequence");
    assert_eq!(sequences, ["0", "1", "2", "3", "4", "5"]);
    system.message(&sid(5), ADA, OURS, "after").await;
    let received = receiver.wait_for(7).await;
    assert_eq!(received[6].parameter("Body"), Some("after"));
    drop(running);
}

async fn a_dispatcher_continues_at_its_start_where_a_run_died(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "").after(Duration::from_secs(600))).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    let running = system.clone().start_dispatcher().await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    receiver.wait_for(1).await;
    drop(running);
    receiver.answer(|_| Reply::new(200, ""));
    let running = system.clone().start_dispatcher().await;
    // The lease of the dead run ends.
    system.advance(Duration::from_secs(60));
    let received = receiver.wait_for(4).await;
    assert_eq!(parameters(&received, "Sequence"), ["0", "0", "1", "2"]);
    assert_eq!(received[0].token(), received[1].token());
    drop(running);
}
