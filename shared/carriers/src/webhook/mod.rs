//! The format of an incoming-message webhook, as Twilio defined it. Users wrote their applications for it, so we post it
//! to a number's own webhook, whichever carrier brought the message, and sign it with our token. Twilio posts it to us,
//! signed with its own. So the format belongs to no carrier, and its code stands once, here.
//!
//! The cast: [`signature`] signs and verifies, [`message_parameters`] makes the parameters of a message.

pub mod message_parameters;
mod segments;
pub mod signature;
