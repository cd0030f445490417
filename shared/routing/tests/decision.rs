//! The decision table of DESIGN §2, and what REST asks for: a line per rule.
//!
//! A decision is told in one line, so that a row holds all of it: the outcome and why, then every write in order.
//! An entry reads `c1/6 events = state m(next message) e(next event) t(last activity) (pairs)`.

#![expect(clippy::unwrap_used, reason = "a test may fail so")]

mod support;

use std::collections::HashSet;

use routing::change::{
    self, ConversationEdit, MessageEdit, ParticipantEdit, PostDecision, Refusal,
};
use routing::{
    AccountSettings, AutoCreationKind, Binding, Cause, Conflict, ConversationServiceSid,
    ConversationSid, Decision, Entry, Event, EventName, Facts, ForwardState, Found, Fresh, Header,
    HeldPair, Holder, Inbound, ItemKey, JournalEntry, Journaled, Message, MessageSid,
    MessagingService, MessagingServiceSid, Metadata, Next, OnTimeout, Outcome, Pair, Participant,
    Plan, PostWebhook, PreActionCall, PreActionEdits, PreActionEvent, PreActionProposal,
    PreActionReply, PreActionResult, Reason, Revision, Rule, ScopedTarget, SettingsScope, Snapshot,
    Source, State, Tail, Target, Timers, Webhooks, Why, Write, close_expired, route,
};
use support::{
    PROXY, address, at, bytes, call, configuration, conversation, fresh, inbound, number, pair,
    participant, url,
};

const TIMERS: Timers = Timers {
    inactive_s: Some(60),
    closed_s: Some(600),
};

/// A message and the facts about it: from consumer 1, 30 s after the last activity of whatever holds the pair.
struct Case {
    inbound: Inbound,
    facts: Facts,
    now: i64,
}

impl Case {
    /// Nothing is bound, nothing is set up.
    fn new() -> Case {
        Case {
            inbound: inbound(1, &pair(1)),
            facts: Facts {
                number: Some(number(None)),
                account: account(),
                ..Facts::default()
            },
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

    /// The configuration asks for this service and this webhook.
    fn configured_as(mut self, service: u32, kind: AutoCreationKind) -> Case {
        let mut configuration = configuration(true, kind);
        configuration.auto_creation.service =
            Some(ConversationServiceSid::from_bytes(bytes(service, 0)));
        self.facts.configuration = Some(configuration);
        self
    }

    fn pooled(mut self, autocreates: bool, inbound: bool) -> Case {
        self.facts.pool = Some(MessagingService {
            sid: MessagingServiceSid::from_bytes(bytes(7, 0)),
            autocreates,
            inbound: inbound.then(|| call("https://example.com/pool")),
            fallback: None,
        });
        self
    }

    fn unlocked(mut self) -> Case {
        self.facts.account.autocreation_unlocked = true;
        self
    }

    fn own_webhook(mut self) -> Case {
        self.facts.number = Some(number(Some(call("https://example.com/sms"))));
        self
    }

    fn asks(mut self, filters: Option<Vec<EventName>>) -> Case {
        self.facts.account.webhooks = asking(filters);
        self
    }

    fn replied(
        mut self,
        event: PreActionEvent,
        by: Option<u32>,
        generation: u64,
        a: PreActionResult,
    ) -> Case {
        self.facts.pre_action = Some(PreActionReply {
            event,
            conversation: by.map(conversation),
            generation,
            result: a,
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

    fn decide(&self) -> Decision {
        route(&self.inbound, &self.facts, &fresh(9, 1, at(self.now)))
    }
}

fn account() -> AccountSettings {
    AccountSettings {
        timers: TIMERS,
        ..AccountSettings::default()
    }
}

/// A pre-action webhook in its first generation.
fn asking(filters: Option<Vec<EventName>>) -> Webhooks {
    Webhooks {
        filters,
        ..Webhooks::default().with_urls(Some(url("https://example.com/pre")), None)
    }
}

fn tail() -> Tail {
    Tail {
        conversation: conversation(1),
        slot: 5,
        header: Header {
            state: State::Active,
            service: ConversationServiceSid::DEFAULT,
            messaging_service: MessagingServiceSid::DEFAULT,
            pairs: [1, 2]
                .map(|n| HeldPair {
                    participant: participant(n),
                    pair: pair(n),
                })
                .to_vec(),
            participants: 3,
            message_index: 3,
            event_number: 9,
            last_activity: at(0),
            timers: TIMERS,
            post: None,
            terminal: false,
        },
    }
}

fn publish() -> PreActionResult {
    PreActionResult::Publish(PreActionEdits::default())
}

fn studio() -> AutoCreationKind {
    AutoCreationKind::Studio {
        flow_sid: "FW1".to_owned(),
        retry_count: 2,
    }
}

/// `c1` for the conversation that `support::conversation(1)` makes.
fn c(sid: ConversationSid) -> String {
    format!(
        "c{}",
        u32::from_be_bytes(sid.as_bytes()[..4].try_into().unwrap())
    )
}

fn service(sid: ConversationServiceSid) -> String {
    match sid {
        ConversationServiceSid::DEFAULT => String::new(),
        sid => format!(
            " service {}",
            u32::from_be_bytes(sid.as_bytes()[..4].try_into().unwrap())
        ),
    }
}

/// The consumer of a pair, by its number.
fn consumer(pair: &Pair) -> String {
    assert_eq!(*pair.proxy(), address(PROXY));
    let digits = pair.address().to_string()[8..].to_owned();
    digits.trim_start_matches('0').to_owned()
}

fn seconds(at: jiff::Timestamp) -> i64 {
    at.as_second() - 1_000_000
}

fn event_told(event: &Event) -> String {
    let name = event.name().as_str();
    match event {
        Event::ConversationStateUpdated { from, to, reason } => {
            format!(
                "{name}({} {} {})",
                from.as_str(),
                to.as_str(),
                reason.as_str()
            )
        }
        Event::MessageAdded(message) => format!("{name}({})", message.index),
        Event::MessageUpdated(earlier) | Event::MessageRemoved(earlier) => {
            format!("{name}({})", earlier.sid.slot())
        }
        Event::ConversationRemoved { state, .. } => format!("{name}({})", state.as_str()),
        _ => name.to_owned(),
    }
}

fn entry_told(entry: &Entry) -> String {
    let header = &entry.header;
    let events: Vec<String> = entry.events.iter().map(event_told).collect();
    let pairs: Vec<String> = header
        .pairs
        .iter()
        .map(|held| consumer(&held.pair))
        .collect();
    let post = header.post.map_or(String::new(), |post| {
        format!(
            " post {:?}.{} since {}",
            post.scope, post.generation, post.since
        )
    });
    format!(
        "{}/{} {} = {} m{} e{} t{} ({}){post}{}",
        c(entry.conversation),
        entry.slot,
        events.join(" "),
        header.state.as_str(),
        header.message_index,
        header.event_number,
        seconds(header.last_activity),
        pairs.join(" "),
        if header.terminal { " terminal" } else { "" },
    )
}

fn write_told(write: &Write) -> String {
    match write {
        Write::Append(entry) => entry_told(entry),
        Write::Journal(entry) if entry.inbound.body.is_empty() => "journal".to_owned(),
        Write::Journal(_) => "journal with text".to_owned(),
        Write::Claim {
            pair,
            binding,
            from,
        } => format!(
            "claim {} for {}{}{}",
            consumer(pair),
            c(binding.conversation),
            service(binding.service),
            from.map_or(String::new(), |from| format!(" from {}", c(from)))
        ),
        Write::Release { pair, holder } => format!("release {} of {}", consumer(pair), c(*holder)),
        Write::ClaimName { name, .. } => format!("claim name {name}"),
        Write::ReleaseName { name, .. } => format!("release name {name}"),
        Write::ClaimIdentity { identity, .. } => format!("claim identity {identity}"),
        Write::ReleaseIdentity { identity, .. } => format!("release identity {identity}"),
        Write::PutMetadata(m) => format!(
            "metadata {} v{} {}",
            c(m.conversation),
            m.version,
            m.state.as_str()
        ),
        Write::SetState {
            conversation,
            state,
            ..
        } => format!("state {} {}", c(*conversation), state.as_str()),
        Write::DeleteMetadata {
            conversation,
            version,
        } => format!("no metadata {} v{version}", c(*conversation)),
        Write::PutParticipant(p) => format!("participant of {} v{}", c(p.conversation), p.version),
        Write::DeleteParticipant { version, .. } => format!("no participant v{version}"),
        Write::PutTimer { conversation, due } => {
            format!("timer {} {}", c(*conversation), seconds(*due))
        }
        Write::DeleteTimer { conversation } => format!("no timer {}", c(*conversation)),
        Write::PutPurge { conversation, due } => {
            format!("purge {} {}", c(*conversation), seconds(*due))
        }
        Write::PutWebhook(webhook) => format!(
            "webhook of {} v{} since {}",
            c(webhook.conversation),
            webhook.version,
            webhook.since
        ),
        Write::PutRevision { revision, .. } => {
            format!("revision of {} v{}", revision.slot, revision.version)
        }
        Write::Blank { slot, .. } => format!("blank {slot}"),
    }
}

/// Every plan that a row makes passes here: no two of its writes touch the same item.
fn writes_told(writes: &[Write]) -> String {
    let keys: HashSet<_> = writes.iter().map(Write::key).collect();
    assert_eq!(
        keys.len(),
        writes.len(),
        "two writes touch one item: {writes:?}"
    );
    let told: Vec<String> = writes.iter().map(write_told).collect();
    told.join("; ")
}

fn told(decision: &Decision) -> String {
    match decision {
        Decision::Gather => "gather".to_owned(),
        Decision::Ask(call) => format!(
            "ask {} {}",
            call.event.name().as_str(),
            call.conversation.map_or("new".to_owned(), c)
        ),
        Decision::Do(plan) => {
            let entry = plan.outcome.entry();
            let word = entry.outcome.as_str();
            if let Journaled::Duplicate(_) = plan.outcome {
                return format!("duplicate {word}: {}", writes_told(&plan.writes));
            }
            let expired = entry.why.expired;
            format!(
                "{word} by {}{}: {}",
                entry.why.rule.as_str(),
                expired.map_or(String::new(), |expired| format!(" after {}", c(expired))),
                writes_told(&plan.writes)
            )
        }
    }
}

fn check(case: Case, expected: &str) {
    assert_eq!(told(&case.decide()), expected);
}

#[test]
fn a_message_in_the_journal_is_a_duplicate_whatever_the_facts_are() {
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
fn a_message_after_the_closing_time_closes_and_goes_on_as_unbound() {
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
fn appended(writes: &[Write], to: ConversationSid) -> &Entry {
    let entry = writes.iter().find_map(|write| match write {
        Write::Append(entry) if entry.conversation == to => Some(entry),
        _ => None,
    });
    entry.unwrap()
}

#[test]
fn an_autocreated_conversation_is_of_the_configuration_and_of_the_messaging_service() {
    let case = Case::new().pooled(false, false).configured_as(4, studio());
    let writes = writes(&case);
    let header = &appended(&writes, conversation(9)).header;
    assert_eq!(
        header.service,
        ConversationServiceSid::from_bytes(bytes(4, 0))
    );
    assert_eq!(
        header.messaging_service,
        MessagingServiceSid::from_bytes(bytes(7, 0))
    );
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
fn a_pre_action_webhook_is_asked_once_about_each_event_it_wants() {
    use PreActionEvent::{ConversationAdd, MessageAdd};
    let reject = || PreActionResult::Reject;
    let captured = "captured by bound: c1/6 onMessageAdded(3) = active m4 e10 t30 (1 2); journal";
    let autocreated = told(&Case::new().configured(true).decide());
    let wants = |name| Some(vec![name]);
    let new = || Case::new().configured(true);
    for (case, expected) in [
        (Case::bound().asks(None), "ask onMessageAdd c1"),
        (
            Case::bound().asks(wants(EventName::OnMessageAdd)),
            "ask onMessageAdd c1",
        ),
        (
            Case::bound().asks(wants(EventName::OnMessageAdded)),
            captured,
        ),
        (
            Case::bound().asks(wants(EventName::OnConversationAdd)),
            captured,
        ),
        (new().asks(None), "ask onConversationAdd new"),
        (
            new().asks(wants(EventName::OnConversationAdd)),
            "ask onConversationAdd new",
        ),
        (new().asks(wants(EventName::OnMessageAdd)), &autocreated),
        (
            Case::expired().configured(true).asks(None),
            "ask onConversationAdd new",
        ),
        // What falls through asks nobody.
        (
            Case::new().own_webhook().asks(None),
            "forwarded by number-webhook: journal with text",
        ),
        (
            Case::new().asks(None),
            "unroutable by none: journal with text",
        ),
        // The answer holds.
        (
            Case::bound()
                .asks(None)
                .replied(MessageAdd, Some(1), 1, publish()),
            captured,
        ),
        (
            new()
                .asks(None)
                .replied(ConversationAdd, None, 1, publish()),
            &autocreated,
        ),
        // For its event, conversation and generation only.
        (
            Case::bound()
                .asks(None)
                .replied(MessageAdd, Some(2), 1, reject()),
            "ask onMessageAdd c1",
        ),
        (
            Case::bound()
                .asks(None)
                .replied(MessageAdd, Some(1), 0, reject()),
            "ask onMessageAdd c1",
        ),
        (
            Case::bound()
                .asks(None)
                .replied(ConversationAdd, None, 1, reject()),
            "ask onMessageAdd c1",
        ),
        (
            new().asks(None).replied(MessageAdd, Some(1), 1, publish()),
            "ask onConversationAdd new",
        ),
        (
            new()
                .asks(None)
                .replied(ConversationAdd, None, 2, publish()),
            "ask onConversationAdd new",
        ),
        // A webhook that is gone has no say.
        (
            Case::bound().replied(MessageAdd, Some(1), 0, reject()),
            captured,
        ),
        // A reject leaves a journal entry, and an expired conversation to the sweep.
        (
            Case::bound()
                .asks(None)
                .replied(MessageAdd, Some(1), 1, reject()),
            "rejected by bound: journal with text",
        ),
        (
            Case::bound()
                .header(|header| header.state = State::Inactive)
                .asks(None)
                .replied(MessageAdd, Some(1), 1, reject()),
            "rejected by bound: journal with text",
        ),
        (
            new()
                .own_webhook()
                .asks(None)
                .replied(ConversationAdd, None, 1, reject()),
            "rejected by address-configuration: journal with text",
        ),
        (
            Case::expired()
                .configured(true)
                .asks(None)
                .replied(ConversationAdd, None, 1, reject()),
            "rejected by address-configuration: journal with text",
        ),
    ] {
        check(case, expected);
    }
    for (case, expected) in [
        (
            Case::bound()
                .asks(None)
                .replied(MessageAdd, Some(1), 1, reject()),
            Some(conversation(1)),
        ),
        (
            new().asks(None).replied(ConversationAdd, None, 1, reject()),
            None,
        ),
    ] {
        let expected = Outcome::Rejected {
            conversation: expected,
        };
        assert_eq!(outcome(&case).outcome, expected);
    }
}

#[test]
fn a_pre_action_webhook_is_told_what_is_about_to_happen() {
    let asked = |case: Case| match case.decide() {
        Decision::Ask(call) => *call,
        other => panic!("{other:?}"),
    };
    let mut case = Case::bound().asks(None);
    case.facts.account.webhooks.on_timeout = OnTimeout::Reject;
    let expected = PreActionCall {
        event: PreActionEvent::MessageAdd,
        conversation: Some(conversation(1)),
        generation: 1,
        call: call("https://example.com/pre"),
        on_timeout: OnTimeout::Reject,
        proposal: PreActionProposal::Message {
            conversation: conversation(1),
            author: pair(1).address().to_string(),
            participant: Some(participant(1)),
            body: "m1".to_owned(),
            media: Vec::new(),
            attributes: "{}".to_owned(),
        },
    };
    assert_eq!(asked(case), expected);
    let proposal = PreActionProposal::Conversation {
        friendly_name: None,
        unique_name: None,
        attributes: "{}".to_owned(),
        service: ConversationServiceSid::DEFAULT,
        messaging_service: MessagingServiceSid::DEFAULT,
        state: State::Active,
        pair: Some(pair(1)),
        body: Some("m1".to_owned()),
        media: Vec::new(),
    };
    assert_eq!(
        asked(Case::new().configured(true).asks(None)).proposal,
        proposal
    );
}

#[test]
fn a_pre_action_webhook_edits_what_it_was_asked_about() {
    let edits = PreActionEdits {
        friendly_name: Some("name".to_owned()),
        body: Some("body".to_owned()),
        author: Some("author".to_owned()),
        attributes: Some("{\"a\":1}".to_owned()),
    };
    let answer = PreActionResult::Publish(edits);
    let case = Case::bound().asks(None);
    let writes_bound =
        writes(&case.replied(PreActionEvent::MessageAdd, Some(1), 1, answer.clone()));
    let (_, message) = appended(&writes_bound, conversation(1)).message().unwrap();
    assert_eq!(
        (
            message.body.as_str(),
            message.author.as_str(),
            message.attributes.as_str()
        ),
        ("body", "author", "{\"a\":1}")
    );
    assert_eq!(
        (message.index, message.participant),
        (3, Some(participant(1)))
    );
    let case = Case::new().configured(true).asks(None);
    let writes_new = writes(&case.replied(PreActionEvent::ConversationAdd, None, 1, answer));
    let entry = appended(&writes_new, conversation(9));
    let (_, message) = entry.message().unwrap();
    assert_eq!(message.body, "m1");
    let named = |name: &Option<String>| name.as_deref() == Some("name");
    assert!(matches!(&entry.events[0], Event::ConversationAdded(s) if named(&s.friendly_name)));
    assert!(
        writes_new
            .iter()
            .any(|w| matches!(w, Write::PutMetadata(m) if named(&m.friendly_name)))
    );
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
fn an_entry_names_the_post_action_webhook_in_force() {
    let post = |generation, since| PostWebhook {
        scope: SettingsScope::Account,
        generation,
        since,
    };
    // In the header, the generation in the settings (and whether there is a URL), in the entry.
    for (before, generation, set, expected) in [
        (None, 0, false, None),
        (None, 1, true, Some(post(1, 6))),
        (Some(post(1, 2)), 1, true, Some(post(1, 2))),
        (Some(post(1, 2)), 2, true, Some(post(2, 6))),
        (Some(post(1, 2)), 1, false, None),
    ] {
        assert_eq!(post_after(before, generation, set), expected);
    }
}

/// A writer that read the settings before the URL appeared comes after one that read them since. Were its entry to
/// name another webhook, or none, the next `since` would lie behind entries that the endpoint is owed: a missing
/// cursor starts at `since`.
#[test]
fn an_entry_never_names_an_older_post_action_webhook_than_the_one_before_it() {
    let post = Some(PostWebhook {
        scope: SettingsScope::Account,
        generation: 2,
        since: 4,
    });
    assert_eq!(post_after(post, 1, true), post);
    assert_eq!(post_after(post, 1, false), post);
}

fn post_after(before: Option<PostWebhook>, generation: u64, set: bool) -> Option<PostWebhook> {
    let mut case = Case::bound();
    let header = &mut case
        .facts
        .holder
        .as_mut()
        .unwrap()
        .tail
        .as_mut()
        .unwrap()
        .header;
    header.post = before;
    case.facts.account.webhooks = Webhooks {
        post_url: set.then(|| url("https://example.com/post")),
        post_generation: generation,
        ..Webhooks::default()
    };
    appended(&writes(&case), conversation(1)).header.post
}

#[test]
fn a_lost_race_teaches_what_it_can_and_else_fresh_reads_do() {
    let entry = |conversation, change: fn(&mut Header)| {
        let mut entry = Entry {
            conversation,
            slot: 6,
            ..Rest::new().entry()
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
        (ItemKey::Pair(pair(1)), Found::Binding(binding))
    };
    let journaled = Case::new().journaled(Outcome::Unroutable);
    let journaled = journaled.facts.journal.unwrap();
    let journal = || {
        let key = ItemKey::Journal(journaled.key().clone());
        (key, Found::Journal(Box::new(journaled.clone())))
    };
    let metadata = || (ItemKey::Metadata(conversation(1)), Found::Nothing);
    // What was found, how many slots were lost, what is next, and the slot of the tail then.
    for (found, lost, expected, tail) in [
        (vec![slot()], 1, Next::Decide, 6),
        (vec![slot()], 2, Next::ReadTail, 5),
        (vec![journal()], 0, Next::Decide, 5),
        (vec![slot(), journal()], 2, Next::Decide, 5),
        (vec![binding(), slot(), journal()], 2, Next::Decide, 5),
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
    };
    assert_eq!(
        unbound.facts.learn(conflict, &unbound.inbound, 1),
        Next::Gather
    );
}

/// c1, as users see it, and what they ask.
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

    fn cause(&self) -> Cause<'_> {
        Cause {
            fresh: &self.fresh,
            settings: self.account.in_force(ConversationServiceSid::DEFAULT),
            source: Source::Api,
            quiet: self.quiet,
        }
    }

    fn update(&self, edit: ConversationEdit) -> String {
        rest_told(change::update(
            edit,
            &self.metadata,
            &self.tail,
            self.cause(),
        ))
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
        rest_told(change::delete(&self.metadata, &self.tail, self.cause()))
    }

    fn create(
        &self,
        change: fn(&mut change::NewConversation),
        reply: Option<PreActionReply>,
    ) -> String {
        let mut wish = change::NewConversation {
            service: ConversationServiceSid::DEFAULT,
            messaging_service: MessagingServiceSid::DEFAULT,
            friendly_name: None,
            unique_name: None,
            attributes: "{}".to_owned(),
            state: State::Active,
            inactive_s: None,
            closed_s: None,
        };
        change(&mut wish);
        match change::create(wish, reply.as_ref(), self.cause()) {
            Ok(Err(call)) => format!("ask {}", call.event.name().as_str()),
            Ok(Ok(plan)) if plan.outcome.is_none() => {
                format!("rejected: {}", writes_told(&plan.writes))
            }
            Ok(Ok(plan)) => rest_told(Ok(plan)),
            Err(refusal) => rest_told::<()>(Err(refusal)),
        }
    }

    fn add(&self, identity: Option<&str>, consumer: Option<u32>) -> String {
        let wish = change::NewParticipant {
            identity: identity.map(str::to_owned),
            pair: consumer.map(pair),
            attributes: "{}".to_owned(),
        };
        rest_told(change::add(wish, &self.tail, self.cause()))
    }

    fn remove(&self) -> String {
        rest_told(change::remove(&self.participant, &self.tail, self.cause()))
    }

    fn update_participant(&self, edit: ParticipantEdit) -> String {
        rest_told(change::update_participant(
            edit,
            &self.participant,
            &self.tail,
            self.cause(),
        ))
    }

    fn post(&self, reply: Option<PreActionReply>) -> String {
        match self.posted("system", None, reply) {
            Ok(PostDecision::Ask(call)) => format!("ask {}", call.event.name().as_str()),
            Ok(PostDecision::Rejected) => "rejected".to_owned(),
            Ok(PostDecision::Do(plan)) => rest_told(Ok(*plan)),
            Err(refusal) => rest_told::<()>(Err(refusal)),
        }
    }

    fn posted(
        &self,
        author: &str,
        participant: Option<routing::ParticipantSid>,
        reply: Option<PreActionReply>,
    ) -> Result<PostDecision, Refusal> {
        let wish = change::NewMessage {
            author: author.to_owned(),
            participant,
            body: "posted".to_owned(),
            attributes: "{}".to_owned(),
        };
        change::post(wish, &self.tail, reply.as_ref(), self.cause())
    }

    /// The entry in slot 4, which added a message.
    fn entry(&self) -> Entry {
        Entry {
            conversation: conversation(1),
            slot: 4,
            change: fresh(8, 1, at(0)).change,
            at: at(0),
            source: Source::Sms,
            quiet: false,
            events: vec![Event::MessageAdded(message("added"))],
            number_webhook: None,
            header: self.tail.header.clone(),
        }
    }

    fn edit_message(&self, revision: Option<Revision>, body: &str) -> String {
        let edit = MessageEdit {
            body: Some(body.to_owned()),
            ..MessageEdit::default()
        };
        let (entry, revision) = (self.entry(), revision.as_ref());
        rest_told(change::edit_message(
            edit,
            &entry,
            revision,
            &self.tail,
            self.cause(),
        ))
    }

    fn delete_message(&self, revision: Option<Revision>) -> String {
        let (entry, revision) = (self.entry(), revision.as_ref());
        rest_told(change::delete_message(
            &entry,
            revision,
            &self.tail,
            self.cause(),
        ))
    }
}

fn message(body: &str) -> Message {
    Message {
        index: 2,
        author: "system".to_owned(),
        participant: None,
        body: body.to_owned(),
        media: Vec::new(),
        attributes: "{}".to_owned(),
    }
}

fn revision(version: u64, body: Option<&str>) -> Option<Revision> {
    Some(Revision {
        slot: 4,
        version,
        message: body.map(message),
        date_updated: at(0),
    })
}

fn rest_told<O>(decided: Result<Plan<O>, Refusal>) -> String {
    match decided {
        Ok(plan) if plan.writes.is_empty() => "nothing".to_owned(),
        Ok(plan) => writes_told(&plan.writes),
        Err(refusal) => format!("{refusal:?}"),
    }
}

fn check_all(rows: &[(String, &str)]) {
    for (told, expected) in rows {
        assert_eq!(told, expected);
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
            "rejected: ",
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
        (Rest::new().terminal().update(name("new")), "Deleted"),
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
        (Rest::new().terminal().delete(), "Deleted"),
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
        writes_told(&plan.writes),
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
        (rest.add(None, Some(2)), "PairHeldHere"),
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
        (Rest::new().terminal().add(None, Some(3)), "Deleted"),
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
        (Rest::new().terminal().remove(), "Deleted"),
        (
            rest.update_participant(read),
            "participant of c1 v3; c1/6 onParticipantUpdated = active m3 e10 t0 (1 2)",
        ),
        (
            rest.update_participant(ParticipantEdit::default()),
            "nothing",
        ),
        (
            Rest::new()
                .state(State::Closed)
                .update_participant(ParticipantEdit::default()),
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
        (asks.post(reply(1, PreActionResult::Reject)), "rejected"),
        (Rest::new().state(State::Closed).post(None), "Closed"),
        (
            Rest::new().state(State::Initializing).post(None),
            "Initializing",
        ),
        (Rest::new().terminal().post(None), "Deleted"),
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
        let Ok(PostDecision::Do(plan)) = Rest::new().posted(author, given, None) else {
            panic!("{author} may post");
        };
        let (sid, message) = plan.outcome;
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
        (rest.edit_message(revision(1, None), "new"), "Deleted"),
        (closed.edit_message(None, "new"), "Closed"),
        (
            rest.delete_message(None),
            "revision of 4 v1; blank 4; c1/6 onMessageRemoved(4) = active m3 e10 t0 (1 2)",
        ),
        (
            rest.delete_message(revision(1, Some("edited"))),
            "revision of 4 v2; blank 4; c1/6 onMessageRemoved(4) = active m3 e10 t0 (1 2)",
        ),
        (rest.delete_message(revision(1, None)), "Deleted"),
        (closed.delete_message(None), "Closed"),
        (Rest::new().terminal().delete_message(None), "Deleted"),
    ]);
}

#[test]
fn no_change_takes_last_activity_back() {
    let mut rest = Rest::new();
    rest.tail.header.last_activity = at(100);
    for told in [
        rest.to(State::Inactive),
        rest.to(State::Closed),
        rest.timers(0, 0),
        rest.delete(),
        rest.add(None, Some(3)),
        rest.remove(),
        rest.post(None),
    ] {
        assert!(told.contains(" t100 "), "{told}");
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
    let plan = change::update(edit, &rest.metadata, &rest.tail, rest.cause()).unwrap();
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
