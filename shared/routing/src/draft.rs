//! A draft of an entry: a decision pushes events, and the header follows them.

use jiff::Timestamp;

use crate::cause::Cause;
use crate::entry::{Entry, Event};
use crate::header::{Header, PostWebhook};
use crate::inbound::MessageKey;
use crate::plan::Write;
use crate::sid::{ChangeId, ConversationSid, MessageSid};
use crate::state::{Reason, State};
use crate::tail::Tail;

pub(crate) struct Draft<'a> {
    cause: Cause<'a>,
    conversation: ConversationSid,
    slot: u64,
    /// The state as the conversation's lists show it, to tell whether the copy must follow.
    state_before: Option<State>,
    due_before: Option<Timestamp>,
    pub(crate) header: Header,
    events: Vec<Event>,
    number_webhook: Option<MessageKey>,
}

impl<'a> Draft<'a> {
    /// The first entry of a new log.
    pub(crate) fn first(
        cause: Cause<'a>,
        conversation: ConversationSid,
        header: Header,
    ) -> Draft<'a> {
        Draft {
            cause,
            conversation,
            slot: 0,
            state_before: None,
            due_before: None,
            header,
            events: Vec::new(),
            number_webhook: None,
        }
    }

    /// The entry after `tail`.
    pub(crate) fn after(cause: Cause<'a>, tail: &Tail) -> Draft<'a> {
        Draft {
            cause,
            conversation: tail.conversation,
            slot: tail.slot + 1,
            state_before: Some(tail.header.state),
            due_before: tail.header.due(),
            header: tail.header.clone(),
            events: Vec::new(),
            number_webhook: None,
        }
    }

    pub(crate) fn slot(&self) -> u64 {
        self.slot
    }

    pub(crate) fn change(&self) -> ChangeId {
        self.cause.fresh.change
    }

    /// The SID that a message added here has.
    pub(crate) fn message_sid(&self) -> MessageSid {
        MessageSid::at(self.slot, self.change())
    }

    pub(crate) fn push(&mut self, event: Event) {
        if matches!(event, Event::MessageAdded(_)) {
            self.header.message_index += 1;
            self.count_activity();
        }
        self.events.push(event);
    }

    /// The receiving number's own webhook is called with the message too.
    pub(crate) fn set_number_webhook(&mut self, key: Option<MessageKey>) {
        self.number_webhook = key;
    }

    /// Timers count from now.
    pub(crate) fn count_activity(&mut self) {
        self.header.last_activity = self.header.last_activity.max(self.cause.fresh.now);
    }

    /// The state changes; the transition is legal, for [`State::to`] said so. A closed conversation holds nothing.
    /// Returns the writes that release the keys that it held.
    pub(crate) fn set_state(&mut self, to: State, reason: Reason) -> Vec<Write> {
        let from = std::mem::replace(&mut self.header.state, to);
        self.count_activity();
        self.push(Event::ConversationStateUpdated { from, to, reason });
        if to == State::Closed {
            self.release_all()
        } else {
            Vec::new()
        }
    }

    /// Empties the header of its keys. Returns the writes that release them.
    pub(crate) fn release_all(&mut self) -> Vec<Write> {
        let holder = self.conversation;
        let releases = self.header.keys();
        let releases = releases.map(|key| Write::Release { key, holder }).collect();
        self.header.pairs.clear();
        releases
    }

    /// The write that sets the timer to the header's next instant, or deletes it. A change needs it if this instant may be
    /// nearer than before.
    pub(crate) fn timer(&self) -> Option<Write> {
        let conversation = self.conversation;
        match (self.due_before, self.header.due()) {
            (_, Some(due)) => Some(Write::PutTimer { conversation, due }),
            (Some(_), None) => Some(Write::DeleteTimer { conversation }),
            (None, None) => None,
        }
    }

    /// The copy of the state that lists show, if it changed.
    pub(crate) fn state_copy(&self) -> Option<Write> {
        let (conversation, state, at) =
            (self.conversation, self.header.state, self.cause.fresh.now);
        (self.state_before != Some(state)).then_some(Write::SetState {
            conversation,
            state,
            at,
        })
    }

    pub(crate) fn finish(mut self) -> Write {
        self.header.event_number += self.events.len() as u64;
        self.update_post();
        Write::Append(Entry {
            conversation: self.conversation,
            slot: self.slot,
            change: self.cause.fresh.change,
            at: self.cause.fresh.now,
            source: self.cause.source,
            quiet: self.cause.quiet,
            events: self.events,
            number_webhook: self.number_webhook,
            header: self.header,
        })
    }

    /// Lets the header name the post-action webhook in force. The writer of an earlier entry may have read newer settings
    /// than this writer; then the header stays as it is.
    fn update_post(&mut self) {
        let settings = self.cause.settings;
        let (scope, generation) = (settings.scope, settings.webhooks.post_generation);
        let known: Vec<PostWebhook> = self.header.posts().collect();
        let own = known.iter().filter(|post| post.scope == scope);
        if own.clone().any(|post| post.generation > generation) {
            return;
        }
        // A cursor that is missing starts at the slot since which its generation is in force. This slot must not move past
        // entries that the endpoint is owed.
        let since = own
            .filter(|post| post.generation == generation)
            .map(|post| post.since)
            .next();
        self.header.post = settings.webhooks.post_url.as_ref().map(|_| PostWebhook {
            scope,
            generation,
            since: since.unwrap_or(self.slot),
        });
        let in_force = self.header.post.map(|post| post.scope);
        let replaced = known.into_iter();
        let replaced = replaced.filter(|post| Some(post.scope) != in_force);
        self.header.posts_before = replaced.collect();
    }
}

/// The tail of the conversation whose next entry is among the writes.
pub(crate) fn tail_after(writes: &[Write]) -> Tail {
    let entry = writes.iter().find_map(|write| match write {
        Write::Append(entry) => Some(entry),
        _ => None,
    });
    entry.expect("every change takes a slot").tail()
}
