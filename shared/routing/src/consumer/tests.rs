//! What an entry owes to whom, a line per rule.

use super::*;
use crate::{
    Cause, ChangeId, ConversationServiceSid, ConversationSid, EventId, EventName, Header, Message,
    MessagingServiceSid, Pair, PostWebhook, Reason, Source, State, Timers, WebhookUrl, Write,
    park_idle,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn participant(n: u8) -> ParticipantSid {
    ParticipantSid::from_bytes([n; 16])
}

/// The address of participant `n`, and the number that it knows.
fn held(n: u8, address: &str, proxy: &str) -> HeldPair {
    let pair = Pair::new(address.parse().unwrap(), proxy.parse().unwrap());
    HeldPair {
        participant: participant(n),
        pair: pair.unwrap(),
    }
}

fn message(author: &str, participant: Option<ParticipantSid>, body: &str) -> Event {
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
fn entry(slot: u64, generation: Option<u64>, events: Vec<Event>) -> Entry {
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
                scope: crate::POST_SCOPE_ACCOUNT,
                generation,
                since: 3,
            }),
            terminal: false,
        },
    }
}

/// In generation `generation`, with a URL or without.
fn webhooks(generation: u64, url: bool) -> Webhooks {
    Webhooks {
        post_url: url.then(|| WebhookUrl::parse("https://example.com").unwrap()),
        post_generation: generation,
        ..Webhooks::default()
    }
}

#[test]
fn an_entry_is_heard_by_the_webhook_that_was_in_force_when_it_was_committed() {
    for (generation, quiet, webhooks, expected) in [
        (None, false, webhooks(1, true), Heard::No),
        (Some(1), false, webhooks(1, true), Heard::Yes),
        (Some(1), true, webhooks(1, true), Heard::No),
        (Some(1), false, webhooks(1, false), Heard::No),
        (Some(1), false, webhooks(2, true), Heard::No),
        (Some(2), false, webhooks(1, true), Heard::SettingsTooOld),
        (Some(2), false, webhooks(1, false), Heard::SettingsTooOld),
        (Some(2), true, webhooks(1, true), Heard::No),
    ] {
        let entry = Entry {
            quiet,
            ..entry(5, generation, Vec::new())
        };
        assert_eq!(entry.heard(&webhooks), expected, "{entry:?} {webhooks:?}");
    }
}

#[test]
fn what_lies_ahead_is_every_event_in_order_but_for_what_a_filter_keeps_back() {
    let two = || vec![message("ada", None, "hi"), state_updated()];
    let log = [
        entry(4, Some(1), two()),
        entry(5, None, two()),
        entry(6, Some(1), two()),
        entry(7, Some(1), vec![state_updated()]),
    ];
    let from = Position { slot: 4, event: 1 };
    let told = |webhooks: &Webhooks, log: &[Entry], from| {
        let ahead = ahead(from, log, webhooks);
        let positions = ahead.owed.iter().map(|(position, entry, _)| {
            assert_eq!(entry.slot, position.slot);
            (position.slot, position.event)
        });
        let positions: Vec<_> = positions.collect();
        (
            positions,
            ahead.end.slot,
            ahead.filtered,
            ahead.settings_too_old,
        )
    };
    let all = webhooks(1, true);
    let owed = vec![(4, 1), (6, 0), (6, 1), (7, 0)];
    assert_eq!(told(&all, &log, from), (owed, 8, false, false));
    let filtered = Webhooks {
        filters: Some(vec![EventName::OnMessageAdded]),
        ..all.clone()
    };
    assert_eq!(told(&filtered, &log, from), (vec![(6, 0)], 8, true, false));
    let mut newer = log.to_vec();
    newer[2] = entry(6, Some(2), two());
    assert_eq!(
        told(&all, &newer, from),
        (vec![(4, 1)], 6, false, true),
        "what follows waits"
    );
    assert_eq!(told(&all, &[], from), (Vec::new(), 4, false, false));
}

#[test]
fn a_consumer_begins_where_its_webhook_came_into_force_or_at_the_first_slot() {
    let tail = |generation| Tail {
        conversation: ConversationSid::from_bytes([1; 16]),
        slot: 9,
        header: entry(9, generation, Vec::new()).header,
    };
    for (consumer, generation, expected) in [
        (Consumer::Post, Some(1), 3),
        (Consumer::Post, Some(2), 0),
        (Consumer::Post, None, 0),
        (Consumer::Relay, Some(1), 0),
        (Consumer::Numbers, Some(1), 0),
    ] {
        let begins = beginning(consumer, &tail(generation), &webhooks(1, true));
        assert_eq!(
            begins,
            Position::slot(expected),
            "{consumer:?} {generation:?}"
        );
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
fn a_message_goes_to_everybody_with_an_address_but_who_wrote_it() {
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
        assert_eq!(entry.served(Consumer::Relay), expected, "{author} {by:?}");
        assert_eq!(entry.served(Consumer::Post), []);
        assert_eq!(entry.served(Consumer::Numbers), []);
    }
    let mut entry = entry(1, None, vec![state_updated()]);
    entry.header.pairs = pairs;
    assert_eq!(entry.served(Consumer::Relay), []);
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
            conversation: tail.conversation,
            participant: participant(1),
            webhook: crate::WebhookSid::from_bytes([1; 16]),
        };
        let cause = Cause {
            fresh: &fresh,
            account: &Default::default(),
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

#[test]
fn pauses_grow_for_a_day_and_end() {
    let now = Timestamp::UNIX_EPOCH;
    let mut total_s = 0;
    for failures in 1..=10 {
        let at = retry_at(now, failures, None, 0).unwrap();
        total_s += at.as_second();
        let latest = retry_at(now, failures, None, u32::MAX).unwrap();
        assert!(latest >= at && latest.as_millisecond() <= at.as_millisecond() * 11 / 10);
    }
    assert_eq!(total_s, 85_355);
    assert_eq!(retry_at(now, 11, None, 0), None);
    assert_eq!(retry_at(now, u32::MAX, Some(1), 0), None);
}

#[test]
fn a_server_may_ask_for_a_longer_pause_up_to_a_bound() {
    let now = Timestamp::UNIX_EPOCH;
    for (asked_s, expected_s) in [(0, 5), (-9, 5), (60, 60), (i64::MAX, 28_800)] {
        let at = retry_at(now, 1, Some(asked_s), 0).unwrap();
        assert_eq!(at.as_second(), expected_s, "{asked_s}");
    }
}
