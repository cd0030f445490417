//! The processes, as the store and the use cases carry them out: every call of the table is one step.

use std::rc::Rc;

use routing::change::conversation::{self, ConversationEdit};
use routing::change::message::{self, MessageEdit, NewMessage};
use routing::change::participant::{self, AddFacts, NewParticipant, ParticipantEdit, UpdateFacts};
use routing::{
    AutoCreationKind, Cause, ChangeFacts, ChangeRequest, ConversationSid, Decision, Entry, Facts,
    Fresh, Holder, Inbound, ItemKey, Journaled, Metadata, Next, Outcome, Participant,
    ParticipantSid, Plan, PreActionReply, Progress, Revision, Source, State, Tail, close_expired,
    route,
};

use super::Procedure;
use super::promises::Edit;
use super::table::Item;
use super::world::{World, step};
use crate::support;

/// How often a request decides before it gives up. Every decision but the first follows the progress of another request,
/// and scenarios have few requests.
const DECISIONS_MAX: usize = 40;

/// Handles one delivery of a message by its carrier.
pub(crate) async fn receive(world: Rc<World>, message: u32) {
    step().await;
    let began = world.steps.get();
    let inbound = world.messages[message as usize - 1].clone();
    let fresh = world.fresh(message);
    world.note(|| format!("message {message} comes as change {}", fresh.change));
    let mut facts = gather(&world, &inbound, None).await;
    let (mut reply, mut replied) = (None, began);
    let mut progress = Progress::default();
    for _ in 0..DECISIONS_MAX {
        let next = match route(&inbound, &facts, &fresh, reply.as_ref()) {
            Decision::Gather => Next::Gather,
            Decision::Ask(call) => {
                step().await;
                reply = Some(PreActionReply::to(&call, world.pre_action_result()));
                replied = world.steps.get();
                match world.procedure {
                    Procedure::FactsKeptOverTheReply => Next::DecideAtOnce,
                    _ => Next::Gather,
                }
            }
            Decision::Do(plan) => {
                let Plan { outcome, writes } = &*plan;
                let forwarded = matches!(outcome.entry().outcome, Outcome::Forwarded { .. });
                if forwarded && world.procedure == Procedure::ForwardedBeforeJournaled {
                    world.forward(&inbound.key);
                }
                match world.commit(&plan).await {
                    Ok(()) => return received(&world, plan.outcome, began, replied).await,
                    Err(conflict) => {
                        let learn = |conflict, lost| facts.learn(conflict, &inbound, lost);
                        progress.failed(conflict, outcome.clone(), writes, learn)
                    }
                }
            }
            Decision::ReadServices(services) => panic!("{services} is read with the account"),
            Decision::Close(_) => panic!("a message closes a conversation in its own plan"),
            Decision::Refuse(never) => match never {},
        };
        match next.after_pause(world.settings_age()) {
            Next::DecideAtOnce | Next::Decide => {}
            Next::ReadTail(_) => read_tail(&world, &mut facts).await,
            Next::ReadTailAndSettings(_) => gather_tail_and_settings(&world, &mut facts).await,
            Next::Gather => {
                facts = gather(&world, &inbound, Some(facts)).await;
                if let Some(outcome) = settle(&world, &mut progress).await {
                    return received(&world, outcome, began, replied).await;
                }
            }
        }
    }
    world.breaks(format!("bounded: message {message} is never decided"));
}

/// Forwards a message whose outcome stands in the journal, if that is its outcome, and answers the carrier. `replied`:
/// the step at which the pre-action webhook replied.
async fn received(world: &World, outcome: Journaled, began: u64, replied: u64) {
    if let Journaled::New(entry) = &outcome {
        world.committed(entry, began, replied);
    }
    let entry = outcome.entry();
    let key = entry.key();
    if matches!(entry.outcome, Outcome::Forwarded { .. }) {
        step().await;
        world.forward(key);
        step().await;
        world.table.borrow_mut().note_answered(key);
    }
    let word = entry.outcome.as_str();
    world.note(|| format!("{key:?} is answered {word}"));
    let mut history = world.history.borrow_mut();
    history.answered.push((key.clone(), word));
}

/// Journal, binding, settings in any order; then the tail of the conversation that the binding names.
/// `before`: the facts of the last time.
async fn gather(world: &World, inbound: &Inbound, before: Option<Facts>) -> Facts {
    let mut facts = world.facts.clone();
    let Some(pair) = world.pairs.iter().find(|p| *p.address() == inbound.from) else {
        return facts;
    };
    for read in world.shuffled([0, 1, 2, 3]) {
        step().await;
        match read {
            0 => facts.journal = world.table.borrow().journal(&inbound.key).cloned(),
            1 => {
                let binding = match world.procedure {
                    Procedure::BindingReadWeakly => world.table.borrow().binding_before(pair),
                    _ => world.table.borrow().binding(pair),
                };
                facts.holder = binding.map(|binding| Holder {
                    conversation: binding.conversation,
                    tail: None,
                });
            }
            2 => read_configuration(world, &mut facts),
            _ => facts.settings = world.settings(),
        }
    }
    let holder = before.and_then(|facts| facts.holder);
    if world.procedure == Procedure::TailReadOnce
        && let (Some(holder), Some(before)) = (&facts.holder, holder)
        && holder.conversation == before.conversation
        && before.tail.is_some()
    {
        facts.holder = Some(before);
        return facts;
    }
    read_tail(world, &mut facts).await;
    facts
}

async fn read_tail(world: &World, facts: &mut Facts) {
    if facts.holder.is_some() {
        step().await;
        facts.learn_tail(tail_of_holder(world, facts));
    }
}

fn tail_of_holder(world: &World, facts: &Facts) -> Option<Tail> {
    let holder = facts.holder.as_ref()?;
    world.table.borrow().tail(holder.conversation)
}

fn read_configuration(world: &World, facts: &mut Facts) {
    let kind = AutoCreationKind::Studio {
        flow_sid: String::new(),
        retry_count: 0,
    };
    facts.configuration = Some(support::configuration(world.autocreation(), kind));
}

/// The tail and the settings again, in any order.
async fn gather_tail_and_settings(world: &World, facts: &mut Facts) {
    for read in world.shuffled([0, 1, 2]) {
        match read {
            0 => read_tail(world, facts).await,
            1 => {
                step().await;
                read_configuration(world, facts);
            }
            _ => {
                step().await;
                facts.settings = world.settings();
            }
        }
    }
}

/// A REST change. Its subject is chosen by chance, among the records that exist when it begins.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    Create(Option<String>),
    Update(ConversationEdit),
    Delete,
    Add(NewParticipant),
    UpdateParticipant(ParticipantEdit),
    Remove,
    Post,
    EditMessage(MessageEdit),
    DeleteMessage,
}

/// The facts of a change, read in any order.
struct Seen {
    facts: ChangeFacts<()>,
    metadata: Option<Metadata>,
    participant: Option<Participant>,
    entry: Option<Entry>,
    revision: Option<Revision>,
}

impl Seen {
    /// The facts as a kind of change has them.
    fn with<F>(&self, own: F) -> ChangeFacts<F> {
        ChangeFacts {
            settings: self.facts.settings.clone(),
            tail: self.facts.tail.clone(),
            own,
            obstacle: self.facts.obstacle.clone(),
        }
    }
}

/// The records that a change concerns.
struct Subject {
    conversation: ConversationSid,
    participant: Option<ParticipantSid>,
    message: Option<u64>,
}

pub(crate) async fn rest(world: Rc<World>, wish: Wish) {
    step().await;
    let fresh = world.fresh(0);
    let subject = subject(&world, &wish, &fresh);
    let quiet = world.quiet.is_some_and(|n| world.below(n) == 0);
    let (conversation, change) = (subject.conversation, fresh.change);
    world.note(|| format!("{wish:?} of {conversation} begins as change {change}"));
    let edit = match &wish {
        Wish::Update(edit) => Some(Edit::Conversation(edit.clone())),
        Wish::UpdateParticipant(edit) => Some(Edit::Participant(edit.clone())),
        Wish::EditMessage(edit) => Some(Edit::Message(edit.clone())),
        _ => None,
    };
    if let Some(edit) = edit {
        world.history.borrow_mut().edits.insert(change, edit);
    }
    let acknowledge = || {
        let mut history = world.history.borrow_mut();
        history.acknowledged.push((conversation, change));
    };
    let mut reply = None;
    let mut progress = Progress::default();
    let mut seen = see(&world, &subject).await;
    for _ in 0..DECISIONS_MAX {
        let request = ChangeRequest {
            fresh: &fresh,
            now: world.now(),
            service: None,
            quiet,
            reply: reply.as_ref(),
        };
        let next = match decide(&wish, &seen, request) {
            Decision::Ask(call) => {
                step().await;
                reply = Some(PreActionReply::to(&call, world.pre_action_result()));
                Next::Gather
            }
            Decision::Gather => Next::Gather,
            Decision::ReadServices(services) => panic!("{services} is read with the account"),
            Decision::Close(plan) => {
                let _ = world.commit(&plan).await;
                Next::Gather
            }
            Decision::Refuse(_) => {
                if !progress.in_doubt() || world.procedure == Procedure::DoubtForgotten {
                    world.history.borrow_mut().refused.push(change);
                }
                return;
            }
            Decision::Do(plan) if plan.writes.is_empty() => return,
            Decision::Do(plan) => match world.commit(&plan).await {
                Ok(()) => return acknowledge(),
                Err(conflict) => progress.failed(conflict, (), &plan.writes, |conflict, _| {
                    seen.facts.learn(conflict, &plan.writes)
                }),
            },
        };
        match next {
            Next::DecideAtOnce | Next::Decide => {}
            Next::ReadTail(holder) | Next::ReadTailAndSettings(holder) => {
                step().await;
                seen.facts.learn_tail(world.table.borrow().tail(holder));
            }
            Next::Gather => {
                seen = see(&world, &subject).await;
                if settle(&world, &mut progress).await.is_some() {
                    return acknowledge();
                }
            }
        }
    }
    world.breaks(format!("bounded: change {change} is never decided"));
}

/// Reads the slot of the plan in doubt. The outcome is that of this plan, if it has happened.
async fn settle<T>(world: &World, progress: &mut Progress<T>) -> Option<T> {
    let (conversation, slot) = progress.slot_in_doubt()?;
    step().await;
    progress.settle(world.table.borrow().entry(conversation, slot))
}

/// Closes the conversation if its closing time has passed; returns whether it had passed.
async fn close(world: &World, tail: &Tail) -> bool {
    let (settings, fresh) = (world.settings(), world.fresh(0));
    let cause = Cause {
        fresh: &fresh,
        settings: settings.in_force(tail.header.service).unwrap(),
        source: Source::Timer,
        quiet: false,
    };
    let Some(plan) = close_expired(tail, cause) else {
        return false;
    };
    let committed = world.commit(&plan).await;
    if committed.is_ok_and(|()| plan.outcome.header.state != State::Closed) {
        world.breaks("an expired conversation does not close".to_owned());
    }
    true
}

/// Looks whether a conversation's closing time has passed.
pub(crate) async fn sweep(world: Rc<World>) {
    step().await;
    let conversations: Vec<ConversationSid> = world.table.borrow().conversations().collect();
    for conversation in conversations {
        for _ in 0..DECISIONS_MAX {
            step().await;
            let tail = world.table.borrow().tail(conversation);
            match tail {
                Some(tail) if close(&world, &tail).await => {}
                _ => break,
            }
        }
    }
}

pub(crate) async fn tick(world: Rc<World>) {
    for _ in 0..2 {
        step().await;
        let seconds = world.pick(&[61, 301, 601]);
        world.now.set(world.now.get() + seconds);
        world.note(|| format!("the clock moves {seconds} s"));
    }
}

pub(crate) async fn switch(world: Rc<World>) {
    for _ in 0..2 {
        step().await;
        world.switch();
    }
}

pub(crate) async fn switch_post_url(world: Rc<World>) {
    for _ in 0..2 {
        step().await;
        world.switch_post_url();
    }
}

fn subject(world: &World, wish: &Wish, fresh: &Fresh) -> Subject {
    let table = world.table.borrow();
    let conversations: Vec<ConversationSid> = table.conversations().collect();
    let mut subject = Subject {
        conversation: world.pick(&conversations),
        participant: None,
        message: None,
    };
    match wish {
        Wish::Create(_) => subject.conversation = fresh.conversation,
        Wish::UpdateParticipant(_) | Wish::Remove => {
            let mut there: Vec<(ConversationSid, ParticipantSid)> = table
                .items()
                .filter_map(|(_, item)| match item {
                    Item::Participant(p) => Some((p.conversation, p.sid)),
                    _ => None,
                })
                .collect();
            there.sort();
            if !there.is_empty() {
                let (conversation, sid) = world.pick(&there);
                (subject.conversation, subject.participant) = (conversation, Some(sid));
            }
        }
        Wish::EditMessage(_) | Wish::DeleteMessage => {
            let slots = 0..=table.newest(subject.conversation).unwrap_or_default();
            let there: Vec<u64> = slots
                .filter(|slot| {
                    let entry = table.entry(subject.conversation, *slot);
                    entry.is_some_and(|entry| entry.message().is_some())
                })
                .collect();
            if !there.is_empty() {
                subject.message = Some(world.pick(&there));
            }
        }
        Wish::Update(_) | Wish::Delete | Wish::Add(_) | Wish::Post => {}
    }
    subject
}

async fn see(world: &World, subject: &Subject) -> Seen {
    let mut seen = Seen {
        facts: ChangeFacts::new(world.settings(), None, ()),
        metadata: None,
        participant: None,
        entry: None,
        revision: None,
    };
    let conversation = subject.conversation;
    for read in world.shuffled([0, 1, 2, 3, 4, 5]) {
        let wanted = match read {
            0..=2 => true,
            3 => subject.participant.is_some(),
            _ => subject.message.is_some(),
        };
        if !wanted {
            continue;
        }
        step().await;
        let table = world.table.borrow();
        match read {
            0 => seen.facts.tail = table.tail(conversation),
            1 => seen.metadata = table.metadata(conversation).cloned(),
            2 => seen.facts.settings = world.settings(),
            3 => {
                seen.participant = subject.participant.and_then(|sid| {
                    match table.item(&ItemKey::Participant(conversation, sid)) {
                        Some(Item::Participant(participant)) => Some(participant.clone()),
                        _ => None,
                    }
                });
            }
            4 => {
                let entry = subject
                    .message
                    .and_then(|slot| table.entry(conversation, slot));
                seen.entry = entry.cloned();
            }
            _ => {
                let slot = subject.message;
                let revision = slot.and_then(|slot| table.revision(conversation, slot));
                seen.revision = revision.cloned();
            }
        }
    }
    seen
}

/// A decision whose outcome does not matter.
fn without_outcome<T>(decision: Decision<T>) -> Decision<()> {
    match decision {
        Decision::Ask(call) => Decision::Ask(call),
        Decision::Close(plan) => Decision::Close(plan),
        Decision::Do(plan) => Decision::Do(Box::new(Plan {
            outcome: (),
            writes: plan.writes,
        })),
        Decision::ReadServices(services) => Decision::ReadServices(services),
        Decision::Gather => Decision::Gather,
        Decision::Refuse(refusal) => Decision::Refuse(refusal),
    }
}

fn decide(wish: &Wish, seen: &Seen, request: ChangeRequest) -> Decision<()> {
    let message_facts = || {
        let entry = seen.entry.clone();
        seen.with(entry.map(|entry| (entry, seen.revision.clone())))
    };
    match wish {
        Wish::Create(unique_name) => {
            let new = super::scenario::new_conversation(unique_name.clone());
            without_outcome(conversation::create(&new, &seen.with(()), request))
        }
        Wish::Update(edit) => {
            let facts = seen.with(seen.metadata.clone());
            without_outcome(conversation::update(edit, &facts, request))
        }
        Wish::Delete => conversation::delete(&seen.with(seen.metadata.clone()), request),
        Wish::Add(new) => {
            let own = AddFacts {
                address_is_ours: false,
                proxy_is_ours: true,
            };
            without_outcome(participant::add(new, &seen.with(own), request))
        }
        Wish::UpdateParticipant(edit) => {
            let own = UpdateFacts {
                participant: seen.participant.clone(),
                proxy_is_ours: true,
            };
            without_outcome(participant::update(edit, &seen.with(own), request))
        }
        Wish::Remove => participant::remove(&seen.with(seen.participant.clone()), request),
        Wish::Post => {
            let new = NewMessage {
                author: "system".to_owned(),
                body: "posted".to_owned(),
                attributes: "{}".to_owned(),
            };
            without_outcome(message::post(&new, &seen.with(None), request))
        }
        Wish::EditMessage(edit) => without_outcome(message::edit(edit, &message_facts(), request)),
        Wish::DeleteMessage => message::delete(&message_facts(), request),
    }
}
