//! The services that a request may name: one conversation service and one messaging service, both fixed.

use routing::{AccountSettings, ConversationServiceSid, MessagingServiceSid};

use crate::codes;
use crate::problem::Problem;

/// The conversation service of a path or a setting that names none.
pub(crate) fn default_service() -> ConversationServiceSid {
    AccountSettings::default().default_service()
}

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
        None => Ok(()),
        Some(Some(service)) if service == default_service() => Ok(()),
        Some(_) => Err(codes::SERVICE_NOT_FOUND),
    }
}
