//! Post-action webhooks: which events each gets, and in which order.

mod parameters;
mod wanted;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::carrier::{PATIENT_ATTEMPTS, sid};
use tests::form::encode;
use tests::json::{is_sid, only, text};
use tests::receiver::{Received, Receiver, Reply, parameters};
use tests::system::{ACCOUNT, ADA, BOB, OURS, TOKEN, TestSystem};

on_both_engines!(
    the_webhook_gets_an_autocreated_conversation_in_order_and_signed,
    the_webhook_gets_changes_of_all_kinds_in_their_order,
    the_webhook_gets_a_crowd_of_messages_in_order_and_each_once,
    each_conversation_counts_its_own_events,
);

/// The account's post-action webhook, which accepts everything.
async fn hearing(system: &TestSystem, fields: &[(&str, &str)]) -> Receiver {
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    system.set_post_webhook(&receiver.url(), fields).await;
    receiver
}

fn event_types(received: &[Received]) -> Vec<&str> {
    received
        .iter()
        .map(|received| received.parameter("EventType").unwrap_or_default())
        .collect()
}

/// All parameters of a request, by name. Times must lie between `since` and now and have milliseconds; the result has
/// their seconds, as the REST API does, or `removed` for the time of the removal. Media are JSON.
#[track_caller]
fn said(system: &TestSystem, since: &str, received: &Received) -> Value {
    assert_eq!(received.method, "POST");
    assert_eq!(
        received.header("Content-Type"),
        "application/x-www-form-urlencoded; charset=utf-8"
    );
    let form = received.form();
    assert_eq!(form.len(), received.parameters.len(), "each name once");
    let removed = form.get("DateRemoved").copied();
    let now = system.now();
    let value = |name: &str, value: &str| match name {
        "DateCreated" | "DateUpdated" | "DateRemoved" | "StateUpdated" => {
            assert_eq!(value.len(), since.len(), "{name}={value}");
            assert!(
                since <= value && value <= now.as_str(),
                "{name}={value} between {since} and {now}"
            );
            match removed == Some(value) {
                true => json!("removed"),
                false => json!(format!("{}Z", &value[.."2026-11-22T18:33:13".len()])),
            }
        }
        "Media" => serde_json::from_str(value).expect("JSON"),
        _ => json!(value),
    };
    let said = form.iter().map(|(name, text)| {
        let value = value(name, text);
        ((*name).to_owned(), value)
    });
    Value::Object(said.collect())
}

/// Runs the consumers of a conversation, and returns the requests after the first `count`.
async fn run_and_read(
    system: &TestSystem,
    receiver: &Receiver,
    conversation: &str,
    since: &str,
    count: usize,
) -> Vec<Value> {
    system.run(conversation).await;
    let received = receiver.received();
    received[count..]
        .iter()
        .map(|received| said(system, since, received))
        .collect()
}

async fn the_webhook_gets_an_autocreated_conversation_in_order_and_signed(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    let system = system.start_dispatcher().await;
    system.number(OURS, &[]).await;
    system.autocreation(OURS).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    assert!(system.message(&sid(1), ADA, OURS, "one").await.accepted());
    assert!(system.message(&sid(2), ADA, OURS, "two").await.accepted());
    let received = receiver.wait_for(4).await;
    assert_eq!(
        event_types(&received),
        [
            "onConversationAdded",
            "onParticipantAdded",
            "onMessageAdded",
            "onMessageAdded"
        ]
    );
    for (sequence, received) in received.iter().enumerate() {
        assert!(received.signed(TOKEN, &receiver.url()), "{received:?}");
        assert_eq!(
            received.parameter("Sequence"),
            Some(sequence.to_string().as_str())
        );
        assert_eq!(received.parameter("RetryCount"), Some("0"));
    }
    let mut tokens: Vec<_> = received.iter().map(Received::token).collect();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 4, "each event has its own");
}

async fn the_webhook_gets_changes_of_all_kinds_in_their_order(system: TestSystem) {
    let receiver = hearing(&system, &[]).await;
    let system = system.start_dispatcher().await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    let path = format!("/v1/Conversations/{conversation}");
    let added = system
        .post_with_webhooks(&format!("{path}/Participants"), &[("Identity", "agent")])
        .await
        .expect(201);
    let (messages, participant) = (
        format!("{path}/Messages"),
        format!("{path}/Participants/{}", text(&added["sid"])),
    );
    let form = [("Body", "two"), ("Author", "agent")];
    let sent = system.post_with_webhooks(&messages, &form).await;
    let message = format!("{messages}/{}", text(&sent.expect(201)["sid"]));
    for (path, form) in [
        (&message, ("Body", "2")),
        (&path, ("FriendlyName", "Ada")),
        (&path, ("State", "inactive")),
        (&participant, ("Attributes", "{}")),
        (&participant, ("Attributes", r#"{"a":1}"#)),
    ] {
        system.post_with_webhooks(path, &[form]).await.expect(200);
    }
    system.message(&sid(2), ADA, OURS, "three").await;
    for path in [&message, &participant, &path] {
        system.delete_with_webhooks(path).await.expect(204);
    }
    let expected = [
        "onConversationAdded",
        "onParticipantAdded",
        "onMessageAdded",
        "onParticipantAdded",
        "onMessageAdded",
        "onMessageUpdated",
        "onConversationUpdated",
        "onConversationStateUpdated",
        "onParticipantUpdated",
        "onMessageAdded",
        "onConversationStateUpdated",
        "onMessageRemoved",
        "onParticipantRemoved",
        "onConversationRemoved",
    ];
    let received = receiver.wait_for(expected.len()).await;
    assert_eq!(event_types(&received), expected);
    for (sequence, received) in received.iter().enumerate() {
        let sequence = sequence.to_string();
        assert_eq!(received.parameter("Sequence"), Some(sequence.as_str()));
        assert!(received.signed(TOKEN, &receiver.url()), "{received:?}");
    }
}

async fn the_webhook_gets_a_crowd_of_messages_in_order_and_each_once(system: TestSystem) {
    const CROWD: u64 = 30;
    let receiver = hearing(&system, &[]).await;
    let system = system.start_dispatcher().await;
    system.autocreation(OURS).await;
    let messages = (0..CROWD).map(|number| {
        let system = system.clone();
        async move {
            system
                .message_repeated(
                    &sid(number),
                    ADA,
                    OURS,
                    &number.to_string(),
                    PATIENT_ATTEMPTS,
                )
                .await
                .accepted()
        }
    });
    assert!(
        join_all(messages)
            .await
            .into_iter()
            .all(|accepted| accepted)
    );
    let conversation = text(&only(system.conversations().await)["sid"]);
    let bodies = system.bodies(&conversation).await;
    let count = 2 + bodies.len();
    receiver.wait_for(count).await;
    // No further request came, and every ring is over.
    system.run(&conversation).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let received = receiver.received();
    let sequences: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(parameters(&received, "Sequence"), sequences);
    assert_eq!(parameters(&received[2..], "Body"), bodies);
    let mut tokens: Vec<_> = received.iter().map(Received::token).collect();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), count);
}

async fn each_conversation_counts_its_own_events(system: TestSystem) {
    let receiver = hearing(&system, &[]).await;
    let system = system.start_dispatcher().await;
    system.autocreation(OURS).await;
    let froms: Vec<String> = (0..8)
        .map(|number| format!("+1555100{number:04}"))
        .collect();
    let messages = (0..24).map(|number| {
        let (system, from) = (system.clone(), froms[number % froms.len()].clone());
        let number = number as u64;
        async move {
            system
                .message_repeated(&sid(number), &from, OURS, "hello", PATIENT_ATTEMPTS)
                .await
                .accepted()
        }
    });
    assert!(
        join_all(messages)
            .await
            .into_iter()
            .all(|accepted| accepted)
    );
    let received = receiver.wait_for(8 * (2 + 3)).await;
    for row in system.conversations().await {
        let own: Vec<Received> = received
            .iter()
            .filter(|received| received.parameter("ConversationSid") == row["sid"].as_str())
            .cloned()
            .collect();
        assert_eq!(parameters(&own, "Sequence"), ["0", "1", "2", "3", "4"]);
    }
    assert_eq!(receiver.received().len(), 8 * 5);
}
