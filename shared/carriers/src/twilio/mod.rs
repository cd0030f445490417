//! Twilio: Programmable Messaging's incoming-message webhook, read and written.
//!
//! The cast: [`parse`](parse()) makes an [`Inbound`](routing::Inbound) of the parameters, [`parameters`](parameters())
//! makes the parameters of an `Inbound`, [`answer`] is what the carrier hears, and [`Sender`] sends.

pub mod answer;
mod parameters;
pub(crate) mod parse;
mod segments;
mod send;

pub use parameters::parameters;
pub use parse::{
    CONTENT_TYPE_BYTES_MAX, EXTRA_BYTES_MAX, MEDIA_MAX, MEDIA_URL_BYTES_MAX, ParseError, parse,
};
pub use send::{API_URL, Sender};
