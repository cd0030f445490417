//! Post-action webhooks: which events each gets, and in which order.

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

on_the_embedded_engine!(
    the_events_of_an_autocreation_have_exactly_these_parameters,
    the_event_of_a_captured_message_has_exactly_these_parameters,
    the_events_of_a_message_that_activates_a_conversation_have_exactly_these_parameters,
    the_events_of_a_conversation_have_exactly_these_parameters,
    the_events_of_participants_have_exactly_these_parameters,
    the_events_of_messages_have_exactly_these_parameters,
    a_get_carries_everything_in_its_signed_url,
    a_url_keeps_its_query_and_neither_credentials_nor_fragment_are_signed,
    an_event_does_not_show_later_changes,
    a_rest_change_causes_an_event_only_on_request,
    the_webhook_gets_only_events_of_its_filter,
    a_later_filter_brings_no_old_events,
    a_webhook_gets_no_event_from_before_it_was_set,
    a_removed_webhook_gets_no_event,
    a_webhook_set_again_gets_no_event_from_in_between,
    waiting_events_go_to_the_new_url,
    an_account_without_a_webhook_writes_no_cursor,
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

async fn the_events_of_an_autocreation_have_exactly_these_parameters(system: TestSystem) {
    let (whatsapp, ada) = (format!("whatsapp:{OURS}"), format!("whatsapp:{ADA}"));
    let receiver = hearing(&system, &[]).await;
    let since = system.now();
    for (number, source, kind, ours, ada) in [
        (1, "SMS", "SMS", OURS, ADA),
        (2, "WhatsApp", "WHATSAPP", &whatsapp, &ada),
    ] {
        system.autocreation(ours).await;
        let before = receiver.received().len();
        let body = "hello, 1 + 1 & more";
        system.message(&sid(number), ada, ours, body).await;
        let conversation = holder(&system, ada).await;
        let row = &system.fetch_conversation(&conversation).await;
        let participant = only(system.participants(&conversation).await);
        let message = only(system.messages(&conversation).await);
        let (services, created) = (services(row), &row["date_created"]);
        assert_eq!(
            run_and_read(&system, &receiver, &conversation, &since, before).await,
            [
                with(
                    &services,
                    json!({
                        "AccountSid": ACCOUNT,
                        "EventType": "onConversationAdded",
                        "Source": source,
                        "RetryCount": "0",
                        "Sequence": "0",
                        "ConversationSid": conversation,
                        "DateCreated": created,
                        "DateUpdated": created,
                        "Attributes": "{}",
                        "State": "active",
                        "MessagingBinding.Address": ada,
                        "MessagingBinding.ProxyAddress": ours,
                    })
                ),
                json!({
                    "AccountSid": ACCOUNT,
                    "EventType": "onParticipantAdded",
                    "Source": source,
                    "RetryCount": "0",
                    "Sequence": "1",
                    "ConversationSid": conversation,
                    "ParticipantSid": participant["sid"],
                    "DateCreated": created,
                    "Attributes": "{}",
                    "MessagingBinding.Address": ada,
                    "MessagingBinding.ProxyAddress": ours,
                    "MessagingBinding.Type": kind,
                }),
                json!({
                    "AccountSid": ACCOUNT,
                    "EventType": "onMessageAdded",
                    "Source": source,
                    "RetryCount": "0",
                    "Sequence": "2",
                    "ConversationSid": conversation,
                    "MessagingServiceSid": row["messaging_service_sid"],
                    "MessageSid": message["sid"],
                    "Index": "0",
                    "DateCreated": created,
                    "Body": body,
                    "Author": ada,
                    "ParticipantSid": participant["sid"],
                    "Attributes": "{}",
                }),
            ]
        );
    }
}

/// The parameters that name the services of a conversation.
fn services(row: &Value) -> Value {
    json!({
        "ChatServiceSid": row["chat_service_sid"],
        "MessagingServiceSid": row["messaging_service_sid"],
    })
}

fn with(some: &Value, more: Value) -> Value {
    let mut all = some.clone();
    let fields = all.as_object_mut().expect("an object");
    for (name, value) in more.as_object().expect("an object") {
        fields.insert(name.clone(), value.clone());
    }
    all
}

async fn the_event_of_a_captured_message_has_exactly_these_parameters(system: TestSystem) {
    let (whatsapp, ada) = (format!("whatsapp:{OURS}"), format!("whatsapp:{ADA}"));
    let receiver = hearing(&system, &[]).await;
    let since = system.now();
    let media = [
        ("NumMedia", "2"),
        ("MediaUrl0", "https://media.example/one.jpg"),
        ("MediaContentType0", "image/jpeg"),
        ("MediaUrl1", "https://media.example/two.pdf"),
        ("MediaContentType1", "application/pdf"),
    ];
    // Without a body, with umlauts and emoji, with media and without.
    for (number, source, ours, ada, body, media) in [
        (1, "SMS", OURS, ADA, "Grüße 👋 1 + 1 & more", &[][..]),
        (2, "SMS", OURS, ADA, "", &media[..]),
        (3, "WhatsApp", &whatsapp, &ada, "hello", &media[..]),
        (4, "WhatsApp", &whatsapp, &ada, "hello", &[][..]),
    ] {
        if number % 2 == 1 {
            system.number(ours, &[]).await;
            system.bind(ada, ours).await;
        }
        let conversation = holder(&system, ada).await;
        let before = receiver.received().len();
        system.advance(Duration::from_secs(2));
        let prefix = if media.is_empty() { "SM" } else { "MM" };
        let sid = format!("{prefix}{number:032x}");
        let form = [
            ("MessageSid", sid.as_str()),
            ("From", ada),
            ("To", ours),
            ("Body", body),
        ];
        let sent = system.simulator(&[&form[..], media].concat()).await;
        assert!(sent.accepted(), "{}", sent.text());
        let row = system.fetch_conversation(&conversation).await;
        let participant = only(system.participants(&conversation).await);
        let index = usize::from(number % 2 == 0);
        let message = system.messages(&conversation).await[index].clone();
        let mut expected = json!({
            "AccountSid": ACCOUNT,
            "EventType": "onMessageAdded",
            "Source": source,
            "RetryCount": "0",
            // The conversation and its participant were made before, quietly.
            "Sequence": (index + 2).to_string(),
            "ConversationSid": conversation,
            "MessagingServiceSid": row["messaging_service_sid"],
            "MessageSid": message["sid"],
            "Index": index.to_string(),
            "DateCreated": message["date_created"],
            "Body": body,
            "Author": ada,
            "ParticipantSid": participant["sid"],
            "Attributes": "{}",
        });
        if !media.is_empty() {
            let rows = message["media"].as_array().expect("media");
            assert!(rows.iter().all(|row| is_sid(&row["sid"], "ME")), "{rows:?}");
            expected["Media"] = json!([
                {"Sid": rows[0]["sid"], "ContentType": "image/jpeg"},
                {"Sid": rows[1]["sid"], "ContentType": "application/pdf"},
            ]);
        }
        assert_eq!(
            run_and_read(&system, &receiver, &conversation, &since, before).await,
            [expected]
        );
    }
}

/// The conversation that an address takes part in.
async fn holder(system: &TestSystem, address: &str) -> String {
    let query = encode(&[("Address", address)]);
    let path = format!("/v1/ParticipantConversations?{query}");
    text(&only(system.list(&path).await)["conversation_sid"])
}

async fn the_events_of_a_message_that_activates_a_conversation_have_exactly_these_parameters(
    system: TestSystem,
) {
    let since = system.now();
    let receiver = hearing(&system, &[]).await;
    system.number(OURS, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    let inactive = [("State", "inactive")];
    system
        .update_conversation(&conversation, &inactive)
        .await
        .expect(200);
    system.advance(Duration::from_secs(2));
    system.message(&sid(1), ADA, OURS, "hello").await;
    let row = system.fetch_conversation(&conversation).await;
    let events = run_and_read(&system, &receiver, &conversation, &since, 0).await;
    assert_eq!(events.len(), 2, "{events:#?}");
    assert_eq!(events[0]["EventType"], "onMessageAdded");
    assert_eq!(events[0]["Sequence"], "3");
    assert_eq!(
        events[1],
        with(
            &services(&row),
            json!({
                "AccountSid": ACCOUNT,
                "EventType": "onConversationStateUpdated",
                "Source": "SMS",
                "RetryCount": "0",
                "Sequence": "4",
                "ConversationSid": conversation,
                "StateUpdated": row["date_updated"],
                "StateFrom": "inactive",
                "StateTo": "active",
                "Reason": "EVENT",
            })
        )
    );
}

async fn the_events_of_a_conversation_have_exactly_these_parameters(system: TestSystem) {
    let since = system.now();
    let receiver = hearing(&system, &[]).await;
    let common = |event: &str, sequence: &str, row: &Value| {
        with(
            &services(row),
            json!({
                "AccountSid": ACCOUNT,
                "EventType": event,
                "Source": "API",
                "RetryCount": "0",
                "Sequence": sequence,
                "ConversationSid": row["sid"],
            }),
        )
    };

    // Only the parameters that every conversation has.
    let created = system
        .post_with_webhooks("/v1/Conversations", &[])
        .await
        .expect(201);
    let bare = text(&created["sid"]);
    assert_eq!(
        run_and_read(&system, &receiver, &bare, &since, 0).await,
        [with(
            &common("onConversationAdded", "0", &created),
            json!({
                "DateCreated": created["date_created"],
                "DateUpdated": created["date_updated"],
                "Attributes": "{}",
                "State": "active",
            })
        )]
    );

    let attributes = r#"{"tier":"gold","tags":["a b","c&d"]}"#;
    let form = [
        ("FriendlyName", "Ada & Co"),
        ("UniqueName", "ada"),
        ("Attributes", attributes),
        ("State", "inactive"),
    ];
    let created = system
        .post_with_webhooks("/v1/Conversations", &form)
        .await
        .expect(201);
    let conversation = text(&created["sid"]);
    let path = format!("/v1/Conversations/{conversation}");
    let full = json!({
        "DateCreated": created["date_created"],
        "DateUpdated": created["date_updated"],
        "FriendlyName": "Ada & Co",
        "UniqueName": "ada",
        "Attributes": attributes,
        "State": "inactive",
    });
    assert_eq!(
        run_and_read(&system, &receiver, &conversation, &since, 1).await,
        [with(
            &common("onConversationAdded", "0", &created),
            full.clone()
        )]
    );

    // One change of a name and a state makes two events.
    system.advance(Duration::from_secs(2));
    let form = [("FriendlyName", "Ada Ltd"), ("State", "active")];
    let updated = system.post_with_webhooks(&path, &form).await.expect(200);
    let date = json!({"DateUpdated": updated["date_updated"]});
    let named = with(
        &with(&full, json!({"FriendlyName": "Ada Ltd", "State": "active"})),
        date,
    );
    let state = |row: &Value, from: &str, to: &str| {
        json!({
            "StateUpdated": row["date_updated"],
            "StateFrom": from,
            "StateTo": to,
            "Reason": "API",
        })
    };
    assert_eq!(
        run_and_read(&system, &receiver, &conversation, &since, 2).await,
        [
            with(
                &common("onConversationUpdated", "1", &updated),
                named.clone()
            ),
            with(
                &common("onConversationStateUpdated", "2", &updated),
                state(&updated, "inactive", "active")
            ),
        ]
    );

    // A change without an effect makes no event.
    system.post_with_webhooks(&path, &form).await.expect(200);
    system.advance(Duration::from_secs(2));
    let closed = [("State", "closed")];
    let closed = system.post_with_webhooks(&path, &closed).await.expect(200);
    assert_eq!(
        run_and_read(&system, &receiver, &conversation, &since, 4).await,
        [with(
            &common("onConversationStateUpdated", "3", &closed),
            state(&closed, "active", "closed")
        )]
    );

    system.advance(Duration::from_secs(2));
    system.delete_with_webhooks(&path).await.expect(204);
    let gone = json!({"DateUpdated": "removed", "DateRemoved": "removed", "State": "closed"});
    assert_eq!(
        run_and_read(&system, &receiver, &conversation, &since, 5).await,
        [with(
            &with(&common("onConversationRemoved", "4", &closed), named),
            gone
        )]
    );
}

async fn the_events_of_participants_have_exactly_these_parameters(system: TestSystem) {
    let (whatsapp, bob) = (format!("whatsapp:{OURS}"), format!("whatsapp:{BOB}"));
    for number in [OURS, &whatsapp] {
        system.number(number, &[]).await;
    }
    let since = system.now();
    let receiver = hearing(&system, &[]).await;
    let conversation = system.conversation(&[]).await;
    let path = format!("/v1/Conversations/{conversation}");
    let participants = format!("{path}/Participants");
    let message = [("Body", "to be read")];
    let messages = format!("{path}/Messages");
    system.post(&messages, &message).await.expect(201);
    let pair = |kind: &str, address: &str, proxy: &str| {
        json!({
            "MessagingBinding.Type": kind,
            "MessagingBinding.Address": address,
            "MessagingBinding.ProxyAddress": proxy,
        })
    };
    let attributes = r#"{"role":"agent"}"#;
    let mut sequence = 2;
    for (form, who) in [
        (
            vec![
                ("MessagingBinding.Address", ADA),
                ("MessagingBinding.ProxyAddress", OURS),
            ],
            pair("SMS", ADA, OURS),
        ),
        (
            vec![
                ("MessagingBinding.Address", bob.as_str()),
                ("MessagingBinding.ProxyAddress", &whatsapp),
            ],
            pair("WHATSAPP", &bob, &whatsapp),
        ),
        (
            vec![("Identity", "agent@example.com")],
            json!({"MessagingBinding.Type": "CHAT", "Identity": "agent@example.com"}),
        ),
    ] {
        let before = receiver.received().len();
        system.advance(Duration::from_secs(2));
        let added = system.post_with_webhooks(&participants, &form).await;
        let added = added.expect(201);
        let common = |event: &str, sequence: usize| {
            json!({
                "AccountSid": ACCOUNT,
                "EventType": event,
                "Source": "API",
                "RetryCount": "0",
                "Sequence": sequence.to_string(),
                "ConversationSid": conversation,
                "ParticipantSid": added["sid"],
                "DateCreated": added["date_created"],
            })
        };
        system.advance(Duration::from_secs(2));
        let participant = format!("{participants}/{}", text(&added["sid"]));
        let form = [("Attributes", attributes), ("LastReadMessageIndex", "0")];
        let updated = system.post_with_webhooks(&participant, &form).await;
        let updated = updated.expect(200);
        let date = json!({"DateUpdated": updated["date_updated"]});
        system.advance(Duration::from_secs(2));
        let removed = system.delete_with_webhooks(&participant).await;
        removed.expect(204);
        let changed = with(&who, json!({"Attributes": attributes}));
        let events = run_and_read(&system, &receiver, &conversation, &since, before).await;
        assert_eq!(
            events,
            [
                with(
                    &with(&common("onParticipantAdded", sequence), who),
                    json!({"Attributes": "{}"})
                ),
                with(
                    &with(
                        &with(
                            &common("onParticipantUpdated", sequence + 1),
                            changed.clone()
                        ),
                        date.clone()
                    ),
                    json!({"LastReadMessageIndex": "0"})
                ),
                with(
                    &with(
                        &with(&common("onParticipantRemoved", sequence + 2), changed),
                        date
                    ),
                    json!({"DateRemoved": "removed"})
                ),
            ]
        );
        sequence += 3;
    }
}

async fn the_events_of_messages_have_exactly_these_parameters(system: TestSystem) {
    system.number(OURS, &[]).await;
    let since = system.now();
    let receiver = hearing(&system, &[]).await;
    let (conversation, participant) = system.bind(ADA, OURS).await;
    let row = system.fetch_conversation(&conversation).await;
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    let attributes = r#"{"urgent":true}"#;
    let mut sequence = 2;
    // Without an author, and by a participant.
    for (index, form, author, by) in [
        (0, vec![("Body", "hello")], "system", json!({})),
        (
            1,
            vec![("Body", "hello"), ("Author", ADA)],
            ADA,
            json!({"ParticipantSid": participant}),
        ),
    ] {
        let before = receiver.received().len();
        system.advance(Duration::from_secs(2));
        let added = system.post_with_webhooks(&messages, &form).await;
        let added = added.expect(201);
        let common = |event: &str, sequence: usize| {
            with(
                &by,
                json!({
                    "AccountSid": ACCOUNT,
                    "EventType": event,
                    "Source": "API",
                    "RetryCount": "0",
                    "Sequence": sequence.to_string(),
                    "ConversationSid": conversation,
                    "MessageSid": added["sid"],
                    "Index": index.to_string(),
                    "DateCreated": added["date_created"],
                    "Author": author,
                }),
            )
        };
        // A pending event keeps its old values.
        system.run(&conversation).await;
        let message = format!("{messages}/{}", text(&added["sid"]));
        system.advance(Duration::from_secs(2));
        let form = [("Body", "hello!"), ("Attributes", attributes)];
        let updated = system.post_with_webhooks(&message, &form).await;
        let date = json!({"DateUpdated": updated.expect(200)["date_updated"]});
        system.advance(Duration::from_secs(2));
        system.delete_with_webhooks(&message).await.expect(204);
        let edited = json!({"Body": "hello!", "Attributes": attributes});
        let events = run_and_read(&system, &receiver, &conversation, &since, before).await;
        assert_eq!(
            events,
            [
                with(
                    &common("onMessageAdded", sequence),
                    json!({
                        "Body": "hello",
                        "Attributes": "{}",
                        "MessagingServiceSid": row["messaging_service_sid"],
                    })
                ),
                with(
                    &with(&common("onMessageUpdated", sequence + 1), edited.clone()),
                    date
                ),
                with(
                    &with(&common("onMessageRemoved", sequence + 2), edited),
                    json!({"DateUpdated": "removed", "DateRemoved": "removed"})
                ),
            ]
        );
        sequence += 3;
    }
}

async fn a_get_carries_everything_in_its_signed_url(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    let url = format!("{}/post", receiver.url());
    let form = [("FriendlyName", "Ada & Co"), ("UniqueName", "ada")];
    system.set_post_webhook(&url, &[("Method", "GET")]).await;
    let created = system.post_with_webhooks("/v1/Conversations", &form).await;
    let conversation = text(&created.expect(201)["sid"]);
    system.run(&conversation).await;
    let received = receiver.received().remove(0);
    assert_eq!(received.method, "GET");
    assert!(received.url.starts_with("/post?"), "{}", received.url);
    assert!(received.signed(TOKEN, &url), "{received:?}");
    assert!(!received.token().is_empty());
    assert_eq!(received.header("Content-Type"), "");
    let form = received.form();
    assert_eq!(form["EventType"], "onConversationAdded");
    assert_eq!(form["FriendlyName"], "Ada & Co");
    assert_eq!(form.len(), 14, "{form:?}");
    assert_eq!(received.parameters.len(), 14);
}

async fn a_url_keeps_its_query_and_neither_credentials_nor_fragment_are_signed(system: TestSystem) {
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    let host = receiver.url();
    let host = host.strip_prefix("http://").expect("a URL");
    for (number, method) in ["POST", "GET"].into_iter().enumerate() {
        let url = format!("http://ada:secret@{host}/post?tenant=7&empty=#rc=2");
        system.set_post_webhook(&url, &[("Method", method)]).await;
        let created = system.post_with_webhooks("/v1/Conversations", &[]).await;
        let conversation = text(&created.expect(201)["sid"]);
        system.run(&conversation).await;
        let received = receiver.received()[number].clone();
        assert_eq!(received.method, method);
        let signed = format!("http://{host}/post?tenant=7&empty=");
        assert!(received.signed(TOKEN, &signed), "{received:?}");
        assert!(!received.url.contains("secret"), "{}", received.url);
        match method {
            "POST" => assert_eq!(received.url, "/post?tenant=7&empty="),
            _ => assert!(
                received.url.starts_with("/post?tenant=7&empty=&"),
                "{received:?}"
            ),
        }
        assert_eq!(received.parameter("Sequence"), Some("0"));
    }
}

/// A late event still has the values of its time.
async fn an_event_does_not_show_later_changes(system: TestSystem) {
    let receiver = hearing(&system, &[]).await;
    let conversation = system.conversation(&[]).await;
    let path = format!("/v1/Conversations/{conversation}");
    let first = [("FriendlyName", "first")];
    system.post_with_webhooks(&path, &first).await.expect(200);
    let messages = format!("{path}/Messages");
    let form = [("Body", "first")];
    let added = system.post_with_webhooks(&messages, &form).await;
    let message = format!("{messages}/{}", text(&added.expect(201)["sid"]));
    for second in [
        (&path, ("FriendlyName", "second")),
        (&message, ("Body", "second")),
    ] {
        let (path, field) = second;
        system.post_with_webhooks(path, &[field]).await.expect(200);
    }
    let closed = [("State", "closed")];
    system.post_with_webhooks(&path, &closed).await.expect(200);
    system.run(&conversation).await;
    let received = receiver.received();
    assert_eq!(
        event_types(&received),
        [
            "onConversationUpdated",
            "onMessageAdded",
            "onConversationUpdated",
            "onMessageUpdated",
            "onConversationStateUpdated"
        ]
    );
    let names = parameters(&received, "FriendlyName");
    assert_eq!(names, ["first", "", "second", "", ""]);
    assert_eq!(
        parameters(&received, "Body"),
        ["", "first", "", "second", ""]
    );
    assert_eq!(
        parameters(&received, "State"),
        ["active", "", "active", "", ""]
    );
}

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
