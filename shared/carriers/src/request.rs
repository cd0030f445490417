//! A request at a carrier's door, before and after a carrier has looked at it.

use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use routing::CarrierMessageSid;

/// A request as it came to `/inbound/{carrier}`, and the two things that no request tells: a time and an id.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a Method,
    /// The public URL with its query: the URL that the carrier called, and that it signed.
    pub url: &'a str,
    pub headers: &'a HeaderMap,
    /// The caller bounds its length.
    pub body: &'a [u8],
    pub received_at: Timestamp,
    /// A new id, for a message whose carrier gave it none.
    pub fresh: CarrierMessageSid,
}

impl<'a> Request<'a> {
    /// The value of a header, if it is text and not empty.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let value = self.headers.get(name)?.to_str().ok()?;
        Some(value).filter(|value| !value.is_empty())
    }

    /// Whether the content type says that the body is a form.
    pub(crate) fn is_form(&self) -> bool {
        let content_type = self.header("Content-Type").unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }
}

/// Why a request is refused: it is not the carrier's, as far as we can tell, or it can hold no message.
/// The text is for the caller; it holds no value of the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error("there is no such carrier")]
    UnknownCarrier,
    #[error("messages come with POST")]
    Method,
    #[error("body is longer than {bytes_max} bytes")]
    TooLong { bytes_max: usize },
    /// More than a signature is computed for.
    #[error("form has more than {pairs_max} parameters")]
    TooManyPairs { pairs_max: usize },
    /// The text tells what to set.
    #[error("{0}")]
    NoCredentials(&'static str),
    #[error("header {header} is missing")]
    SignatureMissing { header: &'static str },
    #[error("header {header} does not fit the request")]
    SignatureWrong {
        header: &'static str,
        /// For the log alone: what the signature was compared with.
        compared: String,
    },
    #[error("AccountSid is not the configured account")]
    OtherAccount,
    #[error("content type is not application/x-www-form-urlencoded")]
    ContentType,
    #[error("{0}")]
    Malformed(String),
}

impl RequestError {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            RequestError::UnknownCarrier => StatusCode::NOT_FOUND,
            RequestError::Method => StatusCode::METHOD_NOT_ALLOWED,
            RequestError::TooLong { .. } | RequestError::TooManyPairs { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            RequestError::NoCredentials(_)
            | RequestError::SignatureWrong { .. }
            | RequestError::OtherAccount => StatusCode::FORBIDDEN,
            RequestError::SignatureMissing { .. } | RequestError::Malformed(_) => {
                StatusCode::BAD_REQUEST
            }
            RequestError::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// What is refused, in one word, for logs and metrics. `signature`: the carrier may have sent the request, and we
    /// can't tell; a message may be lost.
    pub fn refused(&self) -> &'static str {
        match self {
            RequestError::UnknownCarrier => "carrier",
            RequestError::Method => "method",
            RequestError::NoCredentials(_)
            | RequestError::SignatureMissing { .. }
            | RequestError::SignatureWrong { .. }
            | RequestError::TooManyPairs { .. }
            | RequestError::OtherAccount => "signature",
            RequestError::TooLong { .. }
            | RequestError::ContentType
            | RequestError::Malformed(_) => "body",
        }
    }

    /// What the log tells besides the text.
    pub fn detail(&self) -> Option<&str> {
        match self {
            RequestError::SignatureWrong { compared, .. } => Some(compared),
            RequestError::UnknownCarrier
            | RequestError::Method
            | RequestError::TooLong { .. }
            | RequestError::TooManyPairs { .. }
            | RequestError::NoCredentials(_)
            | RequestError::SignatureMissing { .. }
            | RequestError::OtherAccount
            | RequestError::ContentType
            | RequestError::Malformed(_) => None,
        }
    }
}
