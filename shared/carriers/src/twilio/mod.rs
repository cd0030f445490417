//! Twilio: Programmable Messaging.
//!
//! The cast: `verify` checks who sent a request, `parse` makes an [`Inbound`](routing::Inbound) of its parameters,
//! `answer` is the response to a message that we took, and [`send`] sends by the Messages API.

use std::fmt;

use routing::{AccountSid, Inbound};

use crate::{Form, Request, RequestError};

pub(crate) mod answer;
pub(crate) mod parse;
pub mod send;
mod verify;

/// The account at Twilio whose messages we take, and by which we send.
#[derive(Clone)]
pub struct Credentials {
    pub account: AccountSid,
    pub token: String,
}

/// Never shows the token.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "twilio::Credentials({})", self.account)
    }
}

/// The message that a request holds, if Twilio sent the request.
pub(crate) fn receive(
    credentials: Option<&Credentials>,
    request: &Request<'_>,
) -> Result<Inbound, RequestError> {
    verify::verify(credentials, request)?;
    let malformed = |error: &dyn fmt::Display| RequestError::Malformed(error.to_string());
    if !request.is_form() {
        return Err(RequestError::ContentType);
    }
    let form = Form::parse(request.body).map_err(|error| malformed(&error))?;
    parse::parse(&form, request.received_at).map_err(|error| malformed(&error))
}
