//! The services that a parameter names.

use routing::{ConversationServiceSid, MessagingServiceSid};

use crate::codes;
use crate::problem::Problem;
use crate::request::Request;

/// The messaging service that a parameter names; `None`: there is no parameter.
pub(crate) fn messaging_service(
    text: Option<&str>,
) -> Result<Option<MessagingServiceSid>, Problem> {
    let parse = |text| MessagingServiceSid::parse(text).ok_or(codes::MESSAGING_SERVICE);
    text.map(parse).transpose()
}

/// Refuses a messaging service that does not exist.
pub(crate) async fn check_messaging_service_exists(
    request: &Request,
    service: Option<MessagingServiceSid>,
) -> Result<(), Problem> {
    let Some(sid) = service else {
        return Ok(());
    };
    let store = &request.app().store;
    let found = store.messaging_service_get(sid, request.deadline()).await?;
    found.map(drop).ok_or(codes::MESSAGING_SERVICE)
}

/// The conversation service that a parameter names; `None`: there is no parameter.
pub(crate) fn conversation_service(
    text: Option<&str>,
) -> Result<Option<ConversationServiceSid>, Problem> {
    let parse = |text| ConversationServiceSid::parse(text).ok_or(codes::SERVICE_NOT_FOUND);
    text.map(parse).transpose()
}

/// Refuses a conversation service that does not exist.
pub(crate) async fn check_service_exists(
    request: &Request,
    service: Option<ConversationServiceSid>,
) -> Result<(), Problem> {
    let Some(sid) = service else {
        return Ok(());
    };
    let store = &request.app().store;
    let found = store
        .conversation_service_get(sid, request.deadline())
        .await?;
    found.map(drop).ok_or(codes::SERVICE_NOT_FOUND)
}
