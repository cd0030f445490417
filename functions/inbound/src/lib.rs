//! Carrier payload in, carrier reply out: `POST /inbound/{carrier}`.
//!
//! A request is bounded, authenticated, parsed, and only then believed. Closed by default: without a carrier's
//! credentials, what claims to be from it is refused. What is accepted gets TwiML; what the carrier should send again
//! gets 5xx; what it need not gets 4xx and a JSON error.

mod answer;
mod authenticate;

use std::future::Future;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use carriers::{Form, simulator, twilio};
use futures_util::FutureExt;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use routing::{CarrierMessageSid, Inbound};
use service::{App, RECEIVE_TIME, TwilioCredentials, receive};
use store::Deadline;

use crate::answer::{Refusal, refused, replied};

/// What the function needs to answer.
#[derive(Debug)]
pub struct Door {
    pub app: App,
    /// `None`: everything that claims to be from Twilio is refused.
    pub twilio: Option<TwilioCredentials>,
    /// The local stack's own carrier, which signs nothing. Never in a deployed function.
    pub simulator: bool,
}

/// Twilio's own bound on webhook bodies is far below.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Answers one request. A panic is answered 500, and the function lives on.
pub async fn handle(door: &Door, request: Request<Bytes>) -> Response<Bytes> {
    guarded(answer(door, request)).await
}

async fn guarded(answer: impl Future<Output = Response<Bytes>>) -> Response<Bytes> {
    AssertUnwindSafe(answer)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            tracing::error!("the handler of an inbound message panicked");
            refused(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal error; send the message again",
            )
        })
}

async fn answer(door: &Door, request: Request<Bytes>) -> Response<Bytes> {
    let deadline = Deadline::after(RECEIVE_TIME);
    let message = match read(door, &request) {
        Ok(message) => message,
        Err(Refusal { status, message }) => {
            let path = request.uri().path();
            tracing::warn!(
                status = status.as_u16(),
                path,
                "an inbound request was refused: {message}"
            );
            return refused(status, &message);
        }
    };
    let message_sid = message.key.sid;
    replied(message_sid, receive(&door.app, message, deadline).await)
}

/// An authenticated, well-formed message.
fn read(door: &Door, request: &Request<Bytes>) -> Result<Inbound, Refusal> {
    let carrier = request
        .uri()
        .path()
        .strip_prefix("/inbound/")
        .unwrap_or_default();
    let known = match carrier {
        "twilio" => true,
        "simulator" => door.simulator,
        _ => false,
    };
    if !known {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "there is no such carrier",
        ));
    }
    if request.method() != Method::POST {
        return Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "messages come with POST",
        ));
    }
    if request.body().len() > BODY_BYTES_MAX {
        let text = format!("body is longer than {BODY_BYTES_MAX} bytes");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let text = "content type is not application/x-www-form-urlencoded";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let form = Form::parse(request.body()).map_err(|error| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("body can't be read: {error}"),
        )
    })?;
    let now = door.app.clock.now();
    let parsed = match carrier {
        "simulator" => {
            simulator::parse(&form, door.app.account, door.app.carrier_message_sid(), now)
        }
        _ => {
            authenticate::twilio(door, request, &form)?;
            twilio::parse(&form, now)
        }
    };
    parsed.map_err(|error| {
        // The carrier will not send it again, and nobody else has it: somebody must look there.
        let message_sid = form
            .get("MessageSid")
            .and_then(CarrierMessageSid::parse)
            .map(|sid| sid.to_string());
        tracing::error!(
            message_sid,
            carrier,
            "an authentic message can't be read, and is lost: {error}"
        );
        Refusal::new(StatusCode::BAD_REQUEST, error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_500() {
        let response = guarded(async { panic!("a defect") }).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!String::from_utf8_lossy(response.body()).contains("defect"));
    }
}
