//! Scenarios: how the table begins, who comes, and in which order everybody moves; all of it told by one seed.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::OnceLock;
use std::task::{Context, Waker};

use routing::change::{
    self, ConversationEdit, MessageEdit, NewConversation, NewMessage, NewParticipant,
    ParticipantEdit, PostDecision,
};
use routing::{
    AccountSettings, Cause, ConversationServiceSid, ConversationSid, Inbound, MessagingServiceSid,
    Source, State, Timers, Write,
};

use super::process::{self, Wish};
use super::promises::{Broken, History};
use super::rng::Rng;
use super::table::{Kind, Table};
use super::world::{Beginning, Faults, World};
use super::{Mutant, Procedure};
use crate::support::{self, at, fresh, pair};

/// Of every conversation that the model makes.
pub(crate) const TIMERS: Timers = Timers {
    inactive_s: Some(60),
    closed_s: Some(600),
};
/// The ids of changes up to this belong to how the table begins.
pub(crate) const BASE_CHANGES_MAX: u32 = 100;
/// Deliveries of one message after its first: more than enough to outlive what crashes.
const RETRIES_MAX: usize = 3;
/// Far beyond what any scenario takes.
const STEPS_MAX: u64 = 20_000;

/// Somebody who comes.
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
}

use Role::*;

/// Who may meet whom: small casts, so that those who matter to each other meet often.
const CASTS: [&[Role]; 10] = [
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

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    /// The message that it delivers.
    message: Option<u32>,
    waits_for: Option<u64>,
    crashes: bool,
}

impl Task {
    fn new(future: impl Future<Output = ()> + 'static) -> Task {
        Task {
            future: Box::pin(future),
            message: None,
            waits_for: None,
            crashes: true,
        }
    }

    fn delivery(world: &Rc<World>, message: u32, crashes: bool) -> Task {
        Task {
            message: Some(message),
            crashes,
            ..Task::new(process::receive(Rc::clone(world), message))
        }
    }
}

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
        },
    ]);
    let mut table = base.table.clone();
    table.off = mutant.off;
    table.state_copies_uncounted = mutant.procedure == Procedure::StateCopyNotCounted;
    let consumers = roles.iter().filter_map(|role| match role {
        Message(consumer) | Copies(consumer) => Some(*consumer as u32 + 1),
        _ => None,
    });
    let messages: Vec<Inbound> = (1..)
        .zip(consumers)
        .map(|(n, consumer)| support::inbound(n, &pair(consumer)))
        .collect();
    let beginning = Beginning {
        table,
        history: base.history.clone(),
        now: base.now,
        autocreation: rng.below(3) > 0,
        own_webhook: rng.below(3) > 0,
        pre_webhook: rng.one_in(3),
        messages,
    };
    let world = Rc::new(World::new(beginning, rng, faults, mutant.procedure, trace));
    world.note(|| format!("{roles:?}, {} s", base.now));
    let outcome = play(&world, &roles);
    let kinds = world.kinds.take();
    match (outcome, &world.trace) {
        (Err(broken), Some(trace)) => Err(format!("{broken}\n{}", trace.borrow().join("\n"))),
        (outcome, _) => outcome.map(|()| kinds),
    }
}

fn play(world: &Rc<World>, roles: &[Role]) -> Result<(), Broken> {
    let mut tasks = Vec::new();
    let mut message = 0;
    for role in roles {
        if let Message(_) | Copies(_) = role {
            message += 1;
        }
        tasks.extend(begin(world, *role, message));
    }
    let mut retries = vec![RETRIES_MAX; message as usize];
    let mut context = Context::from_waker(Waker::noop());
    let mut checked = world.table.borrow().changes;
    loop {
        world.steps.set(world.steps.get() + 1);
        if world.steps.get() > STEPS_MAX {
            return Err("bounded: the scenario does not end".to_owned());
        }
        let able: Vec<usize> = (0..tasks.len())
            .filter(|&task| {
                let waits_for: Option<u64> = tasks[task].waits_for;
                waits_for.is_none_or(|id| !world.table.borrow().is_under_way(id))
            })
            .collect();
        let commits = world.table.borrow().under_way();
        let delayed = world.delayed.borrow().len();
        let all = able.len() + commits + delayed;
        if all == 0 {
            break;
        }
        let chosen = world.below(all);
        if chosen < able.len() {
            let task = &mut tasks[able[chosen]];
            if task.crashes && world.happens(world.faults.crash) {
                let crashed = tasks.swap_remove(able[chosen]);
                world.note(|| format!("a process crashes (message {:?})", crashed.message));
                tasks.extend(crashed.message.map(|m| retry(world, m, &mut retries)));
            } else {
                let ready = task.future.as_mut().poll(&mut context).is_ready();
                task.waits_for = world.waits_for.take();
                if ready {
                    let ended = tasks.swap_remove(able[chosen]);
                    // The carrier did not get the answer.
                    if let Some(message) = ended.message
                        && retries[message as usize - 1] > 0
                        && world.happens(world.faults.crash.or(Some(6)))
                    {
                        tasks.push(retry(world, message, &mut retries));
                    }
                }
            }
        } else if chosen < able.len() + commits {
            let mut rng = world.rng.borrow_mut();
            world.table.borrow_mut().step(chosen - able.len(), &mut rng);
        } else {
            let index = chosen - able.len() - commits;
            let writes = world.delayed.borrow_mut().swap_remove(index);
            world.note(|| "a delayed copy arrives".to_owned());
            world.table.borrow_mut().send(&writes);
        }
        world.observe();
        if let Some(broken) = world.broken.take() {
            return Err(broken);
        }
        let table = world.table.borrow();
        if table.under_way() == 0 && table.changes != checked {
            checked = table.changes;
            world.history.borrow_mut().check(&table, &world.keys)?;
        }
    }
    let history = world.history.borrow();
    for key in &world.keys {
        if !history.answered.iter().any(|(answered, _)| answered == key) {
            return Err(format!("{key:?} was never answered"));
        }
    }
    history.check_end(&world.table.borrow())
}

/// The carrier brings the message again, to another process. The last time, nothing crashes.
fn retry(world: &Rc<World>, message: u32, retries: &mut [usize]) -> Task {
    let left = &mut retries[message as usize - 1];
    *left = left.saturating_sub(1);
    Task::delivery(world, message, *left > 0)
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
    vec![Task::new(process::rest(shared(), edit))]
}

pub(crate) fn new_conversation(unique_name: Option<String>) -> NewConversation {
    NewConversation {
        service: ConversationServiceSid::DEFAULT,
        messaging_service: MessagingServiceSid::DEFAULT,
        friendly_name: None,
        unique_name,
        attributes: "{}".to_owned(),
        state: State::Active,
        inactive_s: None,
        closed_s: None,
    }
}

/// How a table begins.
struct Base {
    table: Table,
    history: History,
    now: i64,
}

/// Two conversations: nothing bound; the first pair bound; both; the first and the conversation parked; both, and the
/// conversation past its closing time.
fn bases() -> &'static [Base] {
    static BASES: OnceLock<Vec<Base>> = OnceLock::new();
    BASES.get_or_init(|| {
        vec![
            base(&[], false, 0),
            base(&[1], false, 0),
            base(&[1, 2], false, 0),
            base(&[1], true, 0),
            base(&[1, 2], false, 601),
        ]
    })
}

fn base(consumers: &[u32], parked: bool, now: i64) -> Base {
    let mut building = Building::default();
    let first = building.create(TIMERS.closed_s);
    let second = building.create(None);
    for consumer in consumers {
        building.add(first, None, Some(*consumer));
    }
    building.add(first, Some("ann"), None);
    building.add(second, Some("ann"), None);
    building.post(first);
    if parked {
        building.park(first);
    }
    let Building {
        table,
        mut history,
        changes,
    } = building;
    assert!(changes <= BASE_CHANGES_MAX);
    assert_eq!(history.check(&table, &[]), Ok(()));
    Base {
        table,
        history,
        now,
    }
}

/// A table in the making, by the crate's own plans.
#[derive(Default)]
struct Building {
    table: Table,
    history: History,
    changes: u32,
}

impl Building {
    fn play(&mut self, plan: impl FnOnce(&Table, Cause) -> Vec<Write>) -> ConversationSid {
        self.changes += 1;
        let account = AccountSettings::default();
        let fresh = fresh(self.changes, 0, at(0));
        let cause = Cause {
            fresh: &fresh,
            account: &account,
            source: Source::Api,
            quiet: true,
        };
        let writes = plan(&self.table, cause);
        self.table.play(writes);
        fresh.conversation
    }

    fn create(&mut self, closed_s: Option<u64>) -> ConversationSid {
        self.play(|_, cause| {
            let new = NewConversation {
                closed_s,
                inactive_s: closed_s.and(TIMERS.inactive_s),
                ..new_conversation(None)
            };
            change::create(new, None, cause).unwrap().unwrap().writes
        })
    }

    fn add(&mut self, to: ConversationSid, identity: Option<&str>, consumer: Option<u32>) {
        self.play(|table, cause| {
            let new = NewParticipant {
                identity: identity.map(str::to_owned),
                pair: consumer.map(pair),
                attributes: "{}".to_owned(),
            };
            let tail = table.tail(to).unwrap();
            change::add(new, &tail, cause).unwrap().writes
        });
    }

    fn post(&mut self, to: ConversationSid) {
        self.play(|table, cause| {
            let new = NewMessage {
                author: "system".to_owned(),
                participant: None,
                body: "first".to_owned(),
                attributes: "{}".to_owned(),
            };
            let tail = table.tail(to).unwrap();
            match change::post(new, &tail, None, cause).unwrap() {
                PostDecision::Do(plan) => plan.writes,
                other => panic!("{other:?}"),
            }
        });
    }

    fn park(&mut self, conversation: ConversationSid) {
        let edit = ConversationEdit {
            state: Some(State::Inactive),
            ..ConversationEdit::default()
        };
        self.play(|table, cause| {
            let tail = table.tail(conversation).unwrap();
            let metadata = table.metadata(conversation).unwrap();
            change::update(edit, metadata, &tail, cause).unwrap().writes
        });
    }
}
