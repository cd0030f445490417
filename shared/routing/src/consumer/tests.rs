//! The deliveries that an entry owes, and to whom: a line per rule.

use jiff::Timestamp;

use super::*;
use crate::{
    AccountSettings, Cause, ChangeId, ConversationService, ConversationServiceSid, ConversationSid,
    Endpoint, Event, EventId, EventName, Header, Message, MessagingServiceSid, Owed, Pair,
    ParticipantSid, Position, PostWebhook, Reason, Settings, SettingsScope, Source, State, Tail,
    Timers, WebhookUrl, Webhooks, Write, backlog, gapless, park_idle,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn participant(n: u8) -> ParticipantSid {
    ParticipantSid::from_bytes([n; 16])
}

/// The address of participant `n`, and the number that it knows.
pub(super) fn held(n: u8, address: &str, proxy: &str) -> HeldPair {
    let pair = Pair::new(address.parse().unwrap(), proxy.parse().unwrap());
    HeldPair {
        participant: participant(n),
        pair: pair.unwrap(),
    }
}

pub(super) fn message(author: &str, participant: Option<ParticipantSid>, body: &str) -> Event {
    Event::MessageAdded(Message {
        index: 0,
        author: author.to_owned(),
        participant,
        body: body.to_owned(),
        media: Vec::new(),
        attributes: "{}".to_owned(),
    })
}

fn state_updated() -> Event {
    Event::ConversationStateUpdated {
        from: State::Inactive,
        to: State::Active,
        reason: Reason::Event,
    }
}

/// An entry in `slot`, under generation `generation` of the post-action webhook.
pub(super) fn entry(slot: u64, generation: Option<u64>, events: Vec<Event>) -> Entry {
    Entry {
        conversation: ConversationSid::from_bytes([1; 16]),
        slot,
        change: ChangeId::from_bytes([2; 16]),
        at: at(0),
        source: Source::Sms,
        quiet: false,
        events,
        number_webhook: None,
        header: Header {
            state: State::Active,
            service: ConversationServiceSid::DEFAULT,
            messaging_service: MessagingServiceSid::DEFAULT,
            pairs: Vec::new(),
            participants: 0,
            message_index: 0,
            event_number: 0,
            last_activity: at(0),
            timers: Timers::default(),
            post: generation.map(|generation| PostWebhook {
                scope: SettingsScope::Account,
                generation,
                since: 3,
            }),
            posts_before: Vec::new(),
            terminal: false,
        },
    }
}

pub(super) fn webhooks(generation: u64) -> Webhooks {
    Webhooks {
        post_url: Some(WebhookUrl::parse("https://example.com").unwrap()),
        post_generation: generation,
        ..Webhooks::default()
    }
}

pub(super) fn settings(webhooks: Webhooks) -> Settings {
    let account = AccountSettings {
        webhooks,
        ..AccountSettings::default()
    };
    Settings::new(account, Vec::new())
}

/// The account's endpoint in generation `generation`, in a conversation whose tail is of generation `tail`.
fn endpoint(generation: u64, tail: Option<u64>) -> Endpoint {
    let tail = Tail {
        conversation: ConversationSid::from_bytes([1; 16]),
        slot: 9,
        header: entry(9, tail, Vec::new()).header,
    };
    Endpoint::of(SettingsScope::Account, &webhooks(generation), &tail).unwrap()
}

#[test]
fn an_entry_is_owed_to_the_endpoint_that_was_in_force_when_it_was_committed() {
    let service = Endpoint {
        scope: Scope::Service,
        ..endpoint(1, None)
    };
    for (generation, quiet, endpoint, expected) in [
        (None, false, endpoint(1, None), Owed::No),
        (Some(1), false, endpoint(1, None), Owed::Yes),
        (Some(1), true, endpoint(1, None), Owed::No),
        (Some(1), false, endpoint(2, None), Owed::No),
        (Some(2), false, endpoint(1, None), Owed::SettingsTooOld),
        (Some(2), true, endpoint(1, None), Owed::No),
        (Some(1), false, service.clone(), Owed::No),
        (Some(2), false, service, Owed::No),
    ] {
        let entry = Entry {
            quiet,
            ..entry(5, generation, Vec::new())
        };
        assert_eq!(endpoint.is_owed(&entry), expected, "{entry:?} {endpoint:?}");
    }
}

#[test]
fn a_backlog_is_every_event_in_order_but_for_what_a_filter_holds_back() {
    let two = || vec![message("ada", None, "hi"), state_updated()];
    let log = [
        entry(4, Some(1), two()),
        entry(5, None, two()),
        entry(6, Some(1), two()),
        entry(7, Some(1), vec![state_updated()]),
    ];
    let from = Position { slot: 4, event: 1 };
    let owed = |endpoint: &Endpoint, log: &[Entry], from| {
        let backlog = backlog(from, log, endpoint);
        let positions = backlog.deliveries.iter().map(|delivery| {
            assert_eq!(delivery.entry.slot, delivery.position.slot);
            (delivery.position.slot, delivery.position.event)
        });
        let positions: Vec<_> = positions.collect();
        (
            positions,
            backlog.end.slot,
            backlog.filtered,
            backlog.settings_too_old,
        )
    };
    let all = endpoint(1, None);
    let expected = vec![(4, 1), (6, 0), (6, 1), (7, 0)];
    assert_eq!(owed(&all, &log, from), (expected, 8, false, false));
    let filtered = Endpoint {
        filters: Some(vec![EventName::OnMessageAdded]),
        ..all.clone()
    };
    assert_eq!(owed(&filtered, &log, from), (vec![(6, 0)], 8, true, false));
    let mut newer = log.to_vec();
    newer[2] = entry(6, Some(2), two());
    assert_eq!(
        owed(&all, &newer, from),
        (vec![(4, 1)], 6, false, true),
        "what follows waits"
    );
    assert_eq!(owed(&all, &[], from), (Vec::new(), 4, false, false));
}

#[test]
fn an_endpoint_begins_where_its_generation_came_into_force_or_at_the_first_slot() {
    for (tail, expected) in [(Some(1), 3), (Some(2), 0), (None, 0)] {
        assert_eq!(endpoint(1, tail).since, expected, "{tail:?}");
    }
}

#[test]
fn a_log_is_read_up_to_the_first_missing_slot() {
    for (slots, from, expected) in [
        (&[3, 4, 5][..], 3, &[3, 4, 5][..]),
        (&[2, 3, 4], 3, &[3, 4]),
        (&[3, 5], 3, &[3]),
        (&[4, 5], 3, &[]),
        (&[], 3, &[]),
    ] {
        let log = slots.iter().map(|slot| entry(*slot, None, Vec::new()));
        let read = gapless(log.collect(), from);
        let read: Vec<u64> = read.iter().map(|entry| entry.slot).collect();
        assert_eq!(read, expected, "{slots:?}");
    }
}

#[test]
fn a_message_goes_to_every_participant_with_an_address_except_its_author() {
    let pairs = vec![
        held(1, "+15550001111", "+15550002222"),
        held(2, "+15550001111", "+15550002223"),
        held(3, "+15550001113", "+15550002222"),
        held(4, "whatsapp:+15550001111", "whatsapp:+15550002222"),
    ];
    for (author, by, body, expected) in [
        ("+15550001111", Some(1), "hi", &[3, 4][..]),
        ("whatsapp:+15550001111", Some(4), "hi", &[1, 2, 3]),
        ("system", None, "hi", &[1, 2, 3, 4]),
        ("ada", Some(9), "hi", &[1, 2, 3, 4]),
        ("another name", Some(3), "hi", &[1, 2, 4]),
        // It may have been on its way when it was deleted.
        ("system", None, "", &[1, 2, 3, 4]),
    ] {
        let mut entry = entry(1, None, vec![message(author, by.map(participant), body)]);
        entry.header.pairs.clone_from(&pairs);
        let expected: Vec<_> = expected
            .iter()
            .map(|n| Recipient::Participant(participant(*n)))
            .collect();
        assert_eq!(
            entry.recipients_of(Consumer::Relay),
            expected,
            "{author} {by:?}"
        );
        assert_eq!(entry.recipients_of(Consumer::Post(Scope::Account)), []);
        assert_eq!(entry.recipients_of(Consumer::Numbers), []);
    }
    let mut entry = entry(1, None, vec![state_updated()]);
    entry.header.pairs = pairs;
    assert_eq!(entry.recipients_of(Consumer::Relay), []);
}

#[test]
fn an_event_has_an_id_of_its_own() {
    let of = |change: u8, conversation: u8, place| {
        let conversation = ConversationSid::from_bytes([conversation; 16]);
        EventId::of(ChangeId::from_bytes([change; 16]), conversation, place).to_string()
    };
    let ids = [
        of(1, 1, 0),
        of(1, 1, 1),
        of(1, 1, 255),
        of(1, 2, 0),
        of(2, 9, 0),
    ];
    let distinct: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
    assert_eq!(of(1, 1, 0), ids[0]);
}

#[test]
fn an_idle_conversation_is_parked_when_its_time_has_come() {
    let timers = Timers {
        inactive_s: Some(60),
        closed_s: Some(600),
    };
    for (state, now, expected) in [
        (State::Active, 59, None),
        (State::Active, 60, Some(660)),
        (State::Active, 1_000, Some(1_600)),
        (State::Inactive, 60, None),
        (State::Closed, 60, None),
    ] {
        let mut tail = Tail {
            conversation: ConversationSid::from_bytes([1; 16]),
            slot: 9,
            header: entry(9, None, Vec::new()).header,
        };
        tail.header.state = state;
        tail.header.timers = timers;
        let fresh = crate::Fresh {
            now: at(now),
            change: ChangeId::from_bytes([3; 16]),
            closing: ChangeId::from_bytes([4; 16]),
            conversation: tail.conversation,
            participant: participant(1),
            webhook: crate::WebhookSid::from_bytes([1; 16]),
        };
        let service = ConversationService::unwritten_default();
        let services = vec![(service.sid, Some(service))];
        let settings = Settings::new(AccountSettings::default(), services);
        let cause = Cause {
            fresh: &fresh,
            settings: settings.in_force(tail.header.service).unwrap(),
            source: Source::Timer,
            quiet: false,
        };
        let plan = park_idle(&tail, cause);
        // Closing counts from the change of state.
        let closes = plan.as_ref().map(|plan| {
            let timer = plan.writes.iter().find_map(|write| match write {
                Write::PutTimer { due, .. } => Some(due.as_second()),
                _ => None,
            });
            assert_eq!(plan.outcome.header.state, State::Inactive);
            timer.unwrap()
        });
        assert_eq!(closes, expected, "{state:?} {now}");
    }
}
