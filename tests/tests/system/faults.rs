//! Faults of DynamoDB, of the network and of other parties' servers, and the promises for messages under them.

use std::time::{Duration, Instant};

use routing::SETTINGS_AGE_MAX;
use service::RECEIVE_TIME;
use tests::carrier::sid;
use tests::json::text;
use tests::receiver::{Receiver, Reply};
use tests::system::{ACCOUNT, ADA, OURS, TestSystem};
use tests::wire::Fault;

on_both_engines!(
    a_commit_whose_answer_is_lost_is_a_success_and_happens_once,
    a_rest_change_whose_answer_is_lost_is_a_success_and_happens_once,
    a_setting_whose_answer_is_lost_is_a_success_and_happens_once,
    a_record_made_anew_is_not_touched_by_a_change_of_the_old_one,
    an_unknown_result_is_not_reported_as_a_failure,
    a_change_that_may_still_happen_is_not_refused,
    a_creation_that_may_still_happen_is_not_refused,
    a_message_under_contention_follows_the_present_settings,
    a_commit_that_never_arrived_is_sent_again,
    a_commit_waits_until_traffic_on_the_same_items_ends,
    a_commit_with_an_unknown_result_is_not_a_success_and_its_repetition_is_a_duplicate,
    a_dead_table_accepts_nothing_and_loses_nothing,
    a_throttled_table_answers_503_within_the_carriers_patience,
    a_crash_at_any_call_loses_and_doubles_nothing,
);

on_the_embedded_engine!(
    a_dead_pre_action_webhook_delays_a_message_and_no_more,
    a_dead_incoming_message_webhook_is_a_502_and_the_message_is_kept,
);

async fn bodies_of_the_only_conversation(system: &TestSystem) -> Vec<String> {
    let conversations = system.conversations().await;
    assert_eq!(conversations.len(), 1, "{conversations:#?}");
    system.bodies(&text(&conversations[0]["sid"])).await
}

async fn a_commit_whose_answer_is_lost_is_a_success_and_happens_once(system: TestSystem) {
    system.autocreation(OURS).await;
    for (number, losses) in [(1, 1), (2, 1), (3, 2)] {
        for _ in 0..losses {
            system
                .wire
                .fail_next("TransactWriteItems", Fault::AnswerLost);
        }
        let body = format!("message {number}");
        assert!(
            system
                .message(&sid(number), ADA, OURS, &body)
                .await
                .accepted()
        );
        // The carrier may have lost our answer as well.
        assert!(
            system
                .message(&sid(number), ADA, OURS, &body)
                .await
                .accepted()
        );
    }
    assert_eq!(
        bodies_of_the_only_conversation(&system).await,
        ["message 1", "message 2", "message 3"]
    );
}

async fn a_rest_change_whose_answer_is_lost_is_a_success_and_happens_once(system: TestSystem) {
    system.number(OURS, &[]).await;
    let lose = |operation| system.wire.fail_next(operation, Fault::AnswerLost);

    lose("TransactWriteItems");
    let conversation = system.conversation(&[("UniqueName", "one")]).await;
    lose("TransactWriteItems");
    let participant = text(
        &system
            .add_participant(&conversation, ADA, OURS)
            .await
            .expect(201)["sid"],
    );
    // A message by REST is a single conditional put, and the repetition meets its own work.
    let path = format!("/v1/Conversations/{conversation}/Messages");
    lose("PutItem");
    let message = text(&system.post(&path, &[("Body", "hello")]).await.expect(201)["sid"]);
    lose("TransactWriteItems");
    system
        .post(&format!("{path}/{message}"), &[("Body", "hello!")])
        .await
        .expect(200);
    lose("TransactWriteItems");
    let update = [("FriendlyName", "Ada"), ("State", "inactive")];
    system
        .post(&format!("/v1/Conversations/{conversation}"), &update)
        .await
        .expect(200);

    assert_eq!(bodies_of_the_only_conversation(&system).await, ["hello!"]);
    assert_eq!(
        system
            .list(&format!("/v1/Conversations/{conversation}/Participants"))
            .await
            .len(),
        1
    );

    lose("TransactWriteItems");
    system
        .delete(&format!(
            "/v1/Conversations/{conversation}/Participants/{participant}"
        ))
        .await
        .expect(204);
    lose("TransactWriteItems");
    system
        .delete(&format!("/v1/Conversations/{conversation}"))
        .await
        .expect(204);
    assert!(system.conversations().await.is_empty());
}

async fn a_setting_whose_answer_is_lost_is_a_success_and_happens_once(system: TestSystem) {
    let lose = || {
        system
            .wire
            .fail_next("TransactWriteItems", Fault::AnswerLost)
    };
    lose();
    let number = system.number(OURS, &[]).await;
    lose();
    system
        .post(&text(&number["uri"]), &[("FriendlyName", "main")])
        .await
        .expect(200);
    lose();
    let configuration = text(&system.autocreation(OURS).await["sid"]);
    lose();
    let timers = system
        .post("/v1/Configuration", &[("DefaultClosedTimer", "PT1H")])
        .await
        .expect(200);
    assert_eq!(timers["default_closed_timer"], "PT1H");
    lose();
    system
        .delete(&format!("/v1/Configuration/Addresses/{configuration}"))
        .await
        .expect(204);
    assert!(system.list("/v1/Configuration/Addresses").await.is_empty());
    assert_eq!(
        system.get(&text(&number["uri"])).await.expect(200)["friendly_name"],
        "main"
    );
}

async fn a_record_made_anew_is_not_touched_by_a_change_of_the_old_one(system: TestSystem) {
    let old = text(&system.number(OURS, &[]).await["uri"]);
    for change in ["update", "delete"] {
        let old = match change {
            "update" => old.clone(),
            _ => text(&system.get(&only_number(&system).await).await.expect(200)["uri"]),
        };
        // The change has read the old number when its write is held up.
        system.wire.fail_next(
            "TransactWriteItems",
            Fault::Late(Duration::from_millis(600)),
        );
        let changing = tokio::spawn({
            let (system, old) = (system.clone(), old.clone());
            async move {
                match change {
                    "update" => {
                        system
                            .post(&old, &[("SmsUrl", "http://127.0.0.1:9/old")])
                            .await
                    }
                    _ => system.delete(&old).await,
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        system.delete(&old).await.expect(204);
        let new = system
            .number(OURS, &[("SmsUrl", "http://127.0.0.1:9/new")])
            .await;
        changing
            .await
            .expect("no task panics")
            .expect_code(404, 20404);
        assert_eq!(system.get(&text(&new["uri"])).await.expect(200), new);
    }
}

/// The path of the number that is ours.
async fn only_number(system: &TestSystem) -> String {
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json");
    let list = system.get(&path).await.expect(200);
    text(&list["incoming_phone_numbers"][0]["uri"])
}

async fn an_unknown_result_is_not_reported_as_a_failure(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let path = format!("/v1/Conversations/{conversation}/Messages");
    system.wire.fail_next("PutItem", Fault::AnswerLost);
    system.wire.fail_next("PutItem", Fault::NoTable);
    let error = system
        .post(&path, &[("Body", "hello")])
        .await
        .expect_code(503, 20503);
    assert!(text(&error["message"]).contains("not known"), "{error}");
    assert_eq!(system.bodies(&conversation).await, ["hello"]);
}

async fn a_change_that_may_still_happen_is_not_refused(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (holder, participant) = system.bind(ADA, OURS).await;
    let conversation = system.conversation(&[]).await;
    system.wire.fail_next("TransactWriteItems", Fault::Held);
    let error = system
        .add_participant(&conversation, ADA, OURS)
        .await
        .expect_code(503, 20503);
    assert!(text(&error["message"]).contains("not known"), "{error}");
    // The pair is free again when the first request arrives.
    system
        .delete(&format!(
            "/v1/Conversations/{holder}/Participants/{participant}"
        ))
        .await
        .expect(204);
    system.wire.deliver_held().await;
    let participants = format!("/v1/Conversations/{conversation}/Participants");
    assert_eq!(system.list(&participants).await.len(), 1);
    // Without doubt, the same is a refusal.
    let other = system.conversation(&[]).await;
    system
        .add_participant(&other, ADA, OURS)
        .await
        .expect_code(409, 50416);
}

async fn a_creation_that_may_still_happen_is_not_refused(system: TestSystem) {
    let number = system.number(OURS, &[]).await;
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json");
    let again = [("PhoneNumber", OURS), ("FriendlyName", "again")];
    system.wire.fail_next("TransactWriteItems", Fault::Held);
    let error = system.post(&path, &again).await.expect_code(503, 20503);
    assert!(text(&error["message"]).contains("not known"), "{error}");
    system.delete(&text(&number["uri"])).await.expect(204);
    system.wire.deliver_held().await;
    let made = system.get(&only_number(&system).await).await.expect(200);
    assert_eq!(made["friendly_name"], "again");
    system.post(&path, &again).await.expect_code(409, 20409);
}

/// A message that loses two slots reads the tail, and settings that have grown old with it: a pre-action webhook that is
/// set meanwhile is called.
async fn a_message_under_contention_follows_the_present_settings(system: TestSystem) {
    let hook = Receiver::start(|_| Reply::new(403, "")).await;
    system.number(OURS, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    let posts = format!("/v1/Conversations/{conversation}/Messages");
    let gated = |operation: &str, body: &str| {
        let commit = operation == "TransactWriteItems" && body.contains("contended");
        commit.then_some(Fault::Gated)
    };
    system.wire.fail_by(gated);
    let message = tokio::spawn({
        let system = system.clone();
        async move { system.message(&sid(1), ADA, OURS, "contended").await }
    });
    system.wire.gated(1).await;
    system.post(&posts, &[("Body", "first")]).await.expect(201);
    system.wire.open_gate();
    system.wire.gated(2).await;
    system.post(&posts, &[("Body", "second")]).await.expect(201);
    system.set_pre_webhook(&hook.url(), &[]).await;
    tokio::time::sleep(SETTINGS_AGE_MAX + Duration::from_millis(1)).await;
    system.wire.heal();
    system.wire.open_gate();
    assert!(message.await.expect("no task panics").accepted());
    assert_eq!(hook.received().len(), 1);
    assert_eq!(system.bodies(&conversation).await, ["first", "second"]);
}

async fn a_commit_that_never_arrived_is_sent_again(system: TestSystem) {
    system.autocreation(OURS).await;
    for (number, fault) in [
        Fault::RequestLost,
        Fault::ServerError,
        Fault::TransactionInProgress,
    ]
    .into_iter()
    .enumerate()
    {
        system.wire.fail_next("TransactWriteItems", fault);
        assert!(
            system
                .message(&sid(number as u64), ADA, OURS, "hello")
                .await
                .accepted(),
            "{fault:?}"
        );
    }
    for operation in ["GetItem", "Query"] {
        for fault in [
            Fault::RequestLost,
            Fault::ServerError,
            Fault::Throttled,
            Fault::AnswerLost,
        ] {
            system.wire.fail_next(operation, fault);
        }
    }
    assert!(system.message(&sid(3), ADA, OURS, "hello").await.accepted());
    assert_eq!(bodies_of_the_only_conversation(&system).await.len(), 4);
}

async fn a_commit_waits_until_traffic_on_the_same_items_ends(system: TestSystem) {
    system.autocreation(OURS).await;
    for number in 0..3 {
        for fault in [
            Fault::TransactionConflict,
            Fault::Throttled,
            Fault::TransactionConflict,
        ] {
            system.wire.fail_next("TransactWriteItems", fault);
        }
        assert!(
            system
                .message(&sid(number), ADA, OURS, "hello")
                .await
                .accepted()
        );
    }
    let conversation = text(&system.conversations().await[0]["sid"]);
    system.wire.fail_next("PutItem", Fault::TransactionConflict);
    system
        .post(
            &format!("/v1/Conversations/{conversation}/Messages"),
            &[("Body", "hello")],
        )
        .await
        .expect(201);
    assert_eq!(bodies_of_the_only_conversation(&system).await.len(), 4);
}

/// Asserts that the deadline of the request ended it, before the carrier hangs up. How far beyond it a busy machine
/// answers is not our promise; without a deadline there would be no end.
#[track_caller]
fn assert_deadline_held(began: Instant) {
    const CARRIER_PATIENCE: Duration = Duration::from_secs(15);
    const { assert!(RECEIVE_TIME.as_secs() < CARRIER_PATIENCE.as_secs()) };
    let took = began.elapsed();
    assert!(took < 4 * CARRIER_PATIENCE, "{took:?}");
}

async fn a_commit_with_an_unknown_result_is_not_a_success_and_its_repetition_is_a_duplicate(
    system: TestSystem,
) {
    system.autocreation(OURS).await;
    assert!(system.message(&sid(1), ADA, OURS, "first").await.accepted());
    // It happens at the first try, and no answer ever comes back.
    let lost =
        |operation: &str, _: &str| (operation == "TransactWriteItems").then_some(Fault::AnswerLost);
    system.wire.fail_by(lost);
    let began = Instant::now();
    let answer = system.message(&sid(2), ADA, OURS, "second").await;
    assert_eq!(answer.status, 503);
    assert_deadline_held(began);
    system.wire.heal();
    assert!(
        system
            .message(&sid(2), ADA, OURS, "second")
            .await
            .accepted()
    );
    assert_eq!(
        bodies_of_the_only_conversation(&system).await,
        ["first", "second"]
    );
}

async fn a_dead_table_accepts_nothing_and_loses_nothing(system: TestSystem) {
    system.autocreation(OURS).await;
    system.wire.fail_by(|_, _| Some(Fault::NoTable));
    let answer = system.message(&sid(1), ADA, OURS, "hello").await;
    assert!(answer.status.is_server_error(), "{}", answer.status);
    assert!(answer.json()["message"].is_string());
    assert_eq!(
        system.get("/v1/Conversations").await.status.as_u16() / 100,
        5
    );
    system.wire.heal();
    assert!(system.message(&sid(1), ADA, OURS, "hello").await.accepted());
    assert_eq!(bodies_of_the_only_conversation(&system).await, ["hello"]);
}

async fn a_throttled_table_answers_503_within_the_carriers_patience(system: TestSystem) {
    system.autocreation(OURS).await;
    system
        .wire
        .fail_by(|operation, _| (operation == "TransactWriteItems").then_some(Fault::Throttled));
    let began = Instant::now();
    assert_eq!(
        system.message(&sid(1), ADA, OURS, "hello").await.status,
        503
    );
    assert_deadline_held(began);
    system.wire.heal();
    assert!(system.message(&sid(1), ADA, OURS, "hello").await.accepted());
    assert_eq!(bodies_of_the_only_conversation(&system).await, ["hello"]);
}

/// A function that is killed at its n-th call, before or after DynamoDB has done it, and the carrier's repetition.
async fn a_crash_at_any_call_loses_and_doubles_nothing(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    // One number for each way that a message can take.
    let (created, bound, forwarded, unroutable) = (
        "+15550003001",
        "+15550003002",
        "+15550003003",
        "+15550003004",
    );
    system.autocreation(created).await;
    system.number(bound, &[]).await;
    system
        .number(forwarded, &[("SmsUrl", &receiver.url())])
        .await;
    let (conversation, _) = system.bind(ADA, bound).await;
    let mut number = 0;
    for to in [created, bound, forwarded, unroutable] {
        for calls in 1..=8 {
            for arrives in [false, true] {
                number += 1;
                let crashed = crash(&system, calls, arrives, &sid(number), to).await;
                let answer = system.message(&sid(number), ADA, to, "hello").await;
                assert!(
                    answer.accepted(),
                    "after a crash at call {calls} ({crashed}): {}",
                    answer.text()
                );
            }
        }
    }
    // Sixteen messages went each way.
    assert_eq!(system.bodies(&conversation).await.len(), 16);
    let conversations = system.conversations().await;
    assert_eq!(conversations.len(), 2, "one was made, one was there");
    for row in conversations {
        assert_eq!(system.bodies(&text(&row["sid"])).await.len(), 16);
    }
    let mut sids: Vec<String> = receiver
        .received()
        .iter()
        .filter_map(|received| received.parameter("MessageSid").map(str::to_owned))
        .collect();
    sids.sort();
    sids.dedup();
    assert_eq!(
        sids.len(),
        16,
        "the webhook got every forwarded message, some of them twice"
    );
}

/// Handles a message and stops at its n-th call of DynamoDB: the request is dropped, as a killed process drops it.
/// Returns whether it came that far.
async fn crash(system: &TestSystem, calls: u32, arrives: bool, sid: &str, to: &str) -> bool {
    let left = std::sync::atomic::AtomicU32::new(calls);
    let (killed, kill) = tokio::sync::watch::channel(false);
    system.wire.fail_by(move |_, _| {
        let left = left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
        if left != 1 {
            return None;
        }
        let _ = killed.send(true);
        Some(if arrives {
            Fault::AnswerLost
        } else {
            Fault::RequestLost
        })
    });
    let mut kill = kill;
    let crashed = tokio::select! {
        biased;
        _ = async {
            let _ = kill.wait_for(|killed| *killed).await;
            // A request that arrives is carried out, and no caller waits for the answer.
            tokio::time::sleep(if arrives { Duration::from_millis(60) } else { Duration::ZERO }).await;
        } => true,
        _ = system.message(sid, ADA, to, "hello") => false,
    };
    system.wire.heal();
    crashed
}

async fn a_dead_pre_action_webhook_delays_a_message_and_no_more(system: TestSystem) {
    let hook = Receiver::start(|_| Reply::new(200, "").after(Duration::from_secs(600))).await;
    system.autocreation(OURS).await;
    system
        .post(
            "/v1/Configuration/Webhooks",
            &[("PreWebhookUrl", &hook.url())],
        )
        .await
        .expect(200);
    let began = Instant::now();
    assert!(system.message(&sid(1), ADA, OURS, "hello").await.accepted());
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(4_900) && took < Duration::from_secs(300),
        "{took:?}"
    );
    assert_eq!(hook.received().len(), 1);
    assert_eq!(bodies_of_the_only_conversation(&system).await, ["hello"]);
}

async fn a_dead_incoming_message_webhook_is_a_502_and_the_message_is_kept(system: TestSystem) {
    let dead = Receiver::start(|_| Reply::new(500, "")).await;
    system.number(OURS, &[("SmsUrl", &dead.url())]).await;
    assert_eq!(
        system.message(&sid(1), ADA, OURS, "hello").await.status,
        502
    );
    dead.answer(|_| Reply::new(200, "<Response><Message>hi</Message></Response>"));
    let answer = system.message(&sid(1), ADA, OURS, "hello").await;
    assert!(answer.accepted());
    assert_eq!(answer.text(), "<Response><Message>hi</Message></Response>");
    let received = dead.received();
    assert_eq!(received.len(), 2);
    assert_eq!(
        received[0].header("I-Twilio-Idempotency-Token"),
        received[1].header("I-Twilio-Idempotency-Token")
    );
    assert_eq!(received[0].parameters, received[1].parameters);
}
