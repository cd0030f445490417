//! Scenarios: the first state of the table, the requests, and the order of all steps. One seed gives all of it.

mod base;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::OnceLock;

use jiff::Timestamp;
use routing::change::conversation::{self, ConversationEdit, NewConversation};
use routing::change::message::{self, MessageEdit, NewMessage};
use routing::change::participant::{self, AddFacts, NewParticipant, ParticipantEdit};
use routing::{
    AccountSettings, ChangeFacts, ChangeRequest, Consumer, ConversationSid, Decision, Inbound,
    Scope, Settings, State, Timers, Webhooks, Write,
};

use super::cursors::Cursors;
use super::deliveries::Deliveries;
use super::dispatch::{self, Dispatch};
use super::process::{self, Wish};
use super::promises::{Broken, History};
use super::rng::Rng;
use super::schedule::{Task, schedule};
use super::table::{Kind, Table};
use super::world::{Beginning, Faults, World};
use super::{Mutant, Procedure};
use crate::support::{self, at, fresh, pair};
use base::{BASE_FEW, BASE_LAGS, bases, read_bases};

/// The timers of every conversation in the model.
pub(crate) const TIMERS: Timers = Timers {
    inactive_s: Some(60),
    closed_s: Some(600),
};

/// The changes with ids up to this one make the first state of the table.
pub(crate) const BASE_CHANGES_MAX: u32 = 100;

/// One request, or one event of the surroundings.
#[derive(Clone, Copy, Debug)]
enum Role {
    /// A message of the first or the second consumer.
    Message(usize),
    /// Two deliveries of one message at the same time.
    Copies(usize),
    Create,
    Close,
    Park,
    Rename,
    Describe,
    UniqueName,
    Timers,
    Delete,
    AddPair(usize),
    AddIdentity,
    Remove,
    UpdateParticipant,
    Post,
    EditMessage,
    DeleteMessage,
    Sweep,
    Tick,
    Switch,
    PostUrl,
    Filters,
    Replay,
    /// The sweep for consumers that lag.
    LagSweep,
    PollDue,
    Clock,
    SlowClock,
}

use Role::*;

/// The roles that meet. Casts are small, so that roles which concern each other meet often.
const CASTS: [&[Role]; 11] = [
    &[Message(0), Copies(0), Message(1), Post, Close, Remove],
    &[Message(0), Copies(0), Remove, AddPair(0), Close, Delete],
    &[
        Message(0),
        Message(1),
        Tick,
        Sweep,
        AddPair(0),
        Timers,
        Park,
    ],
    &[Message(0), Copies(0), Switch, Create, AddPair(0), Close],
    &[Create, UniqueName, Delete, Rename, Close],
    &[AddPair(0), AddPair(1), Remove, Close],
    &[AddIdentity, Remove, UpdateParticipant, Post],
    &[PostUrl, Message(0), Post, Rename],
    &[EditMessage, DeleteMessage, Post, Describe, Message(0)],
    &[
        Rename,
        Describe,
        Timers,
        Park,
        Message(0),
        Delete,
        UniqueName,
    ],
    &[
        Message(0),
        Copies(0),
        Message(1),
        Create,
        Close,
        Park,
        Rename,
        Describe,
        UniqueName,
        Timers,
        Delete,
        AddPair(0),
        AddPair(1),
        AddIdentity,
        Remove,
        UpdateParticipant,
        Post,
        EditMessage,
        DeleteMessage,
        Sweep,
        Tick,
        Switch,
    ],
];

/// Plays the scenario of a seed to its end. The kinds of writes that occurred, or the promise that was broken.
pub(crate) fn run(seed: u64, mutant: Mutant, trace: bool) -> Result<BTreeSet<Kind>, Broken> {
    let mut rng = Rng::new(seed);
    let cast = CASTS[rng.below(CASTS.len())];
    let roles: Vec<Role> = (0..2 + rng.below(4)).map(|_| rng.pick(cast)).collect();
    let base = &bases()[rng.below(bases().len())];
    let faults = rng.pick(&[
        Faults::default(),
        Faults {
            answer_lost: Some(4),
            ..Faults::default()
        },
        Faults {
            answer_lost: Some(8),
            delayed_copy: Some(4),
            crash: Some(12),
            ..Faults::default()
        },
        Faults {
            delayed_copy: Some(2),
            copies_linger: Some(16),
            ..Faults::default()
        },
    ]);
    let mut table = base.table.clone();
    table.off = mutant.off;
    table.state_copies_uncounted = mutant.procedure == Procedure::StateCopyNotCounted;
    let beginning = Beginning {
        table,
        history: base.history.clone(),
        now: base.now,
        autocreation: rng.below(3) > 0,
        own_webhook: rng.below(3) > 0,
        pre_webhook: rng.one_in(3),
        post_webhook: false,
        quiet: None,
        dispatch: Dispatch::default(),
        messages: messages(&roles),
    };
    let world = Rc::new(World::new(beginning, rng, faults, mutant.procedure, trace));
    world.note(|| format!("{roles:?}, {} s", base.now));
    traced(&world, play(&world, &roles)).map(|()| world.kinds.take())
}

fn messages(roles: &[Role]) -> Vec<Inbound> {
    let consumers = roles.iter().filter_map(|role| match role {
        Message(consumer) | Copies(consumer) => Some(*consumer as u32 + 1),
        _ => None,
    });
    (1..)
        .zip(consumers)
        .map(|(n, consumer)| support::inbound(n, &pair(consumer)))
        .collect()
}

fn traced(world: &World, outcome: Result<(), Broken>) -> Result<(), Broken> {
    match (outcome, &world.trace) {
        (Err(broken), Some(trace)) => Err(format!("{broken}\n{}", trace.borrow().join("\n"))),
        (outcome, _) => outcome,
    }
}

/// The roles that write entries while consumers read.
const READ_CASTS: [&[Role]; 12] = [
    &[Message(0), Post, Rename],
    &[Post, Rename],
    &[Message(0), Post, Rename, LagSweep, PollDue, Clock],
    &[Post, LagSweep, PollDue, Clock],
    &[Post, PollDue, LagSweep, Clock, Clock],
    &[Post, Replay, PollDue],
    &[Post, PostUrl, Filters, Rename, Clock],
    &[
        Post,
        Message(0),
        Message(1),
        EditMessage,
        DeleteMessage,
        Clock,
        PollDue,
    ],
    &[Post, DeleteMessage, Clock],
    &[Post, Message(0), Remove, AddPair(0), AddPair(1), PollDue],
    &[
        Post,
        Close,
        Delete,
        Create,
        AddPair(0),
        DeleteMessage,
        LagSweep,
        Clock,
    ],
    &[
        Message(0),
        Message(1),
        Post,
        Rename,
        PostUrl,
        Filters,
        Replay,
        DeleteMessage,
        Create,
        Close,
        Delete,
        AddPair(1),
        Remove,
        LagSweep,
        PollDue,
        Clock,
    ],
];

/// The roles of a scenario whose attempts last longer than the first pause after a failure.
const SLOW_CAST: &[Role] = &[SlowClock, Post, PollDue];

/// Plays the scenario of a seed with consumers to its end, and then its healthy continuation.
pub(crate) fn run_read(seed: u64, mutant: Mutant, trace: bool) -> Result<(), Broken> {
    let mut rng = Rng::new(seed);
    let slow = rng.one_in(8);
    let cast_of = match slow {
        true => SLOW_CAST,
        false => READ_CASTS[rng.below(READ_CASTS.len())],
    };
    let (fewest, more) = if slow { (1, 2) } else { (2, 5) };
    let roles: Vec<Role> = (0..fewest + rng.below(more))
        .map(|_| rng.pick(cast_of))
        .collect();
    let place = match slow {
        true => BASE_FEW,
        false => rng.below(read_bases().len()),
    };
    let (base, lags) = (&read_bases()[place], place == BASE_LAGS);
    let consumers = rng.pick(&[
        vec![Consumer::Post(Scope::Account)],
        vec![Consumer::Relay],
        vec![Consumer::Post(Scope::Account), Consumer::Relay],
    ]);
    let calm = Faults {
        ring_doubled: Some(3),
        ..Faults::default()
    };
    let mut faults = rng.pick(&[
        calm,
        Faults {
            answer_lost: Some(6),
            ring_doubled: None,
            ..calm
        },
        Faults {
            ring_lost: Some(2),
            ..calm
        },
        Faults {
            delivery_failed: Some(3),
            reply_lost: Some(5),
            ..calm
        },
        Faults {
            ring_lost: Some(2),
            crash: Some(12),
            stalls: true,
            ..calm
        },
        Faults {
            answer_lost: Some(10),
            delayed_copy: Some(8),
            crash: Some(30),
            ring_lost: Some(4),
            delivery_failed: Some(4),
            reply_lost: Some(6),
            stalls: true,
            ..calm
        },
    ]);
    if slow {
        faults = Faults {
            delivery_failed: Some(3),
            crash: Some(25),
            stalls: true,
            ..calm
        };
    }
    let replays = roles.iter().any(|role| matches!(role, Replay));
    if replays {
        // Not promised: if a move arrives twice, before and after a replay, the second finds the cursor in the same place
        // and with the same lease. So it undoes the replay.
        (faults.answer_lost, faults.delayed_copy) = (None, None);
    }
    let at_once = faults.ring_lost.or(faults.crash).is_none() && !faults.stalls;
    let once = faults.crash.or(faults.reply_lost).is_none() && !faults.stalls && !replays;
    let beginning = Beginning {
        table: base.table.clone(),
        history: base.history.clone(),
        now: base.now,
        autocreation: false,
        own_webhook: false,
        pre_webhook: false,
        post_webhook: lags || rng.below(4) > 0,
        quiet: rng.pick(&[None, Some(3)]),
        dispatch: Dispatch {
            consumers,
            cursors: RefCell::new(Cursors::new(at(-1), mutant.procedure)),
            deliveries: RefCell::new(Deliveries::new(once)),
            ..Dispatch::default()
        },
        messages: messages(&roles),
    };
    let world = Rc::new(World::new(beginning, rng, faults, mutant.procedure, trace));
    world.note(|| format!("{roles:?}, {:?}", world.dispatch.consumers));
    match lags {
        true => dispatch::begin_woken(&world),
        false => dispatch::ring(&world),
    }
    let outcome = schedule(&world, cast(&world, &roles), |_| Ok(()))
        .and_then(|()| match at_once {
            true => world.dispatch.deliveries.borrow().check_at_once(&world),
            false => Ok(()),
        })
        .and_then(|()| dispatch::continue_in_health(&world))
        .and_then(|()| {
            let table = world.table.borrow();
            world.history.borrow_mut().check(&table, &world.keys)
        });
    traced(&world, outcome)
}

/// The time of the entry that the writes append.
pub(crate) fn made_at(writes: &[Write]) -> Option<Timestamp> {
    writes.iter().find_map(|write| match write {
        Write::Append(entry) => Some(entry.at),
        _ => None,
    })
}

fn play(world: &Rc<World>, roles: &[Role]) -> Result<(), Broken> {
    schedule(world, cast(world, roles), |world| {
        let table = world.table.borrow();
        world.history.borrow_mut().check(&table, &world.keys)
    })?;
    let history = world.history.borrow();
    for key in &world.keys {
        if !history.answered.iter().any(|(answered, _)| answered == key) {
            return Err(format!("{key:?} was never answered"));
        }
    }
    history.check_end(&world.table.borrow())
}

fn cast(world: &Rc<World>, roles: &[Role]) -> Vec<Task> {
    let mut message = 0;
    let tasks = roles.iter().flat_map(|role| {
        message += u32::from(matches!(role, Message(_) | Copies(_)));
        begin(world, *role, message)
    });
    tasks.collect()
}

fn begin(world: &Rc<World>, role: Role, message: u32) -> Vec<Task> {
    let shared = || Rc::clone(world);
    // A few names, so that they are often the same.
    let name = |of: &[&str]| world.pick(of).to_owned();
    let edit = match role {
        Message(_) => return vec![Task::delivery(world, message, true)],
        Copies(_) => {
            return (0..2)
                .map(|_| Task::delivery(world, message, true))
                .collect();
        }
        Sweep => return vec![Task::new(process::sweep(shared()))],
        Tick => return vec![Task::new(process::tick(shared()))],
        Switch => return vec![Task::new(process::switch(shared()))],
        PostUrl => return vec![Task::new(process::switch_post_url(shared()))],
        Filters => return vec![Task::new(dispatch::switch_filters(shared()))],
        Replay => return vec![Task::new(dispatch::replay(shared()))],
        LagSweep => return vec![Task::new(dispatch::sweep(shared()))],
        PollDue => return vec![Task::new(dispatch::poll_due(shared()))],
        Clock => return vec![Task::new(dispatch::tick(shared()))],
        SlowClock => return vec![Task::new(dispatch::creep(shared()))],
        Create => Wish::Create(Some(name(&["two", "three"]))),
        Close => Wish::Update(ConversationEdit {
            state: Some(State::Closed),
            ..ConversationEdit::default()
        }),
        Park => Wish::Update(ConversationEdit {
            state: Some(State::Inactive),
            ..ConversationEdit::default()
        }),
        Rename => Wish::Update(ConversationEdit {
            friendly_name: Some(name(&["Ann", "Ben"])),
            ..ConversationEdit::default()
        }),
        Describe => Wish::Update(ConversationEdit {
            attributes: Some(name(&["{\"a\":1}", "{\"b\":2}"])),
            ..ConversationEdit::default()
        }),
        UniqueName => Wish::Update(ConversationEdit {
            unique_name: Some(name(&["two", "three"])),
            ..ConversationEdit::default()
        }),
        Timers => Wish::Update(ConversationEdit {
            closed_s: Some(world.pick(&[0, 700])),
            friendly_name: Some(name(&["Ann", "Ben"])),
            ..ConversationEdit::default()
        }),
        Delete => Wish::Delete,
        AddPair(consumer) => Wish::Add(NewParticipant {
            identity: None,
            pair: Some(world.pairs[consumer].clone()),
            attributes: "{}".to_owned(),
        }),
        AddIdentity => Wish::Add(NewParticipant {
            identity: Some(name(&["ann", "ben"])),
            pair: None,
            attributes: "{}".to_owned(),
        }),
        Remove => Wish::Remove,
        UpdateParticipant => Wish::UpdateParticipant(match world.below(2) {
            0 => ParticipantEdit {
                attributes: Some(name(&["{\"a\":1}", "{\"b\":2}"])),
                ..ParticipantEdit::default()
            },
            _ => ParticipantEdit {
                last_read_index: Some(0),
                ..ParticipantEdit::default()
            },
        }),
        Post => Wish::Post,
        EditMessage => Wish::EditMessage(match world.below(2) {
            0 => MessageEdit {
                body: Some(name(&["x", "y"])),
                ..MessageEdit::default()
            },
            _ => MessageEdit {
                attributes: Some(name(&["{\"a\":1}", "{\"b\":2}"])),
                ..MessageEdit::default()
            },
        }),
        DeleteMessage => Wish::DeleteMessage,
    };
    vec![Task::new(process::rest(shared(), edit)).until(world.request_until())]
}

pub(crate) fn new_conversation(unique_name: Option<String>) -> NewConversation {
    NewConversation {
        messaging_service: None,
        friendly_name: None,
        unique_name,
        attributes: "{}".to_owned(),
        state: State::Active,
        inactive_s: None,
        closed_s: None,
    }
}
