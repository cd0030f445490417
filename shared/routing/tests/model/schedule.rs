//! The scheduler: it lets all tasks take their steps in any order, and crash.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use jiff::Timestamp;

use super::promises::Broken;
use super::world::World;
use super::{consumer, dispatch, process};

/// Deliveries of one message after its first: more than enough to outlive what crashes.
const RETRIES_MAX: usize = 3;
/// Far beyond what any scenario takes.
pub(crate) const STEPS_MAX: u64 = 20_000;

pub(crate) struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    /// The message that it delivers.
    message: Option<u32>,
    waits_for: Option<u64>,
    crashes: bool,
    /// When its time is up.
    until: Option<Timestamp>,
}

impl Task {
    pub(crate) fn new(future: impl Future<Output = ()> + 'static) -> Task {
        Task {
            future: Box::pin(future),
            message: None,
            waits_for: None,
            crashes: true,
            until: None,
        }
    }

    pub(crate) fn until(self, until: Option<Timestamp>) -> Task {
        Task { until, ..self }
    }

    pub(crate) fn delivery(world: &Rc<World>, message: u32, crashes: bool) -> Task {
        Task {
            message: Some(message),
            crashes,
            ..Task::new(process::receive(Rc::clone(world), message))
        }
        .until(world.request_until())
    }
}

/// Runs until no task can move. `check` is called whenever the table has changed and no commit is half visible.
pub(crate) fn schedule(
    world: &Rc<World>,
    mut tasks: Vec<Task>,
    check: impl Fn(&World) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut retries = vec![RETRIES_MAX; world.messages.len()];
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
        let under_way = world.table.borrow().under_way();
        let linger = world
            .faults
            .copies_linger
            .filter(|_| able.len() + under_way > 0);
        let delayed = match linger {
            Some(n) if world.below(n) > 0 => 0,
            _ => world.delayed.borrow().len(),
        };
        let events = [
            able.len(),
            under_way,
            delayed,
            world.dispatch.rings.borrow().len(),
            world.dispatch.delayed.borrow().len(),
            world.dispatch.cursors.borrow().unindexed.len(),
        ];
        // Index entries that become visible do not keep a scenario going.
        if events[..5].iter().all(|count| *count == 0) {
            break;
        }
        let mut index = world.below(events.iter().sum());
        let mut kind = 0;
        while index >= events[kind] {
            index -= events[kind];
            kind += 1;
        }
        match kind {
            0 => {
                let place = able[index];
                let task = &mut tasks[place];
                let late = task.until.is_some_and(|until| until < world.now());
                if late || task.crashes && world.happens(world.faults.crash) {
                    let crashed = tasks.swap_remove(place);
                    world.note(|| format!("a process crashes (message {:?})", crashed.message));
                    tasks.extend(crashed.message.map(|m| retry(world, m, &mut retries)));
                } else {
                    let ready = task.future.as_mut().poll(&mut context).is_ready();
                    task.waits_for = world.waits_for.take();
                    if ready {
                        let ended = tasks.swap_remove(place);
                        // The carrier did not get the answer.
                        if let Some(message) = ended.message
                            && retries[message as usize - 1] > 0
                            && world.happens(world.faults.crash.or(Some(6)))
                        {
                            tasks.push(retry(world, message, &mut retries));
                        }
                    }
                }
            }
            1 => {
                let mut rng = world.rng.borrow_mut();
                world.table.borrow_mut().step(index, &mut rng);
            }
            2 => {
                let writes = world.delayed.borrow_mut().swap_remove(index);
                world.note(|| "a delayed copy arrives".to_owned());
                world.table.borrow_mut().send(&writes);
            }
            3 => {
                let conversation = world.dispatch.rings.borrow_mut().swap_remove(index);
                world.note(|| format!("a ring for {conversation}"));
                let consumers = world.dispatch.consumers.iter();
                tasks.extend(consumers.map(|consumer| {
                    Task::new(consumer::run(Rc::clone(world), (conversation, *consumer)))
                }));
            }
            4 => {
                let (_, update) = world.dispatch.delayed.borrow_mut().swap_remove(index);
                world.note(|| "a delayed update arrives".to_owned());
                update(&mut world.dispatch.cursors.borrow_mut());
            }
            _ => {
                let cursors = &mut *world.dispatch.cursors.borrow_mut();
                let entry = cursors.unindexed.swap_remove(index);
                cursors.indexed.push(entry);
            }
        }
        dispatch::ring(world);
        world.observe();
        if let Some(broken) = world.broken.take() {
            return Err(broken);
        }
        let table = world.table.borrow();
        if table.under_way() == 0 && table.changes != checked {
            checked = table.changes;
            drop(table);
            check(world)?;
        }
    }
    Ok(())
}

/// The carrier brings the message again, to another process. The last time, nothing crashes.
fn retry(world: &Rc<World>, message: u32, retries: &mut [usize]) -> Task {
    let left = &mut retries[message as usize - 1];
    *left = left.saturating_sub(1);
    Task::delivery(world, message, *left > 0)
}
