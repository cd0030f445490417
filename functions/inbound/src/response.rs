//! The response to a carrier.

use bytes::Bytes;
use carriers::RequestError;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use routing::{CarrierMessageSid, CarrierName};
use service::{ErrorChain, ReceiveError, Received};

/// The request is refused: it is not the carrier's, or it can hold no message.
pub(crate) fn refused(path: &str, error: &RequestError) -> Response<Bytes> {
    let (status, refused, detail) = (error.status(), error.refused(), error.detail());
    tracing::warn!(
        status = status.as_u16(),
        refused,
        path,
        detail,
        "a request to {path} was refused: {error}"
    );
    json(status, &error.to_string())
}

/// The message is taken, or the carrier must send it again.
pub(crate) fn received(
    carrier: CarrierName,
    message_sid: CarrierMessageSid,
    received: Result<Received, ReceiveError>,
) -> Response<Bytes> {
    let error = match received {
        Ok(Received { reply, .. }) => return carriers::answer(carrier, reply),
        Err(error) => error,
    };
    let chain = ErrorChain(&error);
    tracing::error!(%message_sid, error = %chain, "message {message_sid} was not accepted");
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
        ReceiveError::Store(_) => return failed(),
    };
    json(status, text)
}

/// A defect, here or in the table.
pub(crate) fn failed() -> Response<Bytes> {
    json(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal error; send the message again",
    )
}

fn json(status: StatusCode, message: &str) -> Response<Bytes> {
    let body = serde_json::json!({"status": status.as_u16(), "message": message}).to_string();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
