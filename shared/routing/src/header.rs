//! The routing state of a conversation, as every entry of its log carries it.

use jiff::Timestamp;

use crate::key::Key;
use crate::pair::Pair;
use crate::settings::SettingsScope;
use crate::sid::{ConversationServiceSid, MessagingServiceSid, ParticipantSid};
use crate::state::State;
use crate::timers::Timers;

/// A pair that the conversation holds, and the participant that brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPair {
    pub participant: ParticipantSid,
    pub pair: Pair,
}

/// The post-action webhook in force when an entry was committed: the entry is owed to this webhook alone, apart from
/// the conversation's own webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostWebhook {
    pub scope: SettingsScope,
    /// A generation begins when a URL appears, not when a URL is edited.
    pub generation: u64,
    /// The first slot at which the generation was in force here: a missing cursor starts there.
    pub since: u64,
}

/// Everything that routing must know of a conversation. Stays small, for every entry pays for it:
/// no identities, attributes, names, read positions or scoped webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub state: State,
    pub service: ConversationServiceSid,
    pub messaging_service: MessagingServiceSid,
    /// Empty exactly when closed, or when no participant has an address. A group's members will stand beside them, and
    /// will be one more of the [`Header::keys`].
    pub pairs: Vec<HeldPair>,
    /// All participants, those without an address too.
    pub participants: u64,
    /// The index of the next message.
    pub message_index: u64,
    /// The number of the next event.
    pub event_number: u64,
    /// Never goes back.
    pub last_activity: Timestamp,
    pub timers: Timers,
    pub post: Option<PostWebhook>,
    /// Of each scope whose post-action webhook is not in force: the last one that was. It may still be owed entries.
    pub posts_before: Vec<PostWebhook>,
    /// The conversation was deleted; no slot follows.
    pub terminal: bool,
}

impl Header {
    /// The last known post-action webhook of each scope; the one in force comes first.
    pub fn posts(&self) -> impl Iterator<Item = PostWebhook> + '_ {
        self.post
            .into_iter()
            .chain(self.posts_before.iter().copied())
    }

    /// The keys that bindings name this conversation for.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.pairs.iter().map(|held| Key::Pair(held.pair.clone()))
    }

    /// The participant that writes a message under the key, if the conversation holds the key. Timers do not count.
    pub fn holds(&self, key: &Key) -> Option<ParticipantSid> {
        if self.state == State::Closed {
            return None;
        }
        match key {
            Key::Pair(pair) => {
                let held = self.pairs.iter().find(|held| held.pair == *pair);
                held.map(|held| held.participant)
            }
            // Every participant with an address has a proxy address too, so no header has the members of a group.
            Key::Group(_) => None,
        }
    }

    /// Whether the closing time has passed, though no run has closed the conversation yet.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.timers
            .date_closed(self.state, self.last_activity)
            .is_some_and(|closes| closes <= now)
    }

    /// The next instant at which a timer of the conversation fires.
    pub fn due(&self) -> Option<Timestamp> {
        self.timers.due(self.state, self.last_activity)
    }
}
