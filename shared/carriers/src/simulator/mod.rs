//! The local stack's own carrier, a stand-in for Twilio: it takes Twilio's parameters, of which few are required, without
//! a signature, and answers as Twilio is answered. Its outbox stays in memory. Only the developer can reach it.
//!
//! The cast: `parse` reads a message, `answer` is the response to it, and [`outbox`] keeps what is sent.

use http::Method;
use routing::AccountSid;

use crate::{Arrival, Form, Request, RequestError};

pub(crate) mod answer;
pub mod outbox;
mod parse;

/// The message that a request holds. `default_account`: `None` where there is no simulator.
pub(crate) fn receive(
    default_account: Option<AccountSid>,
    request: &Request<'_>,
) -> Result<Arrival, RequestError> {
    let account = default_account.ok_or(RequestError::UnknownCarrier)?;
    if request.method != Method::POST {
        return Err(RequestError::Method);
    }
    if !request.is_form() {
        return Err(RequestError::ContentType);
    }
    // The developer reads the response: what can't be read is refused, and not journaled.
    let form = Form::parse(request.body)
        .map_err(|error| RequestError::Malformed(format!("body can't be read: {error}")))?;
    parse::parse(&form, account, request.fresh, request.received_at)
        .map(Arrival::Message)
        .map_err(|error| RequestError::Malformed(error.to_string()))
}
