//! Facts: the content of the table when it was read.

use crate::address_configuration::AddressConfiguration;
use crate::journal::JournalEntry;
use crate::messaging_service::MessagingService;
use crate::number::NumberSettings;
use crate::settings::Settings;
use crate::sid::ConversationSid;
use crate::tail::Tail;

/// The conversation that the binding names, and its newest entry, read after the binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub conversation: ConversationSid,
    /// `None`: the log was not visible yet.
    pub tail: Option<Tail>,
}

/// Everything that the decision on a message depends on, besides the message. Read strongly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub journal: Option<JournalEntry>,
    /// `None`: the key is not bound.
    pub holder: Option<Holder>,
    pub number: Option<NumberSettings>,
    pub configuration: Option<AddressConfiguration>,
    /// The messaging service whose sender pool holds the receiving number.
    pub pool: Option<MessagingService>,
    pub settings: Settings,
}
