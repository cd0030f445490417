//! Fall-through: the number's own webhook is called, and what it says is the carrier's answer.

use std::time::Duration;

use carriers::twilio;
use routing::{Call, ChangeId, ForwardState, Inbound, Target};
use store::Deadline;

use crate::App;
use crate::caller::{Answered, CallError};

/// What the carrier is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

/// TwiML has at most 64 kB.
const TWIML_BYTES_MAX: usize = 64 * 1024;
/// What the fallback URL is left of a message's time, where there is one.
const FALLBACK_TIME: Duration = Duration::from_secs(4);
/// What the note in the journal is left after an answer.
const NOTE_TIME: Duration = Duration::from_secs(1);

/// The error codes that a fallback URL is told.
const ERROR_HTTP: &str = "11200";
const ERROR_CONNECT: &str = "11205";

/// Calls the target, then its fallback. `Err`: neither gave a usable answer.
pub(crate) async fn forward(
    app: &App,
    inbound: &Inbound,
    target: &Target,
    change: ChangeId,
    deadline: Deadline,
) -> Result<Reply, ()> {
    let deadline = deadline.less(NOTE_TIME);
    let mut parameters = twilio::parameters(inbound);
    let first = match target.fallback {
        Some(_) => deadline.less(FALLBACK_TIME),
        None => deadline,
    };
    let failure = match attempt(app, &target.call, &parameters, change, first).await {
        Ok(reply) => return Ok(reply),
        Err(failure) => failure,
    };
    failure.log(inbound, "webhook");
    let Some(fallback) = &target.fallback else {
        return Err(());
    };
    let code = if failure.status.is_some() {
        ERROR_HTTP
    } else {
        ERROR_CONNECT
    };
    parameters.push(("ErrorCode".to_owned(), code.to_owned()));
    parameters.push(("ErrorUrl".to_owned(), target.call.url.to_string()));
    let answer = attempt(app, fallback, &parameters, change, deadline).await;
    answer.map_err(|failure| failure.log(inbound, "fallback"))
}

/// Notes how it ended. Not required for correctness.
pub(crate) async fn note(app: &App, inbound: &Inbound, state: ForwardState) {
    if let Err(error) = app
        .store
        .journal_note(&inbound.key, state, Deadline::after(NOTE_TIME))
        .await
    {
        let (message_sid, error) = (inbound.key.sid, &error as &dyn std::error::Error);
        tracing::warn!(%message_sid, error, "how the fall-through of message {message_sid} ended could not be noted");
    }
}

/// Why a URL gave no usable answer: a status that is no success, or none.
struct Failure {
    status: Option<u16>,
    error: Option<CallError>,
}

impl Failure {
    fn log(&self, inbound: &Inbound, url: &'static str) {
        let (message_sid, status) = (inbound.key.sid, self.status);
        let error = self
            .error
            .as_ref()
            .map(|error| error as &dyn std::error::Error);
        tracing::warn!(%message_sid, status, error, "the {url} for message {message_sid} gave no usable answer");
    }
}

async fn attempt(
    app: &App,
    call: &Call,
    parameters: &[(String, String)],
    change: ChangeId,
    deadline: Deadline,
) -> Result<Reply, Failure> {
    match app
        .caller
        .call(
            call,
            parameters,
            change,
            deadline.remaining(),
            TWIML_BYTES_MAX,
        )
        .await
    {
        Ok(Answered {
            status,
            content_type,
            body,
        }) if (200..300).contains(&status) => Ok(Reply {
            status,
            content_type,
            body,
        }),
        Ok(Answered { status, .. }) => Err(Failure {
            status: Some(status),
            error: None,
        }),
        Err(error) => Err(Failure {
            status: None,
            error: Some(error),
        }),
    }
}
