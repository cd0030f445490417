//! What the carrier is told.

use bytes::Bytes;
use carriers::twilio::answer::{CONTENT_TYPE as TWIML, NO_REPLY};
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use routing::CarrierMessageSid;
use service::{ErrorChain, ReceiveError, Received, Reply};

/// Why a request is not a message. The text is for the carrier and the log.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            message: message.into(),
        }
    }
}

pub(crate) fn refused(status: StatusCode, message: &str) -> Response<Bytes> {
    let body = serde_json::json!({"status": status.as_u16(), "message": message}).to_string();
    response(status, "application/json", body.into())
}

pub(crate) fn replied(
    message_sid: CarrierMessageSid,
    received: Result<Received, ReceiveError>,
) -> Response<Bytes> {
    match received {
        Ok(Received {
            reply: Some(reply), ..
        }) => passed_back(reply),
        Ok(Received { reply: None, .. }) => response(StatusCode::OK, TWIML, NO_REPLY.into()),
        Err(error) => {
            let chain = ErrorChain(&error);
            tracing::error!(%message_sid, error = %chain, "message {message_sid} was not accepted");
            match error {
                ReceiveError::ForwardFailed => refused(
                    StatusCode::BAD_GATEWAY,
                    "the number's own webhook gave no usable answer",
                ),
                ReceiveError::Contended => refused(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "too many messages at once; send the message again",
                ),
                ReceiveError::Store(error) if error.retryable() => refused(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "not available; send the message again",
                ),
                ReceiveError::Store(_) => refused(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal error; send the message again",
                ),
            }
        }
    }
}

/// The application's own answer, as it came; an empty one is TwiML that says nothing.
fn passed_back(reply: Reply) -> Response<Bytes> {
    if reply.body.is_empty() {
        return response(StatusCode::OK, TWIML, NO_REPLY.into());
    }
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    response(
        status,
        reply.content_type.as_deref().unwrap_or(TWIML),
        reply.body.into(),
    )
}

fn response(status: StatusCode, content_type: &str, body: Bytes) -> Response<Bytes> {
    let built = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content_type)
        .body(body.clone());
    // A content type that came from elsewhere may be no header value.
    built.unwrap_or_else(|_| Response::new(body))
}
