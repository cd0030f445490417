//! A number's own webhook that wants captured messages too (`InboundWebhook=always`): it gets them as if no conversation
//! held the pair, and its reply has no effect.

use std::time::Duration;

use serde_json::json;
use tests::carrier::{sid, twilio_form};
use tests::crash::at_each_call;
use tests::json::{only, text};
use tests::receiver::{Received, Receiver, Reply};
use tests::response::Response;
use tests::system::{ADA, BOB, OURS, TOKEN, TWILIO_ACCOUNT, TestSystem};

on_both_engines!(
    the_stream_brings_a_captured_message_to_the_webhook,
    the_clock_delivers_what_waits,
    a_run_killed_at_any_call_loses_nothing,
);

on_the_embedded_engine!(
    the_webhook_gets_a_captured_message_as_a_forwarded_one,
    the_webhook_gets_an_autocreated_message_as_a_forwarded_one,
    the_webhook_gets_media_as_those_of_a_forwarded_message,
    the_webhook_gets_all_parameters_of_twilio,
    a_request_is_signed_and_each_message_has_its_token,
    a_get_carries_everything_in_its_signed_url,
    the_webhook_gets_no_captured_message_by_default,
    the_webhook_gets_each_inbound_message_once_and_no_other,
    the_reply_of_the_webhook_has_no_effect,
    a_long_reply_is_a_success_and_not_repeated,
    a_retry_waits_at_least_as_long_as_retry_after,
    a_dead_webhook_neither_delays_nor_fails_a_capture,
    always_takes_effect_with_the_next_message,
    a_pending_message_is_dropped_when_the_number_no_longer_wants_it,
    a_pending_message_is_dropped_when_the_url_is_removed,
    a_pending_message_goes_to_the_numbers_present_url,
    a_dead_webhook_is_tried_again_with_the_same_token_and_in_order,
    a_delivery_is_given_up_after_a_day_and_the_next_one_follows,
    a_dead_webhook_holds_up_no_other_number,
    a_dead_webhook_holds_up_neither_the_relay_nor_the_account,
    the_fallback_gets_the_message_after_the_url_fails,
    the_webhook_gets_the_published_text,
    the_webhook_gets_no_rejected_message,
);

const OURS_2: &str = "+15550002223";
const UNBOUND: &str = "+15550002224";
const A_WHILE: Duration = Duration::from_secs(660);

async fn the_webhook_gets_a_captured_message_as_a_forwarded_one(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    forwarding(&system, &application).await;
    for (number, body) in (1..).zip(["hello, 1 + 1 & more 👋", "", &"long ".repeat(100)]) {
        let before = application.received().len();
        system.message(&sid(10 * number), ADA, UNBOUND, body).await;
        system.message(&sid(10 * number + 1), ADA, OURS, body).await;
        system.run(&conversation).await;
        let received = application.received();
        let [forwarded, captured] = &received[before..] else {
            panic!("{body:?}: {received:#?}");
        };
        assert_same_but_for_the_message(forwarded, captured, &sid(10 * number + 1));
        assert_eq!(captured.parameter("Body"), Some(body));
    }
    assert_eq!(system.messages(&conversation).await.len(), 3);
}

async fn the_webhook_gets_an_autocreated_message_as_a_forwarded_one(system: TestSystem) {
    let application = answering().await;
    always(&system, OURS, &application).await;
    system.autocreation(OURS).await;
    forwarding(&system, &application).await;
    system.message(&sid(1), ADA, UNBOUND, "first").await;
    system.message(&sid(2), ADA, OURS, "first").await;
    let conversation = text(&only(system.conversations().await)["sid"]);
    system.message(&sid(3), ADA, OURS, "second").await;
    system.run(&conversation).await;
    let received = application.received();
    let [forwarded, first, second] = &received[..] else {
        panic!("{received:#?}");
    };
    assert_same_but_for_the_message(forwarded, first, &sid(2));
    assert_eq!(second.parameter("MessageSid"), Some(sid(3).as_str()));
}

async fn the_webhook_gets_media_as_those_of_a_forwarded_message(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    forwarding(&system, &application).await;
    let mut sids = Vec::new();
    for (number, to) in (1..).zip([UNBOUND, OURS]) {
        let sid = format!("MM{number:032x}");
        let form = [
            ("MessageSid", sid.as_str()),
            ("From", ADA),
            ("To", to),
            ("Body", "look"),
            ("NumMedia", "2"),
            ("MediaUrl0", "https://media.example/one.jpg"),
            ("MediaContentType0", "image/jpeg"),
            ("MediaUrl1", "https://media.example/two?a=1&b=2"),
            ("MediaContentType1", "video/mp4"),
        ];
        assert!(system.simulator(&form).await.accepted());
        sids.push(sid);
    }
    system.run(&conversation).await;
    let received = application.received();
    assert_eq!(received.len(), 2, "{received:#?}");
    assert_same_but_for_the_message(&received[0], &received[1], &sids[1]);
    assert_eq!(received[1].parameter("NumMedia"), Some("2"));
}

async fn the_webhook_gets_all_parameters_of_twilio(system: TestSystem) {
    let application = answering().await;
    let url = sms(&application);
    for (number, fields) in [
        (OURS, &[("InboundWebhook", "always")][..]),
        (UNBOUND, &[][..]),
    ] {
        let fields = [&[("Carrier", "twilio"), ("SmsUrl", &url)], fields].concat();
        system.number(number, &fields).await;
    }
    let (conversation, _) = system.bind(ADA, OURS).await;
    for (number, to) in (1..).zip([UNBOUND, OURS]) {
        let sid = sid(number);
        let mut form = twilio_form(&sid, ADA, to, "héllo").to_vec();
        form.extend([
            ("FromCity", "SAN FRANCISCO"),
            ("FromCountry", "US"),
            ("ToCity", ""),
            ("OptOutType", "HELP"),
            ("MessagingServiceSid", "MG00000000000000000000000000000001"),
            ("SomethingNew", "of next year"),
        ]);
        assert_eq!(form[3], ("AccountSid", TWILIO_ACCOUNT));
        assert!(system.twilio(&form).await.accepted());
    }
    system.run(&conversation).await;
    let received = application.received();
    assert_eq!(received.len(), 2, "{received:#?}");
    assert_same_but_for_the_message(&received[0], &received[1], &sid(2));
    assert_eq!(received[1].parameter("SomethingNew"), Some("of next year"));
}

async fn a_request_is_signed_and_each_message_has_its_token(system: TestSystem) {
    let application = answering().await;
    let url = format!("{}?tenant=7&b=%20", sms(&application));
    let with_fragment = format!("{url}#rp=all");
    let fields = [
        ("SmsUrl", with_fragment.as_str()),
        ("InboundWebhook", "always"),
    ];
    system.number(OURS, &fields).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    for number in 1..=3 {
        system.message(&sid(number), ADA, OURS, "hello").await;
    }
    system.run(&conversation).await;
    let received = application.received();
    assert_eq!(received.len(), 3, "{received:#?}");
    for received in &received {
        assert_eq!(received.method, "POST");
        assert_eq!(received.url, "/sms?tenant=7&b=%20");
        assert!(received.signed(TOKEN, &url), "{received:?}");
    }
    let mut tokens: Vec<_> = received.iter().map(Received::token).collect();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 3, "each message has its own");
}

async fn a_get_carries_everything_in_its_signed_url(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    change(&system, &[("SmsMethod", "GET")]).await;
    system.message(&sid(1), ADA, OURS, "one & two").await;
    system.run(&conversation).await;
    let received = one(&application);
    assert_eq!(received.method, "GET");
    assert!(received.signed(TOKEN, &sms(&application)), "{received:?}");
    assert_eq!(received.parameter("Body"), Some("one & two"));
}

async fn the_stream_brings_a_captured_message_to_the_webhook(system: TestSystem) {
    let system = system.start_dispatcher().await;
    let (application, _) = captured(&system).await;
    for number in 1..=3 {
        let body = format!("message {number}");
        system.message(&sid(number), ADA, OURS, &body).await;
    }
    application.wait_for(3).await;
    let expected = ["message 1", "message 2", "message 3"];
    assert_eq!(bodies(&application), expected);
}

async fn the_webhook_gets_no_captured_message_by_default(system: TestSystem) {
    let application = answering().await;
    let url = sms(&application);
    system.number(OURS, &[("SmsUrl", &url)]).await;
    let fields = [("SmsUrl", url.as_str()), ("InboundWebhook", "unbound")];
    system.number(OURS_2, &fields).await;
    system.autocreation(OURS_2).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    system.message(&sid(1), ADA, OURS, "captured").await;
    system.message(&sid(2), ADA, OURS_2, "autocreated").await;
    settle(&system, &conversation).await;
    for conversation in system.conversations().await {
        system.run(&text(&conversation["sid"])).await;
    }
    assert_eq!(bodies(&application), Vec::<String>::new());
    // The webhook gets unbound messages with each value of the switch.
    system.message(&sid(3), BOB, OURS, "unbound").await;
    assert_eq!(bodies(&application), ["unbound"]);
    change(&system, &[("InboundWebhook", "always")]).await;
    system.message(&sid(4), BOB, OURS, "unbound too").await;
    settle(&system, &conversation).await;
    assert_eq!(bodies(&application), ["unbound", "unbound too"]);
}

async fn the_webhook_gets_each_inbound_message_once_and_no_other(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    let path = format!("/v1/Conversations/{conversation}/Messages");
    for author in ["system", ADA] {
        let form = [("Author", author), ("Body", "by REST")];
        system.post_with_webhooks(&path, &form).await.expect(201);
    }
    for _ in 0..3 {
        assert!(system.message(&sid(1), ADA, OURS, "one").await.accepted());
    }
    system.run(&conversation).await;
    let message = only(
        system
            .messages(&conversation)
            .await
            .into_iter()
            .filter(|message| message["body"] == "one")
            .collect(),
    );
    let edit = [("Body", "edited")];
    let url = text(&message["url"]);
    system.post_with_webhooks(&url, &edit).await.expect(200);
    assert!(system.message(&sid(1), ADA, OURS, "one").await.accepted());
    settle(&system, &conversation).await;
    assert_eq!(bodies(&application), ["one"]);
}

async fn the_reply_of_the_webhook_has_no_effect(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    // The answer to the carrier without a webhook.
    system.number(OURS_2, &[]).await;
    let (silent, _) = system.bind(ADA, OURS_2).await;
    let expected: Response = system.message(&sid(99), ADA, OURS_2, "silent").await;
    let twiml = "<Response><Message>no</Message></Response>";
    for (number, reply) in (1..).zip([
        Reply::new(200, twiml),
        Reply::json(r#"{"body":"edited"}"#),
        Reply::new(204, ""),
        Reply::new(200, "x".repeat(60_000)),
        Reply::new(200, "x".repeat(600_000)),
        Reply::new(500, twiml),
        Reply::new(403, ""),
    ]) {
        application.answer(move |_| reply.clone());
        let answer = system.message(&sid(number), ADA, OURS, "hello").await;
        assert_eq!(answer.status, expected.status);
        assert_eq!(answer.body, expected.body);
        settle(&system, &conversation).await;
    }
    application.answer(|_| Reply::new(200, ""));
    settle(&system, &conversation).await;
    // The inbound texts: the reply edited, answered and rejected nothing.
    assert_eq!(system.bodies(&conversation).await, vec!["hello"; 7]);
    assert_eq!(system.bodies(&silent).await, ["silent"]);
    assert_eq!(system.outbox().await.len(), 0);
}

async fn a_long_reply_is_a_success_and_not_repeated(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    let fallback = answering().await;
    change(&system, &[("SmsFallbackUrl", &fallback.url())]).await;
    application.answer(|_| Reply::new(200, "x".repeat(600_000)));
    system.message(&sid(1), ADA, OURS, "hello").await;
    settle(&system, &conversation).await;
    assert_eq!(bodies(&application), ["hello"]);
    assert_eq!(fallback.received().len(), 0);
}

/// The longer of the two pauses.
async fn a_retry_waits_at_least_as_long_as_retry_after(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    let fallback = answering().await;
    change(&system, &[("SmsFallbackUrl", &fallback.url())]).await;
    application.answer(|_| Reply::new(503, "").with("Retry-After", "600"));
    fallback.answer(|_| Reply::new(429, "").with("Retry-After", "60"));
    system.message(&sid(1), ADA, OURS, "hello").await;
    system.run(&conversation).await;
    application.answer(|_| Reply::new(200, ""));
    for (pause, count) in [(120, 1), (450, 1), (120, 2)] {
        system.advance_and_tick(Duration::from_secs(pause)).await;
        assert_eq!(bodies(&application).len(), count, "{pause} s later");
    }
    assert_eq!(fallback.received().len(), 1);
}

async fn a_dead_webhook_neither_delays_nor_fails_a_capture(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    let system = system.start_dispatcher().await;
    application.answer(|_| Reply::new(500, "").after(Duration::from_secs(60)));
    for number in 1..=5 {
        let message = sid(number);
        let answer = system.message(&message, ADA, OURS, "hello");
        let answer = tokio::time::timeout(Duration::from_secs(5), answer).await;
        assert!(answer.expect("at once").accepted());
    }
    assert_eq!(system.messages(&conversation).await.len(), 5);
}

async fn always_takes_effect_with_the_next_message(system: TestSystem) {
    let application = answering().await;
    system.number(OURS, &[("SmsUrl", &sms(&application))]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    system.message(&sid(1), ADA, OURS, "before").await;
    change(&system, &[("InboundWebhook", "always")]).await;
    system.message(&sid(2), ADA, OURS, "after").await;
    settle(&system, &conversation).await;
    assert_eq!(bodies(&application), ["after"]);
    // Off and on again: the webhook is not owed the messages in between.
    change(&system, &[("InboundWebhook", "unbound")]).await;
    system.message(&sid(3), ADA, OURS, "in between").await;
    change(&system, &[("InboundWebhook", "always")]).await;
    system.message(&sid(4), ADA, OURS, "at last").await;
    settle(&system, &conversation).await;
    assert_eq!(bodies(&application), ["after", "at last"]);
}

async fn a_pending_message_is_dropped_when_the_number_no_longer_wants_it(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    application.answer(|_| Reply::new(500, ""));
    system.message(&sid(1), ADA, OURS, "failed once").await;
    system.run(&conversation).await;
    system.message(&sid(2), ADA, OURS, "not yet tried").await;
    change(&system, &[("InboundWebhook", "unbound")]).await;
    application.answer(|_| Reply::new(200, ""));
    settle(&system, &conversation).await;
    assert_eq!(bodies(&application), ["failed once"]);
    change(&system, &[("InboundWebhook", "always")]).await;
    system.message(&sid(3), ADA, OURS, "wanted").await;
    settle(&system, &conversation).await;
    assert_eq!(bodies(&application), ["failed once", "wanted"]);
}

async fn a_pending_message_is_dropped_when_the_url_is_removed(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    application.answer(|_| Reply::new(500, ""));
    system.message(&sid(1), ADA, OURS, "failed once").await;
    system.run(&conversation).await;
    application.answer(|_| Reply::new(200, ""));
    change(&system, &[("SmsUrl", "")]).await;
    system.message(&sid(2), ADA, OURS, "to nobody").await;
    settle(&system, &conversation).await;
    assert_eq!(bodies(&application), ["failed once"]);
    assert_eq!(system.messages(&conversation).await.len(), 2);
    // The same after the number is deleted.
    change(&system, &[("SmsUrl", &sms(&application))]).await;
    application.answer(|_| Reply::new(500, ""));
    system.message(&sid(3), ADA, OURS, "failed too").await;
    system.run(&conversation).await;
    let number = number(&system).await;
    system.delete(&number).await.expect(204);
    application.answer(|_| Reply::new(200, ""));
    settle(&system, &conversation).await;
    assert_eq!(bodies(&application), ["failed once", "failed too"]);
}

/// The corrected URL gets the message that the wrong URL did not take.
async fn a_pending_message_goes_to_the_numbers_present_url(system: TestSystem) {
    let (wrong, conversation) = captured(&system).await;
    wrong.answer(|_| Reply::new(404, ""));
    system.message(&sid(1), ADA, OURS, "one").await;
    system.run(&conversation).await;
    let right = answering().await;
    change(&system, &[("SmsUrl", &sms(&right))]).await;
    system.message(&sid(2), ADA, OURS, "two").await;
    settle(&system, &conversation).await;
    assert_eq!(bodies(&wrong), ["one"]);
    assert_eq!(bodies(&right), ["one", "two"]);
    assert_eq!(wrong.received()[0].token(), right.received()[0].token());
}

async fn a_dead_webhook_is_tried_again_with_the_same_token_and_in_order(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    application.answer(|_| Reply::new(503, ""));
    for number in 1..=3 {
        let body = format!("message {number}");
        system.message(&sid(number), ADA, OURS, &body).await;
        // A further message causes no attempt.
        system.run(&conversation).await;
    }
    assert_eq!(bodies(&application), ["message 1"]);
    // The attempts are due after 5 s, and 30 s after that.
    system.advance_and_tick(Duration::from_secs(6)).await;
    assert_eq!(bodies(&application), ["message 1"; 2]);
    system.advance_and_tick(Duration::from_secs(20)).await;
    assert_eq!(bodies(&application), ["message 1"; 2]);
    application.answer(|_| Reply::new(200, ""));
    system.advance_and_tick(Duration::from_secs(20)).await;
    settle(&system, &conversation).await;
    let expected = [
        "message 1",
        "message 1",
        "message 1",
        "message 2",
        "message 3",
    ];
    assert_eq!(bodies(&application), expected);
    let received = application.received();
    for again in &received[1..3] {
        assert_eq!(again.token(), received[0].token());
        assert_eq!(again.form(), received[0].form());
    }
}

async fn the_clock_delivers_what_waits(system: TestSystem) {
    let (application, _) = captured(&system).await;
    let system = system.start_dispatcher().await;
    application.answer(|_| Reply::new(503, ""));
    system.message(&sid(1), ADA, OURS, "one").await;
    application.wait_for(1).await;
    // The run still has to write the result.
    tokio::time::sleep(Duration::from_millis(500)).await;
    application.answer(|_| Reply::new(200, ""));
    system.advance_by_door("PT11M").await;
    application.wait_for(2).await;
    system.message(&sid(2), ADA, OURS, "two").await;
    application.wait_for(3).await;
    assert_eq!(bodies(&application), ["one", "one", "two"]);
}

async fn a_delivery_is_given_up_after_a_day_and_the_next_one_follows(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    application.answer(|received| match received.parameter("Body") {
        Some("one") => Reply::new(500, ""),
        _ => Reply::new(200, ""),
    });
    system.message(&sid(1), ADA, OURS, "one").await;
    system.message(&sid(2), ADA, OURS, "two").await;
    system.run(&conversation).await;
    for (retried, delay_s) in routing::RETRY_DELAYS_S.into_iter().enumerate() {
        assert_eq!(bodies(&application), vec!["one"; 1 + retried]);
        let delay_s = u64::try_from(delay_s).expect("a pause");
        let pause = Duration::from_secs(delay_s + delay_s / 10 + 1);
        system.advance_and_tick(pause).await;
    }
    let mut expected = vec!["one"; 1 + routing::RETRY_DELAYS_S.len()];
    expected.push("two");
    assert_eq!(bodies(&application), expected);
    settle(&system, &conversation).await;
    assert_eq!(bodies(&application), expected);
}

async fn a_dead_webhook_holds_up_no_other_number(system: TestSystem) {
    let (dead, conversation) = captured(&system).await;
    let well = answering().await;
    always(&system, OURS_2, &well).await;
    system
        .add_participant(&conversation, BOB, OURS_2)
        .await
        .expect(201);
    dead.answer(|_| Reply::new(500, ""));
    for number in 0..3 {
        let (ada, bob) = (format!("Ada {number}"), format!("Bob {number}"));
        system.message(&sid(2 * number), ADA, OURS, &ada).await;
        system
            .message(&sid(2 * number + 1), BOB, OURS_2, &bob)
            .await;
    }
    system.run(&conversation).await;
    assert_eq!(bodies(&well), ["Bob 0", "Bob 1", "Bob 2"]);
    assert_eq!(bodies(&dead), ["Ada 0"]);
    dead.answer(|_| Reply::new(200, ""));
    settle(&system, &conversation).await;
    assert_eq!(bodies(&well), ["Bob 0", "Bob 1", "Bob 2"]);
    assert_eq!(bodies(&dead), ["Ada 0", "Ada 0", "Ada 1", "Ada 2"]);
}

async fn a_dead_webhook_holds_up_neither_the_relay_nor_the_account(system: TestSystem) {
    let (dead, conversation) = captured(&system).await;
    let account = answering().await;
    system
        .set_post_webhook(&account.url(), &[("Filters", "onMessageAdded")])
        .await;
    system.number(OURS_2, &[]).await;
    system
        .add_participant(&conversation, BOB, OURS_2)
        .await
        .expect(201);
    dead.answer(|_| Reply::new(500, ""));
    for number in 1..=3 {
        system.message(&sid(number), ADA, OURS, "hello").await;
    }
    system.run(&conversation).await;
    assert_eq!(dead.received().len(), 1);
    assert_eq!(account.received().len(), 3);
    assert_eq!(system.outbox().await.len(), 3);
    // The number's webhook does not delay these either.
    account.answer(|_| Reply::new(500, ""));
    dead.answer(|_| Reply::new(200, ""));
    system.advance_and_tick(Duration::from_secs(10)).await;
    system.message(&sid(4), ADA, OURS, "last").await;
    system.run(&conversation).await;
    assert_eq!(dead.received().len(), 5);
    assert_eq!(bodies(&dead).last().map(String::as_str), Some("last"));
}

async fn the_fallback_gets_the_message_after_the_url_fails(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    let url = sms(&application);
    let fallback = format!("{}/fallback", application.url());
    change(&system, &[("SmsFallbackUrl", &fallback)]).await;
    application.answer(|received| match received.url.as_str() {
        "/sms" => Reply::new(500, ""),
        _ => Reply::new(200, ""),
    });
    system.message(&sid(1), ADA, OURS, "hello").await;
    settle(&system, &conversation).await;
    let received = application.received();
    let [first, second] = &received[..] else {
        panic!("{received:#?}");
    };
    assert_eq!(
        (first.url.as_str(), second.url.as_str()),
        ("/sms", "/fallback")
    );
    let mut expected = first.form();
    expected.insert("ErrorCode", "11200");
    expected.insert("ErrorUrl", &url);
    assert_eq!(second.form(), expected);
    assert_eq!(second.token(), first.token());
    assert!(second.signed(TOKEN, &fallback), "{second:?}");
    // If the fallback fails too, the run calls both again later.
    application.answer(|_| Reply::new(500, ""));
    system.message(&sid(2), ADA, OURS, "hello again").await;
    system.run(&conversation).await;
    application.answer(|_| Reply::new(200, ""));
    settle(&system, &conversation).await;
    let urls: Vec<_> = application.received()[2..]
        .iter()
        .map(|received| received.url.clone())
        .collect();
    assert_eq!(urls, ["/sms", "/fallback", "/sms"]);
}

async fn the_webhook_gets_the_published_text(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    let pre_action = Receiver::start(|_| Reply::json(json!({"body": "d***"}).to_string())).await;
    system.set_pre_webhook(&pre_action.url(), &[]).await;
    system.message(&sid(1), ADA, OURS, "damn").await;
    system.run(&conversation).await;
    let received = one(&application);
    assert_eq!(received.parameter("Body"), Some("d***"));
    assert_eq!(received.parameter("From"), Some(ADA));
    assert!(received.signed(TOKEN, &sms(&application)), "{received:?}");
    assert_eq!(system.bodies(&conversation).await, ["d***"]);
}

async fn the_webhook_gets_no_rejected_message(system: TestSystem) {
    let (application, conversation) = captured(&system).await;
    let pre_action = Receiver::start(|_| Reply::new(403, "")).await;
    system.set_pre_webhook(&pre_action.url(), &[]).await;
    system.message(&sid(1), ADA, OURS, "rejected").await;
    pre_action.answer(|_| Reply::new(200, ""));
    system.message(&sid(2), ADA, OURS, "accepted").await;
    settle(&system, &conversation).await;
    assert_eq!(bodies(&application), ["accepted"]);
}

/// At least once, with the same token, and in order.
async fn a_run_killed_at_any_call_loses_nothing(system: TestSystem) {
    const CALLS_MAX: u32 = 60;
    let (application, conversation) = captured(&system).await;
    let mut expected = Vec::new();
    at_each_call(3..=CALLS_MAX, async |nth| {
        let mut killed = false;
        for arrives in [false, true] {
            let number = u64::try_from(expected.len()).expect("few");
            let body = format!("message {number}");
            system.message(&sid(number), ADA, OURS, &body).await;
            expected.push(body);
            let run = async {
                let _ =
                    dispatch::hand_off::run(&system.app, std::slice::from_ref(&conversation)).await;
            };
            killed = system.killed_at(nth, arrives, run).await;
            system.advance_and_tick(A_WHILE).await;
            let mut received = application.received();
            received.dedup_by_key(|received| received.token());
            let bodies: Vec<_> = received
                .iter()
                .map(|received| received.parameter("Body").unwrap_or_default())
                .collect();
            assert_eq!(bodies, expected, "killed at {nth}, arrives: {arrives}");
        }
        killed
    })
    .await;
}

/// All parameters are the same, except those that name the message and its receiver.
#[track_caller]
fn assert_same_but_for_the_message(forwarded: &Received, captured: &Received, sid: &str) {
    let mut expected = forwarded.form();
    for name in ["MessageSid", "SmsSid", "SmsMessageSid"] {
        expected.insert(name, sid);
    }
    expected.insert("To", OURS);
    assert_eq!(captured.form(), expected);
    assert_eq!(captured.parameters.len(), expected.len());
    assert_eq!(captured.method, forwarded.method);
    assert_eq!(captured.url, forwarded.url);
    for name in ["Content-Type", "Accept", "User-Agent"] {
        assert_eq!(captured.header(name), forwarded.header(name), "{name}");
    }
    assert_ne!(captured.token(), forwarded.token());
}

async fn answering() -> Receiver {
    Receiver::start(|_| Reply::new(200, "<Response/>")).await
}

/// A number whose webhook wants captured messages too.
async fn always(system: &TestSystem, number: &str, application: &Receiver) {
    let url = sms(application);
    let fields = [("SmsUrl", url.as_str()), ("InboundWebhook", "always")];
    system.number(number, &fields).await;
}

/// Ours is such a number, and Ada is in a conversation behind it.
async fn captured(system: &TestSystem) -> (Receiver, String) {
    let application = answering().await;
    always(system, OURS, &application).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    (application, conversation)
}

/// A number of which no conversation holds a pair, with the same webhook.
async fn forwarding(system: &TestSystem, application: &Receiver) {
    let url = sms(application);
    system.number(UNBOUND, &[("SmsUrl", &url)]).await;
}

/// Changes our number.
async fn change(system: &TestSystem, fields: &[(&str, &str)]) {
    let number = number(system).await;
    system.post(&number, fields).await.expect(200);
}

/// The path of our number.
async fn number(system: &TestSystem) -> String {
    let accounts = format!("/2010-04-01/Accounts/{}", tests::system::ACCOUNT);
    let path = format!("{accounts}/IncomingPhoneNumbers.json?PhoneNumber=%2B15550002222");
    let list = system.get(&path).await.expect(200);
    text(&list["incoming_phone_numbers"][0]["uri"])
}

/// Waits until no delivery is left.
async fn settle(system: &TestSystem, conversation: &str) {
    for time in [Duration::ZERO, Duration::from_secs(40), A_WHILE] {
        system.advance_and_tick(time).await;
        system.run(conversation).await;
    }
}

fn sms(application: &Receiver) -> String {
    format!("{}/sms", application.url())
}

/// The texts that an application got, in order.
fn bodies(application: &Receiver) -> Vec<String> {
    let received = application.received();
    received
        .iter()
        .map(|received| received.parameter("Body").unwrap_or_default().to_owned())
        .collect()
}

/// The only request that the webhook got.
#[track_caller]
fn one(application: &Receiver) -> Received {
    let received = application.received();
    assert_eq!(received.len(), 1, "{received:#?}");
    received[0].clone()
}
