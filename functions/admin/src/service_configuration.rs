//! `/v1/Services/{ChatServiceSid}/Configuration`: the settings of a conversation service.

use routing::{ConversationService, ConversationServiceSid};
use serde_json::{Value, json};
use service::update_conversation_service;

use crate::codes;
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Success;

/// There are no roles yet.
const UNSUPPORTED: [&str; 3] = [
    "DefaultConversationCreatorRoleSid",
    "DefaultConversationRoleSid",
    "DefaultChatServiceRoleSid",
];

pub(crate) async fn fetch(request: Request) -> Result<Success, Problem> {
    let service = service_of(&request).await?;
    Ok(Success::Ok(configuration_json(&request, &service)))
}

pub(crate) async fn update(request: Request) -> Result<Success, Problem> {
    request.parameters.refuse_unsupported(&UNSUPPORTED)?;
    let reachability = request.parameters.boolean("ReachabilityEnabled")?;
    let edit = |service: ConversationService| ConversationService {
        reachability_enabled: reachability.unwrap_or(service.reachability_enabled),
        ..service
    };
    let sid = sid_of(&request)?;
    let service = update_conversation_service(request.app(), sid, edit, request.deadline()).await?;
    Ok(Success::Ok(configuration_json(&request, &service)))
}

/// The service that the path names.
pub(crate) async fn service_of(request: &Request) -> Result<ConversationService, Problem> {
    let sid = sid_of(request)?;
    let store = &request.app().store;
    let service = store.conversation_service_get(sid, request.deadline());
    service.await?.ok_or(codes::NOT_FOUND)
}

/// The SID in the path. The service may not exist.
pub(crate) fn sid_of(request: &Request) -> Result<ConversationServiceSid, Problem> {
    request.asked.service.ok_or(codes::NOT_FOUND)
}

fn configuration_json(request: &Request, service: &ConversationService) -> Value {
    let url = request.service_url("/Configuration");
    json!({
        "chat_service_sid": service.sid.to_string(),
        "default_conversation_creator_role_sid": null,
        "default_conversation_role_sid": null,
        "default_chat_service_role_sid": null,
        "reachability_enabled": service.reachability_enabled,
        "url": url,
        "links": {
            "notifications": format!("{url}/Notifications"),
            "webhooks": format!("{url}/Webhooks"),
        },
    })
}
