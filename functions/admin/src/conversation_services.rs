//! `/v1/Services`: the conversation services.

use routing::{ConversationService, ConversationServiceSid};
use serde_json::{Value, json};
use service::{create_conversation_service, write_default_service};

use store::ListKind;

use crate::codes;
use crate::date;
use crate::paging::{Fitting, List, PageSizes, Paging};
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Success;
use crate::service_configuration::{service_of, sid_of};

const PAGE_SIZES: PageSizes = PageSizes {
    default: 50,
    max: 100,
};

pub(crate) async fn list(request: Request) -> Result<Success, Problem> {
    let paging = Paging::from_parameters(&request.parameters, PAGE_SIZES)?;
    paging.request().check(ListKind::ConversationServices)?;
    write_default_service(request.app(), request.deadline()).await?;
    let store = &request.app().store;
    let page = store
        .conversation_service_list(paging.request(), request.deadline())
        .await?;
    let json_of = |service: &ConversationService| Some(service_json(&request, service));
    Ok(Success::Ok(paging.list(List {
        url: request.url("/v1/Services"),
        filters: Vec::new(),
        key: "services",
        fitting: Fitting::of(&page, json_of),
    })))
}

pub(crate) async fn create(request: Request) -> Result<Success, Problem> {
    let max = ConversationService::NAME_CHARACTERS_MAX;
    let name = request
        .parameters
        .text("FriendlyName", max, codes::FRIENDLY_NAME_TOO_LONG)?;
    let name = name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| codes::parameter("FriendlyName", "is required"))?;
    let service = create_conversation_service(request.app(), name, request.deadline()).await?;
    Ok(Success::Created(service_json(&request, &service)))
}

pub(crate) async fn fetch(request: Request) -> Result<Success, Problem> {
    let service = match sid_of(&request)? {
        ConversationServiceSid::DEFAULT => {
            write_default_service(request.app(), request.deadline()).await?
        }
        _ => service_of(&request).await?,
    };
    Ok(Success::Ok(service_json(&request, &service)))
}

fn service_json(request: &Request, service: &ConversationService) -> Value {
    let url = request.url(&format!("/v1/Services/{}", service.sid));
    json!({
        "sid": service.sid.to_string(),
        "account_sid": request.account().to_string(),
        "friendly_name": service.friendly_name,
        "date_created": date::iso(service.date_created),
        "date_updated": date::iso(service.date_updated),
        "url": url,
        "links": {
            "conversations": format!("{url}/Conversations"),
            "users": format!("{url}/Users"),
            "roles": format!("{url}/Roles"),
            "bindings": format!("{url}/Bindings"),
            "configuration": format!("{url}/Configuration"),
            "participant_conversations": format!("{url}/ParticipantConversations"),
            "conversation_with_participants": format!("{url}/ConversationWithParticipants"),
        },
    })
}
