//! The decision on messages: a line per row of the table above `route`, and per rule beside it.

mod post_action;
mod pre_action;

use std::time::Duration;

use crate::support::{
    PROXY, address, at, bytes, call, configuration, conversation, fresh, inbound, number, pair,
    participant, settings, url,
};
use crate::text::{c, text_of_writes};
use crate::{TIMERS, account, appended, asking, first_webhook, publish, tail};
use routing::{
    AutoCreationKind, Binding, Conflict, ConversationService, ConversationServiceSid, Decision,
    Endpoint, Entry, Event, EventName, Facts, ForwardState, Found, Header, Holder, Inbound,
    ItemKey, JournalEntry, Journaled, Key, Message, MessageSid, MessagingService,
    MessagingServiceSid, Next, OnTimeout, Outcome, Owed, PostWebhook, PreActionCall,
    PreActionEdits, PreActionEvent, PreActionProposal, PreActionReply, PreActionResult,
    PreActionWebhook, RouteDecision, Rule, ScopedTarget, SettingsScope, Source, State, Tail,
    Target, Timers, Webhooks, Why, Write, route,
};

/// A message and the facts about it: from consumer 1, 30 s after the last activity of the conversation that holds the pair.
struct Case {
    inbound: Inbound,
    facts: Facts,
    reply: Option<PreActionReply>,
    now: i64,
}

impl Case {
    /// Nothing is bound, nothing is set up.
    fn new() -> Case {
        Case {
            inbound: inbound(1, &pair(1)),
            facts: Facts {
                number: Some(number(None)),
                settings: settings(account()),
                ..Facts::default()
            },
            reply: None,
            now: 30,
        }
    }

    /// c1 holds the pair, and that of consumer 2.
    fn bound() -> Case {
        Case::bound_to(tail())
    }

    fn bound_to(tail: Tail) -> Case {
        let mut case = Case::new();
        case.facts.holder = Some(Holder {
            conversation: tail.conversation,
            tail: Some(tail),
        });
        case
    }

    fn expired() -> Case {
        Case::bound().at(600)
    }

    fn at(mut self, now: i64) -> Case {
        self.now = now;
        self
    }

    fn header(mut self, change: fn(&mut Header)) -> Case {
        let tail = self.facts.holder.as_mut().unwrap().tail.as_mut().unwrap();
        change(&mut tail.header);
        self
    }

    fn configured(mut self, enabled: bool) -> Case {
        self.facts.configuration = Some(configuration(enabled, AutoCreationKind::Default));
        self
    }

    /// The configuration asks for this service, which exists, and this webhook.
    fn configured_as(self, service: u32, kind: AutoCreationKind) -> Case {
        let mut case = self.configured_with_unread(service, kind);
        case.facts
            .settings
            .insert(service_sid(service), Some(service_of(service)));
        case
    }

    /// The service was not read.
    fn configured_with_unread(mut self, service: u32, kind: AutoCreationKind) -> Case {
        let mut configuration = configuration(true, kind);
        configuration.auto_creation.service = Some(service_sid(service));
        self.facts.configuration = Some(configuration);
        self
    }

    /// The service was deleted.
    fn configured_with_deleted(self, service: u32, kind: AutoCreationKind) -> Case {
        let mut case = self.configured_with_unread(service, kind);
        case.facts.settings.insert(service_sid(service), None);
        case
    }

    fn pooled(mut self, autocreates: bool, inbound: bool) -> Case {
        let service = MessagingService {
            autocreates,
            inbound: inbound.then(|| call("https://example.com/pool")),
            ..MessagingService::new(pool(), "pool".to_owned(), at(0))
        };
        self = self.pooled_with_unread();
        self.facts
            .settings
            .insert_messaging(service.sid, Some(service));
        self
    }

    /// The messaging service does not defer to the number's own webhook, and does not autocreate.
    fn pooled_without_deferring(mut self, inbound: bool) -> Case {
        self = self.pooled(false, inbound);
        let service = self.facts.settings.messaging_service(pool());
        let service = MessagingService {
            defers_to_number: false,
            ..service.unwrap().unwrap().clone()
        };
        self.facts.settings.insert_messaging(pool(), Some(service));
        self
    }

    /// The messaging service was not read.
    fn pooled_with_unread(mut self) -> Case {
        self.facts.pool = Some(pool());
        self
    }

    /// The messaging service was deleted.
    fn pooled_with_deleted(mut self) -> Case {
        self = self.pooled_with_unread();
        self.facts.settings.insert_messaging(pool(), None);
        self
    }

    fn unlocked(mut self) -> Case {
        self.facts.settings.account.autocreation_unlocked = true;
        self
    }

    /// The default service's own pre-action webhook.
    fn service_asks(mut self) -> Case {
        let service = ConversationService {
            webhooks: Webhooks::default().with_urls(Some(url("https://example.com/own")), None),
            ..ConversationService::unwritten_default()
        };
        self.facts.settings.insert(service.sid, Some(service));
        self
    }

    fn own_webhook(mut self) -> Case {
        self.facts.number = Some(number(Some(call("https://example.com/sms"))));
        self
    }

    fn asks(mut self, filters: Option<Vec<EventName>>) -> Case {
        self.facts.settings.account.webhooks = asking(filters);
        self
    }

    fn replied(
        mut self,
        event: PreActionEvent,
        by: Option<u32>,
        generation: u64,
        result: PreActionResult,
    ) -> Case {
        self.reply = Some(PreActionReply {
            event,
            conversation: by.map(conversation),
            webhook: PreActionWebhook {
                generation,
                ..first_webhook()
            },
            result,
        });
        self
    }

    fn with_others(mut self, others: &[&str]) -> Case {
        self.inbound.others = others.iter().map(|text| address(text)).collect();
        self
    }

    fn journaled(mut self, outcome: Outcome) -> Case {
        self.facts.journal = Some(JournalEntry {
            inbound: self.inbound.clone(),
            change: fresh(8, 1, at(0)).change,
            outcome,
            why: Why {
                rule: Rule::NumberWebhook,
                expired: None,
            },
        });
        self
    }

    fn decide(&self) -> RouteDecision {
        let fresh = fresh(9, 1, at(self.now));
        route(&self.inbound, &self.facts, &fresh, self.reply.as_ref())
    }
}

fn studio() -> AutoCreationKind {
    AutoCreationKind::Studio {
        flow_sid: "FW1".to_owned(),
        retry_count: 2,
    }
}

fn service_sid(n: u32) -> ConversationServiceSid {
    ConversationServiceSid::from_bytes(bytes(n, 0))
}

fn service_of(n: u32) -> ConversationService {
    ConversationService::new(service_sid(n), format!("service {n}"), at(0))
}

fn text_of_route(decision: &RouteDecision) -> String {
    match decision {
        Decision::ReadServices(services) => format!("read {services}"),
        Decision::Gather => "gather".to_owned(),
        Decision::Close(_) => panic!("a message closes a conversation in its own plan"),
        Decision::Refuse(never) => match *never {},
        Decision::Ask(call) => format!(
            "ask {} {}",
            call.event.name().as_str(),
            call.conversation.map_or("new".to_owned(), c)
        ),
        Decision::Do(plan) => {
            let entry = plan.outcome.entry();
            let word = entry.outcome.as_str();
            if let Journaled::Duplicate(_) = plan.outcome {
                return format!("duplicate {word}: {}", text_of_writes(&plan.writes));
            }
            let expired = entry.why.expired;
            format!(
                "{word} by {}{}: {}",
                entry.why.rule.as_str(),
                expired.map_or(String::new(), |expired| format!(" after {}", c(expired))),
                text_of_writes(&plan.writes)
            )
        }
    }
}

fn check(case: Case, expected: &str) {
    assert_eq!(text_of_route(&case.decide()), expected);
}

#[test]
fn a_message_in_the_journal_is_a_duplicate_under_any_facts() {
    let forwarded = |state| Outcome::Forwarded {
        target: Target {
            call: call("https://example.com/old"),
            fallback: None,
        },
        state,
    };
    let captured = Outcome::Captured {
        conversation: conversation(1),
        slot: 4,
    };
    for (case, expected) in [
        (
            Case::bound().journaled(captured.clone()),
            "duplicate captured: ",
        ),
        (
            Case::new().configured(true).journaled(captured.clone()),
            "duplicate captured: ",
        ),
        (
            Case::expired().journaled(captured.clone()),
            "duplicate captured: ",
        ),
        (
            Case::bound().asks(None).journaled(captured),
            "duplicate captured: ",
        ),
        (
            Case::new().journaled(Outcome::Autocreated {
                conversation: conversation(1),
            }),
            "duplicate autocreated: ",
        ),
        (
            Case::bound().journaled(forwarded(ForwardState::Pending)),
            "duplicate forwarded: ",
        ),
        (
            Case::bound().journaled(forwarded(ForwardState::Answered(200))),
            "duplicate forwarded: ",
        ),
        (
            Case::bound().journaled(forwarded(ForwardState::Failed)),
            "duplicate forwarded: ",
        ),
        (
            Case::bound().journaled(Outcome::Rejected { conversation: None }),
            "duplicate rejected: ",
        ),
        (
            Case::bound().journaled(Outcome::Unroutable),
            "duplicate unroutable: ",
        ),
    ] {
        let recorded = case.facts.journal.clone().unwrap();
        let Decision::Do(plan) = case.decide() else {
            panic!("{:?}", case.decide());
        };
        assert_eq!(plan.outcome, Journaled::Duplicate(recorded));
        check(case, expected);
    }
}

#[test]
fn a_bound_message_is_captured_and_wakes_what_is_parked() {
    let parked: fn(&mut Header) = |header| header.state = State::Inactive;
    for (case, expected) in [
        (
            Case::bound(),
            "captured by bound: c1/6 onMessageAdded(3) = active m4 e10 t30 (1 2); journal",
        ),
        (
            Case::bound()
                .configured(true)
                .own_webhook()
                .pooled(true, true)
                .unlocked(),
            "captured by bound: c1/6 onMessageAdded(3) = active m4 e10 t30 (1 2); journal",
        ),
        (
            Case::bound().header(parked),
            "captured by bound: state c1 active; timer c1 90; \
             c1/6 onMessageAdded(3) onConversationStateUpdated(inactive active EVENT) = active m4 e11 t30 (1 2); \
             journal",
        ),
        (
            Case::bound().header(|header| {
                header.state = State::Inactive;
                header.timers = Timers::default();
            }),
            "captured by bound: state c1 active; \
             c1/6 onMessageAdded(3) onConversationStateUpdated(inactive active EVENT) = active m4 e11 t30 (1 2); \
             journal",
        ),
        (
            Case::bound().header(|header| header.last_activity = at(100)),
            "captured by bound: c1/6 onMessageAdded(3) = active m4 e10 t100 (1 2); journal",
        ),
        (
            Case::bound().at(599),
            "captured by bound: c1/6 onMessageAdded(3) = active m4 e10 t599 (1 2); journal",
        ),
        // The facts contradict each other: the binding was read before it moved.
        (
            Case::bound().header(|header| header.pairs.clear()),
            "gather",
        ),
        (
            Case::bound().header(|header| {
                header.state = State::Closed;
                header.pairs.clear();
            }),
            "gather",
        ),
    ] {
        check(case, expected);
    }
    let mut case = Case::bound();
    case.facts.holder.as_mut().unwrap().tail = None;
    check(case, "gather");
}

#[test]
fn a_message_after_the_closing_time_closes_the_conversation_and_is_routed_as_unbound() {
    for (case, expected) in [
        (
            Case::expired().configured(true),
            "autocreated by address-configuration after c1: \
             release 2 of c1; state c1 closed; no timer c1; \
             c1/6 onConversationStateUpdated(active closed TIMER) = closed m3 e10 t600 (); \
             claim 1 for c9 from c1; metadata c9 v1 active; participant of c9 v1; timer c9 660; \
             c9/0 onConversationAdded onParticipantAdded onMessageAdded(0) = active m1 e3 t600 (1); journal",
        ),
        (
            Case::expired().own_webhook(),
            "forwarded by number-webhook after c1: \
             release 1 of c1; release 2 of c1; state c1 closed; no timer c1; \
             c1/6 onConversationStateUpdated(active closed TIMER) = closed m3 e10 t600 (); journal with text",
        ),
        (
            Case::expired().header(|header| header.state = State::Inactive),
            "unroutable by none after c1: \
             release 1 of c1; release 2 of c1; state c1 closed; no timer c1; \
             c1/6 onConversationStateUpdated(inactive closed TIMER) = closed m3 e10 t600 (); journal with text",
        ),
        // Time without a closing timer closes nothing.
        (
            Case::expired().header(|header| header.timers.closed_s = None),
            "captured by bound: c1/6 onMessageAdded(3) = active m4 e10 t600 (1 2); journal",
        ),
    ] {
        check(case, expected);
    }
}

#[test]
fn an_unbound_message_goes_by_the_first_rule_that_applies() {
    let created = "metadata c9 v1 active; participant of c9 v1; timer c9 90; \
                   c9/0 onConversationAdded onParticipantAdded onMessageAdded(0) = active m1 e3 t30 (1); journal";
    let by = |rule: &str| format!("autocreated by {rule}: claim 1 for c9; {created}");
    let webhook = AutoCreationKind::Webhook {
        call: call("https://example.com/scoped"),
        filters: vec![EventName::OnMessageAdded],
    };
    let with_webhook = "autocreated by address-configuration: \
                        claim 1 for c9 service 4; metadata c9 v1 active; participant of c9 v1; \
                        webhook of c9 v1 since 0; timer c9 90; \
                        c9/0 onConversationAdded onParticipantAdded onMessageAdded(0) = active m1 e3 t30 (1); journal";
    for (case, expected) in [
        (
            Case::new().configured(true),
            by("address-configuration").as_str(),
        ),
        (Case::new().configured_as(4, webhook), with_webhook),
        (Case::new().configured_as(4, studio()), with_webhook),
        (
            Case::new()
                .configured(true)
                .pooled(true, true)
                .unlocked()
                .own_webhook(),
            &by("address-configuration"),
        ),
        (
            Case::new()
                .configured(false)
                .pooled(true, true)
                .unlocked()
                .own_webhook(),
            &by("messaging-service"),
        ),
        (
            Case::new().pooled(true, false).unlocked(),
            &by("messaging-service"),
        ),
        (
            Case::new().pooled(true, true),
            "forwarded by service-webhook: journal with text",
        ),
        (
            Case::new().pooled(false, true).unlocked(),
            "forwarded by service-webhook: journal with text",
        ),
        (
            Case::new()
                .configured(false)
                .own_webhook()
                .pooled(false, true),
            "forwarded by number-webhook: journal with text",
        ),
        (
            Case::new().own_webhook(),
            "forwarded by number-webhook: journal with text",
        ),
        (
            Case::new().own_webhook().pooled_without_deferring(true),
            "forwarded by service-webhook: journal with text",
        ),
        (
            Case::new().own_webhook().pooled_without_deferring(false),
            "unroutable by none: journal with text",
        ),
        (
            Case::new().own_webhook().pooled_with_deleted().unlocked(),
            "forwarded by number-webhook: journal with text",
        ),
        (
            Case::new().pooled_with_unread(),
            "read MG00000007000000000000000000000000",
        ),
        (
            Case::new()
                .pooled_with_unread()
                .configured_with_unread(4, AutoCreationKind::Default),
            "read IS00000004000000000000000000000000 MG00000007000000000000000000000000",
        ),
        (
            Case::new().configured_with_unread(4, AutoCreationKind::Default),
            "read IS00000004000000000000000000000000",
        ),
        (
            Case::new().configured_with_deleted(4, AutoCreationKind::Default),
            "autocreated by address-configuration: claim 1 for c9; metadata c9 v1 active; participant of c9 v1; \
             timer c9 90; c9/0 onConversationAdded onParticipantAdded onMessageAdded(0) = active m1 e3 t30 (1); journal",
        ),
        (Case::new(), "unroutable by none: journal with text"),
        (
            Case::new().configured(false),
            "unroutable by none: journal with text",
        ),
        (
            Case::new().pooled(true, false),
            "unroutable by none: journal with text",
        ),
    ] {
        check(case, expected);
    }
}

#[test]
fn a_fall_through_goes_to_the_url_of_its_rule_with_its_fallback() {
    for (case, url, fallback) in [
        (
            Case::new().own_webhook().pooled(false, true),
            "https://example.com/sms",
            true,
        ),
        (
            Case::new().pooled(false, true),
            "https://example.com/pool",
            false,
        ),
    ] {
        let expected = Outcome::Forwarded {
            target: Target {
                call: call(url),
                fallback: fallback.then(|| call("https://example.com/fallback")),
            },
            state: ForwardState::Pending,
        };
        assert_eq!(outcome(&case).outcome, expected);
    }
}

fn writes(case: &Case) -> Vec<Write> {
    match case.decide() {
        Decision::Do(plan) => plan.writes,
        other => panic!("{other:?}"),
    }
}

fn outcome(case: &Case) -> JournalEntry {
    match case.decide() {
        Decision::Do(plan) => plan.outcome.entry().clone(),
        other => panic!("{other:?}"),
    }
}

/// The entry that the plan appends to a conversation.

#[test]
fn an_autocreated_conversation_is_of_the_configuration_and_of_the_messaging_service() {
    let case = Case::new().pooled(false, false).configured_as(4, studio());
    let writes = writes(&case);
    let header = &appended(&writes, conversation(9)).header;
    assert_eq!(header.service, service_sid(4));
    assert_eq!(header.messaging_service, pool());
    assert_eq!((header.timers, header.participants), (TIMERS, 1));
    let hook = writes.iter().find_map(|write| match write {
        Write::PutWebhook(webhook) => Some(&webhook.target),
        _ => None,
    });
    assert_eq!(
        hook,
        Some(&ScopedTarget::Studio {
            flow_sid: "FW1".to_owned(),
            retry_count: 2
        })
    );
}

#[test]
fn a_message_stands_in_the_log_word_for_word() {
    let writes = writes(&Case::bound());
    let entry = appended(&writes, conversation(1));
    let (sid, message) = entry.message().unwrap();
    assert_eq!(sid, MessageSid::at(6, entry.change));
    assert_eq!(entry.event_number(), 9);
    assert_eq!((entry.source, entry.quiet), (Source::Sms, false));
    let expected = Message {
        index: 3,
        author: pair(1).address().to_string(),
        participant: Some(participant(1)),
        body: "m1".to_owned(),
        media: Vec::new(),
        attributes: "{}".to_owned(),
    };
    assert_eq!(*message, expected);
}

#[test]
fn the_timer_closes_what_a_message_finds_expired() {
    let writes = writes(&Case::expired().configured(true));
    assert_eq!(appended(&writes, conversation(1)).source, Source::Timer);
    assert_eq!(appended(&writes, conversation(9)).source, Source::Sms);
}

#[test]
fn a_group_falls_through_and_one_with_one_outside_member_is_the_pair() {
    let own = pair(1).address().to_string();
    let third = "+15550007777";
    for (case, expected) in [
        (
            Case::bound()
                .configured(true)
                .own_webhook()
                .with_others(&[third]),
            "forwarded by number-webhook: journal with text",
        ),
        (
            Case::new()
                .configured(true)
                .pooled(true, false)
                .unlocked()
                .with_others(&[third]),
            "unroutable by none: journal with text",
        ),
        (
            Case::expired().own_webhook().with_others(&[third]),
            "forwarded by number-webhook: journal with text",
        ),
        (
            Case::bound().with_others(&[PROXY, &own, &own]),
            "captured by bound: c1/6 onMessageAdded(3) = active m4 e10 t30 (1 2); journal",
        ),
        // Nothing could ever hold it.
        (
            Case::new()
                .configured(true)
                .with_others(&["whatsapp:+15550007777"]),
            "unroutable by none: journal with text",
        ),
    ] {
        check(case, expected);
    }
}

#[test]
fn a_lost_race_teaches_what_it_can_and_else_fresh_reads_do() {
    let entry = |conversation, change: fn(&mut Header)| {
        let mut entry = Entry {
            conversation,
            slot: 6,
            ..crate::entry(tail().header)
        };
        change(&mut entry.header);
        let key = ItemKey::Slot(conversation, 6);
        (key, Found::Entry(Box::new(entry)))
    };
    let slot = || entry(conversation(1), |_| {});
    let binding = || {
        let binding = Binding {
            conversation: conversation(2),
            participant: participant(2),
            service: ConversationServiceSid::DEFAULT,
            since: at(0),
        };
        (
            ItemKey::Binding(Key::Pair(pair(1))),
            Found::Binding(binding),
        )
    };
    let journaled = Case::new().journaled(Outcome::Unroutable);
    let journaled = journaled.facts.journal.unwrap();
    let journal = || {
        let key = ItemKey::Journal(journaled.key().clone());
        (key, Found::Journal(Box::new(journaled.clone())))
    };
    let metadata = || (ItemKey::Metadata(conversation(1)), Found::Nothing);
    // The items that were found, the number of lost slots, the next step, and the slot of the tail then.
    for (found, lost, expected, tail) in [
        (vec![slot()], 1, Next::Decide, 6),
        (vec![slot()], 2, Next::ReadTail(conversation(1)), 5),
        (vec![slot()], 9, Next::ReadTail(conversation(1)), 5),
        (vec![journal()], 0, Next::DecideAtOnce, 5),
        (vec![slot(), journal()], 2, Next::DecideAtOnce, 5),
        (vec![binding(), slot(), journal()], 2, Next::DecideAtOnce, 5),
        (vec![binding()], 0, Next::Gather, 5),
        (vec![binding(), slot()], 1, Next::Gather, 5),
        (vec![slot(), metadata()], 1, Next::Gather, 5),
        (vec![metadata()], 0, Next::Gather, 5),
        (
            vec![entry(conversation(1), |header| header.pairs.clear())],
            1,
            Next::Gather,
            5,
        ),
        (
            vec![entry(conversation(1), |header| {
                header.state = State::Closed
            })],
            1,
            Next::Gather,
            5,
        ),
        (vec![entry(conversation(2), |_| {})], 1, Next::Gather, 5),
    ] {
        let Case {
            inbound, mut facts, ..
        } = Case::bound();
        let in_journal = found.contains(&journal());
        let next = facts.learn(
            Conflict {
                found: found.clone(),
                in_doubt: false,
            },
            &inbound,
            lost,
        );
        let slot = facts.holder.unwrap().tail.unwrap().slot;
        assert_eq!((next, slot), (expected, tail), "{found:?}");
        assert_eq!(facts.journal.is_some(), in_journal);
    }
    let mut unbound = Case::new();
    let conflict = Conflict {
        found: vec![slot()],
        in_doubt: false,
    };
    assert_eq!(
        unbound.facts.learn(conflict, &unbound.inbound, 1),
        Next::Gather
    );
}

/// The messaging service whose sender pool holds our number.
fn pool() -> MessagingServiceSid {
    MessagingServiceSid::from_bytes(bytes(7, 0))
}

#[test]
fn settings_that_have_grown_old_are_read_again_after_a_pause() {
    let (young, old) = (Duration::from_millis(500), Duration::from_millis(501));
    let c1 = conversation(1);
    for (next, settings_age, expected) in [
        (Next::Decide, young, Next::Decide),
        (Next::Decide, old, Next::Gather),
        (Next::ReadTail(c1), young, Next::ReadTail(c1)),
        (Next::ReadTail(c1), old, Next::ReadTailAndSettings(c1)),
        (Next::Gather, young, Next::Gather),
        (Next::DecideAtOnce, old, Next::DecideAtOnce),
    ] {
        assert_eq!(next.after_pause(settings_age), expected, "{next:?}");
    }
}
