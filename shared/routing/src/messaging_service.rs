//! A messaging service.

use crate::sid::MessagingServiceSid;
use crate::webhook::Call;

/// The messaging service whose sender pool holds the receiving number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagingService {
    pub sid: MessagingServiceSid,
    /// "Autocreate a Conversation".
    pub autocreates: bool,
    pub inbound: Option<Call>,
    pub fallback: Option<Call>,
}
