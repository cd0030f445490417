#![doc = include_str!("../README.md")]

mod answer;
mod arrival;
mod digest;
mod form;
mod part;
mod receivers;
mod request;
mod senders;
mod sending;
pub mod simulator;
pub mod twilio;
pub mod webhook;

pub use answer::{Reply, answer};
pub use arrival::Arrival;
pub use form::{Form, FormError, PARAMETERS_MAX};
pub use receivers::Receivers;
pub use request::{Request, RequestError};
pub use senders::Senders;
pub use sending::{SendResult, Sending};

#[cfg(test)]
mod seeded;
