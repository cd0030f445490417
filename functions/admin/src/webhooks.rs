//! `/v1/Configuration/Webhooks` and `/v1/Services/{ChatServiceSid}/Configuration/Webhooks`: the pre- and post-action
//! webhooks of the account, and those of a service, which replace them.
//!
//! `OnTimeout` is Crosspoint's own: what becomes of a change if the pre-action webhook does not reply in time.

use routing::{
    AccountSettings, ConversationService, EventName, Method, OnTimeout, WebhookUrl, Webhooks,
};
use serde_json::{Value, json};
use service::{update_account, update_conversation_service};

use crate::codes;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Success;
use crate::service_configuration::{service_of, sid_of};

pub(crate) async fn fetch(request: Request) -> Result<Success, Problem> {
    let settings = request.app().store.account_get(request.deadline()).await?;
    Ok(Success::Ok(account_json(&request, &settings.webhooks)))
}

pub(crate) async fn update(request: Request) -> Result<Success, Problem> {
    let wish = WebhooksWish::from_parameters(&request.parameters, |_| true)?;
    let target_flex = request
        .parameters
        .choice("Target", is_flex, codes::WEBHOOK_TARGET)?;
    let edit = |settings: AccountSettings| {
        let webhooks = wish.merge(settings.webhooks);
        AccountSettings {
            webhooks: Webhooks {
                target_flex: target_flex.unwrap_or(webhooks.target_flex),
                ..webhooks
            },
            ..settings
        }
    };
    let settings = update_account(request.app(), edit, request.deadline()).await?;
    Ok(Success::Ok(account_json(&request, &settings.webhooks)))
}

pub(crate) async fn fetch_of_service(request: Request) -> Result<Success, Problem> {
    let service = service_of(&request).await?;
    Ok(Success::Ok(service_json(&request, &service)))
}

pub(crate) async fn update_of_service(request: Request) -> Result<Success, Problem> {
    let wish = WebhooksWish::from_parameters(&request.parameters, EventName::fits_service)?;
    let edit = |service: ConversationService| ConversationService {
        webhooks: wish.merge(service.webhooks),
        ..service
    };
    let sid = sid_of(&request)?;
    let service = update_conversation_service(request.app(), sid, edit, request.deadline()).await?;
    Ok(Success::Ok(service_json(&request, &service)))
}

/// What a request gives; `None` leaves a property as it is.
struct WebhooksWish {
    method: Option<Method>,
    filters: Option<Vec<EventName>>,
    pre_url: Option<Option<WebhookUrl>>,
    post_url: Option<Option<WebhookUrl>>,
    on_timeout: Option<OnTimeout>,
}

impl WebhooksWish {
    fn from_parameters(
        parameters: &Parameters,
        fits: fn(EventName) -> bool,
    ) -> Result<WebhooksWish, Problem> {
        let invalid = codes::parameter("OnTimeout", "must be publish or reject");
        Ok(WebhooksWish {
            method: parameters.choice("Method", Method::parse, codes::WEBHOOK_METHOD)?,
            filters: parameters.events("Filters", fits)?,
            pre_url: parameters.url("PreWebhookUrl", |error| {
                codes::url(error, codes::PRE_WEBHOOK_URL)
            })?,
            post_url: parameters.url("PostWebhookUrl", |error| {
                codes::url(error, codes::POST_WEBHOOK_URL)
            })?,
            on_timeout: parameters.choice("OnTimeout", on_timeout, invalid)?,
        })
    }

    fn merge(&self, before: Webhooks) -> Webhooks {
        let (pre, post) = (before.pre_url.clone(), before.post_url.clone());
        let after = Webhooks {
            method: self.method.unwrap_or(before.method),
            filters: match &self.filters {
                Some(events) => Some(events.clone()).filter(|events| !events.is_empty()),
                None => before.filters.clone(),
            },
            on_timeout: self.on_timeout.unwrap_or(before.on_timeout),
            ..before
        };
        after.with_urls(
            self.pre_url.clone().unwrap_or(pre),
            self.post_url.clone().unwrap_or(post),
        )
    }
}

const PUBLISH: &str = "publish";
const REJECT: &str = "reject";

fn on_timeout(text: &str) -> Option<OnTimeout> {
    match text.to_ascii_lowercase().as_str() {
        PUBLISH => Some(OnTimeout::Publish),
        REJECT => Some(OnTimeout::Reject),
        _ => None,
    }
}

const WEBHOOK: &str = "webhook";
const FLEX: &str = "flex";

/// Whether the target is Flex.
fn is_flex(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        WEBHOOK => Some(false),
        FLEX => Some(true),
        _ => None,
    }
}

fn account_json(request: &Request, webhooks: &Webhooks) -> Value {
    let mut body = webhooks_json(request, webhooks);
    body["target"] = if webhooks.target_flex { FLEX } else { WEBHOOK }.into();
    body["url"] = request.url("/v1/Configuration/Webhooks").into();
    body
}

fn service_json(request: &Request, service: &ConversationService) -> Value {
    let mut body = webhooks_json(request, &service.webhooks);
    body["chat_service_sid"] = service.sid.to_string().into();
    body["url"] = request.service_url("/Configuration/Webhooks").into();
    body
}

fn webhooks_json(request: &Request, webhooks: &Webhooks) -> Value {
    let filters = webhooks.filters.as_ref();
    json!({
        "account_sid": request.account().to_string(),
        "method": webhooks.method.as_str(),
        "filters": filters.map(|list| list.iter().map(|e| EventName::as_str(*e)).collect::<Vec<_>>()),
        "pre_webhook_url": webhooks.pre_url.as_ref().map(|url| url.as_str()),
        "post_webhook_url": webhooks.post_url.as_ref().map(|url| url.as_str()),
        "on_timeout": match webhooks.on_timeout {
            OnTimeout::Publish => PUBLISH,
            OnTimeout::Reject => REJECT,
        },
    })
}
