//! The services that a request may name: one conversation service and one messaging service, both fixed.

use routing::{ConversationServiceSid, MessagingServiceSid};

use crate::codes;
use crate::problem::Problem;

/// Refuses every messaging service but the default one.
pub(crate) fn check_messaging_service(text: Option<&str>) -> Result<(), Problem> {
    match text.map(MessagingServiceSid::parse) {
        None | Some(Some(MessagingServiceSid::DEFAULT)) => Ok(()),
        Some(_) => Err(codes::MESSAGING_SERVICE),
    }
}

/// Refuses every conversation service but the default one.
pub(crate) fn check_conversation_service(text: Option<&str>) -> Result<(), Problem> {
    match text.map(ConversationServiceSid::parse) {
        None | Some(Some(ConversationServiceSid::DEFAULT)) => Ok(()),
        Some(_) => Err(codes::SERVICE_NOT_FOUND),
    }
}
