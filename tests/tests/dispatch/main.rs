//! Deliveries, through the real doors, on a real DynamoDB engine. In many of these tests stream and clock run, and call the
//! engine without pause. So they have their own process, in which no crowd waits for its turn.

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
mod services;
mod sweep;
mod timers;
