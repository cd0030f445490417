//! The journey of a message: to the conversation that holds its pair, to a new one, to none; and what a carrier's
//! retry finds at its end.

use std::time::Duration;

use serde_json::{Value, json};
use tests::carrier::{sid, twilio_form};
use tests::json::{is_sid, keys, only, seconds, text};
use tests::receiver::{Receiver, Reply};
use tests::response::Response;
use tests::system::{ACCOUNT, ADA, BOB, OURS, TestSystem};

on_both_engines!(
    a_message_on_a_bound_pair_is_captured,
    a_message_on_an_unbound_pair_makes_a_conversation,
    an_autocreated_conversation_is_of_the_default_services,
    an_autocreated_conversation_takes_the_timers_of_the_account,
    the_next_message_of_the_pair_is_captured,
    each_pair_has_a_conversation_of_its_own,
    a_reply_to_a_closed_conversation_opens_a_new_one,
    a_removed_participant_gives_the_pair_back_to_autocreation,
    a_removed_participant_gives_the_pair_back_to_the_numbers_webhook,
    a_deleted_conversation_gives_the_pair_back,
    a_message_makes_an_inactive_conversation_active,
    a_message_after_the_closing_time_closes_the_old_conversation_and_opens_a_new_one,
    each_message_puts_the_closing_time_off,
    an_inactive_time_that_has_passed_does_not_release_the_pair,
    a_disabled_address_configuration_counts_as_none,
    a_message_on_a_bound_pair_is_captured_under_any_settings,
    whatsapp_is_a_key_space_of_its_own,
    media_is_kept_and_listed,
    the_text_of_a_message_is_kept_as_it_came,
    an_empty_message_is_a_message,
    an_unroutable_message_is_accepted,
    every_outcome_is_accepted_with_twiml,
    a_retry_gets_the_first_answer,
    a_retry_with_another_text_or_sender_adds_nothing,
    a_retry_after_the_pair_has_moved_adds_nothing,
    a_retry_after_the_close_opens_nothing,
    a_retry_after_the_closing_time_opens_nothing,
    a_retry_of_an_unroutable_message_stays_unroutable,
    a_retry_of_a_captured_message_is_not_forwarded,
    a_retry_of_a_rejected_message_stays_rejected,
    one_message_sid_to_two_of_our_numbers_is_two_messages,
    one_message_sid_of_two_carriers_is_two_messages,
    messages_one_after_the_other_have_dense_indexes,
    a_message_of_twilio_is_routed_as_one_of_the_simulator,
);

async fn a_message_on_a_bound_pair_is_captured(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (conversation, participant) = system.bind(ADA, OURS).await;
    assert!(system.message(&sid(1), ADA, OURS, "hello").await.accepted());

    let messages = system.messages(&conversation).await;
    assert_eq!(messages.len(), 1, "{messages:#?}");
    let message = &messages[0];
    assert!(is_sid(&message["sid"], "IM"), "{message}");
    assert_eq!(message["index"], 0);
    assert_eq!(message["body"], "hello");
    assert_eq!(message["author"], ADA);
    assert_eq!(message["participant_sid"], json!(participant));
    assert_eq!(message["attributes"], "{}");
    assert_eq!(message["media"], Value::Null);
    assert_eq!(system.conversations().await.len(), 1);
}

async fn a_message_on_an_unbound_pair_makes_a_conversation(system: TestSystem) {
    system.autocreation(OURS).await;
    assert!(system.message(&sid(1), ADA, OURS, "hello").await.accepted());

    let conversation = only(system.conversations().await);
    assert!(is_sid(&conversation["sid"], "CH"), "{conversation}");
    assert_eq!(conversation["account_sid"], ACCOUNT);
    assert_eq!(conversation["state"], "active");
    assert_eq!(conversation["friendly_name"], Value::Null);
    assert_eq!(conversation["unique_name"], Value::Null);
    assert_eq!(conversation["attributes"], "{}");
    assert_eq!(conversation["timers"], json!({}));
    assert_eq!(conversation["bindings"], json!({}));

    let conversation = text(&conversation["sid"]);
    let participant = only(system.participants(&conversation).await);
    assert!(is_sid(&participant["sid"], "MB"), "{participant}");
    assert_eq!(participant["identity"], Value::Null);
    assert_eq!(participant["attributes"], "{}");
    assert_eq!(
        participant["messaging_binding"],
        json!({"type": "sms", "address": ADA, "proxy_address": OURS})
    );

    let message = only(system.messages(&conversation).await);
    assert_eq!(message["index"], 0);
    assert_eq!(message["body"], "hello");
    assert_eq!(message["author"], ADA);
    assert_eq!(message["participant_sid"], participant["sid"]);
}

async fn an_autocreated_conversation_is_of_the_default_services(system: TestSystem) {
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "hello").await;
    let conversation = only(system.conversations().await);
    let configuration = system.get("/v1/Configuration").await.expect(200);
    assert!(
        is_sid(&conversation["chat_service_sid"], "IS"),
        "{conversation}"
    );
    assert!(
        is_sid(&conversation["messaging_service_sid"], "MG"),
        "{conversation}"
    );
    assert_eq!(
        conversation["chat_service_sid"],
        configuration["default_chat_service_sid"]
    );
    assert_eq!(
        conversation["messaging_service_sid"],
        configuration["default_messaging_service_sid"]
    );
}

async fn an_autocreated_conversation_takes_the_timers_of_the_account(system: TestSystem) {
    system.autocreation(OURS).await;
    let timers = [
        ("DefaultInactiveTimer", "PT5M"),
        ("DefaultClosedTimer", "P1D"),
    ];
    system.post("/v1/Configuration", &timers).await.expect(200);
    system.message(&sid(1), ADA, OURS, "hello").await;

    let conversation = only(system.conversations().await);
    assert_eq!(
        keys(&conversation["timers"]),
        ["date_closed", "date_inactive"]
    );
    let created = seconds(&conversation["date_created"]);
    let inactive = seconds(&conversation["timers"]["date_inactive"]) - created;
    let closed = seconds(&conversation["timers"]["date_closed"]) - created;
    assert_eq!(inactive, 5 * 60, "{conversation}");
    assert_eq!(closed, 24 * 60 * 60, "{conversation}");
}

async fn the_next_message_of_the_pair_is_captured(system: TestSystem) {
    system.autocreation(OURS).await;
    for (number, body) in [(1, "one"), (2, "two"), (3, "three")] {
        system.message(&sid(number), ADA, OURS, body).await;
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(system.bodies(&conversation).await, ["one", "two", "three"]);
    assert_eq!(system.participants(&conversation).await.len(), 1);
}

async fn each_pair_has_a_conversation_of_its_own(system: TestSystem) {
    const OURS_TOO: &str = "+15550002223";
    system.autocreation(OURS).await;
    system.autocreation(OURS_TOO).await;
    let pairs = [(ADA, OURS), (BOB, OURS), (ADA, OURS_TOO), (BOB, OURS_TOO)];
    for round in 0..2 {
        for (number, (from, to)) in (10 * round..).zip(pairs) {
            let body = format!("{from} to {to}");
            system.message(&sid(number), from, to, &body).await;
        }
    }
    let conversations = system.conversations().await;
    assert_eq!(conversations.len(), pairs.len());
    for conversation in conversations {
        let conversation = text(&conversation["sid"]);
        let binding = only(system.participants(&conversation).await)["messaging_binding"].clone();
        let body = format!(
            "{} to {}",
            text(&binding["address"]),
            text(&binding["proxy_address"])
        );
        assert_eq!(system.bodies(&conversation).await, [body.clone(), body]);
    }
}

async fn a_reply_to_a_closed_conversation_opens_a_new_one(system: TestSystem) {
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    let old = text(&only(system.conversations().await)["sid"]);
    system
        .update_conversation(&old, &[("State", "closed")])
        .await
        .expect(200);
    system.message(&sid(2), ADA, OURS, "two").await;

    let new = other(&system, &old).await;
    assert_eq!(system.fetch_conversation(&old).await["state"], "closed");
    assert_eq!(system.fetch_conversation(&new).await["state"], "active");
    assert_eq!(system.bodies(&old).await, ["one"]);
    assert_eq!(system.bodies(&new).await, ["two"]);
}

async fn a_removed_participant_gives_the_pair_back_to_autocreation(system: TestSystem) {
    system.autocreation(OURS).await;
    let (old, participant) = system.bind(ADA, OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    remove(&system, &old, &participant).await;
    system.message(&sid(2), ADA, OURS, "two").await;

    let new = other(&system, &old).await;
    assert_eq!(system.fetch_conversation(&old).await["state"], "active");
    assert_eq!(system.bodies(&old).await, ["one"]);
    assert_eq!(system.bodies(&new).await, ["two"]);
}

async fn a_removed_participant_gives_the_pair_back_to_the_numbers_webhook(system: TestSystem) {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    system.number(OURS, &[("SmsUrl", &application.url())]).await;
    let (conversation, participant) = system.bind(ADA, OURS).await;
    system.message(&sid(1), ADA, OURS, "to us").await;
    assert_eq!(application.received().len(), 0);
    // Only the pair is bound: another consumer's message is the application's.
    system.message(&sid(2), BOB, OURS, "from Bob").await;
    assert_eq!(application.received().len(), 1);
    remove(&system, &conversation, &participant).await;
    system.message(&sid(3), ADA, OURS, "to them").await;
    assert_eq!(application.received().len(), 2);
    assert_eq!(application.received()[1].parameter("Body"), Some("to them"));
    assert_eq!(system.bodies(&conversation).await, ["to us"]);
}

async fn a_deleted_conversation_gives_the_pair_back(system: TestSystem) {
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    let old = text(&only(system.conversations().await)["sid"]);
    let path = format!("/v1/Conversations/{old}");
    system.delete(&path).await.expect(204);
    system.message(&sid(2), ADA, OURS, "two").await;

    let new = text(&only(system.conversations().await)["sid"]);
    assert_ne!(new, old);
    assert_eq!(system.bodies(&new).await, ["two"]);
    system.get(&path).await.expect_code(404, 20404);
}

async fn a_message_makes_an_inactive_conversation_active(system: TestSystem) {
    system.autocreation(OURS).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    let inactive = [("State", "inactive")];
    let updated = system
        .update_conversation(&conversation, &inactive)
        .await
        .expect(200);
    assert_eq!(updated["state"], "inactive");
    system.message(&sid(1), ADA, OURS, "hello").await;

    assert_eq!(
        system.fetch_conversation(&conversation).await["state"],
        "active"
    );
    assert_eq!(system.bodies(&conversation).await, ["hello"]);
    assert_eq!(system.conversations().await.len(), 1);
}

async fn a_message_after_the_closing_time_closes_the_old_conversation_and_opens_a_new_one(
    system: TestSystem,
) {
    system.autocreation(OURS).await;
    let timer = [("DefaultClosedTimer", "PT10M")];
    system.post("/v1/Configuration", &timer).await.expect(200);
    system.message(&sid(1), ADA, OURS, "one").await;
    let old = text(&only(system.conversations().await)["sid"]);
    system.advance(Duration::from_secs(10 * 60 + 1));
    system.message(&sid(2), ADA, OURS, "two").await;

    let new = other(&system, &old).await;
    assert_eq!(system.fetch_conversation(&old).await["state"], "closed");
    assert_eq!(system.fetch_conversation(&new).await["state"], "active");
    assert_eq!(system.bodies(&old).await, ["one"]);
    assert_eq!(system.bodies(&new).await, ["two"]);
    system.message(&sid(3), ADA, OURS, "three").await;
    assert_eq!(system.bodies(&new).await, ["two", "three"]);
}

async fn each_message_puts_the_closing_time_off(system: TestSystem) {
    system.autocreation(OURS).await;
    let timer = [("DefaultClosedTimer", "PT10M")];
    system.post("/v1/Configuration", &timer).await.expect(200);
    for number in 1..=3 {
        system.message(&sid(number), ADA, OURS, "hello").await;
        system.advance(Duration::from_secs(9 * 60));
    }
    let conversation = only(system.conversations().await);
    assert_eq!(conversation["state"], "active");
    let sid = text(&conversation["sid"]);
    assert_eq!(system.bodies(&sid).await.len(), 3);
    let created = seconds(&conversation["date_created"]);
    let closed = seconds(&system.fetch_conversation(&sid).await["timers"]["date_closed"]);
    // The third message came 18 minutes after the first; the clock also runs by itself during the test.
    let after = closed - created;
    assert!((28 * 60..29 * 60).contains(&after), "{after} s");
}

async fn an_inactive_time_that_has_passed_does_not_release_the_pair(system: TestSystem) {
    system.autocreation(OURS).await;
    let timer = [("DefaultInactiveTimer", "PT1M")];
    system.post("/v1/Configuration", &timer).await.expect(200);
    system.message(&sid(1), ADA, OURS, "one").await;
    system.advance(Duration::from_secs(60 * 60));
    system.message(&sid(2), ADA, OURS, "two").await;
    let conversation = only(system.conversations().await);
    assert_eq!(conversation["state"], "active");
    let conversation = text(&conversation["sid"]);
    assert_eq!(system.bodies(&conversation).await, ["one", "two"]);
}

async fn a_disabled_address_configuration_counts_as_none(system: TestSystem) {
    let form = [
        ("Type", "sms"),
        ("Address", OURS),
        ("AutoCreation.Enabled", "false"),
    ];
    let addresses = "/v1/Configuration/Addresses";
    system.post(addresses, &form).await.expect(201);
    assert!(system.message(&sid(1), ADA, OURS, "hello").await.accepted());
    assert_eq!(system.conversations().await.len(), 0);

    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    system.number(OURS, &[("SmsUrl", &application.url())]).await;
    assert!(system.message(&sid(2), ADA, OURS, "hello").await.accepted());
    assert_eq!(system.conversations().await.len(), 0);
    assert_eq!(application.received().len(), 1);
}

async fn a_message_on_a_bound_pair_is_captured_under_any_settings(system: TestSystem) {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let number = system.number(OURS, &[("SmsUrl", &application.url())]).await;
    let address = system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    let url = text(&address["url"]);
    let disabled = [("AutoCreation.Enabled", "false")];
    system.post(&url, &disabled).await.expect(200);
    system.message(&sid(2), ADA, OURS, "two").await;
    system.delete(&url).await.expect(204);
    system.message(&sid(3), ADA, OURS, "three").await;
    system.delete(&text(&number["uri"])).await.expect(204);
    system.message(&sid(4), ADA, OURS, "four").await;

    let conversation = text(&only(system.conversations().await)["sid"]);
    let expected = ["one", "two", "three", "four"];
    assert_eq!(system.bodies(&conversation).await, expected);
    assert_eq!(application.received().len(), 0);
}

async fn whatsapp_is_a_key_space_of_its_own(system: TestSystem) {
    let (ours, ada) = (format!("whatsapp:{OURS}"), format!("whatsapp:{ADA}"));
    system.autocreation(OURS).await;
    system.autocreation(&ours).await;
    let (by_sms, _) = system.bind(ADA, OURS).await;
    system.message(&sid(1), &ada, &ours, "by WhatsApp").await;
    let by_whatsapp = other(&system, &by_sms).await;
    system.message(&sid(2), ADA, OURS, "by SMS").await;
    system.message(&sid(3), &ada, &ours, "again").await;

    assert_eq!(system.bodies(&by_sms).await, ["by SMS"]);
    assert_eq!(system.bodies(&by_whatsapp).await, ["by WhatsApp", "again"]);
    assert_eq!(
        only(system.participants(&by_whatsapp).await)["messaging_binding"],
        json!({"type": "whatsapp", "address": ada, "proxy_address": ours})
    );
    assert_eq!(only(system.messages(&by_sms).await)["author"], ADA);
    assert_eq!(system.messages(&by_whatsapp).await[0]["author"], json!(ada));
}

async fn media_is_kept_and_listed(system: TestSystem) {
    system.autocreation(OURS).await;
    let with_text = [
        ("MessageSid", "MM00000000000000000000000000000001"),
        ("From", ADA),
        ("To", OURS),
        ("Body", "look"),
        ("NumMedia", "2"),
        ("MediaUrl0", "https://media.example/one.jpg"),
        ("MediaContentType0", "image/jpeg"),
        ("MediaUrl1", "https://media.example/two"),
        ("MediaContentType1", "video/mp4"),
    ];
    assert!(system.simulator(&with_text).await.accepted());
    let without_text = [
        ("MessageSid", "MM00000000000000000000000000000002"),
        ("From", ADA),
        ("To", OURS),
        ("Body", ""),
        ("NumMedia", "1"),
        ("MediaUrl0", "https://media.example/three"),
        ("MediaContentType0", "image/png"),
    ];
    assert!(system.simulator(&without_text).await.accepted());

    let conversation = text(&only(system.conversations().await)["sid"]);
    let messages = system.messages(&conversation).await;
    assert_eq!(messages.len(), 2, "{messages:#?}");
    assert_eq!(messages[0]["body"], "look");
    let expected: [&[(&str, &str)]; 2] = [
        &[
            ("https://media.example/one.jpg", "image/jpeg"),
            ("https://media.example/two", "video/mp4"),
        ],
        &[("https://media.example/three", "image/png")],
    ];
    for (message, expected) in messages.iter().zip(expected) {
        let media = message["media"].as_array().expect("media");
        assert_eq!(media.len(), expected.len(), "{message}");
        for (medium, (url, content_type)) in media.iter().zip(expected) {
            assert!(is_sid(&medium["sid"], "ME"), "{medium}");
            assert_eq!(medium["content_type"], *content_type);
            for key in ["filename", "size"] {
                assert!(keys(medium).contains(&key), "{medium}");
            }
            assert!(medium.to_string().contains(url), "{medium}");
        }
    }
}

async fn the_text_of_a_message_is_kept_as_it_came(system: TestSystem) {
    system.autocreation(OURS).await;
    let long = "ж".repeat(10_000);
    let texts = [
        "  two spaces before, one after ",
        "line one\nline two\r\n\tline three",
        "+1 & 2 = 3%, \"quoted\" <b>\\</b>",
        "مرحبا 👩‍👩‍👧‍👦 e\u{301}",
        "null",
        "{}",
        &long,
    ];
    for (number, text) in (1..).zip(texts) {
        let answer = system.message(&sid(number), ADA, OURS, text).await;
        assert!(answer.accepted(), "{}", answer.text());
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(system.bodies(&conversation).await, texts);
}

async fn an_empty_message_is_a_message(system: TestSystem) {
    system.autocreation(OURS).await;
    for number in 1..=2 {
        let answer = system.message(&sid(number), ADA, OURS, "").await;
        assert_twiml(&answer);
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    let messages = system.messages(&conversation).await;
    let indexes: Vec<_> = messages.iter().map(|row| row["index"].clone()).collect();
    assert_eq!(indexes, [json!(0), json!(1)]);
}

async fn an_unroutable_message_is_accepted(system: TestSystem) {
    // A number that we do not know, and one without an application or autocreation.
    system.number(OURS, &[]).await;
    for (number, to) in [(1, "+15550009999"), (2, OURS)] {
        let answer = system.message(&sid(number), ADA, to, "hello").await;
        assert_twiml(&answer);
    }
    assert_eq!(system.conversations().await.len(), 0);
}

async fn every_outcome_is_accepted_with_twiml(system: TestSystem) {
    system.autocreation(OURS).await;
    for (what, number, to) in [
        ("unroutable", 1, "+15550009999"),
        ("autocreated", 2, OURS),
        ("captured", 3, OURS),
        ("duplicate", 3, OURS),
    ] {
        let answer = system.message(&sid(number), ADA, to, what).await;
        assert_twiml(&answer);
    }
}

async fn a_retry_gets_the_first_answer(system: TestSystem) {
    let pre_action = Receiver::start(|_| Reply::new(200, "")).await;
    system.autocreation(OURS).await;
    system.set_pre_webhook(&pre_action.url(), &[]).await;
    for (outcome, number, to) in [
        ("unroutable", 1, "+15550009999"),
        ("autocreated", 2, OURS),
        ("captured", 3, OURS),
        ("rejected", 4, OURS),
    ] {
        if outcome == "rejected" {
            pre_action.answer(|_| Reply::new(403, ""));
        }
        let first = system.message(&sid(number), ADA, to, outcome).await;
        let asked = pre_action.received().len();
        for _ in 0..2 {
            let retry = system.message(&sid(number), ADA, to, outcome).await;
            assert_eq!(retry.status, first.status, "{outcome}");
            assert_eq!(retry.text(), first.text(), "{outcome}");
            assert_eq!(
                retry.headers.get("content-type"),
                first.headers.get("content-type"),
                "{outcome}"
            );
        }
        assert_eq!(
            pre_action.received().len(),
            asked,
            "{outcome}: no webhook is called"
        );
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(
        system.bodies(&conversation).await,
        ["autocreated", "captured"]
    );
}

async fn a_retry_with_another_text_or_sender_adds_nothing(system: TestSystem) {
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    for (from, body) in [(ADA, "one"), (ADA, "another text"), (BOB, "another sender")] {
        assert!(system.message(&sid(1), from, OURS, body).await.accepted());
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(system.bodies(&conversation).await, ["one"]);
}

async fn a_retry_after_the_pair_has_moved_adds_nothing(system: TestSystem) {
    system.number(OURS, &[]).await;
    let (old, participant) = system.bind(ADA, OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    remove(&system, &old, &participant).await;
    let (new, _) = system.bind(ADA, OURS).await;
    assert!(system.message(&sid(1), ADA, OURS, "one").await.accepted());
    system.message(&sid(2), ADA, OURS, "two").await;
    assert_eq!(system.bodies(&old).await, ["one"]);
    assert_eq!(system.bodies(&new).await, ["two"]);
}

async fn a_retry_after_the_close_opens_nothing(system: TestSystem) {
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    system.message(&sid(2), ADA, OURS, "two").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    let closed = [("State", "closed")];
    system
        .update_conversation(&conversation, &closed)
        .await
        .expect(200);
    for number in [1, 2] {
        assert!(
            system
                .message(&sid(number), ADA, OURS, "?")
                .await
                .accepted()
        );
    }
    assert_eq!(system.conversations().await.len(), 1);
    assert_eq!(system.bodies(&conversation).await, ["one", "two"]);

    // Nor when it is gone altogether.
    let path = format!("/v1/Conversations/{conversation}");
    system.delete(&path).await.expect(204);
    assert!(system.message(&sid(1), ADA, OURS, "one").await.accepted());
    assert_eq!(system.conversations().await.len(), 0);
}

async fn a_retry_after_the_closing_time_opens_nothing(system: TestSystem) {
    system.autocreation(OURS).await;
    let timer = [("DefaultClosedTimer", "PT10M")];
    system.post("/v1/Configuration", &timer).await.expect(200);
    system.message(&sid(1), ADA, OURS, "one").await;
    system.advance(Duration::from_secs(60 * 60));
    assert!(system.message(&sid(1), ADA, OURS, "one").await.accepted());
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(system.bodies(&conversation).await, ["one"]);
}

async fn a_retry_of_an_unroutable_message_stays_unroutable(system: TestSystem) {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let first = system.message(&sid(1), ADA, OURS, "one").await;
    // Meanwhile everything that could take it appears.
    system.number(OURS, &[("SmsUrl", &application.url())]).await;
    let retry = system.message(&sid(1), ADA, OURS, "one").await;
    assert_eq!(retry.text(), first.text());
    system.autocreation(OURS).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    let retry = system.message(&sid(1), ADA, OURS, "one").await;
    assert_eq!(retry.text(), first.text());

    assert_eq!(application.received().len(), 0);
    assert_eq!(system.conversations().await.len(), 1);
    assert_eq!(system.messages(&conversation).await.len(), 0);
}

async fn a_retry_of_a_captured_message_is_not_forwarded(system: TestSystem) {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    system.number(OURS, &[("SmsUrl", &application.url())]).await;
    let (conversation, participant) = system.bind(ADA, OURS).await;
    let first = system.message(&sid(1), ADA, OURS, "one").await;
    remove(&system, &conversation, &participant).await;
    let retry = system.message(&sid(1), ADA, OURS, "one").await;
    assert_eq!(retry.text(), first.text());
    assert_eq!(application.received().len(), 0);
}

async fn a_retry_of_a_rejected_message_stays_rejected(system: TestSystem) {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let pre_action = Receiver::start(|_| Reply::new(403, "")).await;
    let address = system.autocreation(OURS).await;
    system.set_pre_webhook(&pre_action.url(), &[]).await;
    let first = system.message(&sid(1), ADA, OURS, "rejected").await;
    // Meanwhile no webhook rejects any more, and everything that could take the message appears.
    system.set_pre_webhook("", &[]).await;
    let retry = system.message(&sid(1), ADA, OURS, "rejected").await;
    assert_eq!(retry.text(), first.text());
    system.delete(&text(&address["url"])).await.expect(204);
    system.number(OURS, &[("SmsUrl", &application.url())]).await;
    let retry = system.message(&sid(1), ADA, OURS, "rejected").await;
    assert_eq!(retry.text(), first.text());
    let (conversation, _) = system.bind(ADA, OURS).await;
    let retry = system.message(&sid(1), ADA, OURS, "rejected").await;
    assert_eq!(retry.text(), first.text());

    assert_eq!(pre_action.received().len(), 1);
    assert_eq!(application.received().len(), 0);
    assert_eq!(system.conversations().await.len(), 1);
    assert_eq!(system.messages(&conversation).await.len(), 0);
}

async fn one_message_sid_to_two_of_our_numbers_is_two_messages(system: TestSystem) {
    const OURS_TOO: &str = "+15550002223";
    for (ours, body) in [(OURS, "to one"), (OURS_TOO, "to the other")] {
        system.autocreation(ours).await;
        for _ in 0..2 {
            system.message(&sid(1), ADA, ours, body).await;
        }
    }
    let mut bodies = Vec::new();
    for conversation in system.conversations().await {
        bodies.extend(system.bodies(&text(&conversation["sid"])).await);
    }
    bodies.sort();
    assert_eq!(bodies, ["to one", "to the other"]);
}

async fn one_message_sid_of_two_carriers_is_two_messages(system: TestSystem) {
    system.autocreation(OURS).await;
    let sid = sid(1);
    system.message(&sid, ADA, OURS, "simulated").await;
    let form = twilio_form(&sid, ADA, OURS, "by Twilio");
    assert_twiml(&system.twilio(&form).await);
    let conversation = text(&only(system.conversations().await)["sid"]);
    let bodies = system.bodies(&conversation).await;
    assert_eq!(bodies, ["simulated", "by Twilio"]);
}

async fn messages_one_after_the_other_have_dense_indexes(system: TestSystem) {
    system.autocreation(OURS).await;
    let bodies: Vec<_> = (0..30).map(|number| format!("message {number}")).collect();
    for (number, body) in (0..).zip(&bodies) {
        system.message(&sid(number), ADA, OURS, body).await;
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(system.bodies(&conversation).await, bodies);
}

async fn a_message_of_twilio_is_routed_as_one_of_the_simulator(system: TestSystem) {
    system.autocreation(OURS).await;
    for (number, body) in [(1, "one"), (2, "two"), (2, "two")] {
        let sid = sid(number);
        assert_twiml(&system.twilio(&twilio_form(&sid, ADA, OURS, body)).await);
    }
    let conversation = text(&only(system.conversations().await)["sid"]);
    assert_eq!(system.bodies(&conversation).await, ["one", "two"]);
    assert_eq!(
        only(system.participants(&conversation).await)["messaging_binding"],
        json!({"type": "sms", "address": ADA, "proxy_address": OURS})
    );
}

#[track_caller]
fn assert_twiml(answer: &Response) {
    assert!(answer.accepted(), "{} {}", answer.status, answer.text());
    let content_type = answer.headers["content-type"].to_str().expect("text");
    assert!(content_type.contains("xml"), "{content_type}");
    assert!(answer.text().contains("<Response"), "{}", answer.text());
}

/// The conversation beside this one.
async fn other(system: &TestSystem, conversation: &str) -> String {
    let conversations = system.conversations().await;
    assert_eq!(conversations.len(), 2, "{conversations:#?}");
    conversations
        .iter()
        .map(|row| text(&row["sid"]))
        .find(|sid| sid != conversation)
        .expect("SIDs differ")
}

async fn remove(system: &TestSystem, conversation: &str, participant: &str) {
    let path = format!("/v1/Conversations/{conversation}/Participants/{participant}");
    system.delete(&path).await.expect(204);
}
