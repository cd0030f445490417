//! The local stack's own carrier: Twilio's parameter names, no signature, and no more of them than a person wants to
//! type. What is sent by it stays in memory. It exists where nobody but the developer can reach it.

mod outbox;
mod parse;

pub use outbox::Outbox;
pub use parse::parse;
