//! A conversation service's own webhooks: they replace the account's, and each is told what it was owed.

use std::time::Duration;

use tests::carrier::sid;
use tests::json::text;
use tests::receiver::{Receiver, Reply, parameters};
use tests::system::{ADA, OURS, TestSystem};

on_both_engines!(
    the_services_webhooks_replace_the_accounts_at_once,
    a_backlog_of_the_account_outlives_the_services_webhook,
    a_change_during_the_pre_action_call_is_in_force_for_the_message,
);

struct Service {
    path: String,
    /// One that holds Ada's pair.
    conversation: String,
}

impl Service {
    async fn start(system: &TestSystem) -> Service {
        system.number(OURS, &[]).await;
        let made = system.post("/v1/Services", &[("FriendlyName", "support")]);
        let path = format!("/v1/Services/{}", text(&made.await.expect(201)["sid"]));
        let made = system.post(&format!("{path}/Conversations"), &[]).await;
        let conversation = text(&made.expect(201)["sid"]);
        let participants = format!("{path}/Conversations/{conversation}/Participants");
        let pair = [
            ("MessagingBinding.Address", ADA),
            ("MessagingBinding.ProxyAddress", OURS),
        ];
        system.post(&participants, &pair).await.expect(201);
        Service { path, conversation }
    }

    async fn set_webhooks(&self, system: &TestSystem, pre: &str, post: &str) {
        let path = format!("{}/Configuration/Webhooks", self.path);
        let form = [("PreWebhookUrl", pre), ("PostWebhookUrl", post)];
        system.post(&path, &form).await.expect(200);
    }

    /// A message from Ada comes, and the consumers run.
    async fn message(&self, system: &TestSystem, number: u64, body: &str) {
        let answer = system.message(&sid(number), ADA, OURS, body).await;
        assert!(answer.accepted(), "{}", answer.text());
        system.run(&self.conversation).await;
    }
}

async fn accepts() -> Receiver {
    Receiver::start(|_| Reply::new(200, "")).await
}

fn bodies(receiver: &Receiver) -> Vec<String> {
    let received = receiver.received();
    let bodies = parameters(&received, "Body");
    bodies.into_iter().map(str::to_owned).collect()
}

async fn the_services_webhooks_replace_the_accounts_at_once(system: TestSystem) {
    let (account_pre, account_post) = (accepts().await, accepts().await);
    let (own_pre, own_post) = (accepts().await, accepts().await);
    let service = Service::start(&system).await;
    system.set_pre_webhook(&account_pre.url(), &[]).await;
    system.set_post_webhook(&account_post.url(), &[]).await;
    service.message(&system, 1, "one").await;
    let (pre, post) = (own_pre.url(), own_post.url());
    service.set_webhooks(&system, &pre, &post).await;
    service.message(&system, 2, "two").await;
    service.set_webhooks(&system, "", "").await;
    service.message(&system, 3, "three").await;
    // A URL alone replaces both of the account's.
    service.set_webhooks(&system, &pre, "").await;
    service.message(&system, 4, "four").await;
    assert_eq!(bodies(&account_pre), ["one", "three"]);
    assert_eq!(bodies(&account_post), ["one", "three"]);
    assert_eq!(bodies(&own_pre), ["two", "four"]);
    assert_eq!(bodies(&own_post), ["two"]);
    // Another service's conversations keep the account's.
    let (other, _) = system.bind("+15550001112", OURS).await;
    let answer = system.message(&sid(5), "+15550001112", OURS, "five").await;
    assert!(answer.accepted(), "{}", answer.text());
    system.run(&other).await;
    assert_eq!(bodies(&account_post), ["one", "three", "five"]);
}

/// An event that the account's webhook is owed stays owed, though the service's webhook has come into force since.
async fn a_backlog_of_the_account_outlives_the_services_webhook(system: TestSystem) {
    let account = Receiver::start(|_| Reply::new(500, "")).await;
    let own = accepts().await;
    let service = Service::start(&system).await;
    system.set_post_webhook(&account.url(), &[]).await;
    service.message(&system, 1, "one").await;
    assert_eq!(bodies(&account), ["one"]);
    service.set_webhooks(&system, "", &own.url()).await;
    service.message(&system, 2, "two").await;
    account.answer(|_| Reply::new(200, ""));
    system.advance_and_tick(Duration::from_secs(3_600)).await;
    assert_eq!(bodies(&account), ["one", "one"]);
    assert_eq!(bodies(&own), ["two"]);
}

/// The service's webhooks are removed while its pre-action webhook is called. The account's are in force then, and get the
/// event.
async fn a_change_during_the_pre_action_call_is_in_force_for_the_message(system: TestSystem) {
    let account = accepts().await;
    let own_pre = Receiver::start(|_| Reply::new(403, "").after(Duration::from_secs(3))).await;
    let own_post = accepts().await;
    let service = Service::start(&system).await;
    system.set_post_webhook(&account.url(), &[]).await;
    service
        .set_webhooks(&system, &own_pre.url(), &own_post.url())
        .await;
    let message = tokio::spawn({
        let system = system.clone();
        async move { system.message(&sid(1), ADA, OURS, "hello").await }
    });
    own_pre.wait_for(1).await;
    service.set_webhooks(&system, "", "").await;
    let answer = message.await.expect("no task panics");
    assert!(answer.accepted(), "{}", answer.text());
    system.run(&service.conversation).await;
    assert_eq!(bodies(&account), ["hello"]);
    assert!(own_post.received().is_empty());
}
