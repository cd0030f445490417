//! Concurrent runs, runs that die, and faults of the table.

use super::*;

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
