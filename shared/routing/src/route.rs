//! The decision on one inbound message.

use std::fmt;

use crate::draft::Draft;
use crate::expiry::expiry;
use crate::{
    AddressConfigurationSid, AutoCreationKind, Binding, Call, Cause, ConversationServiceSid,
    ConversationSid, Event, Facts, ForwardState, Fresh, Header, HeldPair, Inbound, InboundWebhook,
    JournalEntry, Key, Message, MessageKey, MessagingServiceSid, Metadata, Outcome, Pair,
    Participant, ParticipantSid, Plan, PreActionCall, PreActionEvent, PreActionProposal,
    PreActionResult, Reason, ScopedTarget, ScopedWebhook, Snapshot, Source, State, Tail, Write,
};

/// What is to be done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet: a pre-action webhook is to be asked. Decide again with its [`crate::PreActionReply`].
    Ask(Box<PreActionCall>),
    Do(Box<Plan<Journaled>>),
    /// The facts contradict each other, for something changed between the reads: read them again.
    Gather,
}

/// What becomes of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Journaled {
    /// The journal entry that the plan writes.
    New(JournalEntry),
    /// The journal entry that is there already. Nothing is written; a forwarded message is forwarded again.
    Duplicate(JournalEntry),
}

impl Journaled {
    pub fn entry(&self) -> &JournalEntry {
        match self {
            Journaled::New(entry) | Journaled::Duplicate(entry) => entry,
        }
    }
}

/// Where a fall-through goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub call: Call,
    pub fallback: Option<Call>,
}

/// Why a message became what it became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    pub rule: Rule,
    /// The conversation that held the pair, but was past its closing time.
    pub expired: Option<ConversationSid>,
}

/// The rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The pair is bound.
    Bound(ConversationSid),
    /// The receiving address asks for a conversation to be made.
    AddressConfiguration(AddressConfigurationSid),
    /// The receiving number's messaging service does.
    MessagingService(MessagingServiceSid),
    /// The number has a webhook of its own.
    NumberWebhook,
    /// The number's messaging service has one.
    ServiceWebhook(MessagingServiceSid),
    /// No rule applies.
    None,
}

impl Rule {
    /// A name for logs and records.
    pub fn as_str(&self) -> &'static str {
        match self {
            Rule::Bound(_) => "bound",
            Rule::AddressConfiguration(_) => "address-configuration",
            Rule::MessagingService(_) => "messaging-service",
            Rule::NumberWebhook => "number-webhook",
            Rule::ServiceWebhook(_) => "service-webhook",
            Rule::None => "none",
        }
    }
}

/// A sentence for people.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(expired) = self.expired {
            write!(
                f,
                "conversation {expired} held the pair until its closing time; "
            )?;
        }
        match self.rule {
            Rule::Bound(conversation) => write!(f, "conversation {conversation} holds the pair"),
            Rule::AddressConfiguration(sid) => {
                write!(f, "address configuration {sid} makes a conversation")
            }
            Rule::MessagingService(sid) => {
                write!(f, "messaging service {sid} makes a conversation")
            }
            Rule::NumberWebhook => write!(
                f,
                "no conversation holds the pair; the number's own webhook is set"
            ),
            Rule::ServiceWebhook(sid) => write!(
                f,
                "no conversation holds the pair; messaging service {sid} has a webhook"
            ),
            Rule::None => write!(
                f,
                "no conversation holds the pair, and nothing is set up for the receiving address"
            ),
        }
    }
}

/// Decides on a message. The rows of the table are tried in its order; `Journaled` and `Why` tell which one held.
pub fn route(inbound: &Inbound, facts: &Facts, fresh: &Fresh) -> Decision {
    if let Some(entry) = &facts.journal {
        return Decision::Do(Box::new(Plan {
            outcome: Journaled::Duplicate(entry.clone()),
            writes: Vec::new(),
        }));
    }
    let source = Source::of(inbound.channel());
    let cause = Cause {
        fresh,
        account: &facts.account,
        source,
        quiet: false,
    };
    let router = Router {
        inbound,
        facts,
        cause,
    };
    let Some(Key::Pair(pair)) = inbound.routing_key() else {
        return router.fall_through(None);
    };
    let Some(holder) = &facts.holder else {
        return router.unbound(pair, None);
    };
    let Some(tail) = &holder.tail else {
        return Decision::Gather;
    };
    match tail.header.holds(&pair) {
        None => Decision::Gather,
        Some(_) if tail.header.expired(fresh.now) => router.unbound(pair, Some(tail)),
        Some(participant) => router.capture(tail, participant),
    }
}

/// A conversation to be made, and by which rule.
struct Creation<'a> {
    rule: Rule,
    service: ConversationServiceSid,
    webhook: Option<&'a AutoCreationKind>,
}

struct Router<'a> {
    inbound: &'a Inbound,
    facts: &'a Facts,
    cause: Cause<'a>,
}

impl<'a> Router<'a> {
    fn capture(&self, tail: &Tail, participant: ParticipantSid) -> Decision {
        let why = Why {
            rule: Rule::Bound(tail.conversation),
            expired: None,
        };
        let mut message = self.message(tail.header.message_index, participant);
        match self.pre_action_result(PreActionEvent::MessageAdd, Some(tail.conversation), || {
            PreActionProposal::Message {
                conversation: tail.conversation,
                author: message.author.clone(),
                participant: message.participant,
                body: message.body.clone(),
                media: message.media.clone(),
                attributes: message.attributes.clone(),
            }
        }) {
            Err(call) => return Decision::Ask(call),
            Ok(PreActionResult::Reject) => return self.rejected(Some(tail.conversation), why),
            Ok(PreActionResult::Publish(edits)) => edits.apply(&mut message),
        }
        let mut draft = Draft::after(self.cause, tail);
        draft.push(Event::MessageAdded(message));
        draft.tell_number(self.number_webhook());
        let mut writes = Vec::new();
        if tail.header.state == State::Inactive {
            writes.extend(draft.set_state(State::Active, Reason::Event));
            writes.extend(draft.state_copy());
            writes.extend(draft.timer());
        }
        let outcome = Outcome::Captured {
            conversation: tail.conversation,
            slot: draft.slot(),
        };
        writes.push(draft.finish());
        self.plan(self.without_text(), outcome, why, writes)
    }

    fn unbound(&self, pair: Pair, expired: Option<&Tail>) -> Decision {
        match self.creation() {
            Some(creation) => self.autocreate(creation, pair, expired),
            None => self.fall_through(expired),
        }
    }

    fn creation(&self) -> Option<Creation<'a>> {
        let configuration = self
            .facts
            .configuration
            .as_ref()
            .filter(|configuration| configuration.auto_creation.enabled);
        if let Some(configuration) = configuration {
            return Some(Creation {
                rule: Rule::AddressConfiguration(configuration.sid),
                service: configuration
                    .auto_creation
                    .service
                    .unwrap_or(ConversationServiceSid::DEFAULT),
                webhook: Some(&configuration.auto_creation.kind),
            });
        }
        let pool = self
            .facts
            .pool
            .as_ref()
            .filter(|pool| pool.autocreates && self.facts.account.autocreation_unlocked);
        pool.map(|pool| Creation {
            rule: Rule::MessagingService(pool.sid),
            service: ConversationServiceSid::DEFAULT,
            webhook: None,
        })
    }

    fn autocreate(&self, creation: Creation, pair: Pair, expired: Option<&Tail>) -> Decision {
        let fresh = self.cause.fresh;
        let why = Why {
            rule: creation.rule,
            expired: expired.map(|tail| tail.conversation),
        };
        let messaging_service = self
            .facts
            .pool
            .as_ref()
            .map_or(MessagingServiceSid::DEFAULT, |pool| pool.sid);
        let attributes = || "{}".to_owned();
        let friendly_name =
            match self.pre_action_result(PreActionEvent::ConversationAdd, None, || {
                PreActionProposal::Conversation {
                    friendly_name: None,
                    unique_name: None,
                    attributes: attributes(),
                    service: creation.service,
                    messaging_service,
                    state: State::Active,
                    pair: Some(pair.clone()),
                    body: (!self.inbound.body.is_empty()).then(|| self.inbound.body.clone()),
                    media: self.inbound.media.clone(),
                }
            }) {
                Err(call) => return Decision::Ask(call),
                // The expired conversation, if there is one, is left to the sweep.
                Ok(PreActionResult::Reject) => {
                    return self.rejected(
                        None,
                        Why {
                            expired: None,
                            ..why
                        },
                    );
                }
                Ok(PreActionResult::Publish(edits)) => edits.friendly_name,
            };

        let (conversation, participant) = (fresh.conversation, fresh.participant);
        let header = Header {
            state: State::Active,
            service: creation.service,
            messaging_service,
            pairs: vec![HeldPair {
                participant,
                pair: pair.clone(),
            }],
            participants: 1,
            message_index: 0,
            event_number: 0,
            last_activity: fresh.now,
            timers: self.facts.account.timers,
            post: None,
            terminal: false,
        };
        let participant_record = Participant {
            conversation,
            sid: participant,
            version: 1,
            identity: None,
            pair: Some(pair.clone()),
            attributes: attributes(),
            last_read_index: None,
            last_read_at: None,
            date_created: fresh.now,
            date_updated: fresh.now,
        };
        let metadata = Metadata {
            conversation,
            version: 1,
            service: creation.service,
            friendly_name,
            unique_name: None,
            attributes: attributes(),
            state: State::Active,
            timers: header.timers,
            date_created: fresh.now,
            date_updated: fresh.now,
        };
        let mut draft = Draft::first(self.cause, conversation, header);
        draft.push(Event::ConversationAdded(Snapshot {
            friendly_name: metadata.friendly_name.clone(),
            unique_name: None,
            attributes: attributes(),
            date_created: fresh.now,
            pair: Some(pair.clone()),
        }));
        draft.push(Event::ParticipantAdded(participant_record.clone()));
        draft.push(Event::MessageAdded(self.message(0, participant)));
        draft.tell_number(self.number_webhook());

        let mut writes = self.closing(expired, Some(&pair));
        let binding = Binding {
            conversation,
            participant,
            service: creation.service,
            since: fresh.now,
        };
        writes.push(Write::Claim {
            pair,
            binding,
            from: expired.map(|tail| tail.conversation),
        });
        writes.push(Write::PutMetadata(metadata));
        writes.push(Write::PutParticipant(participant_record));
        writes.extend(creation.webhook.and_then(|kind| self.scoped_webhook(kind)));
        writes.extend(draft.timer());
        writes.push(draft.finish());
        self.plan(
            self.without_text(),
            Outcome::Autocreated { conversation },
            why,
            writes,
        )
    }

    /// The message's key, where the number's own webhook wants captured messages too.
    fn number_webhook(&self) -> Option<MessageKey> {
        let number = self.facts.number.as_ref()?;
        let wanted = number.inbound_webhook == InboundWebhook::Always && number.sms.is_some();
        wanted.then(|| self.inbound.key.clone())
    }

    fn scoped_webhook(&self, kind: &AutoCreationKind) -> Option<Write> {
        let target = match kind {
            AutoCreationKind::Default => return None,
            AutoCreationKind::Webhook { call, filters } => ScopedTarget::Webhook {
                call: call.clone(),
                filters: filters.clone(),
            },
            AutoCreationKind::Studio {
                flow_sid,
                retry_count,
            } => ScopedTarget::Studio {
                flow_sid: flow_sid.clone(),
                retry_count: *retry_count,
            },
        };
        let (conversation, sid) = (self.cause.fresh.conversation, self.cause.fresh.webhook);
        Some(Write::PutWebhook(ScopedWebhook {
            conversation,
            sid,
            version: 1,
            target,
            since: 0,
        }))
    }

    fn fall_through(&self, expired: Option<&Tail>) -> Decision {
        let number = self.facts.number.as_ref();
        let own = number.and_then(|number| {
            let target = Target {
                call: number.sms.clone()?,
                fallback: number.sms_fallback.clone(),
            };
            Some((Rule::NumberWebhook, target))
        });
        let pool = self.facts.pool.as_ref().and_then(|pool| {
            let target = Target {
                call: pool.inbound.clone()?,
                fallback: pool.fallback.clone(),
            };
            Some((Rule::ServiceWebhook(pool.sid), target))
        });
        let (rule, outcome) = match own.or(pool) {
            Some((rule, target)) => (
                rule,
                Outcome::Forwarded {
                    target,
                    state: ForwardState::Pending,
                },
            ),
            None => (Rule::None, Outcome::Unroutable),
        };
        let why = Why {
            rule,
            expired: expired.map(|tail| tail.conversation),
        };
        self.plan(
            self.inbound.clone(),
            outcome,
            why,
            self.closing(expired, None),
        )
    }

    fn rejected(&self, conversation: Option<ConversationSid>, why: Why) -> Decision {
        self.plan(
            self.inbound.clone(),
            Outcome::Rejected { conversation },
            why,
            Vec::new(),
        )
    }

    /// Closes the conversation found expired; `taken` is the pair that a claim takes over in the same transaction.
    fn closing(&self, expired: Option<&Tail>, taken: Option<&Pair>) -> Vec<Write> {
        let mut writes = expired.map_or_else(Vec::new, |tail| {
            expiry(
                tail,
                Cause {
                    source: Source::Timer,
                    ..self.cause
                },
            )
        });
        writes.retain(|write| !matches!(write, Write::Release { pair, .. } if Some(pair) == taken));
        writes
    }

    fn plan(
        &self,
        inbound: Inbound,
        outcome: Outcome,
        why: Why,
        mut writes: Vec<Write>,
    ) -> Decision {
        let entry = JournalEntry {
            inbound,
            change: self.cause.fresh.change,
            outcome,
            why,
        };
        writes.push(Write::Journal(entry.clone()));
        Decision::Do(Box::new(Plan {
            outcome: Journaled::New(entry),
            writes,
        }))
    }

    /// The message without what stands in the log.
    fn without_text(&self) -> Inbound {
        Inbound {
            body: String::new(),
            media: Vec::new(),
            ..self.inbound.clone()
        }
    }

    fn message(&self, index: u64, participant: ParticipantSid) -> Message {
        Message {
            index,
            author: self.inbound.from.to_string(),
            participant: Some(participant),
            body: self.inbound.body.clone(),
            media: self.inbound.media.clone(),
            attributes: "{}".to_owned(),
        }
    }

    fn pre_action_result(
        &self,
        event: PreActionEvent,
        conversation: Option<ConversationSid>,
        proposal: impl FnOnce() -> PreActionProposal,
    ) -> Result<PreActionResult, Box<PreActionCall>> {
        crate::pre_action::pre_action_result(
            &self.facts.account.webhooks,
            event,
            conversation,
            self.facts.pre_action.as_ref(),
            proposal,
        )
    }
}
