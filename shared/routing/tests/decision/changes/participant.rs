//! Changes of participants: their pairs and identities, and the claims on both.

use super::*;

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
