//! The processes, as the store and the use cases are to carry them out: every call of the table is one step.

use std::rc::Rc;

use routing::change::{
    self, ConversationEdit, MessageEdit, NewParticipant, ParticipantEdit, Refusal,
};
use routing::{
    AccountSettings, AutoCreationKind, Cause, ChangeId, Conflict, ConversationServiceSid,
    ConversationSid, Decision, Entry, Facts, Found, Fresh, Holder, Inbound, ItemKey, Journaled,
    Metadata, Next, Outcome, Pair, Participant, ParticipantSid, Plan, PreActionReply, Revision,
    Source, State, Tail, close_expired, route,
};

use super::Procedure;
use super::promises::Edit;
use super::table::Item;
use super::world::{World, step};
use crate::support;

/// How often a request decides before it gives up. Every decision but the first answers somebody else's progress, and
/// scenarios have few others.
const DECISIONS_MAX: usize = 40;

/// Handles one delivery of a message by its carrier.
pub(crate) async fn receive(world: Rc<World>, message: u32) {
    step().await;
    let began = world.steps.get();
    let inbound = world.messages[message as usize - 1].clone();
    let fresh = world.fresh(message);
    world.note(|| format!("message {message} comes as change {}", fresh.change));
    let mut facts = gather(&world, &inbound, None).await;
    let mut lost = 0;
    for _ in 0..DECISIONS_MAX {
        let plan = match route(&inbound, &facts, &fresh) {
            Decision::Gather => {
                facts = gather(&world, &inbound, Some(facts)).await;
                continue;
            }
            Decision::Ask(call) => {
                step().await;
                facts.pre_action = Some(PreActionReply::to(&call, world.pre_action_result()));
                continue;
            }
            Decision::Do(plan) => *plan,
        };
        let forwarded = matches!(plan.outcome.entry().outcome, Outcome::Forwarded { .. });
        if forwarded && world.procedure == Procedure::ForwardedBeforeJournaled {
            world.forward(&inbound.key);
        }
        if let Err(conflict) = world.commit(&plan).await {
            let slot_lost = |(_, found): &(ItemKey, Found)| matches!(found, Found::Entry(_));
            lost += u32::from(conflict.found.iter().any(slot_lost));
            match facts.learn(conflict, &inbound, lost) {
                Next::Decide => {}
                Next::ReadTail => read_tail(&world, &mut facts).await,
                Next::Gather => facts = gather(&world, &inbound, Some(facts)).await,
            }
            continue;
        }
        if let Journaled::New(entry) = &plan.outcome {
            world.committed(entry, began);
        }
        if forwarded {
            step().await;
            world.forward(&inbound.key);
            step().await;
            world.table.borrow_mut().note_answered(&inbound.key);
        }
        let word = plan.outcome.entry().outcome.as_str();
        world.note(|| format!("message {message} is answered {word}"));
        world
            .history
            .borrow_mut()
            .answered
            .push((inbound.key, word));
        return;
    }
    world.breaks(format!("bounded: message {message} is never decided"));
}

/// Journal, binding, settings in any order; then the tail of the conversation that the binding names.
/// `before`: what was gathered the last time, of which a reply is kept.
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
            2 => {
                let on = world.autocreation();
                let kind = AutoCreationKind::Studio {
                    flow_sid: String::new(),
                    retry_count: 0,
                };
                facts.configuration = Some(support::configuration(on, kind));
            }
            _ => facts.account = world.account.borrow().clone(),
        }
    }
    let (holder, reply) = before.map_or((None, None), |facts| (facts.holder, facts.pre_action));
    facts.pre_action = reply;
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
    if let Some(holder) = &mut facts.holder {
        step().await;
        holder.tail = world.table.borrow().tail(holder.conversation);
    }
}

/// What a user asks by REST. What it is about is chosen, by chance, among what is there when it begins.
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

/// What a change reads, in any order.
#[derive(Default)]
struct Seen {
    tail: Option<Tail>,
    metadata: Option<Metadata>,
    participant: Option<Participant>,
    entry: Option<Entry>,
    revision: Option<Revision>,
    account: AccountSettings,
}

/// What a change is about.
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
    let mut reply = None;
    for _ in 0..DECISIONS_MAX {
        let seen = see(&world, &subject).await;
        if let Some(tail) = &seen.tail
            && close(&world, tail).await
        {
            continue;
        }
        let wanted = loop {
            match decide(&wish, &seen, (&fresh, quiet), reply.as_ref()) {
                Wanted::Ask(call) => {
                    step().await;
                    reply = Some(PreActionReply::to(&call, world.pre_action_result()));
                }
                other => break other,
            }
        };
        let plan = match wanted {
            Wanted::Plan(plan) if !plan.writes.is_empty() => plan,
            // Not there, refused, or nothing to do.
            _ => return,
        };
        let committed = world.commit(&plan).await;
        let recognized = world.procedure != Procedure::OwnChangeNotRecognized;
        let conflict = match committed {
            Err(conflict) if !(recognized && own(&conflict, change)) => conflict,
            _ => {
                let mut history = world.history.borrow_mut();
                return history.acknowledged.push((conversation, change));
            }
        };
        if conflict.identity_taken() || conflict.name_taken().is_some_and(|c| c != conversation) {
            return;
        }
        if let Some((pair, binding)) = conflict.binding()
            && binding.conversation != conversation
            && !freed(&world, pair, binding.conversation).await
        {
            return;
        }
    }
    world.breaks(format!("bounded: change {change} is never decided"));
}

fn own(conflict: &Conflict, change: ChangeId) -> bool {
    let own =
        |(_, found): &(ItemKey, Found)| matches!(found, Found::Entry(e) if e.change == change);
    conflict.found.iter().any(own)
}

/// Whether a pair that a claim ran into may be free by now.
async fn freed(world: &World, pair: &Pair, holder: ConversationSid) -> bool {
    step().await;
    let tail = world.table.borrow().tail(holder);
    match tail {
        Some(tail) => tail.header.holds(pair).is_none() || close(world, &tail).await,
        None => true,
    }
}

/// Closes the conversation if its closing time has passed; whether there was something to do.
async fn close(world: &World, tail: &Tail) -> bool {
    let (account, fresh) = (world.account.borrow().clone(), world.fresh(0));
    let cause = Cause {
        fresh: &fresh,
        settings: account.in_force(tail.header.service),
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
    let mut seen = Seen::default();
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
            0 => seen.tail = table.tail(conversation),
            1 => seen.metadata = table.metadata(conversation).cloned(),
            2 => seen.account = world.account.borrow().clone(),
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

enum Wanted {
    Plan(Plan<()>),
    Ask(Box<routing::PreActionCall>),
    /// Refused, rejected, or about nothing.
    Nothing,
}

impl<O> From<Result<Plan<O>, Refusal>> for Wanted {
    fn from(decided: Result<Plan<O>, Refusal>) -> Wanted {
        match decided {
            Ok(plan) => Wanted::Plan(Plan {
                outcome: (),
                writes: plan.writes,
            }),
            Err(_) => Wanted::Nothing,
        }
    }
}

fn decide(
    wish: &Wish,
    seen: &Seen,
    (fresh, quiet): (&Fresh, bool),
    reply: Option<&PreActionReply>,
) -> Wanted {
    let cause = Cause {
        fresh,
        settings: seen.account.in_force(ConversationServiceSid::DEFAULT),
        source: Source::Api,
        quiet,
    };
    if let Wish::Create(unique_name) = wish {
        let new = super::scenario::new_conversation(unique_name.clone());
        return match change::create(new, reply, cause) {
            Ok(Err(call)) => Wanted::Ask(call),
            Ok(Ok(plan)) => Ok(plan).into(),
            Err(refusal) => Err::<Plan<()>, _>(refusal).into(),
        };
    }
    let Some(tail) = &seen.tail else {
        return Wanted::Nothing;
    };
    match (wish, &seen.metadata, &seen.participant, &seen.entry) {
        (Wish::Update(edit), Some(metadata), ..) => {
            change::update(edit.clone(), metadata, tail, cause).into()
        }
        (Wish::Delete, Some(metadata), ..) => change::delete(metadata, tail, cause).into(),
        (Wish::Add(new), ..) => change::add(new.clone(), tail, cause).into(),
        (Wish::UpdateParticipant(edit), _, Some(participant), _) => {
            change::update_participant(edit.clone(), participant, tail, cause).into()
        }
        (Wish::Remove, _, Some(participant), _) => change::remove(participant, tail, cause).into(),
        (Wish::Post, ..) => {
            let new = change::NewMessage {
                author: "system".to_owned(),
                participant: None,
                body: "posted".to_owned(),
                attributes: "{}".to_owned(),
            };
            match change::post(new, tail, reply, cause) {
                Ok(change::PostDecision::Ask(call)) => Wanted::Ask(call),
                Ok(change::PostDecision::Do(plan)) => Ok(*plan).into(),
                Ok(change::PostDecision::Rejected) | Err(_) => Wanted::Nothing,
            }
        }
        (Wish::EditMessage(edit), _, _, Some(entry)) => {
            change::edit_message(edit.clone(), entry, seen.revision.as_ref(), tail, cause).into()
        }
        (Wish::DeleteMessage, _, _, Some(entry)) => {
            change::delete_message(entry, seen.revision.as_ref(), tail, cause).into()
        }
        _ => Wanted::Nothing,
    }
}
