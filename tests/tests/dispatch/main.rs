//! What leaves by itself, through the real doors, on a real DynamoDB engine. Stream and clock are at work in many of these
//! tests, and ask the engine without pause: in a process of their own, beside which no crowd waits for its turn.

#[macro_use]
extern crate tests;

mod clock;
mod cursors;
mod doorbell;
mod idle;
mod number_webhook;
mod post;
mod post_faults;
mod relay;
mod relay_faults;
mod sweep;
mod timers;
