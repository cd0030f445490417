//! Fall-through: the number's own webhook is called, and what it says is the carrier's answer.

use std::time::Duration;

use carriers::Reply;
use carriers::webhook::parameters::parameters;
use routing::{Call, ChangeId, ForwardState, Inbound, Target};
use store::Deadline;
use tracing::field::display;

use crate::caller::CallError;
use crate::{App, ErrorChain};

/// TwiML has at most 64 kB.
const TWIML_BYTES_MAX: usize = 64 * 1024;
/// What the fallback URL is left of a message's time, where there is one.
const FALLBACK_TIME: Duration = Duration::from_secs(4);
/// What the note in the journal is left after an answer.
const NOTE_TIME: Duration = Duration::from_secs(1);

/// The error codes that a fallback URL is told.
const ERROR_HTTP: &str = "11200";
const ERROR_CONNECT: &str = "11205";

/// What is made of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is the carrier's.
    Read,
    /// Only its status counts.
    Ignored,
}

/// Neither gave a usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Unanswered {
    /// The longest pause that was asked for, in seconds.
    pub(crate) retry_after_s: Option<i64>,
}

/// Calls the target, then its fallback.
pub(crate) async fn forward(
    app: &App,
    inbound: &Inbound,
    target: &Target,
    change: ChangeId,
    answer: Answer,
    deadline: Deadline,
) -> Result<Reply, Unanswered> {
    let deadline = deadline.less(NOTE_TIME);
    let mut parameters = parameters(inbound);
    let first = match target.fallback {
        Some(_) => deadline.less(FALLBACK_TIME),
        None => deadline,
    };
    let failure = match attempt(app, &target.call, &parameters, change, answer, first).await {
        Ok(reply) => return Ok(reply),
        Err(failure) => failure,
    };
    failure.log(inbound, "webhook");
    let Some(fallback) = &target.fallback else {
        return Err(failure.unanswered());
    };
    let code = if failure.status.is_some() {
        ERROR_HTTP
    } else {
        ERROR_CONNECT
    };
    parameters.push(("ErrorCode".to_owned(), code.to_owned()));
    // Another party has the fallback's host: it does not learn the first URL's password.
    let error_url = target.call.url.without_userinfo();
    parameters.push(("ErrorUrl".to_owned(), error_url));
    let answered = attempt(app, fallback, &parameters, change, answer, deadline).await;
    answered.map_err(|second| {
        second.log(inbound, "fallback");
        second.unanswered().max(failure.unanswered())
    })
}

/// Notes how it ended. Not required for correctness.
pub(crate) async fn note(app: &App, inbound: &Inbound, state: ForwardState) {
    if let Err(error) = app
        .store
        .journal_note(&inbound.key, state, Deadline::after(NOTE_TIME))
        .await
    {
        let (message_sid, error) = (inbound.key.sid, ErrorChain(&error));
        tracing::warn!(%message_sid, %error, "how the fall-through of message {message_sid} ended could not be noted");
    }
}

/// Why a URL gave no usable answer: a status that is no success, or none.
struct Failure {
    status: Option<u16>,
    retry_after_s: Option<i64>,
    error: Option<CallError>,
}

impl Failure {
    fn without_status(error: CallError) -> Failure {
        Failure {
            status: None,
            retry_after_s: None,
            error: Some(error),
        }
    }

    fn unanswered(&self) -> Unanswered {
        let retry_after_s = self.retry_after_s;
        Unanswered { retry_after_s }
    }

    fn log(&self, inbound: &Inbound, url: &'static str) {
        let (message_sid, status) = (inbound.key.sid, self.status);
        let error = self.error.as_ref().map(|error| display(ErrorChain(error)));
        tracing::warn!(%message_sid, status, error, "the {url} for message {message_sid} gave no usable answer");
    }
}

async fn attempt(
    app: &App,
    call: &Call,
    parameters: &[(String, String)],
    change: ChangeId,
    answer: Answer,
    deadline: Deadline,
) -> Result<Reply, Failure> {
    let (caller, time) = (&app.caller, deadline.remaining());
    let (reply, retry_after_s) = match answer {
        Answer::Read => {
            let called = caller.call(call, parameters, change, time, TWIML_BYTES_MAX);
            let whole = called.await.map_err(Failure::without_status)?;
            let reply = Reply {
                status: whole.status,
                content_type: whole.content_type,
                body: whole.body,
            };
            (reply, None)
        }
        Answer::Ignored => {
            let notified = caller.notify(call, parameters, change, time);
            let head = notified.await.map_err(Failure::without_status)?;
            let reply = Reply {
                status: head.status,
                content_type: None,
                body: Vec::new(),
            };
            (reply, head.retry_after_s)
        }
    };
    match reply.status {
        200..300 => Ok(reply),
        status => Err(Failure {
            status: Some(status),
            retry_after_s,
            error: None,
        }),
    }
}
