//! Fall-through: what belongs to no conversation goes to the number's own webhook, as the carrier would have sent it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tests::carrier::{sid, twilio_form};
use tests::json::text;
use tests::receiver::{Received, Receiver, Reply};
use tests::rest::basic_credentials;
use tests::system::{ACCOUNT, ADA, BOB, OURS, TOKEN, TWILIO_ACCOUNT, TestSystem};

on_both_engines!(
    a_message_that_no_webhook_accepted_is_for_the_carrier_to_send_again,
    a_retry_goes_to_the_recorded_target_with_the_same_token,
    a_retry_goes_to_the_recorded_target_though_the_pair_is_bound_by_now,
    a_retry_of_what_was_answered_is_forwarded_again,
);

on_the_embedded_engine!(
    the_application_gets_the_parameters_of_a_message,
    the_application_gets_all_parameters_of_twilio,
    the_application_gets_the_media,
    a_request_is_signed_for_its_url,
    a_get_carries_everything_in_its_signed_url,
    the_applications_answer_is_passed_back_verbatim,
    an_answer_without_a_body_is_passed_back,
    a_bound_message_is_not_forwarded,
    an_autocreated_message_is_not_forwarded,
    the_fallback_gets_the_message_after_the_url_fails,
    the_fallback_gets_the_message_after_a_refused_connection,
    a_fallback_does_not_learn_the_password_of_the_first_url,
    the_fallback_gets_the_message_in_time_after_a_slow_url,
    a_fallback_is_called_by_its_own_method,
    a_fallback_is_called_only_after_a_failure,
);

async fn the_application_gets_the_parameters_of_a_message(system: TestSystem) {
    let application = answering(&system, &[]).await;
    let sid = sid(1);
    system.message(&sid, ADA, OURS, "hello, 1 + 1 & more").await;
    let received = one(&application);
    let expected = BTreeMap::from([
        ("MessageSid", sid.as_str()),
        ("SmsSid", &sid),
        ("SmsMessageSid", &sid),
        ("AccountSid", ACCOUNT),
        ("From", ADA),
        ("To", OURS),
        ("Body", "hello, 1 + 1 & more"),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
        ("SmsStatus", "received"),
        ("ApiVersion", "2010-04-01"),
    ]);
    assert_eq!(received.form(), expected);
    assert_eq!(received.parameters.len(), expected.len());
}

async fn the_application_gets_all_parameters_of_twilio(system: TestSystem) {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let url = sms(&application);
    let fields = [("Carrier", "twilio"), ("SmsUrl", url.as_str())];
    let form = [&[("PhoneNumber", OURS)], &fields[..]].concat();
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json");
    system.post(&path, &form).await.expect(201);
    let sid = sid(1);
    let mut form = twilio_form(&sid, ADA, OURS, "héllo").to_vec();
    form.extend([
        ("FromCity", "SAN FRANCISCO"),
        ("FromState", "CA"),
        ("FromZip", "94105"),
        ("FromCountry", "US"),
        ("ToCountry", "US"),
        ("ToCity", ""),
        ("OptOutType", "HELP"),
        ("SomethingNew", "of next year"),
    ]);
    let answer = system.twilio(&form).await;
    assert!(answer.accepted(), "{}", answer.text());
    let received = one(&application);
    let mut sent = received.form();
    // Whether our account or the carrier's is named is not settled.
    let account = sent.remove("AccountSid");
    assert!(
        matches!(account, Some(ACCOUNT | TWILIO_ACCOUNT)),
        "{account:?}"
    );
    let mut expected: BTreeMap<_, _> = form.into_iter().collect();
    expected.remove("AccountSid");
    assert_eq!(sent, expected);
    // It is we who sign.
    assert!(received.signed(TOKEN, &url), "{received:?}");
}

async fn the_application_gets_the_media(system: TestSystem) {
    let application = answering(&system, &[]).await;
    let form = [
        ("MessageSid", "MM00000000000000000000000000000001"),
        ("From", ADA),
        ("To", OURS),
        ("Body", ""),
        ("NumMedia", "2"),
        ("MediaUrl0", "https://media.example/one.jpg"),
        ("MediaContentType0", "image/jpeg"),
        ("MediaUrl1", "https://media.example/two?a=1&b=2"),
        ("MediaContentType1", "video/mp4"),
    ];
    assert!(system.simulator(&form).await.accepted());
    let received = one(&application);
    for (name, value) in form {
        assert_eq!(received.parameter(name), Some(value), "{name}");
    }
}

async fn a_request_is_signed_for_its_url(system: TestSystem) {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let url = format!("{}?tenant=7&b=%20", sms(&application));
    // A fragment is for the caller alone: neither sent nor signed.
    let made = system
        .number(OURS, &[("SmsUrl", &format!("{url}#rp=all"))])
        .await;
    assert_eq!(text(&made["sms_url"]), format!("{url}#rp=all"));
    system.message(&sid(1), ADA, OURS, "one").await;
    system.message(&sid(2), BOB, OURS, "two").await;
    let received = application.received();
    assert_eq!(received.len(), 2);
    for received in &received {
        assert_eq!(received.method, "POST");
        assert_eq!(received.url, "/sms?tenant=7&b=%20");
        assert!(received.signed(TOKEN, &url), "{received:?}");
        let content_type = received.header("Content-Type");
        assert!(
            content_type.starts_with("application/x-www-form-urlencoded"),
            "{content_type}"
        );
    }
    assert_ne!(received[0].token(), received[1].token());
}

async fn a_get_carries_everything_in_its_signed_url(system: TestSystem) {
    let application = answering(&system, &[("SmsMethod", "GET")]).await;
    let answer = system.message(&sid(1), ADA, OURS, "one & two").await;
    assert_eq!(answer.text(), "<Response/>");
    let received = one(&application);
    assert_eq!(received.method, "GET");
    assert!(received.url.starts_with("/sms?"), "{}", received.url);
    assert!(received.signed(TOKEN, &sms(&application)), "{received:?}");
    assert_eq!(received.parameter("Body"), Some("one & two"));
    assert_eq!(received.parameter("From"), Some(ADA));
    assert_eq!(received.parameters.len(), 11, "{received:?}");
    assert!(!received.token().is_empty());
}

async fn the_applications_answer_is_passed_back_verbatim(system: TestSystem) {
    const TWIML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Response>\n  <Message>Grüße &amp; <!-- kept --> 👋</Message>\n</Response>\n";
    let application = answering(&system, &[]).await;
    for (number, content_type) in (1..).zip(["text/xml", "application/xml"]) {
        application.answer(move |_| Reply {
            content_type,
            ..Reply::new(200, TWIML)
        });
        let answer = system.message(&sid(number), ADA, OURS, "hello").await;
        assert!(answer.accepted(), "{}", answer.status);
        assert_eq!(answer.text(), TWIML);
        let passed = answer.headers["content-type"].to_str().expect("text");
        assert!(passed.contains("xml"), "{passed}");
    }
    assert_eq!(system.conversations().await.len(), 0);
}

async fn an_answer_without_a_body_is_passed_back(system: TestSystem) {
    let application = answering(&system, &[]).await;
    for (number, status) in [(1, 200), (2, 204)] {
        application.answer(move |_| Reply::new(status, ""));
        let answer = system.message(&sid(number), ADA, OURS, "hello").await;
        assert!(answer.status.is_success(), "{}", answer.status);
        let text = answer.text();
        assert!(text.is_empty() || text.contains("<Response"), "{text}");
    }
    assert_eq!(application.received().len(), 2);
}

async fn a_bound_message_is_not_forwarded(system: TestSystem) {
    let application = answering(&system, &[]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    system.message(&sid(1), ADA, OURS, "Ada").await;
    assert_eq!(application.received().len(), 0);
    system.message(&sid(2), BOB, OURS, "Bob").await;
    assert_eq!(one(&application).parameter("Body"), Some("Bob"));
    // An inactive conversation holds the pair, a closed one does not.
    let inactive = [("State", "inactive")];
    system
        .update_conversation(&conversation, &inactive)
        .await
        .expect(200);
    system.message(&sid(3), ADA, OURS, "Ada again").await;
    assert_eq!(application.received().len(), 1);
    let closed = [("State", "closed")];
    system
        .update_conversation(&conversation, &closed)
        .await
        .expect(200);
    system.message(&sid(4), ADA, OURS, "too late").await;
    assert_eq!(application.received().len(), 2);
    assert_eq!(system.bodies(&conversation).await, ["Ada", "Ada again"]);
}

async fn an_autocreated_message_is_not_forwarded(system: TestSystem) {
    let application = answering(&system, &[]).await;
    system.autocreation(OURS).await;
    system.message(&sid(1), ADA, OURS, "one").await;
    system.message(&sid(2), ADA, OURS, "two").await;
    assert_eq!(application.received().len(), 0);
    assert_eq!(system.conversations().await.len(), 1);
}

async fn the_fallback_gets_the_message_after_the_url_fails(system: TestSystem) {
    let application = with_fallback(&system, &[]).await;
    for (number, status) in (1..).zip([500, 502, 503, 400, 404]) {
        application.answer(move |received| match received.url.as_str() {
            "/sms" => Reply::new(status, "<Response>no</Response>"),
            _ => Reply::new(200, "<Response>fallback</Response>"),
        });
        let before = application.received().len();
        let answer = system.message(&sid(number), ADA, OURS, "hello").await;
        assert!(answer.accepted(), "{status}: {}", answer.text());
        assert_eq!(answer.text(), "<Response>fallback</Response>");
        let received = &application.received()[before..];
        let [first, fallback] = received else {
            panic!("{status}: {received:#?}");
        };
        assert_eq!(first.url, "/sms");
        assert_eq!(fallback.url, "/fallback");
        let mut expected = first.form();
        let url = sms(&application);
        expected.insert("ErrorCode", "11200");
        expected.insert("ErrorUrl", &url);
        assert_eq!(fallback.form(), expected);
        let url = format!("{}/fallback", application.url());
        assert!(fallback.signed(TOKEN, &url), "{fallback:?}");
    }
}

async fn the_fallback_gets_the_message_after_a_refused_connection(system: TestSystem) {
    let application = Receiver::start(|_| Reply::new(200, "<Response>fallback</Response>")).await;
    let fallback = format!("{}/fallback", application.url());
    let dead = "http://127.0.0.1:1/sms";
    let fields = [("SmsUrl", dead), ("SmsFallbackUrl", &fallback)];
    system.number(OURS, &fields).await;
    let answer = system.message(&sid(1), ADA, OURS, "hello").await;
    assert_eq!(answer.text(), "<Response>fallback</Response>");
    let received = one(&application);
    assert_eq!(received.parameter("ErrorUrl"), Some(dead));
    assert_eq!(received.parameter("ErrorCode"), Some("11205"));
    assert_eq!(received.parameter("Body"), Some("hello"));
    assert!(received.signed(TOKEN, &fallback), "{received:?}");
}

async fn a_fallback_does_not_learn_the_password_of_the_first_url(system: TestSystem) {
    let application = Receiver::start(|received| match received.url.as_str() {
        "/sms?to=a@b" => Reply::new(500, ""),
        _ => Reply::new(200, "<Response>fallback</Response>"),
    })
    .await;
    let url = format!("{}?to=a@b", sms(&application));
    let with_password = url.replace("http://", "http://user:secret@");
    let fallback = format!("{}/fallback", application.url());
    let fields = [("SmsUrl", &*with_password), ("SmsFallbackUrl", &fallback)];
    system.number(OURS, &fields).await;
    let response = system.message(&sid(1), ADA, OURS, "hello").await;
    assert_eq!(response.text(), "<Response>fallback</Response>");
    let received = application.received();
    let [first, second] = &received[..] else {
        panic!("{received:#?}");
    };
    let expected = basic_credentials("user", "secret");
    assert_eq!(first.header("Authorization"), expected);
    assert_eq!(second.parameter("ErrorUrl"), Some(url.as_str()));
    assert_eq!(second.header("Authorization"), "");
    assert!(!format!("{second:?}").contains("secret"));
}

async fn the_fallback_gets_the_message_in_time_after_a_slow_url(system: TestSystem) {
    let application = with_fallback(&system, &[]).await;
    application.answer(|received| match received.url.as_str() {
        "/sms" => Reply::new(200, "late").after(Duration::from_secs(600)),
        _ => Reply::new(200, "<Response>fallback</Response>"),
    });
    let began = Instant::now();
    let answer = system.message(&sid(1), ADA, OURS, "hello").await;
    // The deadline ended the call, not the application.
    assert!(began.elapsed() < Duration::from_secs(300));
    assert_eq!(answer.text(), "<Response>fallback</Response>");
    let received = application.received();
    assert_eq!(received.len(), 2, "{received:#?}");
    assert!(received[1].parameter("ErrorCode").is_some());
    let url = sms(&application);
    assert_eq!(received[1].parameter("ErrorUrl"), Some(url.as_str()));
}

async fn a_fallback_is_called_by_its_own_method(system: TestSystem) {
    let application = with_fallback(&system, &[("SmsFallbackMethod", "GET")]).await;
    application.answer(|received| match received.url.as_str() {
        "/sms" => Reply::new(500, ""),
        _ => Reply::new(200, "<Response/>"),
    });
    let answer = system.message(&sid(1), ADA, OURS, "hello").await;
    assert!(answer.accepted(), "{}", answer.text());
    let received = application.received();
    assert_eq!(received.len(), 2, "{received:#?}");
    assert_eq!(received[0].method, "POST");
    assert_eq!(received[1].method, "GET");
    assert!(received[1].url.starts_with("/fallback?"));
    let url = format!("{}/fallback", application.url());
    assert!(received[1].signed(TOKEN, &url), "{received:?}");
    assert_eq!(received[1].parameter("Body"), Some("hello"));
}

async fn a_fallback_is_called_only_after_a_failure(system: TestSystem) {
    let application = with_fallback(&system, &[]).await;
    application.answer(|_| Reply::new(200, "<Response/>"));
    system.message(&sid(1), ADA, OURS, "hello").await;
    assert_eq!(one(&application).url, "/sms");
}

async fn a_message_that_no_webhook_accepted_is_for_the_carrier_to_send_again(system: TestSystem) {
    // With a fallback that fails too, and without one.
    let application = with_fallback(&system, &[]).await;
    application.answer(|_| Reply::new(500, ""));
    let alone = "+15550002223";
    let url = sms(&application);
    system.number(alone, &[("SmsUrl", &url)]).await;
    for (number, to) in [(1, OURS), (2, alone)] {
        let answer = system.message(&sid(number), ADA, to, "hello").await;
        assert_eq!(answer.status, 502, "{to}: {}", answer.text());
    }
    let urls: Vec<_> = application
        .received()
        .into_iter()
        .map(|received| received.url)
        .collect();
    assert_eq!(urls, ["/sms", "/fallback", "/sms"]);
    // Once the application is well again, the carrier's retry brings it.
    application.answer(|_| Reply::new(200, "<Response>well</Response>"));
    for (number, to) in [(1, OURS), (2, alone)] {
        let answer = system.message(&sid(number), ADA, to, "hello").await;
        assert!(answer.accepted(), "{to}: {}", answer.text());
        assert_eq!(answer.text(), "<Response>well</Response>");
    }
}

async fn a_retry_goes_to_the_recorded_target_with_the_same_token(system: TestSystem) {
    let recorded = Receiver::start(|_| Reply::new(500, "")).await;
    let new = Receiver::start(|_| Reply::new(200, "<Response>new</Response>")).await;
    let url = sms(&recorded);
    let number = system.number(OURS, &[("SmsUrl", &url)]).await;
    let answer = system.message(&sid(1), ADA, OURS, "hello").await;
    assert_eq!(answer.status, 502);

    let uri = text(&number["uri"]);
    let form = [("SmsUrl", sms(&new))];
    let form = form.each_ref().map(|(name, url)| (*name, url.as_str()));
    system.post(&uri, &form).await.expect(200);
    recorded.answer(|_| Reply::new(200, "<Response>recorded</Response>"));
    let retry = system.message(&sid(1), ADA, OURS, "hello").await;
    assert_eq!(retry.text(), "<Response>recorded</Response>");
    assert_same_event(&recorded.received());
    assert_eq!(new.received().len(), 0);

    // Another message goes where the number points now, and a retry still does not when the number is gone.
    let answer = system.message(&sid(2), ADA, OURS, "hello").await;
    assert_eq!(answer.text(), "<Response>new</Response>");
    system.delete(&uri).await.expect(204);
    let retry = system.message(&sid(1), ADA, OURS, "hello").await;
    assert_eq!(retry.text(), "<Response>recorded</Response>");
    assert_same_event(&recorded.received());
}

async fn a_retry_goes_to_the_recorded_target_though_the_pair_is_bound_by_now(system: TestSystem) {
    let application = answering(&system, &[]).await;
    application.answer(|_| Reply::new(503, ""));
    let answer = system.message(&sid(1), ADA, OURS, "hello").await;
    assert_eq!(answer.status, 502);
    let (conversation, _) = system.bind(ADA, OURS).await;
    system.autocreation(OURS).await;
    application.answer(|_| Reply::new(200, "<Response/>"));
    let retry = system.message(&sid(1), ADA, OURS, "hello").await;
    assert_eq!(retry.text(), "<Response/>");
    assert_same_event(&application.received());
    assert_eq!(system.messages(&conversation).await.len(), 0);
    assert_eq!(system.conversations().await.len(), 1);
}

async fn a_retry_of_what_was_answered_is_forwarded_again(system: TestSystem) {
    let application = answering(&system, &[]).await;
    for body in ["<Response>one</Response>", "<Response>two</Response>"] {
        application.answer(move |_| Reply::new(200, body));
        let answer = system.message(&sid(1), ADA, OURS, "hello").await;
        assert!(answer.accepted(), "{}", answer.text());
        assert_eq!(answer.text(), body);
    }
    assert_eq!(application.received().len(), 2);
    assert_same_event(&application.received());
}

/// All requests are attempts at one event.
#[track_caller]
fn assert_same_event(received: &[Received]) {
    assert!(received.len() > 1, "{received:#?}");
    for pair in received.windows(2) {
        assert_eq!(pair[0].token(), pair[1].token());
        assert_eq!(pair[0].form(), pair[1].form());
    }
}

/// The webhook of our number, with fields of the number besides.
async fn answering(system: &TestSystem, fields: &[(&str, &str)]) -> Receiver {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let url = sms(&application);
    let fields = [&[("SmsUrl", url.as_str())], fields].concat();
    system.number(OURS, &fields).await;
    application
}

/// The same with a fallback, at `/fallback`.
async fn with_fallback(system: &TestSystem, fields: &[(&str, &str)]) -> Receiver {
    let application = Receiver::start(|_| Reply::new(200, "<Response/>")).await;
    let url = sms(&application);
    let fallback = format!("{}/fallback", application.url());
    let urls = [
        ("SmsUrl", url.as_str()),
        ("SmsFallbackUrl", fallback.as_str()),
    ];
    system.number(OURS, &[&urls, fields].concat()).await;
    application
}

fn sms(application: &Receiver) -> String {
    format!("{}/sms", application.url())
}

/// The one request that came.
#[track_caller]
fn one(application: &Receiver) -> Received {
    let received = application.received();
    assert_eq!(received.len(), 1, "{received:#?}");
    received[0].clone()
}
