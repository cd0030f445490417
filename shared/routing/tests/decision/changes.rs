//! The decision on REST changes: a line per rule.

use crate::support::{PROXY, at, conversation, fresh, pair, participant};
use crate::text::{c, text_of_writes};
use crate::{TIMERS, a_message, account, appended, asking, entry, publish, tail};
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
        ChangeFacts::new(self.account.clone(), Some(self.tail.clone()), own)
    }

    fn request<'a>(&'a self, reply: Option<&'a PreActionReply>) -> ChangeRequest<'a> {
        ChangeRequest {
            fresh: &self.fresh,
            now: self.fresh.now,
            service: ConversationServiceSid::DEFAULT,
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
            messaging_service: MessagingServiceSid::DEFAULT,
            friendly_name: None,
            unique_name: None,
            attributes: "{}".to_owned(),
            state: State::Active,
            inactive_s: None,
            closed_s: None,
        };
        change(&mut wish);
        let facts = ChangeFacts::new(self.account.clone(), None, ());
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

fn revision(version: u64, body: Option<&str>) -> Option<Revision> {
    Some(Revision {
        slot: 4,
        version,
        message: body.map(a_message),
        date_updated: at(0),
    })
}

fn text_of_decision<T>(decision: Decision<T>) -> String {
    match decision {
        Decision::Ask(call) => format!("ask {}", call.event.name().as_str()),
        Decision::Close(plan) => format!("close: {}", text_of_writes(&plan.writes)),
        Decision::Do(plan) if plan.writes.is_empty() => "nothing".to_owned(),
        Decision::Do(plan) => text_of_writes(&plan.writes),
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

#[test]
fn a_conversation_is_made_with_the_timers_it_is_given_or_the_accounts() {
    let (quiet, asks) = (Rest::new(), Rest::new().asks());
    let reply = |result| {
        Some(PreActionReply {
            event: PreActionEvent::ConversationAdd,
            conversation: None,
            generation: 1,
            result,
        })
    };
    let made = "metadata c9 v1 active; timer c9 90; c9/0 onConversationAdded = active m0 e1 t30 ()";
    check_all(&[
        (quiet.create(|_| {}, None), made),
        (
            quiet.create(|wish| wish.unique_name = Some("new".to_owned()), None),
            "metadata c9 v1 active; claim name new; timer c9 90; c9/0 onConversationAdded = active m0 e1 t30 ()",
        ),
        (
            quiet.create(|wish| wish.inactive_s = Some(0), None),
            "metadata c9 v1 active; timer c9 630; c9/0 onConversationAdded = active m0 e1 t30 ()",
        ),
        (
            quiet.create(
                |wish| (wish.inactive_s, wish.closed_s) = (Some(0), Some(0)),
                None,
            ),
            "metadata c9 v1 active; c9/0 onConversationAdded = active m0 e1 t30 ()",
        ),
        (
            quiet.create(
                |wish| (wish.inactive_s, wish.closed_s) = (Some(900), Some(700)),
                None,
            ),
            "metadata c9 v1 active; timer c9 730; c9/0 onConversationAdded = active m0 e1 t30 ()",
        ),
        (
            quiet.create(|wish| wish.state = State::Inactive, None),
            "metadata c9 v1 inactive; timer c9 630; c9/0 onConversationAdded = inactive m0 e1 t30 ()",
        ),
        (
            quiet.create(|wish| wish.state = State::Closed, None),
            "BornClosed",
        ),
        (
            quiet.create(|wish| wish.state = State::Initializing, None),
            "StateForbidden",
        ),
        (asks.create(|_| {}, None), "ask onConversationAdd"),
        (asks.create(|_| {}, reply(publish())), made),
        (
            asks.create(|_| {}, reply(PreActionResult::Reject)),
            "Rejected",
        ),
        (
            asks.create(|wish| wish.state = State::Closed, None),
            "BornClosed",
        ),
    ]);
    let mut quiet_account_asks = Rest::new().asks();
    quiet_account_asks.quiet = true;
    check_all(&[(quiet_account_asks.create(|_| {}, None), made)]);
}

#[test]
fn a_change_of_a_conversation_takes_a_slot_and_closed_is_final() {
    let rest = Rest::new();
    let parked = Rest::new().state(State::Inactive);
    let closed = Rest::new().state(State::Closed);
    let starting = Rest::new().state(State::Initializing);
    let name = |name: &str| ConversationEdit {
        friendly_name: Some(name.to_owned()),
        ..ConversationEdit::default()
    };
    let closes = |from: &str| {
        format!(
            "release 1 of c1; release 2 of c1; no timer c1; metadata c1 v4 closed; \
             c1/6 onConversationStateUpdated({from} closed API) = closed m3 e10 t30 ()"
        )
    };
    let renamed = "metadata c1 v4 active; c1/6 onConversationUpdated = active m3 e10 t0 (1 2)";
    check_all(&[
        (rest.update(name("new")), renamed),
        (rest.update(ConversationEdit::default()), "nothing"),
        (
            rest.rename("new"),
            "claim name new; release name old; metadata c1 v4 active; \
             c1/6 onConversationUpdated = active m3 e10 t0 (1 2)",
        ),
        (rest.rename("old"), "nothing"),
        (rest.rename(""), "nothing"),
        (
            rest.to(State::Inactive),
            "timer c1 630; metadata c1 v4 inactive; \
             c1/6 onConversationStateUpdated(active inactive API) = inactive m3 e10 t30 (1 2)",
        ),
        (
            parked.to(State::Active),
            "timer c1 90; metadata c1 v4 active; \
             c1/6 onConversationStateUpdated(inactive active API) = active m3 e10 t30 (1 2)",
        ),
        (rest.to(State::Closed), &closes("active")),
        (parked.to(State::Closed), &closes("inactive")),
        (
            Rest::new().no_timers().to(State::Closed),
            "release 1 of c1; release 2 of c1; metadata c1 v4 closed; \
             c1/6 onConversationStateUpdated(active closed API) = closed m3 e10 t30 ()",
        ),
        (
            rest.update(ConversationEdit {
                state: Some(State::Inactive),
                ..name("new")
            }),
            "timer c1 630; metadata c1 v4 inactive; \
             c1/6 onConversationUpdated onConversationStateUpdated(active inactive API) = inactive m3 e11 t30 (1 2)",
        ),
        (
            rest.timers(120, 700),
            "timer c1 150; metadata c1 v4 active; c1/6 onConversationUpdated = active m3 e10 t30 (1 2)",
        ),
        (
            rest.timers(0, 0),
            "no timer c1; metadata c1 v4 active; c1/6 onConversationUpdated = active m3 e10 t30 (1 2)",
        ),
        (rest.timers(60, 600), "nothing"),
        (rest.to(State::Active), "nothing"),
        (parked.to(State::Inactive), "nothing"),
        (rest.to(State::Initializing), "StateForbidden"),
        (parked.to(State::Initializing), "StateForbidden"),
        (closed.to(State::Active), "Closed"),
        (closed.to(State::Closed), "Closed"),
        (closed.update(name("new")), "Closed"),
        (starting.to(State::Closed), "Initializing"),
        (starting.update(name("new")), "Initializing"),
        (Rest::new().terminal().update(name("new")), "NotFound"),
    ]);
}

#[test]
fn a_deleted_conversation_ends_in_a_terminal_slot_and_is_purged_a_day_later() {
    check_all(&[
        (
            Rest::new().delete(),
            "release 1 of c1; release 2 of c1; release name old; no timer c1; no metadata c1 v3; purge c1 86430; \
             c1/6 onConversationRemoved(active) = closed m3 e10 t30 () terminal",
        ),
        (
            Rest::new().state(State::Closed).no_timers().delete(),
            "release name old; no metadata c1 v3; purge c1 86430; \
             c1/6 onConversationRemoved(closed) = closed m3 e10 t30 () terminal",
        ),
        (Rest::new().terminal().delete(), "NotFound"),
    ]);
}

#[test]
fn the_sweep_closes_what_is_past_its_closing_time_and_nothing_else() {
    let close = |tail: &Tail, now| {
        let (account, fresh) = (account(), fresh(9, 0, at(now)));
        let cause = Cause {
            fresh: &fresh,
            settings: account.in_force(tail.header.service),
            source: Source::Timer,
            quiet: false,
        };
        close_expired(tail, cause)
    };
    let closed = Rest::new().state(State::Closed).tail;
    for (tail, now) in [
        (tail(), 599),
        (Rest::new().no_timers().tail, 9_999),
        (closed, 9_999),
    ] {
        assert_eq!(close(&tail, now), None);
    }
    let plan = close(&tail(), 600).unwrap();
    assert_eq!(
        text_of_writes(&plan.writes),
        "release 1 of c1; release 2 of c1; state c1 closed; no timer c1; \
         c1/6 onConversationStateUpdated(active closed TIMER) = closed m3 e10 t600 ()"
    );
    assert_eq!(
        (plan.outcome.slot, plan.outcome.header.state),
        (6, State::Closed)
    );
    assert_eq!(
        plan.outcome.header,
        appended(&plan.writes, conversation(1)).header
    );
}

#[test]
fn a_participant_brings_its_pair_or_identity_and_takes_it_away() {
    let rest = Rest::new();
    let parked = Rest::new().state(State::Inactive);
    let mut identified = Rest::new();
    identified.participant = Participant {
        sid: participant(3),
        identity: Some("ann".to_owned()),
        pair: None,
        ..identified.participant
    };
    let mut full = Rest::new();
    full.tail.header.participants = Participant::COUNT_MAX;
    let mut full_of_pairs = Rest::new();
    full_of_pairs.tail.header.pairs = (0..Participant::PAIRS_MAX as u32)
        .map(|n| HeldPair {
            participant: participant(100 + n),
            pair: pair(100 + n),
        })
        .collect();
    let read = ParticipantEdit {
        last_read_index: Some(1),
        ..ParticipantEdit::default()
    };
    check_all(&[
        (
            rest.add(None, Some(3)),
            "claim 3 for c1; participant of c1 v1; c1/6 onParticipantAdded = active m3 e10 t0 (1 2 3)",
        ),
        (
            rest.add(Some("ann"), None),
            "claim identity ann; participant of c1 v1; c1/6 onParticipantAdded = active m3 e10 t0 (1 2)",
        ),
        (
            parked.add(None, Some(3)),
            "claim 3 for c1; state c1 active; timer c1 90; participant of c1 v1; \
             c1/6 onParticipantAdded onConversationStateUpdated(inactive active EVENT) = active m3 e11 t30 (1 2 3)",
        ),
        (rest.add(None, Some(2)), "KeyBound c1"),
        (full.add(Some("ann"), None), "ParticipantsMax"),
        (full_of_pairs.add(None, Some(3)), "PairsMax"),
        (
            full_of_pairs
                .add(Some("ann"), None)
                .split("= ")
                .next()
                .unwrap()
                .to_owned(),
            "claim identity ann; participant of c1 v1; c1/6 onParticipantAdded ",
        ),
        (
            Rest::new().state(State::Closed).add(None, Some(3)),
            "Closed",
        ),
        (Rest::new().terminal().add(None, Some(3)), "NotFound"),
        (
            Rest::new().state(State::Initializing).add(None, Some(3)),
            "Initializing",
        ),
        (
            rest.remove(),
            "release 1 of c1; no participant v2; c1/6 onParticipantRemoved = active m3 e10 t0 (2)",
        ),
        (
            identified.remove(),
            "release identity ann; no participant v2; c1/6 onParticipantRemoved = active m3 e10 t0 (1 2)",
        ),
        (
            parked.remove(),
            "release 1 of c1; no participant v2; c1/6 onParticipantRemoved = inactive m3 e10 t0 (2)",
        ),
        (Rest::new().state(State::Closed).remove(), "Closed"),
        (Rest::new().terminal().remove(), "NotFound"),
        (
            rest.update_participant(read, false),
            "participant of c1 v3; c1/6 onParticipantUpdated = active m3 e10 t0 (1 2)",
        ),
        (
            rest.update_participant(ParticipantEdit::default(), false),
            "nothing",
        ),
        (
            Rest::new()
                .state(State::Closed)
                .update_participant(ParticipantEdit::default(), false),
            "Closed",
        ),
    ]);
}

#[test]
fn a_posted_message_takes_a_slot_and_wakes_what_is_parked() {
    let asks = Rest::new().asks();
    let reply = |by, result| {
        Some(PreActionReply {
            event: PreActionEvent::MessageAdd,
            conversation: Some(conversation(by)),
            generation: 1,
            result,
        })
    };
    let posted = "c1/6 onMessageAdded(3) = active m4 e10 t30 (1 2)";
    check_all(&[
        (Rest::new().post(None), posted),
        (
            Rest::new().state(State::Inactive).post(None),
            "state c1 active; timer c1 90; \
             c1/6 onMessageAdded(3) onConversationStateUpdated(inactive active EVENT) = active m4 e11 t30 (1 2)",
        ),
        (asks.post(None), "ask onMessageAdd"),
        (asks.post(reply(2, publish())), "ask onMessageAdd"),
        (asks.post(reply(1, publish())), posted),
        (asks.post(reply(1, PreActionResult::Reject)), "Rejected"),
        (Rest::new().state(State::Closed).post(None), "Closed"),
        (
            Rest::new().state(State::Initializing).post(None),
            "Initializing",
        ),
        (Rest::new().terminal().post(None), "NotFound"),
    ]);
}

#[test]
fn the_author_of_a_posted_message_is_the_participant_with_the_address() {
    let own = pair(2).address().to_string();
    for (author, given, expected) in [
        (own.as_str(), None, Some(participant(2))),
        ("ann", Some(participant(3)), Some(participant(3))),
        ("system", None, None),
        ("+15550000003", None, None),
    ] {
        let Decision::Do(plan) = Rest::new().posted(author, given, None) else {
            panic!("{author} may post");
        };
        let Posted { sid, message, .. } = plan.outcome;
        assert_eq!(
            (message.author.as_str(), message.participant),
            (author, expected)
        );
        let entry = appended(&plan.writes, conversation(1));
        assert_eq!(entry.message(), Some((sid, &message)));
    }
}

#[test]
fn an_edited_message_has_a_revision_and_a_deleted_one_is_blank() {
    let rest = Rest::new();
    let closed = Rest::new().state(State::Closed);
    check_all(&[
        (
            rest.edit_message(None, "new"),
            "revision of 4 v1; c1/6 onMessageUpdated(4) = active m3 e10 t0 (1 2)",
        ),
        (
            rest.edit_message(revision(2, Some("edited")), "new"),
            "revision of 4 v3; c1/6 onMessageUpdated(4) = active m3 e10 t0 (1 2)",
        ),
        (rest.edit_message(None, "added"), "nothing"),
        (
            rest.edit_message(revision(1, Some("new")), "new"),
            "nothing",
        ),
        (
            rest.edit_message(revision(1, Some("edited")), "added"),
            "revision of 4 v2; c1/6 onMessageUpdated(4) = active m3 e10 t0 (1 2)",
        ),
        (rest.edit_message(revision(1, None), "new"), "NotFound"),
        (closed.edit_message(None, "new"), "Closed"),
        (
            rest.delete_message(None),
            "revision of 4 v1; blank 4; c1/6 onMessageRemoved(4) = active m3 e10 t0 (1 2)",
        ),
        (
            rest.delete_message(revision(1, Some("edited"))),
            "revision of 4 v2; blank 4; c1/6 onMessageRemoved(4) = active m3 e10 t0 (1 2)",
        ),
        (rest.delete_message(revision(1, None)), "NotFound"),
        (closed.delete_message(None), "Closed"),
        (Rest::new().terminal().delete_message(None), "NotFound"),
    ]);
}

#[test]
fn no_change_takes_last_activity_back() {
    let mut rest = Rest::new();
    rest.tail.header.last_activity = at(100);
    for text in [
        rest.to(State::Inactive),
        rest.to(State::Closed),
        rest.timers(0, 0),
        rest.delete(),
        rest.add(None, Some(3)),
        rest.remove(),
        rest.post(None),
    ] {
        assert!(text.contains(" t100 "), "{text}");
    }
}

#[test]
fn an_event_tells_the_conversation_as_it_is_after_the_change() {
    let rest = Rest::new();
    let edit = ConversationEdit {
        friendly_name: Some("name".to_owned()),
        attributes: Some("{\"a\":1}".to_owned()),
        state: Some(State::Inactive),
        ..ConversationEdit::default()
    };
    let facts = rest.facts(Some(rest.metadata.clone()));
    let Decision::Do(plan) = conversations::update(&edit, &facts, rest.request(None)) else {
        panic!("an open conversation can be changed");
    };
    let entry = appended(&plan.writes, conversation(1));
    let expected = Snapshot {
        friendly_name: Some("name".to_owned()),
        unique_name: Some("old".to_owned()),
        attributes: "{\"a\":1}".to_owned(),
        date_created: at(0),
        pair: None,
    };
    let state = Event::ConversationStateUpdated {
        from: State::Active,
        to: State::Inactive,
        reason: Reason::Api,
    };
    assert_eq!(entry.events, [Event::ConversationUpdated(expected), state]);
    let (metadata, tail) = plan.outcome;
    assert_eq!(
        (metadata.state, metadata.date_updated),
        (State::Inactive, at(30))
    );
    assert_eq!((tail.slot, tail.header.state), (6, State::Inactive));
}

#[test]
fn a_claim_that_meets_another_is_refused_unless_its_holder_is_past_its_closing_time() {
    let holder = || Tail {
        conversation: conversation(2),
        ..tail()
    };
    let binding = Binding {
        conversation: conversation(2),
        participant: participant(2),
        service: ConversationServiceSid::DEFAULT,
        since: at(0),
    };
    let key = || ItemKey::Binding(Key::Pair(pair(3)));
    let identity = || ItemKey::Identity(conversation(1), "ann".to_owned());
    let slot = || ItemKey::Slot(conversation(1), 6);
    let expired = |tail: &mut Tail| tail.header.last_activity = at(-600);
    for (found, next, expired_holder, expected) in [
        (
            (key(), Found::Binding(binding)),
            Next::ReadTail(conversation(2)),
            false,
            "KeyBound c2",
        ),
        (
            (key(), Found::Binding(binding)),
            Next::ReadTail(conversation(2)),
            true,
            "close: release 1 of c2; release 2 of c2; state c2 closed; no timer c2; \
             c2/6 onConversationStateUpdated(active closed TIMER) = closed m3 e10 t30 ()",
        ),
        (
            (identity(), Found::Record),
            Next::DecideAtOnce,
            false,
            "IdentityTaken",
        ),
        // Another change of the conversation was first: only new facts tell.
        (
            (slot(), Found::Nothing),
            Next::Gather,
            false,
            "claim 3 for c1; claim identity ann; participant of c1 v1; \
             c1/6 onParticipantAdded = active m3 e10 t0 (1 2 3)",
        ),
    ] {
        let rest = Rest::new();
        let text = rest.add_with(Some("ann"), Some(3), |facts| {
            let wish = NewParticipant {
                identity: Some("ann".to_owned()),
                pair: Some(pair(3)),
                attributes: "{}".to_owned(),
            };
            let Decision::Do(plan) = participants::add(&wish, facts, rest.request(None)) else {
                panic!("nothing is known to be in the way yet");
            };
            let conflict = Conflict {
                found: vec![found],
                in_doubt: false,
            };
            assert_eq!(facts.learn(conflict, &plan.writes), next);
            let mut holder = holder();
            if expired_holder {
                expired(&mut holder);
            }
            facts.learn_tail(Some(holder));
        });
        assert_eq!(text, expected);
    }
}

#[test]
fn a_name_that_another_conversation_has_is_refused() {
    let mut facts = ChangeFacts::new(account(), None, ());
    let wish = NewConversation {
        messaging_service: MessagingServiceSid::DEFAULT,
        friendly_name: None,
        unique_name: Some("taken".to_owned()),
        attributes: "{}".to_owned(),
        state: State::Active,
        inactive_s: None,
        closed_s: None,
    };
    let rest = Rest::new();
    let Decision::Do(plan) = conversations::create(&wish, &facts, rest.request(None)) else {
        panic!("nothing is known to be in the way yet");
    };
    let name = ItemKey::Name(ConversationServiceSid::DEFAULT, "taken".to_owned());
    let conflict = Conflict {
        found: vec![(name, Found::Name(conversation(2)))],
        in_doubt: false,
    };
    assert_eq!(facts.learn(conflict, &plan.writes), Next::DecideAtOnce);
    assert_eq!(
        conversations::create(&wish, &facts, rest.request(None)),
        Decision::Refuse(Refusal::NameTaken(conversation(2)))
    );
}

#[test]
fn a_conversation_past_its_closing_time_is_closed_before_a_change_and_deleted_as_it_is() {
    let mut rest = Rest::new();
    rest.tail.header.last_activity = at(-600);
    let closes = "close: release 1 of c1; release 2 of c1; state c1 closed; no timer c1; \
                  c1/6 onConversationStateUpdated(active closed TIMER) = closed m3 e10 t30 ()";
    for text in [
        rest.to(State::Inactive),
        rest.add(None, Some(3)),
        rest.update_participant(ParticipantEdit::default(), false),
        rest.remove(),
        rest.post(None),
        rest.edit_message(None, "new"),
        rest.delete_message(None),
    ] {
        assert_eq!(text, closes);
    }
    assert!(rest.delete().ends_with("terminal"), "{}", rest.delete());
}

#[test]
fn a_participant_has_a_proxy_address_of_ours_and_an_address_of_others() {
    let rest = Rest::new();
    for (address_is_ours, proxy_is_ours, expected) in [
        (false, false, "ProxyIsNotOurs"),
        (true, false, "ProxyIsNotOurs"),
        (true, true, "AddressIsOurs"),
    ] {
        let text = rest.add_with(None, Some(3), |facts| {
            facts.own = AddFacts {
                address_is_ours,
                proxy_is_ours,
            };
        });
        assert_eq!(text, expected);
    }
    let moves = |to: &str| ParticipantEdit {
        proxy: Some(to.parse().unwrap()),
        ..ParticipantEdit::default()
    };
    assert_eq!(
        rest.update_participant(moves("+15550008888"), false),
        "ProxyIsNotOurs"
    );
    // A proxy address that stays is not looked up.
    assert_eq!(rest.update_participant(moves(PROXY), false), "nothing");
}

#[test]
fn a_conversation_of_another_service_is_not_found() {
    let mut rest = Rest::new();
    rest.tail.header.service = ConversationServiceSid::from_bytes([5; 16]);
    for text in [
        rest.to(State::Closed),
        rest.delete(),
        rest.add(None, Some(3)),
        rest.post(None),
        rest.delete_message(None),
    ] {
        assert_eq!(text, "NotFound");
    }
}
