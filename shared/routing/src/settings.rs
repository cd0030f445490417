//! The settings that a decision depends on, and those in force for one conversation service.

use std::fmt;

use crate::account::{AccountSettings, Webhooks};
use crate::conversation_service::ConversationService;
use crate::messaging_service::MessagingService;
use crate::sid::{ConversationServiceSid, MessagingServiceSid};
use crate::timers::Timers;

/// The account's settings, and the services that were read with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub account: AccountSettings,
    /// `None`: there is no such service, or it was deleted.
    services: Vec<(ConversationServiceSid, Option<ConversationService>)>,
    messaging: Vec<(MessagingServiceSid, Option<MessagingService>)>,
}

/// A conversation service, a messaging service, both or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Services {
    pub conversation: Option<ConversationServiceSid>,
    pub messaging: Option<MessagingServiceSid>,
}

/// A decision depends on services that were not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread(pub Services);

/// The settings that hold for the conversations of one service.
#[derive(Clone, Copy, Debug)]
pub struct SettingsInForce<'a> {
    pub service: ConversationServiceSid,
    pub scope: SettingsScope,
    pub webhooks: &'a Webhooks,
    /// The timers of a new conversation.
    pub timers: Timers,
}

/// The owner of the webhooks in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SettingsScope {
    Account,
    Service,
}

/// The SIDs, with a space between them.
impl fmt::Display for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.conversation, self.messaging) {
            (Some(conversation), Some(messaging)) => write!(f, "{conversation} {messaging}"),
            (Some(conversation), None) => write!(f, "{conversation}"),
            (None, Some(messaging)) => write!(f, "{messaging}"),
            (None, None) => Ok(()),
        }
    }
}

impl Settings {
    pub fn new(
        account: AccountSettings,
        services: Vec<(ConversationServiceSid, Option<ConversationService>)>,
    ) -> Settings {
        Settings {
            account,
            services,
            messaging: Vec::new(),
        }
    }

    /// Takes in a service that was read.
    pub fn insert(&mut self, sid: ConversationServiceSid, service: Option<ConversationService>) {
        self.services.retain(|(known, _)| *known != sid);
        self.services.push((sid, service));
    }

    /// Takes in a messaging service that was read.
    pub fn insert_messaging(&mut self, sid: MessagingServiceSid, found: Option<MessagingService>) {
        self.messaging.retain(|(known, _)| *known != sid);
        self.messaging.push((sid, found));
    }

    /// Refuses to go on while one of the services was not read.
    pub(crate) fn check_read(&self, services: Services) -> Result<(), Unread> {
        let unread = Services {
            conversation: services
                .conversation
                .filter(|sid| self.service(*sid).is_err()),
            messaging: services
                .messaging
                .filter(|sid| self.messaging_service(*sid).is_err()),
        };
        match unread == Services::default() {
            true => Ok(()),
            false => Err(Unread(unread)),
        }
    }

    /// The conversation services that were read.
    pub fn services(&self) -> impl Iterator<Item = ConversationServiceSid> {
        self.services.iter().map(|(sid, _)| *sid)
    }

    /// `None`: there is no such service.
    pub fn service(
        &self,
        sid: ConversationServiceSid,
    ) -> Result<Option<&ConversationService>, Unread> {
        let found = self.services.iter().find(|(known, _)| *known == sid);
        let unread = Unread(Services {
            conversation: Some(sid),
            messaging: None,
        });
        let (_, service) = found.ok_or(unread)?;
        Ok(service.as_ref())
    }

    /// `None`: there is no such service.
    pub fn messaging_service(
        &self,
        sid: MessagingServiceSid,
    ) -> Result<Option<&MessagingService>, Unread> {
        let found = self.messaging.iter().find(|(known, _)| *known == sid);
        let unread = Unread(Services {
            conversation: None,
            messaging: Some(sid),
        });
        let (_, service) = found.ok_or(unread)?;
        Ok(service.as_ref())
    }

    /// The settings in force for the conversations of a service: the service's webhooks if they have a URL, else the
    /// account's. A deleted service has no settings.
    pub fn in_force(&self, sid: ConversationServiceSid) -> Result<SettingsInForce<'_>, Unread> {
        let service = self.service(sid)?;
        let own = service.filter(|service| service.webhooks.has_url());
        Ok(SettingsInForce {
            service: sid,
            scope: own.map_or(SettingsScope::Account, |_| SettingsScope::Service),
            webhooks: own.map_or(&self.account.webhooks, |service| &service.webhooks),
            timers: self.account.timers,
        })
    }
}
