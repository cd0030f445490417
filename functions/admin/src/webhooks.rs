//! `/v1/Configuration/Webhooks`: the account's pre- and post-action webhooks.
//!
//! `OnTimeout` is Crosspoint's own: what becomes of a change if the pre-action webhook does not reply in time.

use routing::{AccountSettings, EventName, Method, OnTimeout, Webhooks};
use serde_json::{Value, json};
use service::update_account;

use crate::codes;
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Success;

pub(crate) async fn fetch(request: Request) -> Result<Success, Problem> {
    let settings = request.app().store.account_get(request.deadline()).await?;
    Ok(Success::Ok(webhooks_json(&request, &settings.webhooks)))
}

pub(crate) async fn update(request: Request) -> Result<Success, Problem> {
    let parameters = &request.parameters;
    let method = parameters.choice("Method", Method::parse, codes::WEBHOOK_METHOD)?;
    let filters = parameters.events("Filters", |_| true)?;
    let pre_url = parameters.url("PreWebhookUrl", |error| {
        codes::url(error, codes::PRE_WEBHOOK_URL)
    })?;
    let post_url = parameters.url("PostWebhookUrl", |error| {
        codes::url(error, codes::POST_WEBHOOK_URL)
    })?;
    let target_flex = parameters.choice("Target", is_flex, codes::WEBHOOK_TARGET)?;
    let invalid = codes::parameter("OnTimeout", "must be publish or reject");
    let on_timeout = parameters.choice("OnTimeout", on_timeout, invalid)?;
    let edit = |settings: AccountSettings| {
        let before = settings.webhooks;
        let (pre, post) = (before.pre_url.clone(), before.post_url.clone());
        let after = Webhooks {
            method: method.unwrap_or(before.method),
            filters: match &filters {
                Some(events) => Some(events.clone()).filter(|events| !events.is_empty()),
                None => before.filters.clone(),
            },
            target_flex: target_flex.unwrap_or(before.target_flex),
            on_timeout: on_timeout.unwrap_or(before.on_timeout),
            ..before
        };
        AccountSettings {
            webhooks: after.with_urls(
                pre_url.clone().unwrap_or(pre),
                post_url.clone().unwrap_or(post),
            ),
            ..settings
        }
    };
    let settings = update_account(request.app(), edit, request.deadline()).await?;
    Ok(Success::Ok(webhooks_json(&request, &settings.webhooks)))
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

fn webhooks_json(request: &Request, webhooks: &Webhooks) -> Value {
    let filters = webhooks.filters.as_ref();
    json!({
        "account_sid": request.account().to_string(),
        "method": webhooks.method.as_str(),
        "filters": filters.map(|list| list.iter().map(|e| EventName::as_str(*e)).collect::<Vec<_>>()),
        "pre_webhook_url": webhooks.pre_url.as_ref().map(|url| url.as_str()),
        "post_webhook_url": webhooks.post_url.as_ref().map(|url| url.as_str()),
        "target": if webhooks.target_flex { FLEX } else { WEBHOOK },
        "on_timeout": match webhooks.on_timeout {
            OnTimeout::Publish => PUBLISH,
            OnTimeout::Reject => REJECT,
        },
        "url": request.url("/v1/Configuration/Webhooks"),
    })
}
