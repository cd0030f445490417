//! The decision on REST changes: a line per rule.

mod conversation;
mod message;
mod participant;

use crate::support::{PROXY, at, bytes, conversation, fresh, pair, participant, settings};
use crate::text::{c, text_of_writes};
use crate::{TIMERS, a_message, account, appended, asking, entry, first_webhook, publish, tail};
use routing::change::conversation::{self as conversations, ConversationEdit, NewConversation};
use routing::change::message::{self as messages, MessageEdit, NewMessage, Posted};
use routing::change::participant::{
    self as participants, AddFacts, NewParticipant, ParticipantEdit, UpdateFacts,
};
use routing::{
    AccountSettings, Binding, Cause, ChangeFacts, ChangeRequest, Conflict, ConversationServiceSid,
    Decision, Event, Found, Fresh, HeldPair, ItemKey, Key, MessagingServiceSid, Metadata, Next,
    Participant, PreActionEvent, PreActionReply, PreActionResult, Reason, Refusal, Revision,
    Snapshot, Source, State, Tail, Timers, close_expired,
};

/// c1, as users see it, and a REST request.
struct Rest {
    tail: Tail,
    metadata: Metadata,
    participant: Participant,
    account: AccountSettings,
    fresh: Fresh,
    quiet: bool,
}

impl Rest {
    fn new() -> Rest {
        let metadata = Metadata {
            conversation: conversation(1),
            version: 3,
            service: ConversationServiceSid::DEFAULT,
            friendly_name: None,
            unique_name: Some("old".to_owned()),
            attributes: "{}".to_owned(),
            state: State::Active,
            timers: TIMERS,
            date_created: at(0),
            date_updated: at(0),
        };
        Rest {
            tail: tail(),
            metadata,
            participant: Participant {
                conversation: conversation(1),
                service: ConversationServiceSid::DEFAULT,
                sid: participant(1),
                version: 2,
                identity: None,
                pair: Some(pair(1)),
                attributes: "{}".to_owned(),
                last_read_index: None,
                last_read_at: None,
                date_created: at(0),
                date_updated: at(0),
            },
            account: account(),
            fresh: fresh(9, 0, at(30)),
            quiet: true,
        }
    }

    fn state(mut self, state: State) -> Rest {
        (self.tail.header.state, self.metadata.state) = (state, state);
        if state == State::Closed {
            self.tail.header.pairs.clear();
        }
        self
    }

    fn terminal(self) -> Rest {
        let mut rest = self.state(State::Closed);
        rest.tail.header.terminal = true;
        rest
    }

    fn no_timers(mut self) -> Rest {
        (self.tail.header.timers, self.metadata.timers) = (Timers::default(), Timers::default());
        self
    }

    fn asks(mut self) -> Rest {
        (self.account.webhooks, self.quiet) = (asking(None), false);
        self
    }

    /// The facts of a change, of which `own` belongs to its kind.
    fn facts<F>(&self, own: F) -> ChangeFacts<F> {
        ChangeFacts::new(settings(self.account.clone()), Some(self.tail.clone()), own)
    }

    fn request<'a>(&'a self, reply: Option<&'a PreActionReply>) -> ChangeRequest<'a> {
        ChangeRequest {
            fresh: &self.fresh,
            now: self.fresh.now,
            service: None,
            quiet: self.quiet,
            reply,
        }
    }

    fn update(&self, edit: ConversationEdit) -> String {
        let facts = self.facts(Some(self.metadata.clone()));
        text_of_decision(conversations::update(&edit, &facts, self.request(None)))
    }

    fn to(&self, state: State) -> String {
        self.update(ConversationEdit {
            state: Some(state),
            ..ConversationEdit::default()
        })
    }

    fn timers(&self, inactive_s: u64, closed_s: u64) -> String {
        self.update(ConversationEdit {
            inactive_s: Some(inactive_s),
            closed_s: Some(closed_s),
            ..ConversationEdit::default()
        })
    }

    fn rename(&self, unique_name: &str) -> String {
        self.update(ConversationEdit {
            unique_name: Some(unique_name.to_owned()),
            ..ConversationEdit::default()
        })
    }

    fn delete(&self) -> String {
        let facts = self.facts(Some(self.metadata.clone()));
        text_of_decision(conversations::delete(&facts, self.request(None)))
    }

    fn create(&self, change: fn(&mut NewConversation), reply: Option<PreActionReply>) -> String {
        let mut wish = NewConversation {
            messaging_service: None,
            friendly_name: None,
            unique_name: None,
            attributes: "{}".to_owned(),
            state: State::Active,
            inactive_s: None,
            closed_s: None,
        };
        change(&mut wish);
        let facts = ChangeFacts::new(settings(self.account.clone()), None, ());
        let request = self.request(reply.as_ref());
        text_of_decision(conversations::create(&wish, &facts, request))
    }

    fn add(&self, identity: Option<&str>, consumer: Option<u32>) -> String {
        self.add_with(identity, consumer, |_| {})
    }

    fn add_with(
        &self,
        identity: Option<&str>,
        consumer: Option<u32>,
        change: impl FnOnce(&mut ChangeFacts<AddFacts>),
    ) -> String {
        let wish = NewParticipant {
            identity: identity.map(str::to_owned),
            pair: consumer.map(pair),
            attributes: "{}".to_owned(),
        };
        let mut facts = self.facts(AddFacts {
            address_is_ours: false,
            proxy_is_ours: true,
        });
        change(&mut facts);
        text_of_decision(participants::add(&wish, &facts, self.request(None)))
    }

    fn remove(&self) -> String {
        let facts = self.facts(Some(self.participant.clone()));
        text_of_decision(participants::remove(&facts, self.request(None)))
    }

    fn update_participant(&self, edit: ParticipantEdit, proxy_is_ours: bool) -> String {
        let facts = self.facts(UpdateFacts {
            participant: Some(self.participant.clone()),
            proxy_is_ours,
        });
        text_of_decision(participants::update(&edit, &facts, self.request(None)))
    }

    fn post(&self, reply: Option<PreActionReply>) -> String {
        text_of_decision(self.posted("system", None, reply))
    }

    fn posted(
        &self,
        author: &str,
        participant: Option<routing::ParticipantSid>,
        reply: Option<PreActionReply>,
    ) -> Decision<Posted> {
        let wish = NewMessage {
            author: author.to_owned(),
            body: "posted".to_owned(),
            attributes: "{}".to_owned(),
        };
        let request = self.request(reply.as_ref());
        messages::post(&wish, &self.facts(participant), request)
    }

    fn edit_message(&self, revision: Option<Revision>, body: &str) -> String {
        let edit = MessageEdit {
            body: Some(body.to_owned()),
            ..MessageEdit::default()
        };
        let facts = self.facts(Some((entry(self.tail.header.clone()), revision)));
        text_of_decision(messages::edit(&edit, &facts, self.request(None)))
    }

    fn delete_message(&self, revision: Option<Revision>) -> String {
        let facts = self.facts(Some((entry(self.tail.header.clone()), revision)));
        text_of_decision(messages::delete(&facts, self.request(None)))
    }
}

fn text_of_decision<T>(decision: Decision<T>) -> String {
    match decision {
        Decision::Ask(call) => format!("ask {}", call.event.name().as_str()),
        Decision::Close(plan) => format!("close: {}", text_of_writes(&plan.writes)),
        Decision::Do(plan) if plan.writes.is_empty() => "nothing".to_owned(),
        Decision::Do(plan) => text_of_writes(&plan.writes),
        Decision::ReadServices(services) => format!("read {services}"),
        Decision::Gather => "gather".to_owned(),
        Decision::Refuse(Refusal::KeyBound { conversation, .. }) => {
            format!("KeyBound {}", c(conversation))
        }
        Decision::Refuse(refusal) => format!("{refusal:?}"),
    }
}

fn check_all(rows: &[(String, &str)]) {
    for (text, expected) in rows {
        assert_eq!(text, expected);
    }
}
