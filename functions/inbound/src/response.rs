//! The response to a carrier.

use bytes::Bytes;
use carriers::{Reply, RequestError};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use routing::{CarrierMessageSid, CarrierName};
use service::{ErrorChain, ReceiveError};

/// The request is refused: it is not the carrier's, or it can hold no message.
pub(crate) fn refused(path: &str, error: &RequestError) -> Response<Bytes> {
    let (status, refused, detail) = (error.status(), error.refused(), error.detail());
    let response_status = status.as_u16();
    // A stranger's path can hold anything, a phone number too. The path of a carrier is known.
    let path = Some(path).filter(|_| *error != RequestError::UnknownCarrier);
    tracing::warn!(
        response_status,
        refused,
        path,
        detail,
        "a request to a carrier's door was refused: {error}"
    );
    json(status, &error.to_string())
}

/// The message is taken, or the carrier must send it again. A reply is that of the number's own webhook.
pub(crate) fn received(
    carrier: CarrierName,
    message_sid: CarrierMessageSid,
    received: Result<Option<Reply>, ReceiveError>,
) -> Response<Bytes> {
    let error = match received {
        Ok(reply) => return carriers::answer(carrier, reply),
        Err(error) => error,
    };
    let (status, text) = match &error {
        ReceiveError::ForwardFailed => (
            StatusCode::BAD_GATEWAY,
            "the number's own webhook gave no usable reply",
        ),
        ReceiveError::Contended => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many messages at once; send the message again",
        ),
        ReceiveError::Store(error) if error.retryable() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "not available; send the message again",
        ),
        ReceiveError::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, INTERNAL),
    };
    let (response_status, error) = (status.as_u16(), ErrorChain(&error));
    tracing::error!(%message_sid, response_status, %error, "message {message_sid} was not accepted");
    json(status, text)
}

const INTERNAL: &str = "internal error; send the message again";

/// The handler panicked.
pub(crate) fn panicked() -> Response<Bytes> {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    let response_status = status.as_u16();
    tracing::error!(
        response_status,
        "the handler of an inbound message panicked"
    );
    json(status, INTERNAL)
}

fn json(status: StatusCode, message: &str) -> Response<Bytes> {
    let body = serde_json::json!({"status": status.as_u16(), "message": message}).to_string();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
