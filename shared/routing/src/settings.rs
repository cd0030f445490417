//! The settings that a decision depends on, and those in force for one conversation service.

use crate::account::{AccountSettings, Webhooks};
use crate::conversation_service::ConversationService;
use crate::sid::ConversationServiceSid;
use crate::timers::Timers;

/// The account's settings, and the services that were read with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub account: AccountSettings,
    /// `None`: there is no such service, or it was deleted.
    services: Vec<(ConversationServiceSid, Option<ConversationService>)>,
}

/// A decision depends on a service that was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread(pub ConversationServiceSid);

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

impl Settings {
    pub fn new(
        account: AccountSettings,
        services: Vec<(ConversationServiceSid, Option<ConversationService>)>,
    ) -> Settings {
        Settings { account, services }
    }

    /// Takes in a service that was read.
    pub fn insert(&mut self, sid: ConversationServiceSid, service: Option<ConversationService>) {
        self.services.retain(|(known, _)| *known != sid);
        self.services.push((sid, service));
    }

    /// The services that were read.
    pub fn services(&self) -> impl Iterator<Item = ConversationServiceSid> {
        self.services.iter().map(|(sid, _)| *sid)
    }

    /// `None`: there is no such service.
    pub fn service(
        &self,
        sid: ConversationServiceSid,
    ) -> Result<Option<&ConversationService>, Unread> {
        let found = self.services.iter().find(|(known, _)| *known == sid);
        let (_, service) = found.ok_or(Unread(sid))?;
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
