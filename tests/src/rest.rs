//! What a client of the REST API does.

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request};
use serde_json::Value;

use crate::form::encode;
use crate::json::{only, text};
use crate::response::Response;
use crate::system::{ACCOUNT, PUBLIC_URL, TOKEN, TestSystem};

impl TestSystem {
    pub async fn get(&self, path: &str) -> Response {
        self.rest(Method::GET, path, &[], false).await
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.rest(Method::POST, path, form, false).await
    }

    /// A POST with `X-Twilio-Webhook-Enabled: true`.
    pub async fn post_with_webhooks(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.rest(Method::POST, path, form, true).await
    }

    pub async fn delete(&self, path: &str) -> Response {
        self.rest(Method::DELETE, path, &[], false).await
    }

    /// A DELETE with `X-Twilio-Webhook-Enabled: true`.
    pub async fn delete_with_webhooks(&self, path: &str) -> Response {
        self.rest(Method::DELETE, path, &[], true).await
    }

    async fn rest(
        &self,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
        webhooks: bool,
    ) -> Response {
        let path = path.strip_prefix(PUBLIC_URL).unwrap_or(path);
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header("Authorization", basic_credentials(ACCOUNT, TOKEN));
        if webhooks {
            request = request.header("X-Twilio-Webhook-Enabled", "true");
        }
        let body = match method {
            Method::POST => {
                request = request.header("Content-Type", "application/x-www-form-urlencoded");
                encode(form)
            }
            _ => String::new(),
        };
        self.send(request.body(Body::from(body)).expect("a request"))
            .await
    }

    /// Makes a number of ours, with more form fields. The simulator is its carrier, unless a field names another.
    pub async fn number(&self, number: &str, fields: &[(&str, &str)]) -> Value {
        let mut form = [&[("PhoneNumber", number)], fields].concat();
        if !fields.iter().any(|(name, _)| *name == "Carrier") {
            form.push(("Carrier", "simulator"));
        }
        let path = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json");
        self.post(&path, &form).await.expect(201)
    }

    /// Makes an address configuration that creates conversations.
    pub async fn autocreation(&self, address: &str) -> Value {
        let kind = if address.starts_with("whatsapp:") {
            "whatsapp"
        } else {
            "sms"
        };
        let form = [
            ("Type", kind),
            ("Address", address),
            ("AutoCreation.Enabled", "true"),
        ];
        self.post("/v1/Configuration/Addresses", &form)
            .await
            .expect(201)
    }

    /// Sets the account's post-action webhook, with more form fields.
    pub async fn set_post_webhook(&self, url: &str, fields: &[(&str, &str)]) -> Value {
        let form = [&[("PostWebhookUrl", url)], fields].concat();
        let path = "/v1/Configuration/Webhooks";
        self.post(path, &form).await.expect(200)
    }

    /// Sets the account's pre-action webhook, with more form fields.
    pub async fn set_pre_webhook(&self, url: &str, fields: &[(&str, &str)]) -> Value {
        let form = [&[("PreWebhookUrl", url)], fields].concat();
        let path = "/v1/Configuration/Webhooks";
        self.post(path, &form).await.expect(200)
    }

    /// Makes a conversation; its SID.
    pub async fn conversation(&self, form: &[(&str, &str)]) -> String {
        text(&self.post("/v1/Conversations", form).await.expect(201)["sid"])
    }

    /// Makes a conversation with a participant that holds the pair; the SIDs of both.
    pub async fn bind(&self, address: &str, proxy: &str) -> (String, String) {
        let conversation = self.conversation(&[]).await;
        let participant = self
            .add_participant(&conversation, address, proxy)
            .await
            .expect(201);
        (conversation, text(&participant["sid"]))
    }

    /// Adds a participant that holds the pair.
    pub async fn add_participant(
        &self,
        conversation: &str,
        address: &str,
        proxy: &str,
    ) -> Response {
        let form = [
            ("MessagingBinding.Address", address),
            ("MessagingBinding.ProxyAddress", proxy),
        ];
        self.post(
            &format!("/v1/Conversations/{conversation}/Participants"),
            &form,
        )
        .await
    }

    /// Every row of a list, over all its pages.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut next = Some(path.to_owned());
        for _ in 0..PAGES_MAX {
            let Some(path) = next else {
                return rows;
            };
            let page = self.get(&path).await.expect(200);
            let key = text(&page["meta"]["key"]);
            rows.extend(page[&key].as_array().expect("rows").iter().cloned());
            next = page["meta"]["next_page_url"].as_str().map(str::to_owned);
        }
        panic!("{path} has more than {PAGES_MAX} pages");
    }

    /// The SID of the one conversation in which an address takes part.
    pub async fn conversation_of(&self, address: &str) -> String {
        let query = encode(&[("Address", address)]);
        let path = format!("/v1/ParticipantConversations?{query}");
        text(&only(self.list(&path).await)["conversation_sid"])
    }

    pub async fn conversations(&self) -> Vec<Value> {
        self.list("/v1/Conversations?PageSize=100").await
    }

    /// The messages of a conversation, by index.
    pub async fn messages(&self, conversation: &str) -> Vec<Value> {
        self.list(&format!(
            "/v1/Conversations/{conversation}/Messages?PageSize=100"
        ))
        .await
    }

    pub async fn participants(&self, conversation: &str) -> Vec<Value> {
        self.list(&format!("/v1/Conversations/{conversation}/Participants"))
            .await
    }

    /// A conversation, as the API shows it now.
    pub async fn fetch_conversation(&self, conversation: &str) -> Value {
        self.get(&format!("/v1/Conversations/{conversation}"))
            .await
            .expect(200)
    }

    /// Changes a conversation.
    pub async fn update_conversation(&self, conversation: &str, form: &[(&str, &str)]) -> Response {
        self.post(&format!("/v1/Conversations/{conversation}"), form)
            .await
    }

    /// The bodies of a conversation's messages, by index, which must be dense.
    pub async fn bodies(&self, conversation: &str) -> Vec<String> {
        let messages = self.messages(conversation).await;
        for (index, message) in messages.iter().enumerate() {
            assert_eq!(message["index"], index, "indexes are dense: {messages:#?}");
        }
        messages
            .iter()
            .map(|message| text(&message["body"]))
            .collect()
    }
}

/// The pages that a list may have.
const PAGES_MAX: usize = 1_000;

/// The value of an `Authorization` header.
pub fn basic_credentials(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
