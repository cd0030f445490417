//! The parameters of each event, and the URL that carries them.

use super::*;

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
);

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
