//! A response that a door of the system gives.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// Status, headers and body.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {} {}", self.status, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The JSON of a response that must have this status; null where the body is empty.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        if self.body.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// The JSON of an error that must have this status and this public code.
    #[track_caller]
    pub fn expect_code(self, status: u16, code: u64) -> Value {
        let json = self.expect(status);
        assert_eq!(json["code"], code, "{json}");
        assert_eq!(json["status"], status, "{json}");
        json
    }

    pub fn accepted(&self) -> bool {
        self.status == StatusCode::OK
    }
}
