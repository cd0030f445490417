//! Which events a webhook gets: its filter, and the time during which its URL is set.

use super::*;

on_the_embedded_engine!(
    a_rest_change_causes_an_event_only_on_request,
    the_webhook_gets_only_events_of_its_filter,
    a_later_filter_brings_no_old_events,
    a_webhook_gets_no_event_from_before_it_was_set,
    a_removed_webhook_gets_no_event,
    a_webhook_set_again_gets_no_event_from_in_between,
    waiting_events_go_to_the_new_url,
    an_account_without_a_webhook_writes_no_cursor,
);

async fn a_rest_change_causes_an_event_only_on_request(system: TestSystem) {
    let receiver = hearing(&system, &[]).await;
    system.number(OURS, &[]).await;
    let (conversation, participant) = system.bind(ADA, OURS).await;
    let path = format!("/v1/Conversations/{conversation}");
    let messages = format!("{path}/Messages");
    let added = system.post(&messages, &[("Body", "hello")]).await;
    let message = format!("{messages}/{}", text(&added.expect(201)["sid"]));
    let participant = format!("{path}/Participants/{participant}");
    for (path, form) in [
        (&path, ("FriendlyName", "Ada")),
        (&path, ("State", "inactive")),
        (&path, ("State", "active")),
        (&message, ("Body", "hello!")),
        (&participant, ("Attributes", r#"{"a":1}"#)),
    ] {
        system.post(path, &[form]).await.expect(200);
    }
    system.delete(&message).await.expect(204);
    system.run(&conversation).await;
    assert_eq!(event_types(&receiver.received()), [""; 0]);
    // The message of a carrier always makes an event, here the tenth.
    system.message(&sid(1), ADA, OURS, "hello").await;
    system.run(&conversation).await;
    let received = receiver.received();
    assert_eq!(event_types(&received), ["onMessageAdded"]);
    assert_eq!(received[0].parameter("Sequence"), Some("9"));
    system.delete(&participant).await.expect(204);
    system.delete(&path).await.expect(204);
    system.run(&conversation).await;
    assert_eq!(receiver.received().len(), 1);
}

async fn the_webhook_gets_only_events_of_its_filter(system: TestSystem) {
    let filters = [
        ("Filters", "onMessageAdded"),
        ("Filters", "onParticipantAdded"),
    ];
    let receiver = hearing(&system, &filters).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    system.run(&conversation).await;
    system.message(&sid(2), ADA, OURS, "two").await;
    system.run(&conversation).await;
    let received = receiver.received();
    assert_eq!(
        event_types(&received),
        ["onParticipantAdded", "onMessageAdded", "onMessageAdded"]
    );
    assert_eq!(parameters(&received, "Sequence"), ["1", "2", "3"]);
}

async fn a_later_filter_brings_no_old_events(system: TestSystem) {
    let receiver = hearing(&system, &[("Filters", "onParticipantAdded")]).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    system.run(&conversation).await;
    for number in 2..5 {
        system.message(&sid(number), ADA, OURS, "filtered").await;
        system.run(&conversation).await;
    }
    let filters = [
        ("Filters", "onMessageAdded"),
        ("Filters", "onConversationAdded"),
    ];
    system.set_post_webhook(&receiver.url(), &filters).await;
    system.run(&conversation).await;
    system.message(&sid(5), ADA, OURS, "five").await;
    system.run(&conversation).await;
    let received = receiver.received();
    assert_eq!(
        event_types(&received),
        ["onParticipantAdded", "onMessageAdded"]
    );
    assert_eq!(received[1].parameter("Body"), Some("five"));
}

async fn a_webhook_gets_no_event_from_before_it_was_set(system: TestSystem) {
    system.autocreation(OURS).await;
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    // One conversation has a change after the webhook was set, one has none; both have a run in between.
    for (number, from) in [(1, ADA), (2, BOB)] {
        system.message(&sid(number), from, OURS, "before").await;
    }
    let sids: Vec<String> = system
        .conversations()
        .await
        .iter()
        .map(|row| text(&row["sid"]))
        .collect();
    for moment in ["no webhook yet", "a webhook"] {
        for conversation in &sids {
            system.run(conversation).await;
        }
        if moment == "no webhook yet" {
            system.set_post_webhook(&receiver.url(), &[]).await;
        }
    }
    system.message(&sid(3), ADA, OURS, "after").await;
    for conversation in &sids {
        system.run(conversation).await;
    }
    let received = receiver.received();
    assert_eq!(event_types(&received), ["onMessageAdded"]);
    assert_eq!(received[0].parameter("Body"), Some("after"));
    assert_eq!(received[0].parameter("Sequence"), Some("3"));
}

async fn a_removed_webhook_gets_no_event(system: TestSystem) {
    let receiver = hearing(&system, &[]).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    system.run(&conversation).await;
    system.set_post_webhook("", &[]).await;
    system.message(&sid(2), ADA, OURS, "two").await;
    system.run(&conversation).await;
    system.advance_and_tick(Duration::from_secs(600)).await;
    assert_eq!(receiver.received().len(), 3);
}

async fn a_webhook_set_again_gets_no_event_from_in_between(system: TestSystem) {
    let receiver = hearing(&system, &[]).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "during").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    system.run(&conversation).await;
    // Events that are pending when the webhook is removed, and events while there is none.
    system.message(&sid(2), ADA, OURS, "pending").await;
    system.set_post_webhook("", &[]).await;
    for number in 3..6 {
        system.message(&sid(number), ADA, OURS, "between").await;
    }
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.run(&conversation).await;
    assert_eq!(receiver.received().len(), 3);
    system.message(&sid(6), ADA, OURS, "after").await;
    system.run(&conversation).await;
    let received = receiver.received();
    assert_eq!(parameters(&received, "Body"), ["", "", "during", "after"]);
    assert_eq!(parameters(&received, "Sequence"), ["0", "1", "2", "7"]);
}

async fn waiting_events_go_to_the_new_url(system: TestSystem) {
    let old = Receiver::start(|_| Reply::new(500, "")).await;
    let new = Receiver::start(|_| Reply::new(200, "")).await;
    system.set_post_webhook(&old.url(), &[]).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    system.run(&conversation).await;
    system
        .set_post_webhook(&new.url(), &[("Method", "GET")])
        .await;
    system.advance_and_tick(Duration::from_secs(6)).await;
    assert_eq!(old.received().len(), 1);
    let received = new.received();
    assert_eq!(
        event_types(&received),
        [
            "onConversationAdded",
            "onParticipantAdded",
            "onMessageAdded"
        ]
    );
    assert_eq!(received[0].token(), old.received()[0].token());
    assert_eq!(parameters(&received, "RetryCount"), ["1", "0", "0"]);
}

/// No run writes the webhook's cursor. A run writes those of the other consumers once in a few slots, so that later runs
/// do not read entries again that owe nothing.
async fn an_account_without_a_webhook_writes_no_cursor(system: TestSystem) {
    const MESSAGES: u64 = 12;
    let written: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = written.clone();
    system.wire.fail_by(move |operation, body| {
        if operation == "UpdateItem" {
            let mut log = log.lock().expect("no holder panics");
            log.push(body.to_owned());
        }
        None
    });
    system.autocreation(OURS).await;
    for number in 0..MESSAGES {
        system.message(&sid(number), ADA, OURS, "hello").await;
        let conversation = text(&only(system.conversations().await)["sid"]);
        system.run(&conversation).await;
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    let kept = system.sort_keys(&conversation).await;
    assert!(!kept.contains(&"KP".to_owned()), "{kept:?}");
    let written = written.lock().expect("no holder panics");
    assert!(!written.iter().any(|body| body.contains("\"KP\"")));
    assert!(written.len() as u64 <= MESSAGES / 2, "{written:#?}");
}
