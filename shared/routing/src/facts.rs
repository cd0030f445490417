//! Facts: the content of the table when it was read.

use crate::address_configuration::AddressConfiguration;
use crate::journal::JournalEntry;
use crate::number::NumberSettings;
use crate::settings::{Services, Settings};
use crate::sid::{ConversationSid, MessagingServiceSid};
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
    /// The messaging service whose sender pool holds the receiving number. It may be gone.
    pub pool: Option<MessagingServiceSid>,
    pub settings: Settings,
}

impl Facts {
    /// The services that the decision on an unbound message depends on: those that can make its conversation, and the
    /// one whose sender pool holds the receiving number.
    pub fn services_of_unbound(&self) -> Services {
        let account = &self.settings.account;
        let configuration = self
            .configuration
            .as_ref()
            .map(|found| &found.auto_creation);
        let conversation = match configuration.filter(|auto_creation| auto_creation.enabled) {
            Some(auto_creation) => Some(auto_creation.service.unwrap_or(account.default_service)),
            None => self
                .pool
                .filter(|_| account.autocreation_unlocked)
                .map(|_| account.default_service),
        };
        Services {
            conversation,
            messaging: self.pool,
        }
    }
}
