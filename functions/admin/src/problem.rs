//! Why the API does not do what a request asks, and the JSON that says so. [`codes`](crate::codes) makes every problem.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};

/// A status, a public error code and a text for the client. The text repeats no value
/// that the client sent, except that a 404 without a text of its own names the path.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: u32,
    message: Cow<'static, str>,
    details: Option<Value>,
    /// For the log alone.
    pub(crate) cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Problem {
    pub(crate) const fn new(status: StatusCode, code: u32, message: &'static str) -> Problem {
        Problem {
            status,
            code,
            message: Cow::Borrowed(message),
            details: None,
            cause: None,
        }
    }

    pub(crate) fn with_message(self, message: String) -> Problem {
        Problem {
            message: Cow::Owned(message),
            ..self
        }
    }

    pub(crate) fn with_details(self, details: Value) -> Problem {
        Problem {
            details: Some(details),
            ..self
        }
    }

    pub(crate) fn with_cause(self, cause: impl Error + Send + Sync + 'static) -> Problem {
        Problem {
            cause: Some(Arc::new(cause)),
            ..self
        }
    }

    /// The body of the response. `path`: of the request; a 404 names it.
    pub(crate) fn body(&self, path: &str) -> Value {
        let message = match self.status {
            StatusCode::NOT_FOUND if self.message.is_empty() => {
                format!("The requested resource {path} was not found")
            }
            _ => self.message.to_string(),
        };
        let mut body = json!({
            "code": self.code,
            "message": message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status.as_u16(),
        });
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        body
    }
}
