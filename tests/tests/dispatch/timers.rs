//! Timers: an idle conversation becomes inactive and closes, and the clock purges a deleted one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::future::join_all;
use routing::Limits;
use serde_json::{Value, json};
use tests::carrier::sid;
use tests::crash::at_each_call;
use tests::json::{only, seconds, text};
use tests::receiver::{Received, Receiver, Reply, parameters};
use tests::system::{ACCOUNT, ADA, BOB, OURS, TestSystem};
use tests::wire::Fault;

on_both_engines!(
    an_idle_conversation_becomes_inactive_and_closes_with_an_event_for_each,
    a_clock_that_jumps_stops_at_every_instant,
    a_message_moves_the_timers_on,
    clocks_at_once_fire_each_timer_once,
    a_conversation_past_its_closing_time_closes_once_through_every_door,
    a_clock_that_is_killed_at_any_call_closes_in_the_end,
    a_deleted_conversation_is_purged_a_day_later,
    a_deleted_conversation_is_kept_until_its_webhook_has_every_event,
    a_deleted_conversation_with_a_long_log_is_kept_until_its_webhook_has_every_event,
    a_long_log_with_nothing_to_deliver_delays_no_purge,
    a_killed_purge_is_finished_and_delivers_nothing_again,
    a_purge_that_is_killed_at_any_call_is_finished,
    a_purge_continues_where_a_page_ends,
);

on_the_embedded_engine!(
    a_message_activates_an_inactive_conversation_which_becomes_inactive_again,
    a_timer_that_is_removed_does_not_fire,
    a_timer_that_is_set_later_fires,
    a_conversation_that_was_closed_by_hand_is_not_closed_again,
    a_deleted_conversation_does_not_close,
    a_pair_that_a_timer_freed_gives_a_new_conversation,
    the_clock_of_the_local_stack_shows_its_time_and_refuses_invalid_ones,
);

const HOUR: Duration = Duration::from_secs(3_600);

async fn hearing(system: &TestSystem) -> Receiver {
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    receiver
}

/// The changes of a conversation's state that the webhook got: from, to, reason.
fn states(receiver: &Receiver, conversation: &str) -> Vec<String> {
    changes(&events_of(receiver, conversation))
}

fn changes(received: &[Received]) -> Vec<String> {
    let change = |received: &Received| {
        let said = |name| received.parameter(name);
        let (from, to) = (said("StateFrom")?, said("StateTo")?);
        Some(format!("{from} {to} {}", said("Reason")?))
    };
    received.iter().filter_map(change).collect()
}

fn events_of(receiver: &Receiver, conversation: &str) -> Vec<Received> {
    receiver
        .received()
        .into_iter()
        .filter(|received| received.parameter("ConversationSid") == Some(conversation))
        .collect()
}

/// A conversation with timers.
async fn timed(system: &TestSystem, inactive: &str, closed: &str) -> String {
    let form = [
        ("Timers.Inactive", inactive),
        ("Timers.Closed", closed),
        ("State", "active"),
    ];
    let given: Vec<_> = form
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .collect();
    system.conversation(&given).await
}

const PARKED: &str = "active inactive TIMER";
const CLOSED: &str = "inactive closed TIMER";

async fn an_idle_conversation_becomes_inactive_and_closes_with_an_event_for_each(
    system: TestSystem,
) {
    let receiver = hearing(&system).await;
    system.number(OURS, &[]).await;
    // The clock also runs by itself during the test: minutes do not matter for timers of hours.
    let conversation = timed(&system, "PT1H", "PT10H").await;
    system
        .add_participant(&conversation, ADA, OURS)
        .await
        .expect(201);
    let created = system.fetch_conversation(&conversation).await;
    let after = |name: &str| seconds(&created["timers"][name]) - seconds(&created["date_created"]);
    let timers = (after("date_inactive"), after("date_closed"));
    assert_eq!(timers, (3_600, 36_000));

    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    system.advance_and_tick(minutes(40)).await;
    assert_eq!(
        system.fetch_conversation(&conversation).await["state"],
        "active"
    );
    assert_eq!(receiver.received().len(), 0);
    system.advance_and_tick(minutes(30)).await;
    let parked = system.fetch_conversation(&conversation).await;
    assert_eq!(parked["state"], "inactive");
    assert!(parked["timers"]["date_inactive"].is_null(), "{parked}");
    // A change of state counts as activity.
    let closes = seconds(&parked["timers"]["date_closed"]) - seconds(&parked["date_updated"]);
    assert_eq!(closes, 36_000, "{parked}");
    system.run(&conversation).await;
    system.advance_and_tick(minutes(580)).await;
    assert_eq!(
        system.fetch_conversation(&conversation).await["state"],
        "inactive"
    );
    system.advance_and_tick(minutes(30)).await;
    let closed = system.fetch_conversation(&conversation).await;
    assert_eq!(closed["state"], "closed");
    assert_eq!(closed["timers"], json!({}));
    system.run(&conversation).await;

    let received = receiver.received();
    assert_eq!(received.len(), 2);
    for (number, (received, row, from, to)) in (2..).zip([
        (&received[0], &parked, "active", "inactive"),
        (&received[1], &closed, "inactive", "closed"),
    ]) {
        let mut said: serde_json::Map<String, Value> = received
            .parameters
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let at = text(&said.remove("StateUpdated").expect("a time"));
        assert_eq!(at.len(), "2026-11-22T18:33:13.123Z".len(), "{at}");
        let date = text(&row["date_updated"]);
        assert_eq!(at[..19], date[..19]);
        assert_eq!(
            Value::Object(said),
            json!({
                "AccountSid": ACCOUNT,
                "EventType": "onConversationStateUpdated",
                "Source": "API",
                "RetryCount": "0",
                "Sequence": number.to_string(),
                "ConversationSid": conversation,
                "ChatServiceSid": row["chat_service_sid"],
                "MessagingServiceSid": row["messaging_service_sid"],
                "StateFrom": from,
                "StateTo": to,
                "Reason": "TIMER",
            })
        );
    }
    for _ in 0..3 {
        system.advance_and_tick(HOUR).await;
    }
    assert_eq!(receiver.received().len(), 2);
}

/// Through the local stack's clock: a jump has the effect of passing time.
async fn a_clock_that_jumps_stops_at_every_instant(system: TestSystem) {
    let receiver = hearing(&system).await;
    let system = system.start_dispatcher().await;
    let mut conversations = Vec::new();
    for (inactive, closed) in [
        ("PT3H", "PT10M"),
        ("PT1M", "PT1H"),
        ("PT30M", ""),
        ("PT2M", "PT10M"),
    ] {
        let conversation = timed(&system, inactive, closed).await;
        conversations.push((conversation, inactive, closed));
    }
    system.advance_by_door("P1D").await;
    let received = receiver.wait_for(6).await;
    assert_eq!(received.len(), 6);
    for (number, states_expected, minutes) in [
        (0, vec!["active closed TIMER"], vec![10]),
        (1, vec![PARKED, CLOSED], vec![1, 61]),
        (2, vec![PARKED], vec![30]),
        (3, vec![PARKED, CLOSED], vec![2, 12]),
    ] {
        let (conversation, ..) = &conversations[number];
        assert_eq!(states(&receiver, conversation), states_expected);
        let row = system.fetch_conversation(conversation).await;
        let created = seconds(&row["date_created"]);
        for (received, minutes) in events_of(&receiver, conversation).iter().zip(minutes) {
            let at = received.parameter("StateUpdated").expect("a time");
            let at = json!(format!("{}Z", &at[..19]));
            let late = seconds(&at) - created - 60 * minutes;
            assert!((0..60).contains(&late), "{late} s late");
        }
    }
    system.advance_by_door("P2D").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(receiver.received().len(), 6);
}

async fn a_message_moves_the_timers_on(system: TestSystem) {
    let receiver = hearing(&system).await;
    system.number(OURS, &[]).await;
    let conversation = timed(&system, "", "PT10M").await;
    system
        .add_participant(&conversation, ADA, OURS)
        .await
        .expect(201);
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    // By a carrier and by REST in turn, each nine minutes after the last.
    for number in 0..4 {
        system.advance_and_tick(Duration::from_secs(540)).await;
        match number % 2 {
            0 => {
                let sent = system.message(&sid(number), ADA, OURS, "still here").await;
                assert!(sent.accepted());
            }
            _ => {
                let form = [("Body", "good")];
                system.post(&messages, &form).await.expect(201);
            }
        }
    }
    system.run(&conversation).await;
    assert_eq!(states(&receiver, &conversation), [""; 0]);
    assert_eq!(system.messages(&conversation).await.len(), 4);
    system.advance_and_tick(Duration::from_secs(590)).await;
    assert_eq!(
        system.fetch_conversation(&conversation).await["state"],
        "active"
    );
    system.advance_and_tick(Duration::from_secs(20)).await;
    assert_eq!(
        system.fetch_conversation(&conversation).await["state"],
        "closed"
    );
    system.run(&conversation).await;
    assert_eq!(states(&receiver, &conversation), ["active closed TIMER"]);
}

async fn a_message_activates_an_inactive_conversation_which_becomes_inactive_again(
    system: TestSystem,
) {
    let receiver = hearing(&system).await;
    system.number(OURS, &[]).await;
    let conversation = timed(&system, "PT1M", "PT1H").await;
    system
        .add_participant(&conversation, ADA, OURS)
        .await
        .expect(201);
    for number in 0..3 {
        system.advance_and_tick(Duration::from_secs(62)).await;
        assert_eq!(
            system.fetch_conversation(&conversation).await["state"],
            "inactive"
        );
        let sent = system.message(&sid(number), ADA, OURS, "hello").await;
        assert!(sent.accepted());
        assert_eq!(
            system.fetch_conversation(&conversation).await["state"],
            "active"
        );
    }
    system.run(&conversation).await;
    let woken = "inactive active EVENT";
    assert_eq!(
        states(&receiver, &conversation),
        [PARKED, woken, PARKED, woken, PARKED, woken]
    );
}

async fn a_timer_that_is_removed_does_not_fire(system: TestSystem) {
    let receiver = hearing(&system).await;
    let conversation = timed(&system, "PT1M", "PT10M").await;
    let form = [("Timers.Inactive", "PT0S"), ("Timers.Closed", "PT0S")];
    system
        .update_conversation(&conversation, &form)
        .await
        .expect(200);
    for _ in 0..3 {
        system.advance_and_tick(HOUR).await;
    }
    let row = system.fetch_conversation(&conversation).await;
    assert_eq!(
        (&row["state"], &row["timers"]),
        (&json!("active"), &json!({}))
    );
    // One of the two clocks fires it.
    let conversation = timed(&system, "PT1M", "PT10M").await;
    let form = [("Timers.Inactive", "PT0S")];
    system
        .update_conversation(&conversation, &form)
        .await
        .expect(200);
    system.advance_and_tick(HOUR).await;
    system.run(&conversation).await;
    assert_eq!(states(&receiver, &conversation), ["active closed TIMER"]);
}

async fn a_timer_that_is_set_later_fires(system: TestSystem) {
    let receiver = hearing(&system).await;
    let conversation = system.conversation(&[]).await;
    system.advance_and_tick(HOUR).await;
    let far = [("Timers.Closed", "P30D")];
    system
        .update_conversation(&conversation, &far)
        .await
        .expect(200);
    system.advance_and_tick(HOUR).await;
    // An earlier time than before.
    let near = [("Timers.Closed", "PT10M")];
    system
        .update_conversation(&conversation, &near)
        .await
        .expect(200);
    system.advance_and_tick(Duration::from_secs(590)).await;
    assert_eq!(
        system.fetch_conversation(&conversation).await["state"],
        "active"
    );
    system.advance_and_tick(Duration::from_secs(12)).await;
    assert_eq!(
        system.fetch_conversation(&conversation).await["state"],
        "closed"
    );
    system.run(&conversation).await;
    assert_eq!(states(&receiver, &conversation), ["active closed TIMER"]);
}

async fn a_conversation_that_was_closed_by_hand_is_not_closed_again(system: TestSystem) {
    let receiver = hearing(&system).await;
    let conversation = timed(&system, "PT1M", "PT10M").await;
    let path = format!("/v1/Conversations/{conversation}");
    let form = [("State", "closed")];
    let closed = system.post_with_webhooks(&path, &form).await.expect(200);
    for _ in 0..3 {
        system.advance_and_tick(HOUR).await;
    }
    system.run(&conversation).await;
    assert_eq!(states(&receiver, &conversation), ["active closed API"]);
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(system.fetch_conversation(&conversation).await, closed);
}

async fn a_deleted_conversation_does_not_close(system: TestSystem) {
    let receiver = hearing(&system).await;
    let conversation = timed(&system, "PT1M", "PT10M").await;
    let path = format!("/v1/Conversations/{conversation}");
    system.delete_with_webhooks(&path).await.expect(204);
    for _ in 0..3 {
        system.advance_and_tick(HOUR).await;
    }
    system.run(&conversation).await;
    let received = events_of(&receiver, &conversation);
    assert_eq!(received.len(), 1);
    let event = received[0].parameter("EventType");
    assert_eq!(event, Some("onConversationRemoved"));
    assert_eq!(received[0].parameter("State"), Some("active"));
}

async fn clocks_at_once_fire_each_timer_once(system: TestSystem) {
    let receiver = hearing(&system).await;
    let mut conversations = Vec::new();
    for _ in 0..6 {
        conversations.push(timed(&system, "PT1M", "PT10M").await);
    }
    for pause in [62, 602] {
        system.advance(Duration::from_secs(pause));
        join_all((0..3).map(|_| system.tick())).await;
    }
    // Two further requests move the clock, through its URL.
    tokio::join!(
        system.advance_by_door("PT1H"),
        system.advance_by_door("PT1H")
    );
    for conversation in &conversations {
        system.run(conversation).await;
        assert_eq!(
            system.fetch_conversation(conversation).await["state"],
            "closed"
        );
    }
    let received = receiver.wait_for(12).await;
    assert_eq!(received.len(), 12);
    for conversation in &conversations {
        assert_eq!(states(&receiver, conversation), [PARKED, CLOSED]);
    }
}

async fn a_pair_that_a_timer_freed_gives_a_new_conversation(system: TestSystem) {
    let receiver = hearing(&system).await;
    let timers = [
        ("DefaultInactiveTimer", "PT1M"),
        ("DefaultClosedTimer", "PT10M"),
    ];
    system.post("/v1/Configuration", &timers).await.expect(200);
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    let first = text(&only(system.conversations().await)["sid"]);
    system.advance_and_tick(Duration::from_secs(62)).await;
    system.message(&sid(2), ADA, OURS, "two").await;
    assert_eq!(
        system.conversations().await.len(),
        1,
        "parked is not closed"
    );
    system.advance_and_tick(Duration::from_secs(62)).await;
    system.advance_and_tick(Duration::from_secs(602)).await;
    assert_eq!(system.fetch_conversation(&first).await["state"], "closed");
    system.message(&sid(3), ADA, OURS, "three").await;
    let listed = system.conversations().await;
    assert_eq!(listed.len(), 2);
    let second = listed.iter().map(|row| text(&row["sid"]));
    let second = second
        .into_iter()
        .find(|sid| *sid != first)
        .expect("another");
    assert_eq!(system.bodies(&first).await, ["one", "two"]);
    assert_eq!(system.bodies(&second).await, ["three"]);
    for conversation in [&first, &second] {
        system.run(conversation).await;
    }
    assert_eq!(
        states(&receiver, &first),
        [PARKED, "inactive active EVENT", PARKED, CLOSED]
    );
    assert_eq!(events_of(&receiver, &second).len(), 3);
}

async fn a_conversation_past_its_closing_time_closes_once_through_every_door(system: TestSystem) {
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    for (number, who) in (0..).zip([
        "a message",
        "REST",
        "REST with webhooks",
        "both",
        "the clock",
    ]) {
        let address = format!("+1555100{number:04}");
        let conversation = timed(&system, "", "PT10M").await;
        system
            .add_participant(&conversation, &address, OURS)
            .await
            .expect(201);
        system.run(&conversation).await;
        system.advance(Duration::from_secs(660));
        let path = format!("/v1/Conversations/{conversation}");
        let form = [("FriendlyName", "late")];
        let sid = sid(number);
        let message = system.message(&sid, &address, OURS, "late");
        match who {
            "a message" => assert!(message.await.accepted()),
            "REST" => drop(system.post(&path, &form).await.expect_code(400, 50377)),
            "REST with webhooks" => {
                let answer = system.post_with_webhooks(&path, &form).await;
                answer.expect_code(400, 50377);
            }
            "both" => {
                let ((), answer) = tokio::join!(system.tick(), message);
                assert!(answer.accepted());
            }
            _ => {}
        }
        system.tick().await;
        assert_eq!(
            system.fetch_conversation(&conversation).await["state"],
            "closed",
            "{who}"
        );
        system.run(&conversation).await;
        assert_eq!(
            states(&receiver, &conversation),
            ["active closed TIMER"],
            "{who}"
        );
        let own = events_of(&receiver, &conversation);
        assert_eq!(own.len(), 1, "{who}");
    }
}

async fn a_clock_that_is_killed_at_any_call_closes_in_the_end(system: TestSystem) {
    let receiver = hearing(&system).await;
    at_each_call(3..=29, async |nth| {
        let mut killed = false;
        for arrives in [false, true] {
            let conversation = timed(&system, "PT1M", "PT10M").await;
            system.advance(Duration::from_secs(62));
            killed = killed_about(&system, &conversation, nth, arrives).await;
            for _ in 0..3 {
                system.advance_and_tick(Duration::from_secs(620)).await;
            }
            assert_eq!(
                system.fetch_conversation(&conversation).await["state"],
                "closed"
            );
            system.run(&conversation).await;
            // A repeated delivery has the same token.
            let mut events = events_of(&receiver, &conversation);
            events.dedup_by_key(|received| received.token());
            // If no clock lived long enough to park it, it closes at once.
            let states = changes(&events);
            let late = ["active closed TIMER"];
            assert!(states == [PARKED, CLOSED] || states == late, "{states:?}");
        }
        killed
    })
    .await;
}

/// Whether the clock came to its `nth` call about the conversation, where it was killed.
async fn killed_about(system: &TestSystem, conversation: &str, nth: u32, arrives: bool) -> bool {
    let about = conversation.to_owned();
    let counts = move |_: &str, body: &str| body.contains(&about);
    let tick = system.tick();
    system.killed_at_call(counts, nth, arrives, tick).await
}

/// A conversation with items of every kind: participants with a pair and with an identity, messages, one of them
/// edited, a name and timers.
async fn full(system: &TestSystem) -> String {
    let form = [("UniqueName", "full"), ("Timers.Closed", "P30D")];
    let conversation = system.conversation(&form).await;
    let path = format!("/v1/Conversations/{conversation}");
    system
        .add_participant(&conversation, ADA, OURS)
        .await
        .expect(201);
    let form = [("Identity", "agent")];
    let participants = format!("{path}/Participants");
    system.post(&participants, &form).await.expect(201);
    system.message(&sid(1), ADA, OURS, "hello").await;
    let message = text(&system.messages(&conversation).await[0]["sid"]);
    let message = format!("{path}/Messages/{message}");
    system
        .post(&message, &[("Body", "hello!")])
        .await
        .expect(200);
    conversation
}

async fn a_deleted_conversation_is_purged_a_day_later(system: TestSystem) {
    let receiver = hearing(&system).await;
    system.number(OURS, &[]).await;
    let conversation = full(&system).await;
    let other = system.conversation(&[("UniqueName", "other")]).await;
    let beside = system.sort_keys(&other).await;
    system.run(&conversation).await;
    let path = format!("/v1/Conversations/{conversation}");
    system.delete_with_webhooks(&path).await.expect(204);
    system.run(&conversation).await;
    assert_eq!(events_of(&receiver, &conversation).len(), 2);
    for step in [6, 6, 6, 5] {
        system.advance_and_tick(HOUR * step).await;
    }
    system.advance_and_tick(Duration::from_secs(3_500)).await;
    let log: Vec<String> = system.sort_keys(&conversation).await;
    let entries = log.iter().filter(|sk| sk.ends_with("#E")).count();
    assert_eq!(entries, 6, "no sooner than a day later: {log:?}");
    // At most an hour later.
    for _ in 0..2 {
        system.advance_and_tick(Duration::from_secs(1_900)).await;
    }
    assert_eq!(system.sort_keys(&conversation).await, [""; 0]);
    assert_eq!(system.sort_keys(&other).await, beside);
    // Later rings and the clock find no work.
    system.run(&conversation).await;
    system.advance_and_tick(HOUR).await;
    assert_eq!(system.sort_keys(&conversation).await, [""; 0]);
    assert_eq!(events_of(&receiver, &conversation).len(), 2);
    system.get(&path).await.expect_code(404, 20404);
    // The deletion has freed its pair and its name.
    system.conversation(&[("UniqueName", "full")]).await;
    system.bind(ADA, OURS).await;
}

async fn a_deleted_conversation_is_kept_until_its_webhook_has_every_event(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(500, "")).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), BOB, OURS, "hello").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    system.run(&conversation).await;
    let path = format!("/v1/Conversations/{conversation}");
    system.delete_with_webhooks(&path).await.expect(204);
    // Retries of the first event alone take a day.
    for _ in 0..5 {
        system.advance_and_tick(HOUR * 6).await;
        let kept = system.sort_keys(&conversation).await;
        assert!(kept.len() > 2, "{kept:?}");
    }
    receiver.answer(|_| Reply::new(200, ""));
    for _ in 0..3 {
        system.advance_and_tick(HOUR * 9).await;
        system.run(&conversation).await;
    }
    let received = events_of(&receiver, &conversation);
    let last = received.last().expect("the last");
    assert_eq!(last.parameter("EventType"), Some("onConversationRemoved"));
    for _ in 0..2 {
        system.advance_and_tick(HOUR).await;
    }
    assert_eq!(system.sort_keys(&conversation).await, [""; 0]);
}

/// How many ticks a busy machine may need for the work of one tick on an idle machine.
const ROUNDS_MAX: usize = 60;

/// The log has more changes than one read has, most of them quiet, and all rings were lost.
async fn a_deleted_conversation_with_a_long_log_is_kept_until_its_webhook_has_every_event(
    system: TestSystem,
) {
    let receiver = hearing(&system).await;
    let conversation = system.conversation(&[]).await;
    let path = format!("/v1/Conversations/{conversation}");
    for number in 0..110 {
        let name = number.to_string();
        let form = [("FriendlyName", name.as_str())];
        system
            .update_conversation(&conversation, &form)
            .await
            .expect(200);
    }
    system.delete_with_webhooks(&path).await.expect(204);
    // More than a day passes. A busy machine may need more ticks; until the webhook has every event, the purge waits.
    for round in 0.. {
        assert!(round < ROUNDS_MAX, "the webhook lacks an event");
        let step = if round < 5 { HOUR * 6 } else { HOUR / 60 };
        let kept = system.sort_keys(&conversation).await;
        system.advance_and_tick(step).await;
        let events = events_of(&receiver, &conversation);
        let events = parameters(&events, "EventType");
        if !events.is_empty() && round >= 4 {
            assert_eq!(events, ["onConversationRemoved"], "{} items", kept.len());
            break;
        }
        let entries = kept.iter().filter(|sk| sk.ends_with("#E")).count();
        assert!(!events.is_empty() || entries > 110, "{kept:?}");
    }
    for round in 0.. {
        assert!(round < ROUNDS_MAX, "the conversation is not purged");
        system.advance_and_tick(HOUR).await;
        if system.sort_keys(&conversation).await.is_empty() {
            break;
        }
    }
    assert_eq!(events_of(&receiver, &conversation).len(), 1);
}

/// The endpoint is set after the sweep. It is owed nothing of the log, which is longer than one search reads.
async fn a_long_log_with_nothing_to_deliver_delays_no_purge(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let limits = Limits::SHIPPED;
    let read_max = u64::from(limits.lag_stretches_max) * u64::from(limits.stretch_max);
    for number in 0..read_max + 10 {
        let name = number.to_string();
        let form = [("FriendlyName", name.as_str())];
        let updated = system.update_conversation(&conversation, &form).await;
        updated.expect(200);
    }
    let path = format!("/v1/Conversations/{conversation}");
    system.delete(&path).await.expect(204);
    for _ in 0..3 {
        system.advance_and_tick(HOUR).await;
    }
    let receiver = hearing(&system).await;
    for _ in 0..26 {
        system.advance_and_tick(HOUR).await;
    }
    assert_eq!(system.sort_keys(&conversation).await, [""; 0]);
    assert_eq!(events_of(&receiver, &conversation).len(), 0);
}

async fn a_killed_purge_is_finished_and_delivers_nothing_again(system: TestSystem) {
    system.autocreation(OURS).await;
    // With a ring that is a day late, and without a ring.
    for (round, killed_at_batch, rung) in [(1, 1, true), (2, 2, false), (3, 2, true)] {
        system.set_post_webhook("", &[]).await;
        let from = format!("+1555100{round:04}");
        let number = |number: u64| sid(1_000 * round + number);
        for message in 0..26 {
            system.message(&number(message), &from, OURS, "hello").await;
        }
        let receiver = hearing(&system).await;
        for message in 26..32 {
            system.message(&number(message), &from, OURS, "hello").await;
        }
        let conversation = system.conversation_of(&from).await;
        let path = format!("/v1/Conversations/{conversation}");
        system.delete_with_webhooks(&path).await.expect(204);
        system.run(&conversation).await;
        assert_eq!(events_of(&receiver, &conversation).len(), 7);
        system.advance_and_tick(HOUR * 12).await;
        system.advance(HOUR * 12 + Duration::from_secs(60));
        let batches = AtomicU64::new(0);
        let (killed, mut kill) = tokio::sync::watch::channel(false);
        system.wire.fail_by(move |operation, _| {
            let batch = operation == "BatchWriteItem";
            let come = batches.fetch_add(u64::from(batch), Ordering::SeqCst);
            (batch && come + 1 >= killed_at_batch).then(|| {
                let _ = killed.send(true);
                Fault::Late(HOUR)
            })
        });
        tokio::select! {
            _ = kill.wait_for(|killed| *killed) => {}
            () = system.tick() => panic!("a purge deletes in batches"),
        }
        system.wire.heal();
        assert_ne!(system.sort_keys(&conversation).await, [""; 0]);
        for late in 0..5 {
            if rung && late == 1 {
                system.run(&conversation).await;
            }
            system.advance_and_tick(HOUR).await;
        }
        let (kept, delivered) = (
            system.sort_keys(&conversation).await.len(),
            events_of(&receiver, &conversation).len(),
        );
        assert_eq!(
            (kept, delivered),
            (0, 7),
            "killed at batch {killed_at_batch}, rung: {rung}"
        );
    }
}

async fn a_purge_that_is_killed_at_any_call_is_finished(system: TestSystem) {
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    at_each_call(5..=29, async |nth| {
        let from = format!("+1555100{nth:04}");
        system
            .message(&sid(u64::from(nth)), &from, OURS, "hello")
            .await;
        let conversation = system.conversation_of(&from).await;
        let path = format!("/v1/Conversations/{conversation}");
        system.delete_with_webhooks(&path).await.expect(204);
        system.run(&conversation).await;
        assert_eq!(events_of(&receiver, &conversation).len(), 4);
        system.advance(HOUR * 25);
        // The last call arrives, or it does not.
        let killed = killed_about(&system, &conversation, nth, nth % 2 == 0).await;
        system.run(&conversation).await;
        for _ in 0..2 {
            system.advance_and_tick(HOUR).await;
        }
        assert_eq!(system.sort_keys(&conversation).await, [""; 0], "call {nth}");
        assert_eq!(events_of(&receiver, &conversation).len(), 4, "call {nth}");
        killed
    })
    .await;
}

async fn the_clock_of_the_local_stack_shows_its_time_and_refuses_invalid_ones(system: TestSystem) {
    let now = async || {
        let request = Request::get("/simulator/clock").body(Body::empty());
        let answer = system.send(request.expect("a request")).await.expect(200);
        seconds(&json!(format!("{}Z", &text(&answer["now"])[..19])))
    };
    let before = now().await;
    for form in [
        "",
        "Advance=",
        "Advance=11M",
        "Advance=PT",
        "Advance=P2Y",
        "Advance=P400D",
        "advance=PT1H",
    ] {
        let request = Request::post("/simulator/clock")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(Body::from(form));
        let answer = system.send(request.expect("a request")).await.expect(400);
        assert!(
            text(&answer["message"]).contains("ISO 8601"),
            "{form}: {answer}"
        );
    }
    assert!(now().await - before < 60, "nothing has moved");
    let answer = system.advance_by_door("PT1H").await;
    let moved = seconds(&json!(format!("{}Z", &text(&answer["now"])[..19])));
    assert!(
        (3_600..3_660).contains(&(moved - before)),
        "{moved} {before}"
    );
}

/// DynamoDB ends an answer at a megabyte, and leaves parts of a batch undone.
async fn a_purge_continues_where_a_page_ends(system: TestSystem) {
    const MESSAGES: u64 = 40;
    let receiver = hearing(&system).await;
    system.autocreation(OURS).await;
    for number in 0..MESSAGES {
        system.message(&sid(number), ADA, OURS, "hello").await;
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    let path = format!("/v1/Conversations/{conversation}");
    system.delete_with_webhooks(&path).await.expect(204);
    system.run(&conversation).await;
    let delivered = events_of(&receiver, &conversation).len();
    let mut kept = system.sort_keys(&conversation).await;
    let last = |kept: &[String]| kept.iter().rfind(|sk| sk.ends_with("#E")).cloned();
    let end = last(&kept);
    system.advance(HOUR * 25);
    system.wire.fail_by(|operation, body| match operation {
        "Query" if body.contains("pk = :pk") => Some(Fault::Part(9)),
        "BatchWriteItem" => Some(Fault::Part(1)),
        _ => None,
    });
    let mut steps = 0;
    while !kept.is_empty() {
        steps += 1;
        system.advance_and_tick(HOUR).await;
        let left = system.sort_keys(&conversation).await;
        assert!(left.len() < kept.len(), "step {steps}: {left:?}");
        assert!(left.is_empty() || last(&left) == end, "{left:?}");
        kept = left;
    }
    assert!(steps > 1, "it is too much for one step");
    system.wire.heal();
    system.run(&conversation).await;
    system.advance_and_tick(HOUR).await;
    assert_eq!(system.sort_keys(&conversation).await, [""; 0]);
    assert_eq!(events_of(&receiver, &conversation).len(), delivered);
}
