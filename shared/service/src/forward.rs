//! Fall-through: this run calls the number's own webhook, and its reply becomes the response to the carrier.

use std::time::Duration;

use carriers::Reply;
use carriers::webhook::message_parameters::parameters;
use routing::{Call, ChangeId, ForwardState, Inbound, Target};
use store::Deadline;
use tracing::field::display;

use crate::caller::CallError;
use crate::{App, ErrorChain};

/// TwiML has at most 64 kB.
const TWIML_BYTES_MAX: usize = 64 * 1024;
/// The part of a message's time that is kept for the fallback URL, if there is one.
const FALLBACK_TIME: Duration = Duration::from_secs(4);
/// The part of a message's time that is kept for the note in the journal, after the reply.
const NOTE_TIME: Duration = Duration::from_secs(1);

/// Twilio's error codes, for the parameter `ErrorCode` of a fallback URL.
const ERROR_HTTP: &str = "11200";
const ERROR_CONNECT: &str = "11205";

/// How the reply is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyUse {
    /// The carrier gets it.
    PassedOn,
    /// Only its status counts.
    StatusOnly,
}

/// Neither URL gave a usable reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NoReply {
    /// The longest pause that an endpoint asked for, in seconds.
    pub(crate) retry_after_s: Option<i64>,
}

/// Calls the target, then its fallback.
pub(crate) async fn forward(
    app: &App,
    inbound: &Inbound,
    target: &Target,
    change: ChangeId,
    reply_use: ReplyUse,
    deadline: Deadline,
) -> Result<Reply, NoReply> {
    let deadline = deadline.less(NOTE_TIME);
    let mut parameters = parameters(inbound);
    let first = match target.fallback {
        Some(_) => deadline.less(FALLBACK_TIME),
        None => deadline,
    };
    let failure = match attempt(app, &target.call, &parameters, change, reply_use, first).await {
        Ok(reply) => return Ok(reply),
        Err(failure) => failure,
    };
    failure.log(inbound, "webhook");
    let Some(fallback) = &target.fallback else {
        return Err(failure.no_reply());
    };
    let code = match failure.status {
        Some(_) => ERROR_HTTP,
        None => ERROR_CONNECT,
    };
    parameters.push(("ErrorCode".to_owned(), code.to_owned()));
    // Another party has the fallback's host: it does not learn the first URL's password.
    let error_url = target.call.url.without_userinfo();
    parameters.push(("ErrorUrl".to_owned(), error_url));
    let reply = attempt(app, fallback, &parameters, change, reply_use, deadline).await;
    reply.map_err(|second| {
        second.log(inbound, "fallback");
        second.no_reply().max(failure.no_reply())
    })
}

/// Notes the end of a fall-through in the journal. Not required for correctness.
pub(crate) async fn note(app: &App, inbound: &Inbound, state: ForwardState) {
    if let Err(error) = app
        .store
        .journal_note(&inbound.key, state, Deadline::after(NOTE_TIME))
        .await
    {
        let (message_sid, error) = (inbound.key.sid, ErrorChain(&error));
        tracing::warn!(%message_sid, %error, "the end of the fall-through of message {message_sid} could not be noted");
    }
}

/// Why an attempt brought no usable reply.
struct AttemptFailure {
    /// Of a reply that is no success; `None`: no reply came.
    status: Option<u16>,
    retry_after_s: Option<i64>,
    error: Option<CallError>,
}

impl AttemptFailure {
    fn without_status(error: CallError) -> AttemptFailure {
        AttemptFailure {
            status: None,
            retry_after_s: None,
            error: Some(error),
        }
    }

    fn no_reply(&self) -> NoReply {
        let retry_after_s = self.retry_after_s;
        NoReply { retry_after_s }
    }

    fn log(&self, inbound: &Inbound, url: &'static str) {
        let (message_sid, status) = (inbound.key.sid, self.status);
        let error = self.error.as_ref().map(|error| display(ErrorChain(error)));
        tracing::warn!(%message_sid, status, error, "the {url} for message {message_sid} gave no usable reply");
    }
}

async fn attempt(
    app: &App,
    call: &Call,
    parameters: &[(String, String)],
    change: ChangeId,
    reply_use: ReplyUse,
    deadline: Deadline,
) -> Result<Reply, AttemptFailure> {
    let (caller, time) = (&app.caller, deadline.remaining());
    let (reply, retry_after_s) = match reply_use {
        ReplyUse::PassedOn => {
            let called = caller.call(call, parameters, change, time, TWIML_BYTES_MAX);
            let whole = called.await.map_err(AttemptFailure::without_status)?;
            let reply = Reply {
                status: whole.status,
                content_type: whole.content_type,
                body: whole.body,
            };
            (reply, None)
        }
        ReplyUse::StatusOnly => {
            let notified = caller.notify(call, parameters, change, time);
            let head = notified.await.map_err(AttemptFailure::without_status)?;
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
        status => Err(AttemptFailure {
            status: Some(status),
            retry_after_s,
            error: None,
        }),
    }
}
