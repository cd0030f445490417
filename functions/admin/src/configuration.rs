//! `/v1/Configuration`: the settings that a new conversation starts with, and the switch for autocreation by messaging
//! services, which is Crosspoint's own here.

use routing::{AccountSettings, Timers};
use serde_json::{Value, json};
use service::update_account;

use crate::codes;
use crate::named_services::{
    check_messaging_service_exists, check_service_exists, conversation_service, messaging_service,
};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Success;
use crate::timer;

pub(crate) async fn fetch(request: Request) -> Result<Success, Problem> {
    let settings = request.app().store.account_get(request.deadline()).await?;
    Ok(Success::Ok(configuration_json(&request, &settings)))
}

pub(crate) async fn update(request: Request) -> Result<Success, Problem> {
    let parameters = &request.parameters;
    let service = conversation_service(parameters.single("DefaultChatServiceSid")?)?;
    let messaging_service = messaging_service(parameters.single("DefaultMessagingServiceSid")?)?;
    let inactive_s = timer_s(
        parameters,
        "DefaultInactiveTimer",
        Timers::INACTIVE_S_MIN,
        codes::INACTIVE_TIMER,
        codes::INACTIVE_TIMER_SHORT,
    )?;
    let closed_s = timer_s(
        parameters,
        "DefaultClosedTimer",
        Timers::CLOSED_S_MIN,
        codes::CLOSED_TIMER,
        codes::CLOSED_TIMER_SHORT,
    )?;
    let unlocked = parameters.boolean("HandleInboundMessagesWithConversations")?;
    check_service_exists(&request, service).await?;
    check_messaging_service_exists(&request, messaging_service).await?;
    let edit = |settings: AccountSettings| AccountSettings {
        default_service: service.unwrap_or(settings.default_service),
        default_messaging_service: messaging_service.unwrap_or(settings.default_messaging_service),
        autocreation_unlocked: unlocked.unwrap_or(settings.autocreation_unlocked),
        timers: Timers {
            inactive_s: inactive_s.unwrap_or(settings.timers.inactive_s),
            closed_s: closed_s.unwrap_or(settings.timers.closed_s),
        },
        ..settings
    };
    let settings = update_account(request.app(), edit, request.deadline()).await?;
    Ok(Success::Ok(configuration_json(&request, &settings)))
}

/// `Some(None)`: the parameter is empty or a duration of zero, which removes the timer.
fn timer_s(
    parameters: &Parameters,
    name: &str,
    s_min: u64,
    malformed: Problem,
    too_short: Problem,
) -> Result<Option<Option<u64>>, Problem> {
    if parameters.single(name)? == Some("") {
        return Ok(Some(None));
    }
    let seconds = parameters.timer(name, s_min, malformed, too_short)?;
    Ok(seconds.map(|seconds| (seconds > 0).then_some(seconds)))
}

fn configuration_json(request: &Request, settings: &AccountSettings) -> Value {
    let service = settings.default_service;
    json!({
        "account_sid": request.account().to_string(),
        "default_chat_service_sid": service.to_string(),
        "default_messaging_service_sid": settings.default_messaging_service.to_string(),
        "default_inactive_timer": settings.timers.inactive_s.map(timer::text),
        "default_closed_timer": settings.timers.closed_s.map(timer::text),
        "handle_inbound_messages_with_conversations": settings.autocreation_unlocked,
        "url": request.url("/v1/Configuration"),
        "links": {
            "service": request.url(&format!("/v1/Services/{service}/Configuration")),
            "webhooks": request.url("/v1/Configuration/Webhooks"),
        },
    })
}
