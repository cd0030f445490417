//! The newest entry of a log.

use crate::header::Header;
use crate::sid::ConversationSid;

/// The newest entry of a log, as far as routing cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    pub conversation: ConversationSid,
    pub slot: u64,
    pub header: Header,
}
