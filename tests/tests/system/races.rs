//! Many at once, over copies of the functions that share nothing but the table.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use futures_util::future::join_all;
use store::Deadline;
use tests::carrier::{PATIENT_ATTEMPTS, sid};
use tests::json::text;
use tests::response::Response;
use tests::system::{ADA, OURS, TestSystem};
use tokio::sync::{Mutex, MutexGuard};

on_both_engines!(
    fifty_first_messages_of_one_pair_make_one_conversation_and_all_are_accepted_at_the_first_try,
    two_hundred_first_messages_of_one_pair_make_one_conversation_where_5xx_is_repeated,
    a_hundred_claims_of_one_pair_have_one_winner_whose_sid_the_losers_get,
    fifty_copies_of_one_message_are_one_message,
    capture_races_close_and_no_message_is_lost_between,
    capture_races_removal_and_no_message_is_lost_between,
    capture_races_delete_and_no_message_is_lost_between,
    messages_by_rest_and_by_carrier_share_one_order,
    a_pair_given_from_one_conversation_to_the_next_is_never_in_both,
    concurrent_edits_of_a_conversation_are_all_kept,
    a_name_and_an_identity_have_one_winner,
);

/// Ten times as long as a busy machine needs for fifty messages of one pair.
const FIRST_TRY_TIME: Duration = Duration::from_secs(300);

/// Waits until no other test of this file has a crowd under way. The engines take one request at a time: beside other
/// crowds, a crowd measures how long the queue is.
async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// Runs all at once, each as a task of its own.
async fn at_once<F>(tasks: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let ended = join_all(running).await;
    ended
        .into_iter()
        .map(|output| output.expect("no task panics"))
        .collect()
}

/// `count` messages of one pair at once, numbered from `first`; how each was answered.
async fn burst(system: &TestSystem, first: u64, count: u64, attempts: usize) -> Vec<Response> {
    let messages = (first..first + count).map(|number| {
        let system = system.clone();
        async move {
            let body = format!("message {number}");
            system
                .message_repeated(&sid(number), ADA, OURS, &body, attempts)
                .await
        }
    });
    at_once(messages).await
}

/// Every message of the numbers exactly once, in these conversations.
async fn assert_each_once(
    system: &TestSystem,
    conversations: &[String],
    numbers: std::ops::Range<u64>,
) {
    let mut found = Vec::new();
    for conversation in conversations {
        found.extend(system.bodies(conversation).await);
    }
    found.sort();
    let mut expected: Vec<String> = numbers.map(|number| format!("message {number}")).collect();
    expected.sort();
    assert_eq!(found, expected);
}

async fn open_conversations(system: &TestSystem) -> Vec<String> {
    let all = system.conversations().await;
    all.iter()
        .filter(|row| row["state"] != "closed")
        .map(|row| text(&row["sid"]))
        .collect()
}

async fn all_conversations(system: &TestSystem) -> Vec<String> {
    system
        .conversations()
        .await
        .iter()
        .map(|row| text(&row["sid"]))
        .collect()
}

async fn fifty_first_messages_of_one_pair_make_one_conversation_and_all_are_accepted_at_the_first_try(
    system: TestSystem,
) {
    let _turn = turn().await;
    system.autocreation(OURS).await;
    // How many a slow machine accepts in a carrier's time is not the promise.
    let deadline = Deadline::after(FIRST_TRY_TIME);
    let messages = (0..50).map(|number| {
        let system = system.clone();
        async move {
            let (sid, body) = (sid(number), format!("message {number}"));
            let form = [
                ("MessageSid", &*sid),
                ("From", ADA),
                ("To", OURS),
                ("Body", &*body),
            ];
            system.receive_until(deadline, &form).await
        }
    });
    for received in at_once(messages).await {
        assert!(!received.expect("accepted").duplicate);
    }
    let conversations = all_conversations(&system).await;
    assert_eq!(conversations.len(), 1);
    assert_each_once(&system, &conversations, 0..50).await;
}

async fn two_hundred_first_messages_of_one_pair_make_one_conversation_where_5xx_is_repeated(
    system: TestSystem,
) {
    let _turn = turn().await;
    system.autocreation(OURS).await;
    for answer in burst(&system, 0, 200, PATIENT_ATTEMPTS).await {
        assert!(answer.accepted(), "{} {}", answer.status, answer.text());
    }
    let conversations = all_conversations(&system).await;
    assert_eq!(conversations.len(), 1);
    assert_each_once(&system, &conversations, 0..200).await;
}

async fn a_hundred_claims_of_one_pair_have_one_winner_whose_sid_the_losers_get(system: TestSystem) {
    let _turn = turn().await;
    system.number(OURS, &[]).await;
    let mut conversations = Vec::new();
    for _ in 0..10 {
        conversations.push(system.conversation(&[]).await);
    }
    let claims = (0..100).map(|number| {
        let (system, conversation) = (system.clone(), conversations[number % 10].clone());
        async move {
            (
                conversation.clone(),
                system.add_participant(&conversation, ADA, OURS).await,
            )
        }
    });
    let answers = at_once(claims).await;
    let won: Vec<_> = answers
        .iter()
        .filter(|(_, answer)| answer.status == 201)
        .collect();
    assert_eq!(won.len(), 1, "one claim wins");
    let (winner, _) = won[0];
    let sentence = format!(
        "A binding for this participant and proxy address already exists in Conversation {winner}"
    );
    for (_, answer) in answers.iter().filter(|(_, answer)| answer.status != 201) {
        let error = answer.clone().expect_code(409, 50416);
        assert_eq!(error["message"], sentence.as_str());
        assert_eq!(error["details"]["conversation_sid"], winner.as_str());
    }
    assert!(
        system
            .message(&sid(1), ADA, OURS, "message 1")
            .await
            .accepted()
    );
    assert_eq!(system.bodies(winner).await, ["message 1"]);
}

async fn fifty_copies_of_one_message_are_one_message(system: TestSystem) {
    let _turn = turn().await;
    system.autocreation(OURS).await;
    for (number, body) in [(1, "first"), (2, "second")] {
        let copies = (0..50).map(|_| {
            let system = system.clone();
            async move {
                system
                    .message_repeated(&sid(number), ADA, OURS, body, PATIENT_ATTEMPTS)
                    .await
            }
        });
        let answers = at_once(copies).await;
        assert!(answers.iter().all(Response::accepted));
        assert!(
            answers.iter().all(|answer| answer.body == answers[0].body),
            "every copy is answered the same"
        );
    }
    let conversations = all_conversations(&system).await;
    assert_eq!(conversations.len(), 1);
    assert_eq!(system.bodies(&conversations[0]).await, ["first", "second"]);
}

/// Thirty messages while `end` ends the conversation that holds the pair: each is captured before it, or opens the one
/// conversation after it.
async fn while_messages_come<F>(
    system: &TestSystem,
    end: impl FnOnce(TestSystem, String, String) -> F,
) where
    F: Future<Output = Response> + Send + 'static,
{
    system.autocreation(OURS).await;
    let (conversation, participant) = system.bind(ADA, OURS).await;
    let ending = tokio::spawn(end(system.clone(), conversation.clone(), participant));
    let answers = burst(system, 0, 30, PATIENT_ATTEMPTS).await;
    assert!(answers.iter().all(Response::accepted));
    let ended = ending.await.expect("no task panics");
    assert!(
        ended.status.is_success(),
        "{} {}",
        ended.status,
        ended.text()
    );
}

async fn capture_races_close_and_no_message_is_lost_between(system: TestSystem) {
    let _turn = turn().await;
    while_messages_come(&system, |system, conversation, _| async move {
        system
            .post(
                &format!("/v1/Conversations/{conversation}"),
                &[("State", "closed")],
            )
            .await
    })
    .await;
    assert!(open_conversations(&system).await.len() <= 1);
    assert_each_once(&system, &all_conversations(&system).await, 0..30).await;
}

async fn capture_races_removal_and_no_message_is_lost_between(system: TestSystem) {
    let _turn = turn().await;
    while_messages_come(&system, |system, conversation, participant| async move {
        system
            .delete(&format!(
                "/v1/Conversations/{conversation}/Participants/{participant}"
            ))
            .await
    })
    .await;
    assert_each_once(&system, &all_conversations(&system).await, 0..30).await;
}

async fn capture_races_delete_and_no_message_is_lost_between(system: TestSystem) {
    let _turn = turn().await;
    while_messages_come(&system, |system, conversation, _| async move {
        system
            .delete(&format!("/v1/Conversations/{conversation}"))
            .await
    })
    .await;
    // What was captured before the delete went with it; what came after is in one new conversation, or none came.
    let left = all_conversations(&system).await;
    assert!(left.len() <= 1);
    let mut bodies = BTreeSet::new();
    for conversation in &left {
        for body in system.bodies(conversation).await {
            assert!(bodies.insert(body), "no message is there twice");
        }
    }
    // The pair is free for the next conversation, and a message that was captured before is not captured again.
    for answer in burst(&system, 0, 31, 1).await {
        assert!(answer.accepted());
    }
    let after = all_conversations(&system).await;
    assert_eq!(after.len(), 1);
    bodies.insert("message 30".to_owned());
    let found: BTreeSet<String> = system.bodies(&after[0]).await.into_iter().collect();
    assert_eq!(found, bodies);
}

async fn messages_by_rest_and_by_carrier_share_one_order(system: TestSystem) {
    let _turn = turn().await;
    system.number(OURS, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    let path = format!("/v1/Conversations/{conversation}/Messages");
    let posts = (20..40).map(|number| {
        let (system, path) = (system.clone(), path.clone());
        async move {
            system
                .post(
                    &path,
                    &[("Body", &format!("message {number}")), ("Author", "agent")],
                )
                .await
        }
    });
    let (posted, received) = tokio::join!(at_once(posts), burst(&system, 0, 20, PATIENT_ATTEMPTS));
    assert!(posted.iter().all(|answer| answer.status == 201));
    assert!(received.iter().all(Response::accepted));
    assert_each_once(&system, &[conversation], 0..40).await;
}

async fn a_pair_given_from_one_conversation_to_the_next_is_never_in_both(system: TestSystem) {
    let _turn = turn().await;
    system.number(OURS, &[]).await;
    system.autocreation(OURS).await;
    let (first, participant) = system.bind(ADA, OURS).await;
    let second = system.conversation(&[]).await;
    let messages = tokio::spawn({
        let system = system.clone();
        async move { burst(&system, 0, 20, PATIENT_ATTEMPTS).await }
    });
    system
        .delete(&format!(
            "/v1/Conversations/{first}/Participants/{participant}"
        ))
        .await
        .expect(204);
    // Between the two a message may open a conversation of its own; then the claim is refused, and says whose it is.
    let claim = system.add_participant(&second, ADA, OURS).await;
    let holder = match claim.status.as_u16() {
        201 => second.clone(),
        _ => text(&claim.expect_code(409, 50416)["details"]["conversation_sid"]),
    };
    assert!(
        messages
            .await
            .expect("no task panics")
            .iter()
            .all(Response::accepted)
    );
    assert_each_once(&system, &all_conversations(&system).await, 0..20).await;
    assert!(
        system
            .message(&sid(100), ADA, OURS, "last")
            .await
            .accepted()
    );
    assert_eq!(
        system.bodies(&holder).await.last().map(String::as_str),
        Some("last")
    );
}

async fn concurrent_edits_of_a_conversation_are_all_kept(system: TestSystem) {
    let _turn = turn().await;
    system.number(OURS, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    let path = format!("/v1/Conversations/{conversation}");
    let edits: [&[(&str, &str)]; 4] = [
        &[("FriendlyName", "Ada's order")],
        &[("Attributes", r#"{"order":7}"#)],
        &[("UniqueName", "order-7")],
        &[("Timers.Closed", "PT1H")],
    ];
    let edits = edits.into_iter().map(|form| {
        let (system, path) = (system.clone(), path.clone());
        async move { system.post(&path, form).await }
    });
    let (edited, received) = tokio::join!(at_once(edits), burst(&system, 0, 10, PATIENT_ATTEMPTS));
    assert!(edited.iter().all(|answer| answer.status == 200));
    assert!(received.iter().all(Response::accepted));
    let found = system.get(&path).await.expect(200);
    assert_eq!(found["friendly_name"], "Ada's order");
    assert_eq!(found["attributes"], r#"{"order":7}"#);
    assert_eq!(found["unique_name"], "order-7");
    assert!(found["timers"]["date_closed"].is_string());
    assert_eq!(
        system.get("/v1/Conversations/order-7").await.expect(200)["sid"],
        conversation.as_str()
    );
}

async fn a_name_and_an_identity_have_one_winner(system: TestSystem) {
    let _turn = turn().await;
    let named = (0..20).map(|_| {
        let system = system.clone();
        async move {
            system
                .post("/v1/Conversations", &[("UniqueName", "the-one")])
                .await
        }
    });
    let named = at_once(named).await;
    assert_eq!(
        named.iter().filter(|answer| answer.status == 201).count(),
        1
    );
    for answer in named.into_iter().filter(|answer| answer.status != 201) {
        answer.expect_code(409, 50353);
    }
    assert_eq!(
        system.conversations().await.len(),
        1,
        "what lost the name is not there"
    );

    let joined = (0..20).map(|_| {
        let system = system.clone();
        async move {
            system
                .post(
                    "/v1/Conversations/the-one/Participants",
                    &[("Identity", "agent")],
                )
                .await
        }
    });
    let joined = at_once(joined).await;
    assert_eq!(
        joined.iter().filter(|answer| answer.status == 201).count(),
        1
    );
    for answer in joined.into_iter().filter(|answer| answer.status != 201) {
        answer.expect_code(409, 50433);
    }
    assert_eq!(
        system
            .list("/v1/Conversations/the-one/Participants")
            .await
            .len(),
        1
    );
}
