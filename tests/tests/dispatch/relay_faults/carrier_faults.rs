//! Faults of carriers: throttling, refusals, lost and hanging answers, missing credentials.

use super::*;

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
