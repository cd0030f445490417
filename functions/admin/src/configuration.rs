//! `/v1/Configuration`: what new conversations start with.

use routing::{AccountSettings, ConversationServiceSid, MessagingServiceSid, Timers};
use serde_json::{Value, json};
use service::update_account;

use crate::answer::Answer;
use crate::codes::{self, Problem};
use crate::conversations::{check_conversation_service, check_messaging_service};
use crate::params::Params;
use crate::request::Request;
use crate::timer;

pub(crate) async fn fetch(request: Request) -> Result<Answer, Problem> {
    let settings = request.app().store.account_get(request.deadline()).await?;
    Ok(Answer::Ok(body(&request, &settings)))
}

pub(crate) async fn update(request: Request) -> Result<Answer, Problem> {
    let params = &request.params;
    check_conversation_service(params.once("DefaultChatServiceSid")?)?;
    check_messaging_service(params.once("DefaultMessagingServiceSid")?)?;
    let inactive_s = timer(
        params,
        "DefaultInactiveTimer",
        Timers::INACTIVE_S_MIN,
        codes::INACTIVE_TIMER,
        codes::INACTIVE_TIMER_SHORT,
    )?;
    let closed_s = timer(
        params,
        "DefaultClosedTimer",
        Timers::CLOSED_S_MIN,
        codes::CLOSED_TIMER,
        codes::CLOSED_TIMER_SHORT,
    )?;
    let edit = |settings: AccountSettings| AccountSettings {
        timers: Timers {
            inactive_s: inactive_s.unwrap_or(settings.timers.inactive_s),
            closed_s: closed_s.unwrap_or(settings.timers.closed_s),
        },
        ..settings
    };
    let settings = update_account(request.app(), edit, request.deadline()).await?;
    Ok(Answer::Ok(body(&request, &settings)))
}

/// `Some(None)`: an empty parameter, or a duration of nothing, which removes the timer.
fn timer(
    params: &Params,
    name: &str,
    s_min: u64,
    malformed: Problem,
    too_short: Problem,
) -> Result<Option<Option<u64>>, Problem> {
    if params.once(name)? == Some("") {
        return Ok(Some(None));
    }
    let seconds = params.timer(name, s_min, malformed, too_short)?;
    Ok(seconds.map(|seconds| (seconds > 0).then_some(seconds)))
}

fn body(request: &Request, settings: &AccountSettings) -> Value {
    let service = ConversationServiceSid::DEFAULT;
    json!({
        "account_sid": request.account().to_string(),
        "default_chat_service_sid": service.to_string(),
        "default_messaging_service_sid": MessagingServiceSid::DEFAULT.to_string(),
        "default_inactive_timer": settings.timers.inactive_s.map(timer::text),
        "default_closed_timer": settings.timers.closed_s.map(timer::text),
        "url": request.url("/v1/Configuration"),
        "links": {
            "service": request.url(&format!("/v1/Services/{service}/Configuration")),
            "webhooks": request.url("/v1/Configuration/Webhooks"),
        },
    })
}
