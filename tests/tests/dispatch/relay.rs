//! The relay: a message of one participant reaches the others, each from its own proxy address, once and in order.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::carrier::{PATIENT_ATTEMPTS, sid, twilio_form};
use tests::json::{keys, only, text};
use tests::receiver::{Receiver, Reply};
use tests::rest::basic_credentials;
use tests::system::{ADA, BOB, OURS, TWILIO_ACCOUNT, TWILIO_TOKEN, TestSystem};

on_both_engines!(
    a_captured_message_reaches_every_other_participant_from_its_own_proxy,
    concurrent_messages_reach_each_recipient_in_the_order_of_their_indexes,
    a_long_backlog_is_relayed_in_order,
);

on_the_embedded_engine!(
    a_sent_message_has_exactly_the_documented_fields,
    a_message_from_whatsapp_reaches_the_others_each_on_its_channel,
    a_message_by_rest_reaches_everyone_but_its_author,
    a_message_by_rest_is_relayed_with_webhooks_or_without,
    an_author_under_two_proxies_gets_neither_copy,
    a_chat_participant_gets_nothing,
    text_and_media_pass,
    an_empty_message_is_not_relayed,
    the_first_message_of_an_autocreated_conversation_is_not_relayed,
    an_answer_by_rest_reaches_the_consumer_of_an_autocreated_conversation,
    an_address_configuration_alone_is_enough_to_answer,
    the_participants_at_the_commit_of_a_message_get_it,
    a_participant_gets_messages_from_its_new_proxy_after_it_moves,
    an_edit_sends_nothing,
    a_deletion_sends_nothing,
    a_message_deleted_before_it_is_sent_is_not_sent,
    a_message_edited_before_it_is_sent_is_sent_once,
    a_message_that_activates_a_conversation_is_relayed,
    a_message_from_before_the_close_is_sent_after_it,
    the_relay_sends_the_text_that_the_pre_action_webhook_edited,
    a_message_that_the_pre_action_webhook_rejects_is_not_relayed,
    a_message_stays_in_its_conversation,
    a_repetition_by_the_carrier_is_relayed_once,
    a_request_to_twilio_has_exactly_these_parameters,
    a_request_to_twilio_for_whatsapp_has_the_prefix,
    the_carrier_of_its_proxy_sends_each_copy,
);

const CAROL: &str = "+15550001113";
const OURS_2: &str = "+15550002223";
const OURS_3: &str = "+15550002224";

async fn a_captured_message_reaches_every_other_participant_from_its_own_proxy(system: TestSystem) {
    let system = system.start_dispatcher().await;
    let conversation = three(&system).await;
    let messages = [
        (ADA, OURS, "Ada", [(OURS_2, BOB), (OURS_3, CAROL)]),
        (BOB, OURS_2, "Bob", [(OURS, ADA), (OURS_3, CAROL)]),
        (CAROL, OURS_3, "Carol", [(OURS, ADA), (OURS_2, BOB)]),
    ];
    for (number, (from, to, body, _)) in (1..).zip(&messages) {
        system.message(&sid(number), from, to, body).await;
    }
    system.wait_for_outbox(6).await;
    quiet(&system, &conversation).await;
    let sent = system.outbox().await;
    assert_eq!(sent.len(), 6, "{sent:#?}");
    for (_, _, body, expected) in messages {
        let mut copies: Vec<_> = sent
            .iter()
            .filter(|sent| sent["body"] == body)
            .map(|sent| (text(&sent["from"]), text(&only_recipient(sent))))
            .collect();
        copies.sort_by(|one, other| one.1.cmp(&other.1));
        let expected = expected.map(|(from, to)| (from.to_owned(), to.to_owned()));
        assert_eq!(copies, expected, "{body}");
    }
    assert_eq!(bodies(&sent, ADA), ["Bob", "Carol"]);
    assert_eq!(bodies(&sent, BOB), ["Ada", "Carol"]);
    assert_eq!(bodies(&sent, CAROL), ["Ada", "Bob"]);
}

async fn a_sent_message_has_exactly_the_documented_fields(system: TestSystem) {
    let conversation = two(&system).await;
    assert_eq!(system.outbox().await, Vec::<Value>::new());
    system.message(&sid(1), ADA, OURS, "one, 1 + 1 & 👋").await;
    say(&system, &conversation, "Author", "system", "two").await;
    system.run(&conversation).await;
    let sent = system.outbox().await;
    let messages = system.messages(&conversation).await;
    let item = |to, from, index: usize| {
        json!({
            "from": from,
            "to": [to],
            "body": messages[index]["body"],
            "media": [],
            "message_sid": messages[index]["sid"],
            "conversation_sid": conversation,
        })
    };
    // Oldest first; the copies of one message have no order.
    assert_eq!(sent.len(), 3, "{sent:#?}");
    assert_eq!(sent[0], item(BOB, OURS_2, 0));
    let mut second = sent[1..].to_vec();
    second.sort_by_key(|sent| text(&only_recipient(sent)));
    assert_eq!(second, [item(ADA, OURS, 1), item(BOB, OURS_2, 1)]);
    assert_eq!(sent[0]["body"], "one, 1 + 1 & 👋");
    for sent in &sent {
        assert_eq!(
            keys(sent),
            [
                "body",
                "conversation_sid",
                "from",
                "media",
                "message_sid",
                "to"
            ]
        );
    }
}

async fn a_message_from_whatsapp_reaches_the_others_each_on_its_channel(system: TestSystem) {
    let (ours, carol) = (format!("whatsapp:{OURS}"), format!("whatsapp:{CAROL}"));
    let conversation = two(&system).await;
    system.number(&ours, &[]).await;
    // Two addresses that differ by the channel's prefix alone: two participants.
    let ada = format!("whatsapp:{ADA}");
    for address in [&carol, &ada] {
        system
            .add_participant(&conversation, address, &ours)
            .await
            .expect(201);
    }
    system.message(&sid(1), &carol, &ours, "by WhatsApp").await;
    system.message(&sid(2), ADA, OURS, "by SMS").await;
    system.run(&conversation).await;
    let sent = system.outbox().await;
    assert_eq!(
        pairs(&sent, "by WhatsApp"),
        [(OURS, ADA), (OURS_2, BOB), (&ours, &ada)]
    );
    assert_eq!(
        pairs(&sent, "by SMS"),
        [(OURS_2, BOB), (&ours, &ada), (&ours, &carol)]
    );
}

async fn a_message_by_rest_reaches_everyone_but_its_author(system: TestSystem) {
    let conversation = two(&system).await;
    chat(&system, &conversation, "carol").await;
    for (author, expected) in [
        ("system", vec![(OURS, ADA), (OURS_2, BOB)]),
        ("a stranger", vec![(OURS, ADA), (OURS_2, BOB)]),
        ("carol", vec![(OURS, ADA), (OURS_2, BOB)]),
        // No participant has an address of ours.
        (OURS, vec![(OURS, ADA), (OURS_2, BOB)]),
        (ADA, vec![(OURS_2, BOB)]),
        (BOB, vec![(OURS, ADA)]),
    ] {
        say(&system, &conversation, "Author", author, author).await;
        system.run(&conversation).await;
        assert_eq!(pairs(&system.outbox().await, author), expected, "{author}");
    }
    // Without an author, the author is the system.
    let form = [("Body", "unsigned")];
    let path = format!("/v1/Conversations/{conversation}/Messages");
    system.post(&path, &form).await.expect(201);
    system.run(&conversation).await;
    assert_eq!(
        pairs(&system.outbox().await, "unsigned"),
        [(OURS, ADA), (OURS_2, BOB)]
    );
}

async fn a_message_by_rest_is_relayed_with_webhooks_or_without(system: TestSystem) {
    let conversation = two(&system).await;
    let webhook = Receiver::start(|_| Reply::new(200, "")).await;
    system.set_post_webhook(&webhook.url(), &[]).await;
    let path = format!("/v1/Conversations/{conversation}/Messages");
    let quiet = [("Body", "quiet")];
    system.post(&path, &quiet).await.expect(201);
    let loud = [("Body", "loud")];
    system.post_with_webhooks(&path, &loud).await.expect(201);
    system.run(&conversation).await;
    let sent = system.outbox().await;
    for address in [ADA, BOB] {
        assert_eq!(bodies(&sent, address), ["quiet", "loud"]);
    }
    let received = webhook.received();
    assert_eq!(received.len(), 1, "{received:#?}");
    assert_eq!(received[0].parameter("Body"), Some("loud"));
}

async fn an_author_under_two_proxies_gets_neither_copy(system: TestSystem) {
    let conversation = two(&system).await;
    system.number(OURS_3, &[]).await;
    system
        .add_participant(&conversation, ADA, OURS_3)
        .await
        .expect(201);
    system.message(&sid(1), ADA, OURS, "by the first").await;
    system.message(&sid(2), ADA, OURS_3, "by the second").await;
    say(&system, &conversation, "Author", ADA, "in her name").await;
    system.message(&sid(3), BOB, OURS_2, "from Bob").await;
    system.run(&conversation).await;
    let sent = system.outbox().await;
    for body in ["by the first", "by the second", "in her name"] {
        assert_eq!(pairs(&sent, body), [(OURS_2, BOB)], "{body}");
    }
    assert_eq!(pairs(&sent, "from Bob"), [(OURS, ADA), (OURS_3, ADA)]);
}

async fn a_chat_participant_gets_nothing(system: TestSystem) {
    let conversation = system.conversation(&[]).await;
    chat(&system, &conversation, "carol").await;
    chat(&system, &conversation, "dan").await;
    say(&system, &conversation, "Author", "carol", "hello, Dan").await;
    say(&system, &conversation, "Author", "system", "hello, both").await;
    system.run(&conversation).await;
    assert_eq!(system.outbox().await, Vec::<Value>::new());
    assert_eq!(system.outbound_records().await, []);
    system.number(OURS, &[]).await;
    system
        .add_participant(&conversation, ADA, OURS)
        .await
        .expect(201);
    say(&system, &conversation, "Author", "carol", "hello, Ada").await;
    system.message(&sid(1), ADA, OURS, "hello, Carol").await;
    system.run(&conversation).await;
    let sent = only(system.outbox().await);
    assert_eq!(sent["body"], "hello, Ada");
    assert_eq!(sent["to"], json!([ADA]));
}

async fn text_and_media_pass(system: TestSystem) {
    let conversation = two(&system).await;
    let urls = [
        "https://media.example/one.jpg",
        "https://media.example/two?a=1&b=2",
    ];
    for (number, body) in (1..).zip(["with text", ""]) {
        let sid = format!("MM{number:032x}");
        let form = [
            ("MessageSid", sid.as_str()),
            ("From", ADA),
            ("To", OURS),
            ("Body", body),
            ("NumMedia", "2"),
            ("MediaUrl0", urls[0]),
            ("MediaContentType0", "image/jpeg"),
            ("MediaUrl1", urls[1]),
            ("MediaContentType1", "video/mp4"),
        ];
        assert!(system.simulator(&form).await.accepted());
    }
    system.run(&conversation).await;
    let sent = system.outbox().await;
    assert_eq!(sent.len(), 2, "{sent:#?}");
    for (sent, body) in sent.iter().zip(["with text", ""]) {
        assert_eq!(sent["to"], json!([BOB]));
        assert_eq!(sent["body"], body);
        assert_eq!(sent["media"], json!(urls));
    }
}

async fn an_empty_message_is_not_relayed(system: TestSystem) {
    let conversation = two(&system).await;
    let answer = system.message(&sid(1), ADA, OURS, "").await;
    assert!(answer.accepted(), "{}", answer.text());
    system.message(&sid(2), ADA, OURS, "something").await;
    system.run(&conversation).await;
    assert_eq!(system.bodies(&conversation).await, ["", "something"]);
    assert_eq!(only(system.outbox().await)["body"], "something");
    assert_eq!(system.outbound_records().await.len(), 1);
}

async fn the_first_message_of_an_autocreated_conversation_is_not_relayed(system: TestSystem) {
    system.number(OURS, &[]).await;
    system.number(OURS_2, &[]).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "first").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    system
        .add_participant(&conversation, BOB, OURS_2)
        .await
        .expect(201);
    system.message(&sid(2), ADA, OURS, "second").await;
    system.run(&conversation).await;
    let sent = only(system.outbox().await);
    assert_eq!(sent["body"], "second");
    assert_eq!(sent["to"], json!([BOB]));
}

async fn an_answer_by_rest_reaches_the_consumer_of_an_autocreated_conversation(system: TestSystem) {
    let system = system.start_dispatcher().await;
    system.number(OURS, &[]).await;
    system.autocreation(OURS).await;
    answered(&system).await;
}

/// The simulator receives on such an address, and keeps messages from it like any other.
async fn an_address_configuration_alone_is_enough_to_answer(system: TestSystem) {
    let system = system.start_dispatcher().await;
    system.autocreation(OURS).await;
    answered(&system).await;
}

async fn answered(system: &TestSystem) {
    system.message(&sid(1), ADA, OURS, "hello?").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    say(system, &conversation, "Author", "agent", "hello!").await;
    let sent = only(system.wait_for_outbox(1).await);
    assert_eq!(sent["body"], "hello!");
    assert_eq!(sent["from"], OURS);
    assert_eq!(sent["to"], json!([ADA]));
}

async fn the_participants_at_the_commit_of_a_message_get_it(system: TestSystem) {
    // All changes commit before the relay runs.
    let conversation = two(&system).await;
    system.number(OURS_3, &[]).await;
    let participants = system.participants(&conversation).await;
    let bob = participants
        .iter()
        .find(|participant| participant["messaging_binding"]["address"] == BOB);
    let bob = text(&bob.expect("Bob")["sid"]);
    system.message(&sid(1), ADA, OURS, "Bob is here").await;
    let path = format!("/v1/Conversations/{conversation}/Participants/{bob}");
    system.delete(&path).await.expect(204);
    system
        .message(&sid(2), ADA, OURS, "no other participant")
        .await;
    system
        .add_participant(&conversation, CAROL, OURS_3)
        .await
        .expect(201);
    system.message(&sid(3), ADA, OURS, "Carol is here").await;
    system
        .add_participant(&conversation, BOB, OURS_2)
        .await
        .expect(201);
    system.message(&sid(4), ADA, OURS, "both are here").await;
    system.run(&conversation).await;
    let sent = system.outbox().await;
    assert_eq!(bodies(&sent, BOB), ["Bob is here", "both are here"]);
    assert_eq!(bodies(&sent, CAROL), ["Carol is here", "both are here"]);
    assert_eq!(sent.len(), 4, "{sent:#?}");
}

async fn a_participant_gets_messages_from_its_new_proxy_after_it_moves(system: TestSystem) {
    system.number(OURS, &[]).await;
    system.number(OURS_2, &[]).await;
    let (conversation, ada) = system.bind(ADA, OURS).await;
    say(&system, &conversation, "Author", "system", "before").await;
    let path = format!("/v1/Conversations/{conversation}/Participants/{ada}");
    let moved = [("MessagingBinding.ProxyAddress", OURS_2)];
    system.post(&path, &moved).await.expect(200);
    say(&system, &conversation, "Author", "system", "after").await;
    system.run(&conversation).await;
    let sent = system.outbox().await;
    assert_eq!(pairs(&sent, "before"), [(OURS, ADA)]);
    assert_eq!(pairs(&sent, "after"), [(OURS_2, ADA)]);
}

async fn an_edit_sends_nothing(system: TestSystem) {
    let conversation = two(&system).await;
    let message = say(&system, &conversation, "Author", "system", "hello").await;
    system.run(&conversation).await;
    assert_eq!(system.outbox().await.len(), 2);
    let edit = [("Body", "hello!"), ("Author", "carol")];
    system.post(&message, &edit).await.expect(200);
    let edit = [("Body", "hello?")];
    system.post_with_webhooks(&message, &edit).await.expect(200);
    settle(&system, &conversation).await;
    let sent = system.outbox().await;
    assert_eq!(sent.len(), 2, "{sent:#?}");
    // It delays no later message.
    say(&system, &conversation, "Author", "system", "next").await;
    system.run(&conversation).await;
    assert_eq!(bodies(&system.outbox().await, ADA), ["hello", "next"]);
}

async fn a_deletion_sends_nothing(system: TestSystem) {
    let conversation = two(&system).await;
    let message = say(&system, &conversation, "Author", "system", "hello").await;
    system.run(&conversation).await;
    system.delete(&message).await.expect(204);
    say(&system, &conversation, "Author", "system", "next").await;
    settle(&system, &conversation).await;
    let sent = system.outbox().await;
    for address in [ADA, BOB] {
        assert_eq!(bodies(&sent, address), ["hello", "next"]);
    }
    assert_eq!(sent.len(), 4, "{sent:#?}");
}

/// A deletion also blanks the text of the entry.
async fn a_message_deleted_before_it_is_sent_is_not_sent(system: TestSystem) {
    let conversation = two(&system).await;
    let message = say(&system, &conversation, "Author", "system", "hello").await;
    system.delete(&message).await.expect(204);
    say(&system, &conversation, "Author", "system", "next").await;
    settle(&system, &conversation).await;
    let sent = system.outbox().await;
    for address in [ADA, BOB] {
        assert_eq!(bodies(&sent, address), ["next"]);
    }
    assert_eq!(sent.len(), 2, "{sent:#?}");
}

/// The text of an event never changes.
async fn a_message_edited_before_it_is_sent_is_sent_once(system: TestSystem) {
    let conversation = two(&system).await;
    let message = say(&system, &conversation, "Author", "system", "hello").await;
    let edit = [("Body", "edited"), ("Author", ADA)];
    system.post(&message, &edit).await.expect(200);
    settle(&system, &conversation).await;
    let sent = system.outbox().await;
    for address in [ADA, BOB] {
        assert_eq!(bodies(&sent, address), ["hello"]);
    }
    assert_eq!(sent.len(), 2, "{sent:#?}");
}

async fn a_message_that_activates_a_conversation_is_relayed(system: TestSystem) {
    let conversation = two(&system).await;
    for number in [1, 2] {
        let inactive = [("State", "inactive")];
        system
            .update_conversation(&conversation, &inactive)
            .await
            .expect(200);
        match number {
            1 => {
                system.message(&sid(1), ADA, OURS, "by carrier").await;
            }
            _ => {
                say(&system, &conversation, "Author", ADA, "by REST").await;
            }
        }
        assert_eq!(
            system.fetch_conversation(&conversation).await["state"],
            "active"
        );
        system.run(&conversation).await;
    }
    let sent = system.outbox().await;
    assert_eq!(bodies(&sent, BOB), ["by carrier", "by REST"]);
    assert_eq!(sent.len(), 2, "{sent:#?}");
}

async fn a_message_from_before_the_close_is_sent_after_it(system: TestSystem) {
    let conversation = two(&system).await;
    system.message(&sid(1), ADA, OURS, "just in time").await;
    let closed = [("State", "closed")];
    system
        .update_conversation(&conversation, &closed)
        .await
        .expect(200);
    system.message(&sid(2), ADA, OURS, "too late").await;
    system.run(&conversation).await;
    let sent = only(system.outbox().await);
    assert_eq!(sent["body"], "just in time");
    assert_eq!(sent["to"], json!([BOB]));
}

async fn the_relay_sends_the_text_that_the_pre_action_webhook_edited(system: TestSystem) {
    let conversation = two(&system).await;
    let pre_action = Receiver::start(|asked| {
        let body = asked.parameter("Body").unwrap_or_default();
        Reply::json(json!({"body": format!("Ada: {body}")}).to_string())
    })
    .await;
    system.set_pre_webhook(&pre_action.url(), &[]).await;
    system.message(&sid(1), ADA, OURS, "by carrier").await;
    let path = format!("/v1/Conversations/{conversation}/Messages");
    let form = [("Author", ADA), ("Body", "by REST")];
    system.post_with_webhooks(&path, &form).await.expect(201);
    // No run calls the webhook about this message.
    let form = [("Author", ADA), ("Body", "quietly")];
    system.post(&path, &form).await.expect(201);
    system.run(&conversation).await;
    let sent = system.outbox().await;
    let expected = ["Ada: by carrier", "Ada: by REST", "quietly"];
    assert_eq!(bodies(&sent, BOB), expected);
    assert_eq!(sent.len(), 3, "{sent:#?}");
}

async fn a_message_that_the_pre_action_webhook_rejects_is_not_relayed(system: TestSystem) {
    let conversation = two(&system).await;
    let pre_action = Receiver::start(|_| Reply::new(403, "")).await;
    system.set_pre_webhook(&pre_action.url(), &[]).await;
    system.message(&sid(1), ADA, OURS, "rejected").await;
    let path = format!("/v1/Conversations/{conversation}/Messages");
    let rejected = system.post_with_webhooks(&path, &[("Body", "rejected")]);
    assert!(rejected.await.status.is_client_error());
    pre_action.answer(|_| Reply::new(200, ""));
    system.message(&sid(2), ADA, OURS, "accepted").await;
    system.run(&conversation).await;
    assert_eq!(only(system.outbox().await)["body"], "accepted");
}

async fn a_message_stays_in_its_conversation(system: TestSystem) {
    let system = system.start_dispatcher().await;
    let first = two(&system).await;
    let (second, _) = system.bind(ADA, OURS_2).await;
    system.number(OURS_3, &[]).await;
    system
        .add_participant(&second, CAROL, OURS_3)
        .await
        .expect(201);
    system.message(&sid(1), ADA, OURS, "to Bob").await;
    system.message(&sid(2), ADA, OURS_2, "to Carol").await;
    system.wait_for_outbox(2).await;
    quiet(&system, &first).await;
    quiet(&system, &second).await;
    let sent = system.outbox().await;
    assert_eq!(sent.len(), 2, "{sent:#?}");
    for (body, conversation, from, to) in [
        ("to Bob", &first, OURS_2, BOB),
        ("to Carol", &second, OURS_3, CAROL),
    ] {
        let sent = sent.iter().find(|sent| sent["body"] == body);
        let sent = sent.unwrap_or_else(|| panic!("{body} was not sent"));
        assert_eq!(sent["conversation_sid"], json!(conversation));
        assert_eq!(sent["from"], from);
        assert_eq!(sent["to"], json!([to]));
    }
}

async fn a_repetition_by_the_carrier_is_relayed_once(system: TestSystem) {
    let system = system.start_dispatcher().await;
    let conversation = two(&system).await;
    for _ in 0..3 {
        assert!(system.message(&sid(1), ADA, OURS, "one").await.accepted());
    }
    system.message(&sid(2), ADA, OURS, "two").await;
    system.wait_for_outbox(2).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    quiet(&system, &conversation).await;
    assert_eq!(bodies(&system.outbox().await, BOB), ["one", "two"]);
    assert_eq!(system.outbound_records().await.len(), 2);
}

async fn concurrent_messages_reach_each_recipient_in_the_order_of_their_indexes(
    system: TestSystem,
) {
    const EACH: u64 = 10;
    let system = system.start_dispatcher().await;
    let conversation = three(&system).await;
    let by_carrier = |from: &'static str, to: &'static str, first: u64| {
        let system = system.clone();
        (first..first + EACH).map(move |number| {
            let system = system.clone();
            tokio::spawn(async move {
                let (message, body) = (sid(number), format!("message {number}"));
                let answer = system.message_repeated(&message, from, to, &body, PATIENT_ATTEMPTS);
                let answer = answer.await;
                assert!(answer.accepted(), "{}", answer.text());
            })
        })
    };
    // A REST client repeats nothing, so it posts one after the other; a busy machine may leave it without an answer.
    let by_rest = tokio::spawn({
        let (system, conversation) = (system.clone(), conversation.clone());
        async move {
            for number in 2 * EACH..3 * EACH {
                let body = format!("message {number}");
                let form = [("Author", "system"), ("Body", body.as_str())];
                let path = format!("/v1/Conversations/{conversation}/Messages");
                let status = system.post(&path, &form).await.status;
                assert!(status == 201 || status == 503, "{status}");
            }
        }
    });
    let posted = by_carrier(ADA, OURS, 0).chain(by_carrier(BOB, OURS_2, EACH));
    for ended in join_all(posted.chain([by_rest])).await {
        ended.expect("no task panics");
    }
    let messages = system.messages(&conversation).await;
    let by = |author: &str| messages.iter().filter(|m| m["author"] == author).count();
    let each = usize::try_from(EACH).expect("few");
    assert_eq!((by(ADA), by(BOB)), (each, each));
    assert!((1..=each).contains(&by("system")), "{}", by("system"));
    // Ada and Bob do not get their own messages.
    let count = 2 * each + 2 * each + 3 * by("system");
    system.wait_for_outbox(count).await;
    quiet(&system, &conversation).await;
    let sent = system.outbox().await;
    assert_eq!(sent.len(), count);
    for (address, proxy) in [(ADA, OURS), (BOB, OURS_2), (CAROL, OURS_3)] {
        let expected: Vec<_> = messages
            .iter()
            .filter(|message| message["author"] != address)
            .map(|message| text(&message["body"]))
            .collect();
        assert_eq!(bodies(&sent, address), expected, "{address}");
        for sent in sent.iter().filter(|sent| sent["to"] == json!([address])) {
            assert_eq!(sent["from"], proxy);
        }
    }
}

/// How many runs a busy machine may need for the work of one run on an idle machine.
const RUNS_MAX: usize = 10;

async fn a_long_backlog_is_relayed_in_order(system: TestSystem) {
    // More entries than one read of a log has.
    const COUNT: u64 = 120;
    let conversation = two(&system).await;
    for number in 0..COUNT {
        let body = format!("message {number}");
        say(&system, &conversation, "Author", ADA, &body).await;
    }
    // One run sends them all; on a busy machine its time may end before.
    let mut sent = Vec::new();
    for _ in 0..RUNS_MAX {
        system.run(&conversation).await;
        sent = system.outbox().await;
        if sent.len() as u64 >= COUNT {
            break;
        }
    }
    let expected: Vec<_> = (0..COUNT)
        .map(|number| format!("message {number}"))
        .collect();
    assert_eq!(bodies(&sent, BOB), expected);
}

async fn a_request_to_twilio_has_exactly_these_parameters(system: TestSystem) {
    let (twilio, system) = at_twilio(&system).await;
    system.number(OURS, &[("Carrier", "twilio")]).await;
    system.number(OURS_2, &[("Carrier", "twilio")]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    system
        .add_participant(&conversation, BOB, OURS_2)
        .await
        .expect(201);
    let form = twilio_form("SM1", ADA, OURS, "one, 1 + 1 & 👋").map(|(name, value)| match name {
        "MessageSid" | "SmsSid" | "SmsMessageSid" => (name, "MM00000000000000000000000000000001"),
        "NumMedia" => (name, "2"),
        _ => (name, value),
    });
    let media = [
        ("MediaUrl0", "https://media.example/one.jpg"),
        ("MediaContentType0", "image/jpeg"),
        ("MediaUrl1", "https://media.example/two?a=1&b=2"),
        ("MediaContentType1", "video/mp4"),
    ];
    let answer = system.twilio(&[&form[..], &media].concat()).await;
    assert!(answer.accepted(), "{}", answer.text());
    say(&system, &conversation, "Author", BOB, "two").await;
    settle(&system, &conversation).await;
    let received = twilio.received();
    assert_eq!(received.len(), 2, "{received:#?}");
    for received in &received {
        assert_eq!(received.method, "POST");
        assert_eq!(
            received.url,
            format!("/2010-04-01/Accounts/{TWILIO_ACCOUNT}/Messages.json")
        );
        assert_eq!(
            received.header("Authorization"),
            basic_credentials(TWILIO_ACCOUNT, TWILIO_TOKEN)
        );
        let content_type = received.header("Content-Type");
        assert!(
            content_type.starts_with("application/x-www-form-urlencoded"),
            "{content_type}"
        );
    }
    let form = |index: usize| {
        let mut form = received[index].parameters.clone();
        form.sort();
        form
    };
    let expected = |form: &[(&str, &str)]| -> Vec<(String, String)> {
        form.iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    };
    assert_eq!(
        form(0),
        expected(&[
            ("Body", "one, 1 + 1 & 👋"),
            ("From", OURS_2),
            ("MediaUrl", "https://media.example/one.jpg"),
            ("MediaUrl", "https://media.example/two?a=1&b=2"),
            ("To", BOB),
        ])
    );
    assert_eq!(
        form(1),
        expected(&[("Body", "two"), ("From", OURS), ("To", ADA)])
    );
    // The record keeps the carrier's own id.
    for record in system.outbound_records().await {
        assert_eq!(record.state, "sent");
        assert_eq!(record.carrier_id.as_deref(), Some(CARRIER_ID));
    }
    assert_eq!(system.outbox().await, Vec::<Value>::new());
}

async fn a_request_to_twilio_for_whatsapp_has_the_prefix(system: TestSystem) {
    let (twilio, system) = at_twilio(&system).await;
    let (ours, ada) = (format!("whatsapp:{OURS}"), format!("whatsapp:{ADA}"));
    system.number(&ours, &[("Carrier", "twilio")]).await;
    let (conversation, _) = system.bind(&ada, &ours).await;
    say(&system, &conversation, "Author", "system", "hello").await;
    settle(&system, &conversation).await;
    let received = twilio.received();
    assert_eq!(received.len(), 1, "{received:#?}");
    let mut form = received[0].parameters.clone();
    form.sort();
    let expected = [("Body", "hello"), ("From", &ours), ("To", &ada)];
    assert_eq!(
        form,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

async fn the_carrier_of_its_proxy_sends_each_copy(system: TestSystem) {
    let (twilio, system) = at_twilio(&system).await;
    system.number(OURS, &[("Carrier", "twilio")]).await;
    system.number(OURS_2, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    system
        .add_participant(&conversation, BOB, OURS_2)
        .await
        .expect(201);
    say(&system, &conversation, "Author", "system", "hello").await;
    settle(&system, &conversation).await;
    let received = twilio.received();
    assert_eq!(received.len(), 1, "{received:#?}");
    assert_eq!(received[0].parameter("To"), Some(ADA));
    assert_eq!(received[0].parameter("From"), Some(OURS));
    assert_eq!(only(system.outbox().await)["to"], json!([BOB]));
}

/// The id that the stand-in gives every message.
const CARRIER_ID: &str = "SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A stand-in for Twilio's API that accepts everything, and a system that sends to it.
async fn at_twilio(system: &TestSystem) -> (Receiver, TestSystem) {
    let twilio = Receiver::start(|_| Reply {
        status: 201,
        ..Reply::json(json!({"sid": CARRIER_ID, "status": "queued"}).to_string())
    })
    .await;
    let system = system.twilio_at(Some(&twilio.url()));
    (twilio, system)
}

/// A conversation of Ada and Bob, each behind a number of their own.
async fn two(system: &TestSystem) -> String {
    system.number(OURS, &[]).await;
    system.number(OURS_2, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    system
        .add_participant(&conversation, BOB, OURS_2)
        .await
        .expect(201);
    conversation
}

/// The same with Carol, and a chat participant.
async fn three(system: &TestSystem) -> String {
    let conversation = two(system).await;
    system.number(OURS_3, &[]).await;
    system
        .add_participant(&conversation, CAROL, OURS_3)
        .await
        .expect(201);
    chat(system, &conversation, "dan").await;
    conversation
}

async fn chat(system: &TestSystem, conversation: &str, identity: &str) {
    let path = format!("/v1/Conversations/{conversation}/Participants");
    let form = [("Identity", identity)];
    system.post(&path, &form).await.expect(201);
}

/// Posts a message by REST, with one further field, and returns its path.
async fn say(
    system: &TestSystem,
    conversation: &str,
    name: &str,
    value: &str,
    body: &str,
) -> String {
    let path = format!("/v1/Conversations/{conversation}/Messages");
    let form = [("Body", body), (name, value)];
    let made = system.post(&path, &form).await.expect(201);
    text(&made["url"])
}

/// Waits until no work is left: the relay has run, and again after its claims and leases are over.
async fn settle(system: &TestSystem, conversation: &str) {
    system.run(conversation).await;
    system.run(conversation).await;
    system.advance_and_tick(Duration::from_secs(660)).await;
    system.run(conversation).await;
}

/// Waits until no run is under way and no work is left, while stream and clock are at work.
async fn quiet(system: &TestSystem, conversation: &str) {
    tokio::time::sleep(Duration::from_millis(200)).await;
    settle(system, conversation).await;
}

#[track_caller]
fn only_recipient(sent: &Value) -> Value {
    only(sent["to"].as_array().expect("recipients").clone())
}

/// The messages to an address, in order.
fn bodies(sent: &[Value], address: &str) -> Vec<String> {
    sent.iter()
        .filter(|sent| only_recipient(sent) == address)
        .map(|sent| text(&sent["body"]))
        .collect()
}

/// The senders and recipients of the copies of a text, sorted by recipient.
fn pairs<'a>(sent: &'a [Value], body: &str) -> Vec<(&'a str, &'a str)> {
    let string = |value: &'a Value| value.as_str().expect("an address");
    let mut pairs: Vec<_> = sent
        .iter()
        .filter(|sent| sent["body"] == body)
        .map(|sent| (string(&sent["from"]), string(&sent["to"][0])))
        .collect();
    pairs.sort_by_key(|(from, to)| (*to, *from));
    pairs
}
