//! One folder a carrier: what it sends us, made into one carrier-neutral [`routing::Inbound`]; what it expects back;
//! and what we send by it.
//!
//! A carrier's payload is read once, here, into types that cannot be wrong; nobody behind this crate looks at a
//! parameter's grammar again.
//!
//! Refused here: whatever is not well-formed (a message with a doubtful address or recipient is refused aloud, for
//! otherwise it would be routed to somebody else), clocks, randomness, and I/O but for the one call that sends. Whether a signature must be there, and
//! whose token it is made with, is the caller's to say.
//!
//! The cast: [`Form`] is the payload, [`signature`] tells who sent it, [`twilio`] reads it, and [`simulator`] is the
//! local stack's own carrier, which speaks Twilio's parameters with fewer of them required.

mod digest;
mod form;
mod sending;
pub mod signature;
pub mod simulator;
pub mod twilio;

pub use form::{Form, FormError, PARAMETERS_MAX};
pub use sending::{Sending, Taken};

#[cfg(test)]
mod seeded;
