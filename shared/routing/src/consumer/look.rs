//! A look: a conversation as its consumers find it.

use std::collections::BTreeSet;

use crate::{
    Consumer, ConversationServiceSid, Cursor, Endpoint, Entry, Scope, Settings, SettingsScope, Tail,
};

/// The settings, all cursors and the newest entries of a conversation. The parts were read strongly, but each at a
/// moment of its own.
#[derive(Clone, Debug, Default)]
pub struct Look {
    pub settings: Settings,
    pub cursors: Vec<(Consumer, Cursor)>,
    /// The last entries of the log, in the order of their slots. A slot may be missing: a transaction becomes visible item
    /// by item.
    pub newest: Vec<Entry>,
}

impl Look {
    pub fn cursor(&self, consumer: Consumer) -> Option<&Cursor> {
        let found = self.cursors.iter().find(|(whose, _)| *whose == consumer);
        found.map(|(_, cursor)| cursor)
    }

    /// The newest entry; `None`: there is no such log.
    pub fn tail(&self) -> Option<Tail> {
        self.newest.last().map(Entry::tail)
    }

    /// The endpoint of a scope, if one is configured.
    pub fn endpoint(&self, scope: Scope) -> Option<Endpoint> {
        match scope {
            Scope::Account => {
                let webhooks = &self.settings.account.webhooks;
                Endpoint::of(SettingsScope::Account, webhooks, &self.tail()?)
            }
            Scope::Service => {
                let tail = self.tail()?;
                let service = self.settings.service(tail.header.service).ok()??;
                Endpoint::of(SettingsScope::Service, &service.webhooks, &tail)
            }
            Scope::Conversation(_) => None,
        }
    }

    /// The service whose settings the look needs: its endpoint is owed entries, or has a cursor.
    pub fn service_needed(&self) -> Option<ConversationServiceSid> {
        let header = &self.newest.last()?.header;
        let owed = header
            .posts()
            .any(|post| post.scope == SettingsScope::Service);
        let needed = owed || self.cursor(Consumer::Post(Scope::Service)).is_some();
        needed.then_some(header.service)
    }

    /// The consumers that the conversation has: those that its settings name, those that every log has, and those that
    /// have left a cursor, because its due time may have to be cleared.
    pub fn consumers(&self) -> BTreeSet<Consumer> {
        let mut consumers: BTreeSet<Consumer> =
            self.cursors.iter().map(|(consumer, _)| *consumer).collect();
        if !self.newest.is_empty() {
            consumers.extend([Consumer::Relay, Consumer::Numbers]);
            let endpoints = [Scope::Account, Scope::Service].map(|scope| self.endpoint(scope));
            let endpoints = endpoints.into_iter().flatten();
            consumers.extend(endpoints.map(|endpoint| Consumer::Post(endpoint.scope)));
        }
        consumers
    }

    /// The entries from `slot` on, up to the first that is missing. `None`: the look does not reach back so far, and the
    /// log must be read.
    pub fn entries_from(&self, slot: u64) -> Option<Vec<Entry>> {
        match self.newest.first() {
            Some(oldest) if oldest.slot > slot => None,
            _ => Some(gapless(self.newest.clone(), slot)),
        }
    }
}

/// The entries of `entries`, in the order of their slots, from `slot` on up to the first that is missing.
pub fn gapless(entries: Vec<Entry>, slot: u64) -> Vec<Entry> {
    let later = entries.into_iter().skip_while(|entry| entry.slot < slot);
    (slot..)
        .zip(later)
        .take_while(|(expected, entry)| entry.slot == *expected)
        .map(|(_, entry)| entry)
        .collect()
}
