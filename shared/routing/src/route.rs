//! The decision on one inbound message.

use std::convert::Infallible;

use crate::address_configuration::{AddressConfiguration, AutoCreationKind};
use crate::binding::Binding;
use crate::cause::{Cause, Fresh};
use crate::decision::{Decision, Halt};
use crate::draft::Draft;
use crate::entry::{Event, Snapshot};
use crate::expiry::expiry;
use crate::facts::Facts;
use crate::header::{Header, HeldPair};
use crate::inbound::{Inbound, MessageKey};
use crate::journal::{ForwardState, JournalEntry, Journaled, Outcome, Target};
use crate::key::Key;
use crate::message::Message;
use crate::messaging_service::MessagingService;
use crate::metadata::Metadata;
use crate::number::InboundWebhook;
use crate::pair::Pair;
use crate::participant::Participant;
use crate::plan::{Plan, Write};
use crate::pre_action::{
    PreActionCall, PreActionEvent, PreActionProposal, PreActionReply, PreActionResult,
    pre_action_result,
};
use crate::settings::{SettingsInForce, Unread};
use crate::sid::{ConversationServiceSid, ConversationSid, ParticipantSid};
use crate::source::Source;
use crate::state::{Reason, State};
use crate::tail::Tail;
use crate::webhook::{ScopedTarget, ScopedWebhook};
use crate::why::{Rule, Why};

/// Decides on a message. The first row that fits the facts decides; [`Outcome`] and [`Rule`] name it in the journal.
///
/// | # | facts | decision |
/// |---|---|---|
/// | – | the carrier's parser can't read the message, which the carrier surely sent | `unreadable`: journaled in its raw form, counted and alarmed. It has no addresses, so this function never sees it |
/// | 1 | the journal has this message (same carrier, account, id and receiving number) | the recorded outcome again, as a duplicate; nothing is written. The caller of a forwarded message forwards it again, with the same idempotency token |
/// | 2 | the message has no key, or its key is a group, which no conversation can hold yet | as unbound, but only rows 7 and 8 |
/// | 3 | a binding names a conversation, but the newest header there does not hold the key, or the log is not visible yet | gather again: something changed between the reads |
/// | 4 | a conversation holds the key, and is not past its closing time | `captured`; an `inactive` conversation becomes `active` (Reason `EVENT`) |
/// | – | a conversation holds the key, but is past its closing time | the plan closes it (Reason `TIMER`), and the message is routed as unbound by the rows below, in one transaction |
/// | 5 | unbound; the receiving address has an enabled address configuration (a disabled one counts as none) | `autocreated` with that configuration, in its service; if it names none, or one that was deleted, in the account's default service |
/// | 6 | unbound; the number's messaging service autocreates, and the account is unlocked for it | `autocreated` in the account's default service |
/// | 7 | unbound; an incoming-message webhook is set: the number's own, else its messaging service's; if this service does not defer to the number, the service's alone | `forwarded`; the journal entry is `pending` until the webhook has replied |
/// | 8 | no row above fits | `unroutable`: journaled, counted and alarmed, never dropped silently |
///
/// A messaging service that is gone counts as none, in every row.
///
/// Rows 4, 5 and 6 call the pre-action webhook first, where one is set for the event (`onMessageAdd`,
/// `onConversationAdd`). Without a reply that holds for this event, conversation and webhook generation, the decision is
/// to ask. A rejection is the outcome `rejected`: no conversation, no fall-through, and a conversation that was found
/// past its closing time is left to its timer.
///
/// Every plan but that of row 1 writes the journal entry if it is absent, so that no message has two outcomes.
///
/// `reply`: of the pre-action webhook, if it was called for this message.
pub fn route(
    inbound: &Inbound,
    facts: &Facts,
    fresh: &Fresh,
    reply: Option<&PreActionReply>,
) -> RouteDecision {
    let router = Router {
        inbound,
        facts,
        fresh,
        reply,
    };
    router.plan_of_message().into()
}
/// A message is never refused.
pub type RouteDecision = Decision<Journaled, Infallible>;

/// A plan, or the reason why there is none yet.
type Planned = Result<Plan<Journaled>, Halt<Infallible>>;

/// A conversation that a rule makes.
struct Creation<'a> {
    rule: Rule,
    service: ConversationServiceSid,
    webhook: Option<&'a AutoCreationKind>,
}

struct Router<'a> {
    inbound: &'a Inbound,
    facts: &'a Facts,
    fresh: &'a Fresh,
    reply: Option<&'a PreActionReply>,
}

impl<'a> Router<'a> {
    fn plan_of_message(&self) -> Planned {
        if let Some(entry) = &self.facts.journal {
            return Ok(Plan::new(Journaled::Duplicate(entry.clone()), Vec::new()));
        }
        let pair = match self.inbound.routing_key() {
            Some(Key::Pair(pair)) => pair,
            // A conversation can't hold a group yet: participants have pairs, and no rule makes a group conversation.
            Some(Key::Group(_)) | None => return self.fall_through(None),
        };
        let Some(holder) = &self.facts.holder else {
            return self.unbound(pair, None);
        };
        let tail = holder.tail.as_ref().ok_or(Halt::Gather)?;
        match tail.header.holds(&Key::Pair(pair.clone())) {
            None => Err(Halt::Gather),
            Some(_) if tail.header.expired(self.fresh.now) => self.unbound(pair, Some(tail)),
            Some(participant) => self.capture(tail, participant),
        }
    }

    /// The cause of a change in a conversation of the service.
    fn cause(&self, service: ConversationServiceSid) -> Result<Cause<'a>, Unread> {
        Ok(Cause {
            fresh: self.fresh,
            settings: self.facts.settings.in_force(service)?,
            source: Source::of(self.inbound.channel()),
            quiet: false,
        })
    }

    fn capture(&self, tail: &Tail, participant: ParticipantSid) -> Planned {
        let why = Why {
            rule: Rule::Bound(tail.conversation),
            expired: None,
        };
        let cause = self.cause(tail.header.service)?;
        let mut message = self.message(tail.header.message_index, participant);
        let proposal = || PreActionProposal::Message {
            conversation: tail.conversation,
            author: message.author.clone(),
            participant: message.participant,
            body: message.body.clone(),
            media: message.media.clone(),
            attributes: message.attributes.clone(),
        };
        let (event, conversation) = (PreActionEvent::MessageAdd, Some(tail.conversation));
        match self.pre_action_result(cause.settings, event, conversation, proposal)? {
            PreActionResult::Reject => return self.rejected(Some(tail.conversation), why),
            PreActionResult::Publish(edits) => edits.apply(&mut message),
        }
        let mut draft = Draft::after(cause, tail);
        draft.push(Event::MessageAdded(message));
        draft.set_number_webhook(self.number_webhook());
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
        Ok(self.plan(self.without_text(), outcome, why, writes))
    }

    fn unbound(&self, pair: Pair, expired: Option<&Tail>) -> Planned {
        let facts = self.facts;
        facts.settings.check_read(facts.services_of_unbound())?;
        match self.creation()? {
            Some(creation) => self.autocreate(creation, pair, expired),
            None => self.fall_through(expired),
        }
    }

    fn creation(&self) -> Result<Option<Creation<'a>>, Unread> {
        let default_service = self.facts.settings.account.default_service;
        let configuration = self.facts.configuration.as_ref();
        let enabled = |configuration: &&AddressConfiguration| configuration.auto_creation.enabled;
        if let Some(configuration) = configuration.filter(enabled) {
            let auto_creation = &configuration.auto_creation;
            let named = auto_creation.service.unwrap_or(default_service);
            // A service that was deleted takes no message with it.
            let exists = self.facts.settings.service(named)?.is_some();
            return Ok(Some(Creation {
                rule: Rule::AddressConfiguration(configuration.sid),
                service: if exists { named } else { default_service },
                webhook: Some(&auto_creation.kind),
            }));
        }
        let unlocked = self.facts.settings.account.autocreation_unlocked;
        let pool = self.pool()?.filter(|pool| pool.autocreates && unlocked);
        Ok(pool.map(|pool| Creation {
            rule: Rule::MessagingService(pool.sid),
            service: default_service,
            webhook: None,
        }))
    }

    /// The messaging service whose sender pool holds the receiving number.
    fn pool(&self) -> Result<Option<&'a MessagingService>, Unread> {
        match self.facts.pool {
            Some(sid) => self.facts.settings.messaging_service(sid),
            None => Ok(None),
        }
    }

    fn autocreate(&self, creation: Creation, pair: Pair, expired: Option<&Tail>) -> Planned {
        let (fresh, cause) = (self.fresh, self.cause(creation.service)?);
        let why = Why {
            rule: creation.rule,
            expired: expired.map(|tail| tail.conversation),
        };
        let pool = self.pool()?;
        let default = self.facts.settings.account.default_messaging_service;
        let messaging_service = pool.map_or(default, |pool| pool.sid);
        let attributes = || "{}".to_owned();
        let proposal = || PreActionProposal::Conversation {
            friendly_name: None,
            unique_name: None,
            attributes: attributes(),
            service: creation.service,
            messaging_service,
            state: State::Active,
            pair: Some(pair.clone()),
            body: (!self.inbound.body.is_empty()).then(|| self.inbound.body.clone()),
            media: self.inbound.media.clone(),
        };
        let event = PreActionEvent::ConversationAdd;
        let friendly_name = match self.pre_action_result(cause.settings, event, None, proposal)? {
            PreActionResult::Reject => {
                return self.rejected(
                    None,
                    Why {
                        expired: None,
                        ..why
                    },
                );
            }
            PreActionResult::Publish(edits) => edits.friendly_name,
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
            timers: cause.settings.timers,
            post: None,
            posts_before: Vec::new(),
            terminal: false,
        };
        let participant_record = Participant {
            conversation,
            service: creation.service,
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
        let mut draft = Draft::first(cause, conversation, header);
        draft.push(Event::ConversationAdded(Snapshot {
            friendly_name: metadata.friendly_name.clone(),
            unique_name: None,
            attributes: attributes(),
            date_created: fresh.now,
            pair: Some(pair.clone()),
        }));
        draft.push(Event::ParticipantAdded(participant_record.clone()));
        draft.push(Event::MessageAdded(self.message(0, participant)));
        draft.set_number_webhook(self.number_webhook());

        let mut writes = self.closing(expired, Some(&Key::Pair(pair.clone())))?;
        let binding = Binding {
            conversation,
            participant,
            service: creation.service,
            since: fresh.now,
        };
        writes.push(Write::Claim {
            key: Key::Pair(pair),
            binding,
            from: expired.map(|tail| tail.conversation),
        });
        writes.push(Write::PutMetadata(metadata));
        writes.push(Write::PutParticipant(participant_record));
        writes.extend(creation.webhook.and_then(|kind| self.scoped_webhook(kind)));
        writes.extend(draft.timer());
        writes.push(draft.finish());
        let outcome = Outcome::Autocreated { conversation };
        Ok(self.plan(self.without_text(), outcome, why, writes))
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
        Some(Write::PutWebhook(ScopedWebhook {
            conversation: self.fresh.conversation,
            sid: self.fresh.webhook,
            version: 1,
            target,
            since: 0,
        }))
    }

    fn fall_through(&self, expired: Option<&Tail>) -> Planned {
        let pool = self.pool()?;
        let number = self.facts.number.as_ref();
        let number = number.filter(|_| pool.is_none_or(|pool| pool.defers_to_number));
        let own = number.and_then(|number| {
            let target = Target {
                call: number.sms.clone()?,
                fallback: number.sms_fallback.clone(),
            };
            Some((Rule::NumberWebhook, target))
        });
        let pool = pool.and_then(|pool| {
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
        let writes = self.closing(expired, None)?;
        Ok(self.plan(self.inbound.clone(), outcome, why, writes))
    }

    /// A rejection writes the journal alone. Its facts were read after the reply: if the key has moved meanwhile, the
    /// webhook of the new holder is asked.
    fn rejected(&self, conversation: Option<ConversationSid>, why: Why) -> Planned {
        let outcome = Outcome::Rejected { conversation };
        Ok(self.plan(self.inbound.clone(), outcome, why, Vec::new()))
    }

    /// The writes that close the expired conversation. A claim of the same transaction takes over the key `claimed`, so
    /// these writes do not release it.
    fn closing(&self, expired: Option<&Tail>, claimed: Option<&Key>) -> Result<Vec<Write>, Unread> {
        let Some(tail) = expired else {
            return Ok(Vec::new());
        };
        let cause = Cause {
            source: Source::Timer,
            ..self.cause(tail.header.service)?
        };
        let mut writes = expiry(tail, cause);
        let is_claimed = |key: &Key| Some(key) == claimed;
        writes.retain(|write| !matches!(write, Write::Release { key, .. } if is_claimed(key)));
        Ok(writes)
    }

    fn plan(
        &self,
        inbound: Inbound,
        outcome: Outcome,
        why: Why,
        mut writes: Vec<Write>,
    ) -> Plan<Journaled> {
        let entry = JournalEntry {
            inbound,
            change: self.fresh.change,
            outcome,
            why,
        };
        writes.push(Write::Journal(entry.clone()));
        Plan::new(Journaled::New(entry), writes)
    }

    /// The message without body and media, which the log holds.
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
        settings: SettingsInForce,
        event: PreActionEvent,
        conversation: Option<ConversationSid>,
        proposal: impl FnOnce() -> PreActionProposal,
    ) -> Result<PreActionResult, Box<PreActionCall>> {
        pre_action_result(settings, event, conversation, self.reply, proposal)
    }
}
