//! A consumer's choices as values: after a look, and after each of its actions.
//!
//! A run carries the values out in this order, and makes no choice of its own:
//!
//! 1. It takes a [`Look`] and asks [`approach`] what to read.
//! 2. It reads the stretch of the log and asks [`step`] what to do.
//! 3. If that is to take the cursor, it takes it, and carries out what [`Deliveries`] or [`FanOut`] say, one action after
//!    the other, until they say to leave.
//! 4. [`Then`] says whether the run looks again. [`Looks`](super::limits::Looks) bounds how often.
//!
//! The reasons behind the order: with its last move a run gives the lease back, and only *then* does it read the end of
//! the log once more. A ring that finds the cursor leased does nothing. Without the last look, an entry that commits
//! while the run ends would wait for the sweep.

use jiff::Timestamp;

use crate::consumer::action::{Approach, Choice, Runner, Then, clear_due};
use crate::consumer::fan_out::{self, FanOut};
use crate::consumer::post::{self, Deliveries};
use crate::consumer::write::{CursorWrite, Seen};
use crate::{Consumer, Entry, Look};

/// What a consumer does with the stretch that it has read.
#[derive(Clone, Debug)]
pub enum Step<'a> {
    Stop,
    /// The look's settings are older than an entry: pause, and look again.
    PauseAndLook,
    /// Carry the write out, without a lease: no entry up to its new position owes a delivery.
    PassOver(CursorWrite, Then),
    /// Take the cursor by this write, and if that succeeds, deliver.
    Deliver(CursorWrite, Deliveries<'a>),
    /// Take the cursor by this write, and if that succeeds, deliver to each recipient.
    FanOut(CursorWrite, FanOut<'a>),
}

impl<'a> Step<'a> {
    fn of<W>(choice: Choice<W>, take: impl FnOnce(CursorWrite, W) -> Step<'a>) -> Step<'a> {
        match choice {
            Choice::Stop => Step::Stop,
            Choice::PauseAndLook => Step::PauseAndLook,
            Choice::PassOver(write, then) => Step::PassOver(write, then),
            Choice::Take(write, work) => take(write, work),
        }
    }
}

/// What the consumer does first. `at`: when the look was taken.
pub fn approach(consumer: Consumer, look: &Look, at: Timestamp) -> Approach {
    let cursor = look.cursor(consumer);
    let seen = Seen { cursor, at };
    if look.tail().is_none() {
        // The sweep may have made the cursor due while the conversation was purged.
        return clear_due(seen);
    }
    match consumer {
        Consumer::Post(scope) => post::approach(scope, look, seen),
        Consumer::Relay | Consumer::Numbers => fan_out::approach(seen),
    }
}

/// What the consumer does with `entries`, which [`approach`] asked for.
pub fn step<'a>(
    consumer: Consumer,
    look: &Look,
    at: Timestamp,
    entries: &'a [Entry],
    runner: Runner<'_>,
) -> Step<'a> {
    let cursor = look.cursor(consumer);
    let seen = Seen { cursor, at };
    let Some(tail) = look.tail() else {
        return Step::Stop;
    };
    match consumer {
        Consumer::Post(scope) => match look.endpoint(scope) {
            Some(endpoint) => {
                let choice = post::step(&endpoint, &tail, seen, entries, runner);
                Step::of(choice, Step::Deliver)
            }
            None => Step::Stop,
        },
        Consumer::Relay | Consumer::Numbers => {
            let choice = fan_out::step(consumer, &tail, seen, entries, runner);
            Step::of(choice, Step::FanOut)
        }
    }
}
