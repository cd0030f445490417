//! The relay under faults of carriers, the network, the table and under death. It sends no message twice silently, loses no
//! message without a record of that, and no recipient waits for the failure of another.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use routing::RETRY_DELAYS_S;
use serde_json::{Value, json};
use tests::carrier::sid;
use tests::crash::at_each_call;
use tests::items::OutboundRecord;
use tests::json::text;
use tests::rest::basic_credentials;
use tests::system::{ACCOUNT, ADA, BOB, OURS, TWILIO_ACCOUNT, TWILIO_TOKEN, TestSystem};
use tests::wire::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::instrument::WithSubscriber;

on_both_engines!(
    two_runs_at_once_send_nothing_twice,
    a_run_that_outlives_its_claim_sends_nothing_twice,
    doubled_and_late_rings_send_nothing_twice,
    a_lost_ring_is_found,
    a_new_process_continues_where_the_last_one_ended,
    a_run_killed_at_any_call_sends_nothing_twice_and_loses_nothing_silently,
    a_run_killed_for_one_recipient_loses_only_what_it_had_claimed,
    a_message_deleted_while_it_is_sent_keeps_its_record,
    an_alarm_is_raised_before_a_record_says_unknown,
    a_table_that_fails_before_the_carrier_is_called_costs_no_message,
    a_fault_of_the_table_at_any_call_neither_loses_nor_doubles,
    a_storm_of_faults_sends_nothing_twice_and_loses_nothing_silently,
);

on_the_embedded_engine!(
    a_throttled_message_is_sent_when_its_time_has_come_and_once,
    the_clock_delivers_what_waits,
    a_refused_message_is_never_sent_again_and_delays_no_other,
    a_message_that_the_carrier_may_have_accepted_is_never_sent_again,
    every_2xx_status_means_that_the_carrier_accepted,
    a_status_counts_though_the_body_hangs,
    a_run_that_is_late_before_the_call_does_not_call,
    a_message_deleted_while_it_waits_is_recorded_as_failed,
    a_message_that_the_carrier_surely_did_not_accept_is_sent_later_in_order,
    a_carrier_that_cannot_be_reached_gets_all_in_order_later,
    without_credentials_messages_wait_for_them,
    without_its_number_a_message_waits_and_the_others_go,
    a_failing_recipient_holds_up_no_other_and_loses_nothing,
    two_failing_recipients_wait_each_for_its_own_time,
    a_carrier_that_hangs_is_not_asked_again_and_others_do_not_wait,
    a_delivery_is_given_up_after_a_day_and_the_next_one_follows,
);

const OURS_2: &str = "+15550002223";

/// Longer than a lease, a claim and the sweep's distance.
const A_WHILE: Duration = Duration::from_secs(660);
const A_DAY: Duration = Duration::from_secs(86_400);

async fn a_throttled_message_is_sent_when_its_time_has_come_and_once(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    carrier.act(|asked| match asked.to.as_str() {
        ADA => say(429, r#"{"code":20429,"message":"Too Many Requests"}"#).with("Retry-After: 600"),
        _ => Act::Take,
    });
    post(&system, &conversation, "one").await;
    post(&system, &conversation, "two").await;
    system.run(&conversation).await;
    assert_eq!(carrier.asked(ADA), ["one"]);
    assert_eq!(carrier.asked(BOB), ["one", "two"]);
    // Neither a wait nor a further message brings it earlier.
    system.advance_and_tick(Duration::from_secs(570)).await;
    post(&system, &conversation, "three").await;
    system.run(&conversation).await;
    assert_eq!(carrier.asked(ADA), ["one"]);
    assert_eq!(carrier.asked(BOB), ["one", "two", "three"]);
    carrier.act(|_| Act::Take);
    system.advance_and_tick(Duration::from_secs(100)).await;
    let expected = ["one", "one", "two", "three"];
    assert_eq!(carrier.asked(ADA), expected);
    for _ in 0..3 {
        system.advance_and_tick(A_DAY).await;
        system.run(&conversation).await;
    }
    assert_eq!(carrier.asked(ADA), expected);
    assert_eq!(carrier.asked(BOB), ["one", "two", "three"]);
    assert_eq!(states(&system).await, [("sent", 6)].into());
}

async fn the_clock_delivers_what_waits(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    let system = system.start_dispatcher().await;
    carrier.act(|asked| match asked.to.as_str() {
        ADA => say(429, ""),
        _ => Act::Take,
    });
    post(&system, &conversation, "one").await;
    carrier.wait_for(2).await;
    wait_for_states(&system, [("sent", 1), ("waiting", 1)].into()).await;
    carrier.act(|_| Act::Take);
    post(&system, &conversation, "two").await;
    carrier.wait_for(3).await;
    system.advance_by_door("PT11M").await;
    carrier.wait_for(5).await;
    wait_for_states(&system, [("sent", 4)].into()).await;
    assert_eq!(carrier.asked(ADA), ["one", "one", "two"]);
    assert_eq!(carrier.asked(BOB), ["one", "two"]);
}

async fn a_refused_message_is_never_sent_again_and_delays_no_other(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    carrier.act(|asked| match (asked.to.as_str(), asked.body.as_str()) {
        (ADA, "one") => say(
            400,
            r#"{"code":21610,"message":"Attempt to send to unsubscribed recipient","status":400}"#,
        ),
        _ => Act::Take,
    });
    for body in ["one", "two", "three"] {
        post(&system, &conversation, body).await;
    }
    settle(&system, &conversation).await;
    for address in [ADA, BOB] {
        assert_eq!(carrier.asked(address), ["one", "two", "three"]);
    }
    let records = system.outbound_records().await;
    let failed: Vec<_> = records.iter().filter(|r| r.state == "failed").collect();
    assert_eq!(failed.len(), 1, "{records:#?}");
    assert_eq!(failed[0].to, ADA);
    assert_eq!(failed[0].code, Some(21_610));
    assert_eq!(states(&system).await, [("failed", 1), ("sent", 5)].into());
}

/// The carrier reads the request, and then gives no reply, a part of one, or a failure.
async fn a_message_that_the_carrier_may_have_accepted_is_never_sent_again(system: TestSystem) {
    let cases: [(&str, Make); 9] = [
        ("closes", || Act::Close),
        ("resets", || Act::Reset),
        ("is cut off in its status", || Act::Raw("HTTP/1.1 20")),
        ("is cut off in its head", || {
            Act::Raw("HTTP/1.1 201 Created\r\nContent-")
        }),
        ("speaks no HTTP", || Act::Raw("220 mail.example ESMTP\r\n")),
        ("fails", || say(500, "")),
        ("fails and says to come back", || {
            say(500, r#"{"code":20500}"#).with("Retry-After: 1")
        }),
        ("is a bad gateway", || say(502, "<html>")),
        ("is not available", || say(503, r#"{"code":20503}"#)),
    ];
    let (carrier, system, conversation) = at_carrier(&system).await;
    let mut expected = Vec::new();
    for (what, act) in cases {
        carrier.act(
            move |asked| match (asked.to.as_str(), asked.body.starts_with("after")) {
                (ADA, false) => act(),
                _ => Act::Take,
            },
        );
        let next = format!("after it {what}");
        post(&system, &conversation, what).await;
        post(&system, &conversation, &next).await;
        system.run(&conversation).await;
        expected.extend([what.to_owned(), next]);
        // The relay sends the next message at once.
        assert_eq!(carrier.asked(ADA), expected, "{what}");
        assert_eq!(carrier.asked(BOB), expected, "{what}");
    }
    carrier.act(|_| Act::Take);
    for time in [Duration::from_secs(10), A_WHILE, A_DAY, A_DAY] {
        system.advance_and_tick(time).await;
        system.run(&conversation).await;
    }
    assert_eq!(carrier.asked(ADA), expected);
    assert_eq!(carrier.asked(BOB), expected);
    for record in system.outbound_records().await {
        let (index, _) = body_of(&system, &conversation, &record).await;
        let state = match record.to == ADA && index % 2 == 0 {
            true => "unknown",
            false => "sent",
        };
        assert_eq!(record.state, state, "{record:?}");
    }
}

async fn every_2xx_status_means_that_the_carrier_accepted(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    let cases: [Make; 6] = [
        || say(200, "<html>what?</html>"),
        || say(201, ""),
        || say(201, r#"{"sid":7}"#),
        || say(202, r#"{"sid":"SM"#),
        || say(204, ""),
        || Act::Raw("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"sid\":"),
    ];
    let mut expected = Vec::new();
    for (number, act) in cases.into_iter().enumerate() {
        carrier.act(move |_| act());
        let body = format!("case {number}");
        post(&system, &conversation, &body).await;
        system.run(&conversation).await;
        expected.push(body);
    }
    settle(&system, &conversation).await;
    assert_eq!(carrier.asked(ADA), expected);
    assert_eq!(carrier.asked(BOB), expected);
    assert_eq!(states(&system).await, [("sent", 12)].into());
}

/// The status has come, and the body never ends.
async fn a_status_counts_though_the_body_hangs(system: TestSystem) {
    let (carrier, system, _) = at_carrier(&system).await;
    let cases: [(&str, &str, Make); 4] = [
        ("+15551000001", "sent", || {
            Act::HangAfter("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{")
        }),
        ("+15551000002", "waiting", || {
            Act::HangAfter("HTTP/1.1 429 No\r\nContent-Length: 100\r\n\r\n{")
        }),
        ("+15551000003", "waiting", || {
            Act::HangAfter("HTTP/1.1 400 No\r\nContent-Length: 100\r\n\r\n{")
        }),
        ("+15551000004", "unknown", || {
            Act::HangAfter("HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\n{")
        }),
    ];
    carrier.act(move |asked| {
        let case = cases.iter().find(|(address, ..)| *address == asked.to);
        case.expect("a case").2()
    });
    let conversation = system.conversation(&[]).await;
    for (address, ..) in cases {
        system
            .add_participant(&conversation, address, OURS)
            .await
            .expect(201);
    }
    post(&system, &conversation, "hello").await;
    system.run(&conversation).await;
    let records = system.outbound_records().await;
    for (address, state, _) in cases {
        let record = records.iter().find(|record| record.to == address);
        assert_eq!(record.expect("a record").state, state, "{address}");
    }
    // The relay sends the message again that the carrier surely did not accept.
    carrier.act(|_| Act::Take);
    settle(&system, &conversation).await;
    assert_eq!(states(&system).await, [("sent", 3), ("unknown", 1)].into());
}

/// A run that can't write its claim in time may have lost its lease.
async fn a_run_that_is_late_before_the_call_does_not_call(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    post(&system, &conversation, "hello").await;
    let claims = |operation: &str, body: &str| operation == "PutItem" && body.contains("\"O#");
    system
        .wire
        .fail_by(move |operation, body| claims(operation, body).then_some(Fault::Throttled));
    let began = Instant::now();
    try_run(&system, &conversation).await;
    assert!(
        began.elapsed() < Duration::from_secs(100),
        "{:?}",
        began.elapsed()
    );
    system.wire.heal();
    assert_eq!(carrier.asked(ADA), [""; 0]);
    system.advance_and_tick(A_WHILE).await;
    for address in [ADA, BOB] {
        assert_eq!(carrier.asked(address), ["hello"]);
    }
    assert_eq!(states(&system).await, [("sent", 2)].into());
}

/// The relay does not send it, and its record does not wait for ever.
async fn a_message_deleted_while_it_waits_is_recorded_as_failed(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    carrier.act(|asked| match asked.to.as_str() {
        ADA => say(429, ""),
        _ => Act::Take,
    });
    post(&system, &conversation, "hello").await;
    system.run(&conversation).await;
    assert_eq!(states(&system).await, [("sent", 1), ("waiting", 1)].into());
    let message = text(&system.messages(&conversation).await[0]["url"]);
    system.delete(&message).await.expect(204);
    carrier.act(|_| Act::Take);
    post(&system, &conversation, "next").await;
    settle(&system, &conversation).await;
    assert_eq!(carrier.asked(ADA), ["hello", "next"]);
    assert_eq!(states(&system).await, [("failed", 1), ("sent", 3)].into());
}

/// Wrong credentials, a wrong account, a full queue.
async fn a_message_that_the_carrier_surely_did_not_accept_is_sent_later_in_order(
    system: TestSystem,
) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    let cases: [(u16, &str); 4] = [
        (401, r#"{"code":20003,"message":"Authenticate"}"#),
        (403, r#"{"code":20003,"message":"Permission Denied"}"#),
        (404, r#"{"code":20404,"message":"not found"}"#),
        (429, r#"{"code":21611,"message":"queue is full"}"#),
    ];
    let mut asked = Vec::new();
    for (status, answer) in cases {
        carrier.act(move |_| say(status, answer));
        let bodies: Vec<_> = (0..3).map(|n| format!("{status}: {n}")).collect();
        for body in &bodies {
            post(&system, &conversation, body).await;
        }
        system.run(&conversation).await;
        carrier.act(|_| Act::Take);
        system.advance_and_tick(Duration::from_secs(10)).await;
        asked.push(bodies[0].clone());
        asked.extend(bodies);
        assert_eq!(carrier.asked(ADA), asked, "{status}");
        assert_eq!(carrier.asked(BOB), asked, "{status}");
    }
    settle(&system, &conversation).await;
    assert_eq!(carrier.asked(ADA), asked);
    assert_eq!(states(&system).await, [("sent", 24)].into());
}

async fn a_carrier_that_cannot_be_reached_gets_all_in_order_later(system: TestSystem) {
    let (carrier, reachable, conversation) = at_carrier(&system).await;
    let mut expected = Vec::new();
    for url in [
        // No server listens there.
        "http://127.0.0.1:1",
        // No server has this name.
        "http://nowhere.invalid",
    ] {
        let system = system.twilio_at(Some(url));
        for number in 0..3 {
            let body = format!("{url} {number}");
            post(&system, &conversation, &body).await;
            expected.push(body);
        }
        system.run(&conversation).await;
        let before = states(&system).await;
        assert_eq!(before.get("waiting"), Some(&2), "{url}: {before:?}");
        // The next attempt fails too.
        system.advance_and_tick(Duration::from_secs(10)).await;
        reachable.advance_and_tick(Duration::from_secs(60)).await;
        for address in [ADA, BOB] {
            assert_eq!(carrier.asked(address), expected, "{url}");
        }
    }
    settle(&reachable, &conversation).await;
    assert_eq!(states(&reachable).await, [("sent", 12)].into());
    assert_eq!(carrier.asked(ADA), expected);
}

async fn without_credentials_messages_wait_for_them(system: TestSystem) {
    let (carrier, with, conversation) = at_carrier(&system).await;
    let without = system.twilio_at(None);
    for body in ["one", "two"] {
        post(&without, &conversation, body).await;
    }
    without.run(&conversation).await;
    without.advance_and_tick(A_WHILE).await;
    without.run(&conversation).await;
    assert_eq!(states(&with).await, [("waiting", 2)].into());
    with.advance_and_tick(Duration::from_secs(3_600)).await;
    for address in [ADA, BOB] {
        assert_eq!(carrier.asked(address), ["one", "two"]);
    }
    for asked in carrier.all() {
        assert_eq!(
            asked.authorization,
            basic_credentials(TWILIO_ACCOUNT, TWILIO_TOKEN)
        );
    }
}

async fn without_its_number_a_message_waits_and_the_others_go(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    let path = format!(
        "/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json?PhoneNumber=%2B{}",
        &OURS[1..]
    );
    let list = system.get(&path).await.expect(200);
    let number = text(&list["incoming_phone_numbers"][0]["uri"]);
    post(&system, &conversation, "one").await;
    system.delete(&number).await.expect(204);
    post(&system, &conversation, "two").await;
    system.run(&conversation).await;
    assert_eq!(carrier.asked(ADA), Vec::<String>::new());
    assert_eq!(carrier.asked(BOB), ["one", "two"]);
    system.number(OURS, &[("Carrier", "twilio")]).await;
    system.advance_and_tick(Duration::from_secs(10)).await;
    assert_eq!(carrier.asked(ADA), ["one", "two"]);
    settle(&system, &conversation).await;
    assert_eq!(carrier.asked(ADA), ["one", "two"]);
    assert_eq!(carrier.asked(BOB), ["one", "two"]);
}

async fn a_failing_recipient_holds_up_no_other_and_loses_nothing(system: TestSystem) {
    // More entries than one read of a log has.
    const COUNT: usize = 70;
    let (carrier, system, conversation) = at_carrier(&system).await;
    carrier.act(|asked| match asked.to.as_str() {
        // Longer than the run lasts, also on a slow machine.
        ADA => say(429, "").with("Retry-After: 600"),
        _ => Act::Take,
    });
    let expected: Vec<_> = (0..COUNT)
        .map(|number| format!("message {number}"))
        .collect();
    for body in &expected {
        post(&system, &conversation, body).await;
    }
    system.run(&conversation).await;
    assert_eq!(carrier.asked(BOB), expected);
    assert_eq!(carrier.asked(ADA), expected[..1]);
    carrier.act(|_| Act::Take);
    system.advance_and_tick(Duration::from_secs(700)).await;
    settle(&system, &conversation).await;
    assert_eq!(carrier.asked(ADA)[1..], expected);
    assert_eq!(carrier.asked(BOB), expected);
    // Her lane is gone again.
    post(&system, &conversation, "last").await;
    system.run(&conversation).await;
    for address in [ADA, BOB] {
        let asked = carrier.asked(address);
        assert_eq!(asked.last().map(String::as_str), Some("last"));
    }
    let sent = 2 * (COUNT + 1);
    assert_eq!(states(&system).await, [("sent", sent)].into());
}

async fn two_failing_recipients_wait_each_for_its_own_time(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    carrier.act(|asked| match asked.to.as_str() {
        ADA => say(429, "").with("Retry-After: 600"),
        _ => say(429, "").with("Retry-After: 3600"),
    });
    for body in ["one", "two"] {
        post(&system, &conversation, body).await;
    }
    system.run(&conversation).await;
    carrier.act(|_| Act::Take);
    system.advance_and_tick(Duration::from_secs(700)).await;
    assert_eq!(carrier.asked(ADA), ["one", "one", "two"]);
    assert_eq!(carrier.asked(BOB), ["one"]);
    post(&system, &conversation, "three").await;
    system.run(&conversation).await;
    assert_eq!(carrier.asked(ADA), ["one", "one", "two", "three"]);
    assert_eq!(carrier.asked(BOB), ["one"]);
    system.advance_and_tick(Duration::from_secs(3_600)).await;
    assert_eq!(carrier.asked(BOB), ["one", "one", "two", "three"]);
    settle(&system, &conversation).await;
    assert_eq!(states(&system).await, [("sent", 6)].into());
}

async fn a_carrier_that_hangs_is_not_asked_again_and_others_do_not_wait(system: TestSystem) {
    let (carrier, system, hung) = at_carrier(&system).await;
    carrier.act(|asked| match (asked.to.as_str(), asked.body.as_str()) {
        (ADA, "one") => Act::Hang,
        _ => Act::Take,
    });
    let (other, _) = system.bind(ADA, OURS_2).await;
    post(&system, &hung, "one").await;
    post(&system, &hung, "two").await;
    post(&system, &other, "elsewhere").await;
    let began = Instant::now();
    let elsewhere = async {
        system.run(&other).await;
        began.elapsed()
    };
    let ((), elsewhere) = tokio::join!(system.run(&hung), elsewhere);
    let took = began.elapsed();
    assert!(took > Duration::from_secs(14), "{took:?}");
    assert!(elsewhere < took, "{elsewhere:?} of {took:?}");
    // The carrier got Bob's first message before the fault.
    let asked = carrier.all();
    let bobs = asked.iter().find(|asked| asked.to == BOB).expect("Bob");
    assert!(bobs.at - began < took);
    settle(&system, &hung).await;
    assert_eq!(carrier.asked(BOB), ["one", "two"]);
    let mut asked = carrier.asked(ADA);
    asked.retain(|body| body != "elsewhere");
    assert_eq!(asked, ["one", "two"]);
    assert_eq!(states(&system).await, [("sent", 4), ("unknown", 1)].into());
}

async fn a_delivery_is_given_up_after_a_day_and_the_next_one_follows(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    carrier.act(|asked| match (asked.to.as_str(), asked.body.as_str()) {
        (ADA, "one") => say(429, ""),
        _ => Act::Take,
    });
    for body in ["one", "two"] {
        post(&system, &conversation, body).await;
    }
    system.run(&conversation).await;
    for (retried, delay_s) in RETRY_DELAYS_S.into_iter().enumerate() {
        assert_eq!(carrier.asked(ADA), vec!["one"; 1 + retried]);
        // Pauses grow by up to a tenth.
        let delay_s = u64::try_from(delay_s).expect("a pause");
        let pause = Duration::from_secs(delay_s + delay_s / 10 + 1);
        system.advance_and_tick(pause).await;
    }
    let mut expected = vec!["one"; 1 + RETRY_DELAYS_S.len()];
    expected.push("two");
    assert_eq!(carrier.asked(ADA), expected);
    post(&system, &conversation, "three").await;
    system.run(&conversation).await;
    expected.push("three");
    carrier.act(|_| Act::Take);
    for _ in 0..2 {
        system.advance_and_tick(A_DAY).await;
        system.run(&conversation).await;
    }
    assert_eq!(carrier.asked(ADA), expected);
    assert_eq!(carrier.asked(BOB), ["one", "two", "three"]);
    assert_eq!(states(&system).await, [("failed", 1), ("sent", 5)].into());
}

async fn two_runs_at_once_send_nothing_twice(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    carrier.act(|_| Act::Late(Duration::from_millis(50)));
    let mut expected = Vec::new();
    for round in 0..5 {
        for number in 0..3 {
            let body = format!("{round}.{number}");
            post(&system, &conversation, &body).await;
            expected.push(body);
        }
        join_all((0..4).map(|_| try_run(&system, &conversation))).await;
        // The second run has left the work to the first.
        assert_eq!(carrier.asked(ADA), expected);
        assert_eq!(carrier.asked(BOB), expected);
    }
    settle(&system, &conversation).await;
    assert_eq!(carrier.asked(ADA), expected);
    assert_eq!(carrier.asked(BOB), expected);
    assert_eq!(states(&system).await, [("sent", 30)].into());
}

async fn a_run_that_outlives_its_claim_sends_nothing_twice(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    carrier.act(|_| Act::Late(Duration::from_secs(3)));
    post(&system, &conversation, "one").await;
    let slow = tokio::spawn({
        let (system, conversation) = (system.clone(), conversation.clone());
        async move { try_run(&system, &conversation).await }
    });
    carrier.wait_for(2).await;
    // The lease and the claims run out before the carrier replies.
    system.advance(Duration::from_secs(60));
    carrier.act(|_| Act::Take);
    try_run(&system, &conversation).await;
    post(&system, &conversation, "two").await;
    try_run(&system, &conversation).await;
    slow.await.expect("no task panics");
    settle(&system, &conversation).await;
    for address in [ADA, BOB] {
        assert_eq!(carrier.asked(address), ["one", "two"]);
    }
    // The end of the first attempt is unknown.
    assert_eq!(states(&system).await, [("sent", 2), ("unknown", 2)].into());
}

async fn doubled_and_late_rings_send_nothing_twice(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    let mut expected = Vec::new();
    for number in 0..3 {
        let body = format!("message {number}");
        post(&system, &conversation, &body).await;
        expected.push(body);
        let rings = vec![conversation.clone(); 3];
        system.invoke(json!({"conversations": rings})).await;
        system.invoke(json!({"conversations": rings})).await;
    }
    // The ring is a day late.
    system.advance_and_tick(A_DAY).await;
    let rings = vec![conversation.clone(); 3];
    system.invoke(json!({"conversations": rings})).await;
    for address in [ADA, BOB] {
        assert_eq!(carrier.asked(address), expected);
    }
}

async fn a_lost_ring_is_found(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    // Stream and clock do not run.
    post(&system, &conversation, "by the minute").await;
    system.advance_and_tick(A_WHILE).await;
    assert_eq!(carrier.asked(ADA), ["by the minute"]);
    post(&system, &conversation, "by the door").await;
    system.advance_by_door("PT11M").await;
    carrier.wait_for(4).await;
    wait_for_states(&system, [("sent", 4)].into()).await;
    for address in [ADA, BOB] {
        assert_eq!(carrier.asked(address), ["by the minute", "by the door"]);
    }
}

async fn a_new_process_continues_where_the_last_one_ended(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    let mut expected = Vec::new();
    for process in 0..3 {
        let body = format!("before process {process}");
        post(&system, &conversation, &body).await;
        expected.push(body);
        // The last process may have died with a lease.
        system.advance(Duration::from_secs(60));
        let alive = system
            .twilio_at(Some(&carrier.url))
            .start_dispatcher()
            .await;
        carrier.wait_for(2 * expected.len()).await;
        let body = format!("during process {process}");
        post(&alive, &conversation, &body).await;
        expected.push(body);
        carrier.wait_for(2 * expected.len()).await;
        wait_for_states(&alive, [("sent", 2 * expected.len())].into()).await;
    }
    for address in [ADA, BOB] {
        assert_eq!(carrier.asked(address), expected);
    }
}

/// How many calls a run makes here: some, and fewer than this.
const CALLS_MIN: u32 = 3;
const CALLS_MAX: u32 = 60;

async fn a_run_killed_at_any_call_sends_nothing_twice_and_loses_nothing_silently(
    system: TestSystem,
) {
    let conversation = at_simulator(&system, &[(ADA, OURS), (BOB, OURS_2)]).await;
    let mut number = 0;
    at_each_call(CALLS_MIN..=CALLS_MAX, async |nth| {
        let mut killed = false;
        for arrives in [false, true] {
            let body = format!("message {number}");
            number += 1;
            post(&system, &conversation, &body).await;
            killed = system
                .killed_at(nth, arrives, try_run(&system, &conversation))
                .await;
            // The next run may find the lease and the claims of the dead run.
            try_run(&system, &conversation).await;
            system.advance_and_tick(A_WHILE).await;
            assert_accounted(&system, &conversation, &[ADA, BOB], &body).await;
        }
        killed
    })
    .await;
    assert!(number > 20, "a run has calls to be killed at: {number}");
    // Few deaths cost a message: those between a claim and its call.
    let sent = system.outbox().await.len();
    assert!(sent > number, "{sent} of {} were sent", 2 * number);
}

/// With one recipient, the calls come one after the other, so the test knows where a message can get lost: after the write
/// of its claim, and before the call of the carrier.
async fn a_run_killed_for_one_recipient_loses_only_what_it_had_claimed(system: TestSystem) {
    let conversation = at_simulator(&system, &[(ADA, OURS)]).await;
    let mut number = 0;
    let mut lost = Vec::new();
    at_each_call(CALLS_MIN..=CALLS_MAX, async |nth| {
        let mut killed = false;
        for arrives in [false, true] {
            let body = format!("message {number}");
            number += 1;
            post(&system, &conversation, &body).await;
            let counts = |_: &str, body: &str| body.contains("\"O#") || body.contains(OURS);
            let run = try_run(&system, &conversation);
            killed = system.killed_at_call(counts, nth, arrives, run).await;
            let claimed = system.outbound_records().await.len() == number;
            let called = sent_to(&system, ADA).await.contains(&body);
            system.advance_and_tick(A_WHILE).await;
            assert_accounted(&system, &conversation, &[ADA], &body).await;
            let sent = sent_to(&system, ADA).await.contains(&body);
            assert_eq!(sent, called || !claimed, "call {nth}, arrives: {arrives}");
            if !sent {
                lost.push((nth, arrives));
            }
        }
        killed
    })
    .await;
    // The calls: read the number, write the claim, call the carrier, write the end. The claim's answer is lost.
    assert_eq!(lost, [(2, true)]);
}

/// No run sends the message again, and its record says that it may have been sent. Bob writes to Ada.
async fn a_message_deleted_while_it_is_sent_keeps_its_record(system: TestSystem) {
    let conversation = at_simulator(&system, &[(ADA, OURS), (BOB, OURS_2)]).await;
    let mut number = 0;
    at_each_call(CALLS_MIN..=CALLS_MAX, async |nth| {
        let mut killed = false;
        for (arrives, media) in [(false, "0"), (true, "0"), (true, "1")] {
            let case = format!("call {nth}, arrives: {arrives}, media: {media}");
            let form = [
                ("MessageSid", &*sid(number)),
                ("From", BOB),
                ("To", OURS_2),
                ("Body", &case),
                ("NumMedia", media),
                ("MediaUrl0", "https://media.example/1"),
                ("MediaContentType0", "image/png"),
            ];
            let form = match media {
                "0" => &form[..5],
                _ => &form[..],
            };
            assert!(system.simulator(form).await.accepted(), "{case}");
            number += 1;
            killed = system
                .killed_at(nth, arrives, try_run(&system, &conversation))
                .await;
            let (claimed, sent) = (
                system.outbound_records().await.len(),
                system.outbox().await.len(),
            );
            let messages = system.messages(&conversation).await;
            let message = text(&messages.last().expect("a message")["sid"]);
            let path = format!("/v1/Conversations/{conversation}/Messages/{message}");
            system.delete(&path).await.expect(204);
            for _ in 0..2 {
                system.advance_and_tick(A_WHILE).await;
            }
            assert_eq!(system.outbox().await.len(), sent, "{case}");
            let states = states(&system).await;
            let ended = ["sent", "unknown"].map(|state| states.get(state).unwrap_or(&0));
            assert_eq!(
                ended.into_iter().sum::<usize>(),
                claimed,
                "{case}: {states:?}"
            );
        }
        killed
    })
    .await;
    let states = states(&system).await;
    assert!(states["unknown"] >= 3 && states["sent"] >= 3, "{states:?}");
}

/// A run died between its claim and its call. The run that finds its claim dies at its note, or loses the note's answer;
/// no later run would find anything to raise an alarm about.
async fn an_alarm_is_raised_before_a_record_says_unknown(system: TestSystem) {
    let conversation = at_simulator(&system, &[(ADA, OURS)]).await;
    for arrives in [false, true] {
        let case = format!("the note arrives: {arrives}");
        post(&system, &conversation, &case).await;
        let about = |_: &str, body: &str| body.contains("\"O#") || body.contains(OURS);
        let run = try_run(&system, &conversation);
        // The calls: read the number, write the claim.
        assert!(system.killed_at_call(about, 2, true, run).await, "{case}");
        system.advance(A_WHILE);
        let (mut log, writer) = std::io::pipe().expect("a pipe");
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(Arc::new(writer))
            .finish();
        let notes =
            |operation: &str, body: &str| operation == "UpdateItem" && body.contains("\"O#");
        let run = try_run(&system, &conversation).with_subscriber(subscriber);
        assert!(
            system.killed_at_call(notes, 1, arrives, run).await,
            "{case}"
        );
        let mut lines = String::new();
        log.read_to_string(&mut lines).expect("a log");
        let alarms = lines
            .lines()
            .filter(|line| line.contains(r#" outbound="unknown""#));
        assert_eq!(alarms.count(), 1, "{case}: {lines}");
        let unknown = states(&system).await.get("unknown").copied();
        assert_eq!(unknown, arrives.then_some(2).or(None), "{case}");
        system.advance_and_tick(A_WHILE).await;
    }
    assert_eq!(system.outbox().await.len(), 0);
    assert_eq!(states(&system).await, [("unknown", 2)].into());
}

/// A run that does not die knows that it did not call the carrier: the carrier surely did not accept the claimed message.
async fn a_table_that_fails_before_the_carrier_is_called_costs_no_message(system: TestSystem) {
    let (carrier, system, conversation) = at_carrier(&system).await;
    for body in ["one", "two"] {
        post(&system, &conversation, body).await;
        let claimed = Mutex::new(false);
        system.wire.fail_by(move |operation, _| {
            let mut claimed = claimed.lock().expect("no holder panics");
            *claimed |= operation == "PutItem";
            let reads = matches!(operation, "GetItem" | "BatchGetItem" | "Query");
            (*claimed && reads).then_some(Fault::NoTable)
        });
        try_run(&system, &conversation).await;
        system.wire.heal();
        for _ in 0..2 {
            system.advance_and_tick(A_WHILE).await;
        }
    }
    for address in [ADA, BOB] {
        assert_eq!(carrier.asked(address), ["one", "two"]);
    }
    assert_eq!(states(&system).await, [("sent", 4)].into());
}

async fn a_fault_of_the_table_at_any_call_neither_loses_nor_doubles(system: TestSystem) {
    let conversation = at_simulator(&system, &[(ADA, OURS), (BOB, OURS_2)]).await;
    let mut expected = Vec::new();
    for fault in [
        Fault::RequestLost,
        Fault::AnswerLost,
        Fault::Throttled,
        Fault::ServerError,
    ] {
        // A run makes no further call.
        for nth in 1..=20 {
            let body = format!("{fault:?} at {nth}");
            post(&system, &conversation, &body).await;
            let calls = Arc::new(Mutex::new(0));
            system.wire.fail_by(move |_, _| {
                let mut calls = calls.lock().expect("no holder panics");
                *calls += 1;
                (*calls == nth).then_some(fault)
            });
            try_run(&system, &conversation).await;
            system.wire.heal();
            expected.push(body);
            if sent_to(&system, ADA).await.len() < expected.len()
                || sent_to(&system, BOB).await.len() < expected.len()
            {
                system.advance_and_tick(A_WHILE).await;
            }
            for address in [ADA, BOB] {
                assert_eq!(sent_to(&system, address).await, expected, "{address}");
            }
        }
    }
    assert_eq!(states(&system).await, [("sent", 2 * expected.len())].into());
}

async fn a_storm_of_faults_sends_nothing_twice_and_loses_nothing_silently(system: TestSystem) {
    let seed = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos() as u64;
    let conversation = at_simulator(&system, &[(ADA, OURS), (BOB, OURS_2)]).await;
    let random = Arc::new(Mutex::new(seed));
    for round in 0..10 {
        for number in 0..2 {
            post(&system, &conversation, &format!("{round}.{number}")).await;
        }
        let random = random.clone();
        system.wire.fail_by(move |_, _| {
            let mut random = random.lock().expect("no holder panics");
            *random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            match (*random >> 33) % 12 {
                0 => Some(Fault::RequestLost),
                1 => Some(Fault::AnswerLost),
                2 => Some(Fault::Throttled),
                3 => Some(Fault::ServerError),
                4 => Some(Fault::Late(Duration::from_millis(30))),
                _ => None,
            }
        });
        // Two concurrent runs, one of which dies.
        let dies =
            tokio::time::timeout(Duration::from_millis(150), try_run(&system, &conversation));
        let _ = tokio::join!(dies, try_run(&system, &conversation));
        system.wire.heal();
        system.advance_and_tick(A_WHILE).await;
    }
    settle(&system, &conversation).await;
    let seed = format!("seed {seed}");
    assert_accounted(&system, &conversation, &[ADA, BOB], &seed).await;
    // After the storm, no work is left.
    post(&system, &conversation, "calm").await;
    system.run(&conversation).await;
    for address in [ADA, BOB] {
        let sent = sent_to(&system, address).await;
        assert_eq!(sent.last().map(String::as_str), Some("calm"), "{seed}");
    }
}

/// Every message reached each of the addresses once and in order, or its record says that this is not known.
async fn assert_accounted(
    system: &TestSystem,
    conversation: &str,
    addresses: &[&str],
    after: &str,
) {
    let messages = system.messages(conversation).await;
    let outbox = system.outbox().await;
    let records = system.outbound_records().await;
    for address in addresses {
        let sent: Vec<_> = outbox
            .iter()
            .filter(|sent| sent["to"] == json!([address]))
            .map(|sent| &sent["message_sid"])
            .collect();
        let expected: Vec<_> = messages
            .iter()
            .map(|message| &message["sid"])
            .filter(|sid| {
                let record = records
                    .iter()
                    .find(|record| record.to == **address && **sid == record.message_sid);
                let record = record.unwrap_or_else(|| {
                    panic!("after {after}: {sid} was never tried for {address}")
                });
                match record.state {
                    "sent" => true,
                    // It may have been sent.
                    "unknown" => sent.contains(sid),
                    other => panic!("after {after}: {sid} to {address} is {other}"),
                }
            })
            .collect();
        assert_eq!(sent, expected, "after {after}: to {address}");
    }
}

/// A conversation of participants behind numbers of the simulator's.
async fn at_simulator(system: &TestSystem, pairs: &[(&str, &str)]) -> String {
    let conversation = system.conversation(&[]).await;
    for (address, proxy) in pairs {
        system.number(proxy, &[]).await;
        system
            .add_participant(&conversation, address, proxy)
            .await
            .expect(201);
    }
    conversation
}

/// A stand-in for Twilio, a system that sends there, and a conversation of Ada and Bob behind numbers of Twilio's.
async fn at_carrier(system: &TestSystem) -> (Carrier, TestSystem, String) {
    let carrier = Carrier::start().await;
    let system = system.twilio_at(Some(&carrier.url));
    system.number(OURS, &[("Carrier", "twilio")]).await;
    system.number(OURS_2, &[("Carrier", "twilio")]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    system
        .add_participant(&conversation, BOB, OURS_2)
        .await
        .expect(201);
    (carrier, system, conversation)
}

/// Posts a message to all participants.
async fn post(system: &TestSystem, conversation: &str, body: &str) {
    let path = format!("/v1/Conversations/{conversation}/Messages");
    system.post(&path, &[("Body", body)]).await.expect(201);
}

/// A run that may fail.
async fn try_run(system: &TestSystem, conversation: &str) {
    let _ = dispatch::hand_off::run(&system.app, &[conversation.to_owned()]).await;
}

/// Waits until no work is left.
async fn settle(system: &TestSystem, conversation: &str) {
    for time in [Duration::ZERO, Duration::from_secs(10), A_WHILE, A_DAY] {
        system.advance_and_tick(time).await;
        system.run(conversation).await;
    }
}

/// The messages that the simulator got for an address.
async fn sent_to(system: &TestSystem, address: &str) -> Vec<String> {
    let sent = system.outbox().await;
    sent.iter()
        .filter(|sent| sent["to"] == json!([address]))
        .map(|sent| text(&sent["body"]))
        .collect()
}

/// How many records are in each state.
async fn states(system: &TestSystem) -> BTreeMap<&'static str, usize> {
    let mut states = BTreeMap::new();
    for record in system.outbound_records().await {
        *states.entry(record.state).or_default() += 1;
    }
    states
}

async fn wait_for_states(system: &TestSystem, expected: BTreeMap<&'static str, usize>) {
    for _ in 0..WAIT_ROUNDS_MAX {
        if states(system).await == expected {
            return;
        }
        tokio::time::sleep(WAIT_ROUND).await;
    }
    assert_eq!(states(system).await, expected);
}

/// Index and body of a record's message.
async fn body_of(
    system: &TestSystem,
    conversation: &str,
    record: &OutboundRecord,
) -> (u64, String) {
    let path = format!(
        "/v1/Conversations/{conversation}/Messages/{}",
        record.message_sid
    );
    let message: Value = system.get(&path).await.expect(200);
    (
        message["index"].as_u64().expect("an index"),
        text(&message["body"]),
    )
}

/// Twilio's Messages API, down to its bytes, so that it can fail as no HTTP server does.
struct Carrier {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    act: Arc<Mutex<Arc<Rule>>>,
}

type Rule = Box<dyn Fn(&Asked) -> Act + Send + Sync>;

/// A request to send.
#[derive(Clone, Debug)]
struct Asked {
    to: String,
    body: String,
    authorization: String,
    at: Instant,
}

/// The answer to a request, after the stand-in has read it.
enum Act {
    Take,
    /// Accepts the message after a while.
    Late(Duration),
    Say {
        status: u16,
        header: &'static str,
        body: &'static str,
    },
    /// Sends these bytes, and closes.
    Raw(&'static str),
    Close,
    Reset,
    /// Sends nothing, for longer than any client waits.
    Hang,
    /// Sends these bytes, and then nothing.
    HangAfter(&'static str),
}

/// Makes an answer, for each request.
type Make = fn() -> Act;

fn say(status: u16, body: &'static str) -> Act {
    let header = "X-Nothing: 0";
    Act::Say {
        status,
        header,
        body,
    }
}

impl Act {
    fn with(self, with: &'static str) -> Act {
        match self {
            Act::Say { status, body, .. } => Act::Say {
                status,
                header: with,
                body,
            },
            other => other,
        }
    }
}

const WAIT_ROUND: Duration = Duration::from_millis(20);
const WAIT_ROUNDS_MAX: usize = 1_500;

impl Carrier {
    /// It accepts every message, until [`Carrier::act`] changes that.
    async fn start() -> Carrier {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let rule: Rule = Box::new(|_| Act::Take);
        let act = Arc::new(Mutex::new(Arc::new(rule)));
        let (log, rule) = (asked.clone(), act.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, log.clone(), rule.clone()));
            }
        });
        Carrier {
            url: format!("http://{address}"),
            asked,
            act,
        }
    }

    /// Sets the answers from now on.
    fn act(&self, act: impl Fn(&Asked) -> Act + Send + Sync + 'static) {
        *self.act.lock().expect("no holder panics") = Arc::new(Box::new(act));
    }

    /// Every request, oldest first.
    fn all(&self) -> Vec<Asked> {
        self.asked.lock().expect("no holder panics").clone()
    }

    /// The texts of all requests to send to an address, in order, accepted or not.
    fn asked(&self, to: &str) -> Vec<String> {
        let asked = self.all().into_iter().filter(|asked| asked.to == to);
        asked.map(|asked| asked.body).collect()
    }

    async fn wait_for(&self, count: usize) {
        for _ in 0..WAIT_ROUNDS_MAX {
            if self.all().len() >= count {
                return;
            }
            tokio::time::sleep(WAIT_ROUND).await;
        }
        panic!("{} of {count} came: {:#?}", self.all().len(), self.all());
    }
}

/// Serves one connection, until one side closes it.
async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<Asked>>>, rule: Arc<Mutex<Arc<Rule>>>) {
    let mut buffer = Vec::new();
    while let Some(asked) = read(&mut stream, &mut buffer).await {
        let rule = rule.lock().expect("no holder panics").clone();
        log.lock().expect("no holder panics").push(asked.clone());
        let taken = r#"{"sid":"SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","status":"queued"}"#;
        let (status, header, body) = match rule(&asked) {
            Act::Take => (201, "X-Nothing: 0", taken),
            Act::Late(delay) => {
                tokio::time::sleep(delay).await;
                (201, "X-Nothing: 0", taken)
            }
            Act::Say {
                status,
                header,
                body,
            } => (status, header, body),
            Act::Raw(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::HangAfter(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                tokio::time::sleep(Duration::from_secs(60)).await;
                return;
            }
            Act::Close => return,
            Act::Reset => {
                let _ = stream.set_zero_linger();
                return;
            }
            Act::Hang => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return;
            }
        };
        let length = match status {
            204 => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        let answer = format!("HTTP/1.1 {status} Said\r\n{header}\r\n{length}\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next request of a connection, read to its end.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let header = |name: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_owned()).unwrap_or_default()
            };
            let length: usize = header("Content-Length").parse().ok()?;
            if buffer.len() >= end + 4 + length {
                let rest = buffer.split_off(end + 4 + length);
                let form: BTreeMap<_, _> = form_urlencoded::parse(&buffer[end + 4..])
                    .into_owned()
                    .collect();
                *buffer = rest;
                let field = |name: &str| form.get(name).cloned().unwrap_or_default();
                return Some(Asked {
                    to: field("To"),
                    body: field("Body"),
                    authorization: header("Authorization"),
                    at: Instant::now(),
                });
            }
        }
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes).await {
            Ok(count) if count > 0 => buffer.extend_from_slice(&bytes[..count]),
            _ => return None,
        }
    }
}
