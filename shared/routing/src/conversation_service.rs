//! A conversation service: a set of conversations with settings of its own.

use jiff::Timestamp;

use crate::account::Webhooks;
use crate::sid::ConversationServiceSid;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationService {
    pub sid: ConversationServiceSid,
    /// 0: the account's first service, which is there though no request has written it.
    pub version: u64,
    pub friendly_name: String,
    /// In force instead of the account's if it has a URL.
    pub webhooks: Webhooks,
    pub reachability_enabled: bool,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

impl ConversationService {
    pub const NAME_CHARACTERS_MAX: usize = 256;

    /// A service without settings of its own.
    pub fn new(
        sid: ConversationServiceSid,
        friendly_name: String,
        now: Timestamp,
    ) -> ConversationService {
        ConversationService {
            sid,
            version: 1,
            friendly_name,
            webhooks: Webhooks::default(),
            reachability_enabled: false,
            date_created: now,
            date_updated: now,
        }
    }

    /// The account's first service, before any request has written it.
    pub fn unwritten_default() -> ConversationService {
        ConversationService {
            version: 0,
            ..ConversationService::new(
                ConversationServiceSid::DEFAULT,
                "Default Conversations Service".to_owned(),
                Timestamp::UNIX_EPOCH,
            )
        }
    }
}
