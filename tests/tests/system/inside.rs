//! A URL that leads to an inside address: it can be set, and it is refused when a function connects.

use std::time::Duration;

use serde_json::{Value, json};
use service::Allowed;
use tests::carrier::sid;
use tests::engine::EngineKind;
use tests::json::{only, text};
use tests::receiver::{Receiver, Reply};
use tests::system::{ADA, OURS, TestSystem};

/// The URLs of a receiver: by number, by name, and as an IPv6 address.
fn urls(receiver: &Receiver) -> [String; 3] {
    let by = |host: &str| receiver.url().replace("127.0.0.1", host);
    [receiver.url(), by("localhost"), by("[::ffff:127.0.0.1]")]
}

async fn receiver(body: &str) -> Receiver {
    let body = body.to_owned();
    Receiver::start(move |_| Reply::json(body.clone())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pre_action_webhook_inside_counts_as_unreachable() {
    let permitted = TestSystem::start(EngineKind::Embedded).await;
    let system = permitted.calling(Allowed::default());
    let conversation = system.conversation(&[]).await;
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    let form = [("Body", "mine")];
    let webhook = receiver(r#"{"body": "theirs"}"#).await;
    for url in urls(&webhook) {
        system
            .set_pre_webhook(&url, &[("OnTimeout", "publish")])
            .await;
        let made = system.post_with_webhooks(&messages, &form).await;
        assert_eq!(made.expect(201)["body"], "mine", "{url}");
        system
            .set_pre_webhook(&url, &[("OnTimeout", "reject")])
            .await;
        let made = system.post_with_webhooks(&messages, &form).await;
        made.expect_code(403, 50056);
    }
    assert_eq!(webhook.received().len(), 0);
    let made = permitted.post_with_webhooks(&messages, &form).await;
    assert_eq!(made.expect(201)["body"], "theirs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forward_inside_is_a_failed_attempt() {
    let permitted = TestSystem::start(EngineKind::Embedded).await;
    let system = permitted.calling(Allowed::default());
    let application = receiver("<Response/>").await;
    let [by_number, by_name, _] = urls(&application);
    let fields = [("SmsUrl", &*by_number), ("SmsFallbackUrl", &by_name)];
    system.number(OURS, &fields).await;
    let response = system.message(&sid(1), ADA, OURS, "hello").await;
    assert_eq!(response.status, 502, "{}", response.text());
    assert_eq!(application.received().len(), 0);
    // The carrier sends it again, and by then the list permits the address.
    let response = permitted.message(&sid(1), ADA, OURS, "hello").await;
    assert!(response.accepted(), "{}", response.text());
    assert_eq!(application.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_inside_is_a_failed_attempt_and_comes_when_the_list_permits_it() {
    let permitted = TestSystem::start(EngineKind::Embedded).await;
    let system = permitted.calling(Allowed::default());
    let webhook = receiver("").await;
    system.set_post_webhook(&webhook.url(), &[]).await;
    let conversation = system.conversation(&[]).await;
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    let made = system.post_with_webhooks(&messages, &[("Body", "hello")]);
    made.await.expect(201);
    system.run(&conversation).await;
    assert_eq!(webhook.received().len(), 0);
    permitted.advance(Duration::from_secs(60));
    permitted.run(&conversation).await;
    let received = webhook.received();
    let event = received.last().expect("a delivery");
    assert_eq!(event.parameter("EventType"), Some("onMessageAdded"));
    assert_eq!(event.parameter("RetryCount"), Some("1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carriers_api_inside_surely_has_not_accepted_a_message() {
    let start = TestSystem::start(EngineKind::Embedded).await;
    let twilio = Receiver::start(|_| Reply {
        status: 201,
        ..Reply::json(json!({"sid": "SM1", "status": "queued"}).to_string())
    })
    .await;
    let permitted = start.twilio_at(Some(&twilio.url()));
    let system = permitted.calling(Allowed::default());
    system.number(OURS, &[("Carrier", "twilio")]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    let messages = format!("/v1/Conversations/{conversation}/Messages");
    let made = system.post(&messages, &[("Body", "hello")]).await;
    made.expect(201);
    system.run(&conversation).await;
    assert_eq!(twilio.received().len(), 0);
    assert_eq!(only(states(&system).await), "waiting");
    permitted.advance(Duration::from_secs(60));
    permitted.run(&conversation).await;
    assert_eq!(twilio.received().len(), 1);
    assert_eq!(only(states(&system).await), "sent");
}

async fn states(system: &TestSystem) -> Vec<Value> {
    let records = system.outbound_records().await;
    records.iter().map(|record| record.state.into()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_takes_a_url_that_is_inside_today() {
    let system = TestSystem::start(EngineKind::Embedded).await;
    let system = system.calling(Allowed::default());
    let url = "http://10.0.0.1/hook";
    let made = system.set_post_webhook(url, &[]).await;
    assert_eq!(text(&made["post_webhook_url"]), url);
}
