//! Changes of a conversation: its creation, its states and timers, its names, its end.

use super::*;

#[test]
fn a_conversation_is_made_with_the_timers_it_is_given_or_the_accounts() {
    let (quiet, asks) = (Rest::new(), Rest::new().asks());
    let reply = |result| {
        Some(PreActionReply {
            event: PreActionEvent::ConversationAdd,
            conversation: None,
            webhook: first_webhook(),
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
        let (settings, fresh) = (settings(account()), fresh(9, 0, at(now)));
        let cause = Cause {
            fresh: &fresh,
            settings: settings.in_force(tail.header.service).unwrap(),
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
fn a_conversation_has_the_messaging_service_that_it_asks_for_else_the_default_one() {
    let service = |n| MessagingServiceSid::from_bytes(bytes(n, 0));
    let mut rest = Rest::new();
    rest.account.default_messaging_service = service(1);
    let made = |messaging_service| {
        let wish = NewConversation {
            messaging_service,
            friendly_name: None,
            unique_name: None,
            attributes: "{}".to_owned(),
            state: State::Active,
            inactive_s: None,
            closed_s: None,
        };
        let facts = ChangeFacts::new(settings(rest.account.clone()), None, ());
        match conversations::create(&wish, &facts, rest.request(None)) {
            Decision::Do(plan) => plan.outcome.1.header.messaging_service,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(made(None), service(1));
    assert_eq!(made(Some(service(2))), service(2));

    for (before, after, writes) in [(1, 2, 2), (1, 1, 0)] {
        rest.tail.header.messaging_service = service(before);
        let facts = rest.facts(Some(rest.metadata.clone()));
        let edit = ConversationEdit {
            messaging_service: Some(service(after)),
            ..ConversationEdit::default()
        };
        let Decision::Do(plan) = conversations::update(&edit, &facts, rest.request(None)) else {
            panic!("an open conversation can be changed");
        };
        assert_eq!(plan.writes.len(), writes);
        let header = plan.outcome.1.header;
        assert_eq!(header.messaging_service, service(after));
    }
}

#[test]
fn a_name_that_another_conversation_has_is_refused() {
    let mut facts = ChangeFacts::new(settings(account()), None, ());
    let wish = NewConversation {
        messaging_service: None,
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
