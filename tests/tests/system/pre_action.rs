//! The account's pre-action webhook: the parameters that it gets, and the effect of its reply.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::carrier::sid;
use tests::json::{is_sid, only, text};
use tests::receiver::{Received, Receiver, Reply};
use tests::system::{ACCOUNT, ADA, OURS, TOKEN, TestSystem};

on_both_engines!(
    an_autocreation_calls_the_webhook_once,
    the_log_keeps_the_edited_message,
    a_rejected_conversation_is_not_created,
    a_rejected_message_is_not_published,
    a_message_after_a_rejection_is_decided_anew,
    a_rejected_autocreation_does_not_close_the_expired_conversation,
    a_retry_does_not_call_the_webhook,
    a_reply_holds_for_its_conversation_only,
    a_reply_for_a_closed_conversation_creates_no_new_one,
    a_rejection_for_the_old_holder_does_not_hold_for_the_new_one,
    a_rejection_of_one_of_two_first_messages_loses_neither,
);

on_the_embedded_engine!(
    the_call_for_a_new_conversation_has_exactly_these_parameters,
    the_call_for_a_message_has_exactly_these_parameters,
    the_webhook_gets_the_media,
    the_source_of_a_whatsapp_message_is_whatsapp,
    a_request_is_signed_and_carries_a_token,
    a_get_carries_everything_in_its_signed_url,
    a_url_keeps_its_own_query,
    an_accepting_reply_publishes_unchanged,
    the_conversation_gets_the_edited_name,
    a_partial_edit_changes_nothing_else,
    a_rejected_message_leaves_an_inactive_conversation_inactive,
    a_long_body_does_not_change_a_rejection,
    a_late_reply_publishes_unchanged,
    a_late_reply_rejects_if_so_configured,
    a_dead_endpoint_publishes,
    a_dead_endpoint_rejects_if_so_configured,
    an_unreadable_reply_publishes_unchanged,
    the_webhook_gets_only_the_events_of_its_filters,
    a_post_action_webhook_rejects_nothing,
    a_rest_change_calls_the_webhook_only_on_request,
    the_call_for_a_rest_change_has_exactly_these_parameters,
    a_rejected_rest_change_is_an_error,
    a_reply_does_not_hold_after_the_webhook_is_replaced,
    a_conversation_that_closes_during_the_call_stays_closed,
    a_rest_change_stores_the_edit,
    an_invalid_edit_of_a_rest_change_is_an_error,
);

async fn the_call_for_a_new_conversation_has_exactly_these_parameters(system: TestSystem) {
    let webhook = accepting(&system, &[]).await;
    system.autocreation(OURS).await;
    system
        .message(&sid(1), ADA, OURS, "hello, 1 + 1 & more")
        .await;
    let conversation = only(system.conversations().await);
    assert_eq!(
        form(&one(&webhook)),
        json!({
            "AccountSid": ACCOUNT,
            "EventType": "onConversationAdd",
            "Source": "SMS",
            "RetryCount": "0",
            "Attributes": "{}",
            "ChatServiceSid": conversation["chat_service_sid"],
            "MessagingServiceSid": conversation["messaging_service_sid"],
            "MessagingBinding.Address": ADA,
            "MessagingBinding.ProxyAddress": OURS,
            "MessageBody": "hello, 1 + 1 & more",
            "State": "active",
        })
    );
}

async fn the_call_for_a_message_has_exactly_these_parameters(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, participant) = system.bind(ADA, OURS).await;
    let webhook = accepting(&system, &[]).await;
    system.message(&sid(1), ADA, OURS, "héllo").await;
    assert_eq!(
        form(&one(&webhook)),
        json!({
            "AccountSid": ACCOUNT,
            "EventType": "onMessageAdd",
            "Source": "SMS",
            "RetryCount": "0",
            "ConversationSid": conversation,
            "Body": "héllo",
            "Author": ADA,
            "ParticipantSid": participant,
            "Attributes": "{}",
        })
    );
}

async fn the_webhook_gets_the_media(system: TestSystem) {
    let webhook = accepting(&system, &[]).await;
    system.autocreation(OURS).await;
    for number in ["1", "2"] {
        let sid = format!("MM0000000000000000000000000000000{number}");
        let form = [
            ("MessageSid", sid.as_str()),
            ("From", ADA),
            ("To", OURS),
            ("Body", ""),
            ("NumMedia", "1"),
            ("MediaUrl0", "https://media.example/one.jpg"),
            ("MediaContentType0", "image/jpeg"),
        ];
        assert!(system.simulator(&form).await.accepted());
    }
    let received = webhook.received();
    assert_eq!(received.len(), 2);
    assert_eq!(
        received[0].parameter("EventType"),
        Some("onConversationAdd")
    );
    assert_eq!(received[1].parameter("EventType"), Some("onMessageAdd"));
    assert_eq!(received[0].parameter("MessageBody"), None);
    for received in &received {
        let media = received.parameter("Media").expect("media");
        let media: Value = serde_json::from_str(media).expect("JSON");
        let media = media.as_array().expect("an array");
        assert_eq!(media.len(), 1, "{media:?}");
        assert!(is_sid(&media[0]["Sid"], "ME"), "{media:?}");
        assert_eq!(media[0]["ContentType"], "image/jpeg");
    }
}

async fn the_source_of_a_whatsapp_message_is_whatsapp(system: TestSystem) {
    let (ours, ada) = (format!("whatsapp:{OURS}"), format!("whatsapp:{ADA}"));
    let webhook = accepting(&system, &[]).await;
    system.autocreation(&ours).await;
    system.message(&sid(1), &ada, &ours, "one").await;
    system.message(&sid(2), &ada, &ours, "two").await;
    let received = webhook.received();
    assert_eq!(received.len(), 2);
    for received in &received {
        assert_eq!(received.parameter("Source"), Some("WhatsApp"));
    }
    let binding = received[0].parameter("MessagingBinding.Address");
    assert_eq!(binding, Some(ada.as_str()));
    assert_eq!(received[1].parameter("Author"), Some(ada.as_str()));
}

async fn a_request_is_signed_and_carries_a_token(system: TestSystem) {
    let webhook = accepting(&system, &[]).await;
    system.autocreation(OURS).await;
    for number in 1..=3 {
        system.message(&sid(number), ADA, OURS, "hello").await;
    }
    let received = webhook.received();
    assert_eq!(received.len(), 3);
    for received in &received {
        assert_eq!(received.method, "POST");
        assert_eq!(received.url, "/pre");
        assert!(received.signed(TOKEN, &pre(&webhook)), "{received:?}");
        assert_eq!(
            received.header("Content-Type"),
            "application/x-www-form-urlencoded; charset=utf-8"
        );
    }
    let mut tokens: Vec<_> = received.iter().map(Received::token).collect();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 3, "each event has its own token");
}

async fn a_get_carries_everything_in_its_signed_url(system: TestSystem) {
    let webhook = accepting(&system, &[("Method", "GET")]).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one & two").await;
    let received = one(&webhook);
    assert_eq!(received.method, "GET");
    assert!(received.url.starts_with("/pre?"), "{}", received.url);
    assert!(received.signed(TOKEN, &pre(&webhook)), "{received:?}");
    assert!(!received.token().is_empty());
    let sent = form(&received);
    assert_eq!(sent["EventType"], "onConversationAdd");
    assert_eq!(sent["MessageBody"], "one & two");
    assert_eq!(sent["MessagingBinding.Address"], ADA);
    assert_eq!(sent.as_object().map(|sent| sent.len()), Some(11), "{sent}");
}

async fn a_url_keeps_its_own_query(system: TestSystem) {
    let webhook = Receiver::start(|_| Reply::new(200, "")).await;
    system.autocreation(OURS).await;
    let url = format!("{}?tenant=7&empty=", pre(&webhook));
    system.set_pre_webhook(&url, &[]).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    let received = one(&webhook);
    assert_eq!(received.url, "/pre?tenant=7&empty=");
    assert!(received.signed(TOKEN, &url), "{received:?}");
    assert_eq!(received.parameter("MessageBody"), Some("one"));

    system.set_pre_webhook(&url, &[("Method", "GET")]).await;
    system.message(&sid(2), ADA, OURS, "two").await;
    let received = webhook.received()[1].clone();
    assert!(
        received.url.starts_with("/pre?tenant=7&empty=&"),
        "{received:?}"
    );
    assert!(received.signed(TOKEN, &pre(&webhook)), "{received:?}");
    assert_eq!(received.parameter("tenant"), Some("7"));
    assert_eq!(received.parameter("Body"), Some("two"));
}

async fn an_autocreation_calls_the_webhook_once(system: TestSystem) {
    let webhook = accepting(&system, &[]).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    system.message(&sid(2), ADA, OURS, "two").await;
    let events: Vec<_> = webhook
        .received()
        .iter()
        .map(|received| form(received)["EventType"].clone())
        .collect();
    assert_eq!(events, ["onConversationAdd", "onMessageAdd"]);
}

async fn an_accepting_reply_publishes_unchanged(system: TestSystem) {
    let webhook = accepting(&system, &[]).await;
    system.autocreation(OURS).await;
    let mut expected = Vec::new();
    for (number, (status, body)) in (1..).zip([
        (200, ""),
        (200, "{}"),
        (200, " { } "),
        (200, r#"{"colour":"green"}"#),
        (201, ""),
        (204, ""),
    ]) {
        webhook.answer(move |_| Reply {
            status,
            ..Reply::json(body)
        });
        // The webhook gives each reply twice: to a new conversation and to a message.
        let from = format!("+1555000400{number}");
        for (number, body) in [(10 * number, "one"), (10 * number + 1, "two")] {
            let answer = system.message(&sid(number), &from, OURS, body).await;
            assert!(answer.accepted(), "{}", answer.text());
        }
        expected.push(from);
    }
    let conversations = system.conversations().await;
    assert_eq!(conversations.len(), expected.len());
    for conversation in conversations {
        assert_eq!(conversation["friendly_name"], Value::Null);
        let conversation = text(&conversation["sid"]);
        assert_eq!(system.bodies(&conversation).await, ["one", "two"]);
        for message in system.messages(&conversation).await {
            assert!(expected.contains(&text(&message["author"])), "{message}");
            assert_eq!(message["attributes"], "{}");
        }
    }
}

async fn the_conversation_gets_the_edited_name(system: TestSystem) {
    let webhook = accepting(&system, &[]).await;
    webhook.answer(|_| Reply::json(r#"{"friendly_name":"Ada's","attributes":"{\"no\":1}"}"#));
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    let conversation = only(system.conversations().await);
    assert_eq!(conversation["friendly_name"], "Ada's");
    // A reply can't edit the attributes of a conversation.
    assert_eq!(conversation["attributes"], "{}");
    let conversation = text(&conversation["sid"]);
    assert_eq!(system.bodies(&conversation).await, ["hello"]);
}

async fn the_log_keeps_the_edited_message(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    let webhook = accepting(&system, &[]).await;
    webhook.answer(|_| {
        Reply::json(
            json!({
                "body": "****",
                "author": "moderator",
                "attributes": r#"{"edited":true}"#,
                "friendly_name": "not of a message",
            })
            .to_string(),
        )
    });
    system.message(&sid(1), ADA, OURS, "damn").await;
    let message = only(system.messages(&conversation).await);
    assert_eq!(message["body"], "****");
    assert_eq!(message["author"], "moderator");
    assert_eq!(message["attributes"], r#"{"edited":true}"#);
    assert_eq!(message["index"], 0);
    let conversation = system.fetch_conversation(&conversation).await;
    assert_eq!(conversation["friendly_name"], Value::Null);
}

async fn a_partial_edit_changes_nothing_else(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    let webhook = accepting(&system, &[]).await;
    for (number, (edit, key, value)) in (1..).zip([
        (json!({"body": "edited"}), "body", "edited"),
        (json!({"author": "carol"}), "author", "carol"),
        (
            json!({"attributes": r#"{"a":1}"#}),
            "attributes",
            r#"{"a":1}"#,
        ),
    ]) {
        let edit = edit.to_string();
        webhook.answer(move |_| Reply::json(edit.clone()));
        system.message(&sid(number), ADA, OURS, "hello").await;
        let messages = system.messages(&conversation).await;
        let message = messages.last().expect("a message");
        for (field, unchanged) in [("body", "hello"), ("author", ADA), ("attributes", "{}")] {
            let expected = if field == key { value } else { unchanged };
            assert_eq!(message[field], expected, "{key}: {message}");
        }
    }
}

/// The statuses of replies that reject.
const REJECTIONS: [u16; 7] = [400, 401, 403, 404, 429, 500, 503];

async fn a_rejected_conversation_is_not_created(system: TestSystem) {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    system.number(OURS, &[("SmsUrl", &application.url())]).await;
    system.autocreation(OURS).await;
    let webhook = accepting(&system, &[]).await;
    for (number, status) in (1..).zip(REJECTIONS.into_iter().chain([302])) {
        webhook.answer(move |_| Reply::new(status, ""));
        let calls = webhook.received().len();
        let answer = system.message(&sid(number), ADA, OURS, "hello").await;
        assert!(answer.accepted(), "{status}: {}", answer.text());
        let retry = system.message(&sid(number), ADA, OURS, "hello").await;
        assert_eq!(retry.text(), answer.text());
        assert!(retry.accepted(), "{status}: {}", retry.text());
        assert_eq!(webhook.received().len(), calls + 1, "{status}: one call");
        assert_eq!(system.conversations().await.len(), 0, "{status}");
    }
    let path = "/v1/ParticipantConversations?Address=%2B15550001111";
    assert_eq!(system.list(path).await.len(), 0);
    assert_eq!(application.received().len(), 0, "no fall-through");
}

async fn a_rejected_message_is_not_published(system: TestSystem) {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    system.number(OURS, &[("SmsUrl", &application.url())]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    let before = system.fetch_conversation(&conversation).await;
    let webhook = accepting(&system, &[]).await;
    for (number, status) in (1..).zip(REJECTIONS) {
        webhook.answer(move |_| Reply::new(status, r#"{"body":"edited"}"#));
        for _ in 0..2 {
            let answer = system.message(&sid(number), ADA, OURS, "hello").await;
            assert!(answer.accepted(), "{status}: {}", answer.text());
        }
        assert_eq!(system.messages(&conversation).await.len(), 0, "{status}");
    }
    assert_eq!(
        webhook.received().len(),
        REJECTIONS.len(),
        "one call for each message"
    );
    assert_eq!(system.fetch_conversation(&conversation).await, before);
    assert_eq!(application.received().len(), 0, "no fall-through");
    // A rejected message takes no index.
    webhook.answer(|_| Reply::new(200, ""));
    system.message(&sid(99), ADA, OURS, "accepted").await;
    assert_eq!(system.bodies(&conversation).await, ["accepted"]);
}

async fn a_rejected_message_leaves_an_inactive_conversation_inactive(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    let inactive = [("State", "inactive")];
    system
        .update_conversation(&conversation, &inactive)
        .await
        .expect(200);
    let webhook = accepting(&system, &[]).await;
    webhook.answer(|_| Reply::new(403, ""));
    system.message(&sid(1), ADA, OURS, "hello").await;
    assert_eq!(
        system.fetch_conversation(&conversation).await["state"],
        "inactive"
    );
    webhook.answer(|_| Reply::new(200, ""));
    system.message(&sid(2), ADA, OURS, "hello").await;
    assert_eq!(
        system.fetch_conversation(&conversation).await["state"],
        "active"
    );
}

async fn a_message_after_a_rejection_is_decided_anew(system: TestSystem) {
    let webhook = accepting(&system, &[]).await;
    webhook.answer(|_| Reply::new(403, ""));
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "rejected").await;
    webhook.answer(|_| Reply::new(200, ""));
    system.message(&sid(2), ADA, OURS, "accepted").await;
    // The journal keeps the rejection.
    system.message(&sid(1), ADA, OURS, "rejected").await;
    assert_eq!(webhook.received().len(), 2);
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(system.bodies(&conversation).await, ["accepted"]);
}

async fn a_rejected_autocreation_does_not_close_the_expired_conversation(system: TestSystem) {
    system.autocreation(OURS).await;
    let timer = [("DefaultClosedTimer", "PT10M")];
    system.post("/v1/Configuration", &timer).await.expect(200);
    system.message(&sid(1), ADA, OURS, "one").await;
    let old = text(&only(system.conversations().await)["sid"]);
    let webhook = accepting(&system, &[]).await;
    webhook.answer(|_| Reply::new(403, ""));
    system.advance(Duration::from_secs(60 * 60));
    system.message(&sid(2), ADA, OURS, "two").await;
    let call = one(&webhook);
    assert_eq!(call.parameter("EventType"), Some("onConversationAdd"));
    assert_eq!(only(system.conversations().await)["sid"], json!(old));
    assert_eq!(system.bodies(&old).await, ["one"]);
    // The webhook accepts the next message, which gets a new conversation.
    webhook.answer(|_| Reply::new(200, ""));
    system.message(&sid(3), ADA, OURS, "three").await;
    assert_eq!(system.conversations().await.len(), 2);
    assert_eq!(system.fetch_conversation(&old).await["state"], "closed");
}

async fn a_retry_does_not_call_the_webhook(system: TestSystem) {
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "autocreated").await;
    system.message(&sid(2), ADA, OURS, "captured").await;
    // A webhook that is set later rejects everything. It does not change the earlier outcomes.
    let webhook = accepting(&system, &[]).await;
    webhook.answer(|_| Reply::new(403, ""));
    for number in [1, 2] {
        assert!(
            system
                .message(&sid(number), ADA, OURS, "?")
                .await
                .accepted()
        );
    }
    assert_eq!(webhook.received().len(), 0);
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(
        system.bodies(&conversation).await,
        ["autocreated", "captured"]
    );
}

/// How long a webhook waits with its reply, so that the test can change something during the call.
const REPLY_DELAY: Duration = Duration::from_millis(1_500);

/// Waits until a call has reached the webhook.
async fn wait_for_call(webhook: &Receiver) {
    for _ in 0..100 {
        if !webhook.received().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no call reached the webhook");
}

async fn a_reply_holds_for_its_conversation_only(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (old, participant) = system.bind(ADA, OURS).await;
    let new = system.conversation(&[]).await;
    let webhook = accepting(&system, &[]).await;
    let first = old.clone();
    webhook.answer(move |received| {
        if received.parameter("ConversationSid") == Some(&first) {
            Reply::json(r#"{"body":"edited for the old"}"#).after(REPLY_DELAY)
        } else {
            Reply::json(r#"{"author":"carol"}"#)
        }
    });
    let sid = sid(1);
    let message = system.message(&sid, ADA, OURS, "hello");
    let moved = async {
        wait_for_call(&webhook).await;
        let path = format!("/v1/Conversations/{old}/Participants/{participant}");
        system.delete(&path).await.expect(204);
        system.add_participant(&new, ADA, OURS).await.expect(201);
    };
    let (answer, ()) = tokio::join!(message, moved);
    assert!(answer.accepted(), "{}", answer.text());
    assert_eq!(system.messages(&old).await.len(), 0);
    let message = only(system.messages(&new).await);
    assert_eq!(message["body"], "hello");
    assert_eq!(message["author"], "carol");
    let conversations: Vec<_> = webhook
        .received()
        .iter()
        .map(|received| form(received)["ConversationSid"].clone())
        .collect();
    assert_eq!(conversations, [json!(old), json!(new)]);
}

async fn a_reply_for_a_closed_conversation_creates_no_new_one(system: TestSystem) {
    system.autocreation(OURS).await;
    let (old, _) = system.bind(ADA, OURS).await;
    let webhook = accepting(&system, &[]).await;
    webhook.answer(|received| match received.parameter("EventType") {
        // The webhook accepts messages, and rejects new conversations.
        Some("onMessageAdd") => Reply::new(200, "").after(REPLY_DELAY),
        _ => Reply::new(403, ""),
    });
    let sid = sid(1);
    let message = system.message(&sid, ADA, OURS, "hello");
    let closed = async {
        wait_for_call(&webhook).await;
        system
            .update_conversation(&old, &[("State", "closed")])
            .await
            .expect(200);
    };
    let (answer, ()) = tokio::join!(message, closed);
    assert!(answer.accepted(), "{}", answer.text());
    assert_eq!(only(system.conversations().await)["sid"], json!(old));
    assert_eq!(system.messages(&old).await.len(), 0);
    let events: Vec<_> = webhook
        .received()
        .iter()
        .map(|received| form(received)["EventType"].clone())
        .collect();
    assert_eq!(events, ["onMessageAdd", "onConversationAdd"]);
}

async fn a_rejection_for_the_old_holder_does_not_hold_for_the_new_one(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (old, participant) = system.bind(ADA, OURS).await;
    let new = system.conversation(&[]).await;
    let webhook = accepting(&system, &[]).await;
    let first = old.clone();
    webhook.answer(
        move |received| match received.parameter("ConversationSid") == Some(&first) {
            true => Reply::new(403, "").after(REPLY_DELAY),
            false => Reply::new(200, ""),
        },
    );
    let sid = sid(1);
    let message = system.message(&sid, ADA, OURS, "hello");
    let moved = async {
        wait_for_call(&webhook).await;
        let path = format!("/v1/Conversations/{old}/Participants/{participant}");
        system.delete(&path).await.expect(204);
        system.add_participant(&new, ADA, OURS).await.expect(201);
    };
    let (answer, ()) = tokio::join!(message, moved);
    assert!(answer.accepted(), "{}", answer.text());
    assert_eq!(system.bodies(&new).await, ["hello"]);
}

async fn a_rejection_of_one_of_two_first_messages_loses_neither(system: TestSystem) {
    system.autocreation(OURS).await;
    let webhook = accepting(&system, &[]).await;
    // The webhook rejects the conversation of the second message, after the first message has made one.
    webhook.answer(|received| {
        match (
            received.parameter("EventType"),
            received.parameter("MessageBody"),
        ) {
            (Some("onConversationAdd"), Some("second")) => Reply::new(403, "").after(REPLY_DELAY),
            _ => Reply::new(200, ""),
        }
    });
    let (first, second) = (sid(1), sid(2));
    let later = async {
        wait_for_call(&webhook).await;
        system.message(&first, ADA, OURS, "first").await
    };
    let (second, first) = tokio::join!(system.message(&second, ADA, OURS, "second"), later);
    assert!(first.accepted() && second.accepted());
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(system.bodies(&conversation).await, ["first", "second"]);
}

async fn a_long_body_does_not_change_a_rejection(system: TestSystem) {
    system.autocreation(OURS).await;
    let webhook = accepting(&system, &[]).await;
    for status in [403, 500] {
        webhook.answer(move |_| Reply::new(status, "no".repeat(1024 * 1024)));
        assert!(
            system
                .message(&sid(u64::from(status)), ADA, OURS, "hello")
                .await
                .accepted()
        );
    }
    assert_eq!(system.conversations().await.len(), 0);
}

/// Later than a webhook may reply.
const TOO_LATE: Duration = Duration::from_secs(600);

/// Asserts that the time limit ended the wait: the webhook had five seconds, and did not get [`TOO_LATE`].
#[track_caller]
fn assert_waited(began: Instant) {
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(4_900), "{waited:?}");
    assert!(waited < TOO_LATE / 2, "{waited:?}");
}

async fn a_late_reply_publishes_unchanged(system: TestSystem) {
    let webhook = accepting(&system, &[]).await;
    webhook.answer(|_| Reply::json(r#"{"friendly_name":"late","body":"late"}"#).after(TOO_LATE));
    system.autocreation(OURS).await;
    let began = Instant::now();
    let answer = system.message(&sid(1), ADA, OURS, "hello").await;
    assert_waited(began);
    assert!(answer.accepted(), "{}", answer.text());
    let conversation = only(system.conversations().await);
    assert_eq!(conversation["friendly_name"], Value::Null);
    let conversation = text(&conversation["sid"]);
    assert_eq!(system.bodies(&conversation).await, ["hello"]);
    assert_eq!(webhook.received().len(), 1);
}

async fn a_late_reply_rejects_if_so_configured(system: TestSystem) {
    let webhook = accepting(&system, &[("OnTimeout", "reject")]).await;
    webhook.answer(|_| Reply::new(200, "").after(TOO_LATE));
    system.autocreation(OURS).await;
    let began = Instant::now();
    let answer = system.message(&sid(1), ADA, OURS, "hello").await;
    assert_waited(began);
    assert!(answer.accepted(), "{}", answer.text());
    // The journal has the outcome for the retry: no run calls the webhook again.
    let retry = system.message(&sid(1), ADA, OURS, "hello").await;
    assert!(retry.accepted(), "{}", retry.text());
    assert_eq!(webhook.received().len(), 1);
    assert_eq!(system.conversations().await.len(), 0);
}

async fn a_dead_endpoint_publishes(system: TestSystem) {
    system.autocreation(OURS).await;
    system.set_pre_webhook(DEAD, &[]).await;
    for (number, body) in [(1, "one"), (2, "two")] {
        assert!(
            system
                .message(&sid(number), ADA, OURS, body)
                .await
                .accepted()
        );
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(system.bodies(&conversation).await, ["one", "two"]);
}

async fn a_dead_endpoint_rejects_if_so_configured(system: TestSystem) {
    system.autocreation(OURS).await;
    system
        .set_pre_webhook(DEAD, &[("OnTimeout", "reject")])
        .await;
    let answer = system.message(&sid(1), ADA, OURS, "hello").await;
    assert!(answer.accepted(), "{}", answer.text());
    assert_eq!(system.conversations().await.len(), 0);
}

/// No server listens at this URL.
const DEAD: &str = "http://127.0.0.1:1/pre";

async fn an_unreadable_reply_publishes_unchanged(system: TestSystem) {
    system.autocreation(OURS).await;
    // OnTimeout does not apply: the webhook replies in time.
    let webhook = accepting(&system, &[("OnTimeout", "reject")]).await;
    let unreadable = ["OK", "<Response/>", r#"{"body":"#, "[1]", "7", r#""body""#];
    for (number, body) in (1..).zip(unreadable) {
        webhook.answer(move |_| Reply::new(200, body));
        let answer = system.message(&sid(number), ADA, OURS, "hello").await;
        assert!(answer.accepted(), "{}", answer.text());
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    let expected = ["hello"; 6];
    assert_eq!(system.bodies(&conversation).await, expected);
    assert_eq!(webhook.received().len(), expected.len());
}

async fn the_webhook_gets_only_the_events_of_its_filters(system: TestSystem) {
    system.autocreation(OURS).await;
    let mut number = 0;
    for (filters, expected) in [
        (&["onMessageAdd"][..], &["onMessageAdd"][..]),
        (&["onConversationAdd"], &["onConversationAdd"]),
        (
            &["onMessageAdd", "onConversationAdd"],
            &["onConversationAdd", "onMessageAdd"],
        ),
        (&["onMessageAdded", "onConversationAdded"], &[]),
    ] {
        let fields: Vec<_> = filters.iter().map(|filter| ("Filters", *filter)).collect();
        let webhook = accepting(&system, &fields).await;
        let from = format!("+15550004{number:03}");
        for _ in 0..2 {
            number += 1;
            system.message(&sid(number), &from, OURS, "hello").await;
        }
        let events: Vec<_> = webhook
            .received()
            .iter()
            .map(|received| form(received)["EventType"].clone())
            .collect();
        assert_eq!(events, expected, "{filters:?}");
    }
    assert_eq!(system.conversations().await.len(), 4);
}

async fn a_post_action_webhook_rejects_nothing(system: TestSystem) {
    let post = Receiver::start(|_| Reply::new(403, "")).await;
    let form = [("PostWebhookUrl", post.url())];
    let form = form.each_ref().map(|(name, url)| (*name, url.as_str()));
    let webhooks = "/v1/Configuration/Webhooks";
    system.post(webhooks, &form).await.expect(200);
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    system.message(&sid(2), ADA, OURS, "two").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(system.bodies(&conversation).await, ["one", "two"]);
}

async fn a_rest_change_calls_the_webhook_only_on_request(system: TestSystem) {
    let webhook = accepting(&system, &[]).await;
    webhook.answer(|_| Reply::new(403, ""));
    let conversation = system.conversation(&[]).await;
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    let form = [("Body", "hello")];
    system.post(&messages, &form).await.expect(201);
    assert_eq!(webhook.received().len(), 0);
    webhook.answer(|_| Reply::new(200, ""));
    let made = system.post_with_webhooks("/v1/Conversations", &[]).await;
    made.expect(201);
    let made = system.post_with_webhooks(&messages, &form).await;
    made.expect(201);
    let events: Vec<_> = webhook
        .received()
        .iter()
        .map(|received| self::form(received)["EventType"].clone())
        .collect();
    assert_eq!(events, ["onConversationAdd", "onMessageAdd"]);
}

async fn the_call_for_a_rest_change_has_exactly_these_parameters(system: TestSystem) {
    let webhook = accepting(&system, &[]).await;
    let fields = [
        ("FriendlyName", "By REST"),
        ("UniqueName", "by-rest"),
        ("Attributes", r#"{"a":1}"#),
        ("State", "inactive"),
    ];
    let conversations = "/v1/Conversations";
    let made = system.post_with_webhooks(conversations, &fields).await;
    let made = made.expect(201);
    let received = one(&webhook);
    assert_eq!(
        form(&received),
        json!({
            "AccountSid": ACCOUNT,
            "EventType": "onConversationAdd",
            "Source": "API",
            "RetryCount": "0",
            "FriendlyName": "By REST",
            "UniqueName": "by-rest",
            "Attributes": r#"{"a":1}"#,
            "ChatServiceSid": made["chat_service_sid"],
            "MessagingServiceSid": made["messaging_service_sid"],
            "State": "inactive",
        })
    );
    assert!(received.signed(TOKEN, &pre(&webhook)), "{received:?}");

    let conversation = text(&made["sid"]);
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    let fields = [("Body", "hello"), ("Attributes", r#"{"b":2}"#)];
    let made = system.post_with_webhooks(&messages, &fields).await;
    made.expect(201);
    let received = webhook.received()[1].clone();
    assert_eq!(
        form(&received),
        json!({
            "AccountSid": ACCOUNT,
            "EventType": "onMessageAdd",
            "Source": "API",
            "RetryCount": "0",
            "ConversationSid": conversation,
            "Body": "hello",
            "Author": "system",
            "Attributes": r#"{"b":2}"#,
        })
    );
    assert!(received.signed(TOKEN, &pre(&webhook)), "{received:?}");
}

async fn a_reply_does_not_hold_after_the_webhook_is_replaced(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    let earlier = accepting(&system, &[]).await;
    earlier.answer(|_| Reply::new(200, "").after(REPLY_DELAY * 2));
    let later = Receiver::start(|_| Reply::new(403, "")).await;
    let set_anew = async {
        wait_for_call(&earlier).await;
        system.set_pre_webhook("", &[]).await;
        system.set_pre_webhook(&pre(&later), &[]).await;
    };
    let form = [("Body", "hello")];
    let message = system.post_with_webhooks(&messages, &form);
    let (answer, ()) = tokio::join!(message, set_anew);
    answer.expect_code(403, 50056);
    assert_eq!(later.received().len(), 1);
    assert_eq!(system.messages(&conversation).await.len(), 0);
}

async fn a_conversation_that_closes_during_the_call_stays_closed(system: TestSystem) {
    let timers = [("Timers.Closed", "PT10M")];
    let conversation = system.conversation(&timers).await;
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    let webhook = accepting(&system, &[]).await;
    webhook.answer(|_| Reply::new(200, "").after(REPLY_DELAY * 2));
    let closing = async {
        wait_for_call(&webhook).await;
        system.advance(Duration::from_secs(601));
    };
    let form = [("Body", "hello")];
    let message = system.post_with_webhooks(&messages, &form);
    let (answer, ()) = tokio::join!(message, closing);
    answer.expect_code(400, 50377);
    let closed = system.fetch_conversation(&conversation).await;
    assert_eq!(closed["state"], "closed");
    assert_eq!(system.messages(&conversation).await.len(), 0);
}

async fn a_rejected_rest_change_is_an_error(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    let webhook = accepting(&system, &[]).await;
    for status in REJECTIONS {
        webhook.answer(move |_| Reply::new(status, ""));
        let form = [("UniqueName", "rejected")];
        let answer = system.post_with_webhooks("/v1/Conversations", &form).await;
        answer.expect_code(403, 50056);
        let form = [("Body", "rejected")];
        let answer = system.post_with_webhooks(&messages, &form).await;
        answer.expect_code(403, 50056);
    }
    assert_eq!(only(system.conversations().await)["sid"], conversation);
    assert_eq!(system.messages(&conversation).await.len(), 0);
    system.conversation(&[("UniqueName", "rejected")]).await;
    // An invalid change does not call the webhook.
    let calls = webhook.received().len();
    let form = [("Attributes", "{")];
    let answer = system.post_with_webhooks("/v1/Conversations", &form).await;
    answer.expect_code(400, 50304);
    assert_eq!(webhook.received().len(), calls);
}

async fn a_rest_change_stores_the_edit(system: TestSystem) {
    let webhook = accepting(&system, &[]).await;
    webhook.answer(|_| Reply::json(r#"{"friendly_name":"edited"}"#));
    let form = [("FriendlyName", "by REST"), ("UniqueName", "by-rest")];
    let made = system.post_with_webhooks("/v1/Conversations", &form).await;
    let made = made.expect(201);
    assert_eq!(made["friendly_name"], "edited");
    assert_eq!(made["unique_name"], "by-rest");
    let conversation = text(&made["sid"]);
    assert_eq!(system.fetch_conversation(&conversation).await, made);

    webhook.answer(|_| {
        let edit = json!({"body": "edited", "author": "carol", "attributes": r#"{"a":1}"#});
        Reply::json(edit.to_string())
    });
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    let form = [("Body", "by REST")];
    let made = system.post_with_webhooks(&messages, &form).await;
    let made = made.expect(201);
    assert_eq!(made["body"], "edited");
    assert_eq!(made["author"], "carol");
    assert_eq!(made["attributes"], r#"{"a":1}"#);
    assert_eq!(only(system.messages(&conversation).await), made);
}

async fn an_invalid_edit_of_a_rest_change_is_an_error(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    let webhook = accepting(&system, &[]).await;
    let long = "x".repeat(300);
    for edit in [json!({"friendly_name": long}), json!({"friendly_name": 7})] {
        let edit = edit.to_string();
        webhook.answer(move |_| Reply::json(edit.clone()));
        let answer = system.post_with_webhooks("/v1/Conversations", &[]).await;
        assert_eq!(answer.expect(400)["status"], 400);
    }
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    for (edit, code) in [
        (json!({"attributes": "{"}), Some(50304)),
        (json!({"attributes": {"not": "a string"}}), None),
        (
            json!({"attributes": format!("\"{}\"", "x".repeat(5_000))}),
            Some(50303),
        ),
        (json!({"body": "x".repeat(40_000)}), Some(50504)),
        (json!({"author": "x".repeat(1_000)}), Some(50310)),
        (json!({"body": 7}), None),
    ] {
        let edit = edit.to_string();
        let shown = edit.chars().take(60).collect::<String>();
        webhook.answer(move |_| Reply::json(edit.clone()));
        let form = [("Body", "hello")];
        let answer = system.post_with_webhooks(&messages, &form).await;
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
        let error = answer.json();
        if let Some(code) = code {
            assert_eq!(error["code"], code, "{shown}: {error}");
        }
    }
    assert_eq!(only(system.conversations().await)["sid"], conversation);
    assert_eq!(system.messages(&conversation).await.len(), 0);
}

/// A webhook that accepts. The account has it with these further fields.
async fn accepting(system: &TestSystem, fields: &[(&str, &str)]) -> Receiver {
    let webhook = Receiver::start(|_| Reply::new(200, "")).await;
    system.set_pre_webhook(&pre(&webhook), fields).await;
    webhook
}

fn pre(webhook: &Receiver) -> String {
    format!("{}/pre", webhook.url())
}

/// The only request that the webhook got.
#[track_caller]
fn one(webhook: &Receiver) -> Received {
    let received = webhook.received();
    assert_eq!(received.len(), 1, "{received:#?}");
    received[0].clone()
}

/// The parameters as a JSON object; the request has each of them once.
#[track_caller]
fn form(received: &Received) -> Value {
    let form = json!(received.form());
    let count = form.as_object().map_or(0, |form| form.len());
    assert_eq!(count, received.parameters.len(), "{received:?}");
    form
}
