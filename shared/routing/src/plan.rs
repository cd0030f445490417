//! Plans: writes and their conditions. The language between decisions and the table.

use jiff::Timestamp;

use crate::binding::Binding;
use crate::entry::Entry;
use crate::inbound::MessageKey;
use crate::journal::JournalEntry;
use crate::key::Key;
use crate::message::Revision;
use crate::metadata::Metadata;
use crate::participant::Participant;
use crate::sid::{ConversationServiceSid, ConversationSid, ParticipantSid, WebhookSid};
use crate::state::State;
use crate::webhook::ScopedWebhook;

/// An outcome, and the writes that bring it about: all of them happen, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<T> {
    pub outcome: T,
    /// Each touches another item. Empty: the outcome needs no write.
    pub writes: Vec<Write>,
}

impl<T> Plan<T> {
    pub(crate) fn new(outcome: T, writes: Vec<Write>) -> Plan<T> {
        Plan { outcome, writes }
    }
}

/// One write of one item, with its condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Takes a slot.
    Append(Entry),
    Journal(JournalEntry),
    /// Binds a key that is free, or that `from` holds.
    Claim {
        key: Key,
        binding: Binding,
        from: Option<ConversationSid>,
    },
    Release {
        key: Key,
        holder: ConversationSid,
    },
    ClaimName {
        service: ConversationServiceSid,
        name: String,
        conversation: ConversationSid,
    },
    ReleaseName {
        service: ConversationServiceSid,
        name: String,
        holder: ConversationSid,
    },
    ClaimIdentity {
        conversation: ConversationSid,
        identity: String,
        participant: ParticipantSid,
    },
    ReleaseIdentity {
        conversation: ConversationSid,
        identity: String,
    },
    /// Version 1 is a new record; any other replaces the version before it.
    PutMetadata(Metadata),
    /// The copy of the state that lists show; counts as a version.
    SetState {
        conversation: ConversationSid,
        state: State,
        at: Timestamp,
    },
    DeleteMetadata {
        conversation: ConversationSid,
        version: u64,
    },
    PutParticipant(Participant),
    DeleteParticipant {
        conversation: ConversationSid,
        participant: ParticipantSid,
        version: u64,
    },
    /// The next instant at which the clock looks at the conversation.
    PutTimer {
        conversation: ConversationSid,
        due: Timestamp,
    },
    DeleteTimer {
        conversation: ConversationSid,
    },
    /// The instant from which a deleted conversation may be purged.
    PutPurge {
        conversation: ConversationSid,
        due: Timestamp,
    },
    PutWebhook(ScopedWebhook),
    PutRevision {
        conversation: ConversationSid,
        revision: Revision,
    },
    /// Blanks the text of the message in a slot; the slot, its id and its header stay. This is no erasure: later
    /// events keep the text of the message in their own entries until the conversation is purged.
    Blank {
        conversation: ConversationSid,
        slot: u64,
    },
}

/// The condition of a write on its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Absent,
    /// There, and naming this conversation.
    HeldBy(ConversationSid),
    /// There, in this version.
    Version(u64),
    Exists,
    /// No condition of its own: the plan also appends an entry, and that slot's condition decides for both.
    None,
}

/// The item that a write touches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ItemKey {
    Slot(ConversationSid, u64),
    Journal(MessageKey),
    Binding(Key),
    Name(ConversationServiceSid, String),
    Identity(ConversationSid, String),
    Metadata(ConversationSid),
    Participant(ConversationSid, ParticipantSid),
    Timer(ConversationSid),
    Purge(ConversationSid),
    Webhook(ConversationSid, WebhookSid),
    Revision(ConversationSid, u64),
}

impl Write {
    pub fn key(&self) -> ItemKey {
        match self {
            Write::Append(entry) => ItemKey::Slot(entry.conversation, entry.slot),
            Write::Journal(entry) => ItemKey::Journal(entry.key().clone()),
            Write::Claim { key, .. } | Write::Release { key, .. } => ItemKey::Binding(key.clone()),
            Write::ClaimName { service, name, .. } | Write::ReleaseName { service, name, .. } => {
                ItemKey::Name(*service, name.clone())
            }
            Write::ClaimIdentity {
                conversation,
                identity,
                ..
            }
            | Write::ReleaseIdentity {
                conversation,
                identity,
            } => ItemKey::Identity(*conversation, identity.clone()),
            Write::PutMetadata(Metadata { conversation, .. })
            | Write::SetState { conversation, .. }
            | Write::DeleteMetadata { conversation, .. } => ItemKey::Metadata(*conversation),
            Write::PutParticipant(Participant {
                conversation, sid, ..
            })
            | Write::DeleteParticipant {
                conversation,
                participant: sid,
                ..
            } => ItemKey::Participant(*conversation, *sid),
            Write::PutTimer { conversation, .. } | Write::DeleteTimer { conversation } => {
                ItemKey::Timer(*conversation)
            }
            Write::PutPurge { conversation, .. } => ItemKey::Purge(*conversation),
            Write::PutWebhook(webhook) => ItemKey::Webhook(webhook.conversation, webhook.sid),
            Write::PutRevision {
                conversation,
                revision,
            } => ItemKey::Revision(*conversation, revision.slot),
            Write::Blank { conversation, slot } => ItemKey::Slot(*conversation, *slot),
        }
    }

    pub fn condition(&self) -> Condition {
        match self {
            Write::Append(_)
            | Write::Journal(_)
            | Write::ClaimName { .. }
            | Write::ClaimIdentity { .. } => Condition::Absent,
            Write::Claim { from: None, .. } => Condition::Absent,
            Write::Claim {
                from: Some(holder), ..
            }
            | Write::Release { holder, .. }
            | Write::ReleaseName { holder, .. } => Condition::HeldBy(*holder),
            Write::PutMetadata(Metadata { version, .. })
            | Write::PutParticipant(Participant { version, .. })
            | Write::PutWebhook(ScopedWebhook { version, .. })
            | Write::PutRevision {
                revision: Revision { version, .. },
                ..
            } => match version {
                0 | 1 => Condition::Absent,
                _ => Condition::Version(version - 1),
            },
            Write::DeleteMetadata { version, .. } | Write::DeleteParticipant { version, .. } => {
                Condition::Version(*version)
            }
            Write::SetState { .. } | Write::Blank { .. } => Condition::Exists,
            Write::ReleaseIdentity { .. }
            | Write::PutTimer { .. }
            | Write::DeleteTimer { .. }
            | Write::PutPurge { .. } => Condition::None,
        }
    }
}
