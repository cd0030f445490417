//! What a carrier does: it sends a message, and repeats one that is answered with a failure.

use std::time::Duration;

use axum::body::Body;
use carriers::webhook::signature;
use carriers::{Arrival, Receivers};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request};
use routing::CarrierName;
use service::{ReceiveError, Received, receive};
use store::Deadline;

use crate::form::encode;
use crate::response::Response;
use crate::system::{PUBLIC_URL, TWILIO_ACCOUNT, TWILIO_TOKEN, TestSystem};

impl TestSystem {
    /// A message from the simulator.
    pub async fn message(&self, sid: &str, from: &str, to: &str, body: &str) -> Response {
        self.simulator(&[
            ("MessageSid", sid),
            ("From", from),
            ("To", to),
            ("Body", body),
        ])
        .await
    }

    /// A message from the simulator, with these form fields.
    pub async fn simulator(&self, form: &[(&str, &str)]) -> Response {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/inbound/simulator");
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(encode(form))).expect("a request"))
            .await
    }

    /// A message from Twilio, signed as Twilio signs.
    pub async fn twilio(&self, form: &[(&str, &str)]) -> Response {
        let url = format!("{PUBLIC_URL}/inbound/twilio");
        let signature = signature::sign(TWILIO_TOKEN, &url, form.iter().copied());
        let request = Request::builder()
            .method(Method::POST)
            .uri("/inbound/twilio");
        let request = request
            .header(
                "Content-Type",
                "application/x-www-form-urlencoded; charset=utf-8",
            )
            .header("X-Twilio-Signature", signature);
        self.send(request.body(Body::from(encode(form))).expect("a request"))
            .await
    }

    /// Receives a message from the simulator, as the inbound function does, but until this deadline.
    pub async fn receive_until(
        &self,
        deadline: Deadline,
        form: &[(&str, &str)],
    ) -> Result<Received, ReceiveError> {
        let (url, body) = (format!("{PUBLIC_URL}/inbound/simulator"), encode(form));
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, FORM)]);
        let request = carriers::Request {
            method: &Method::POST,
            url: &url,
            headers: &headers,
            body: body.as_bytes(),
            received_at: self.app.clock.now(),
            fresh: self.app.carrier_message_sid(),
        };
        let receivers = Receivers {
            simulator: Some(self.app.account),
            ..Receivers::default()
        };
        match receivers.receive(CarrierName::Simulator, &request) {
            Ok(Arrival::Message(inbound)) => receive(&self.app, inbound, deadline).await,
            other => panic!("no message: {other:?}"),
        }
    }

    /// A message from the simulator, which sends it again after a 5xx, at most `attempts_max` times in all.
    pub async fn message_repeated(
        &self,
        sid: &str,
        from: &str,
        to: &str,
        body: &str,
        attempts_max: usize,
    ) -> Response {
        let mut response = self.message(sid, from, to, body).await;
        for _ in 1..attempts_max {
            if !response.status.is_server_error() {
                break;
            }
            tokio::time::sleep(CARRIER_PAUSE).await;
            response = self.message(sid, from, to, body).await;
        }
        response
    }
}

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// How long the carrier waits before it sends again.
const CARRIER_PAUSE: Duration = Duration::from_millis(500);

/// How often Twilio sends a message that we answer with a failure: six times to the webhook (`#rc=5&rp=all`), and as
/// often to the fallback URL.
pub const CARRIER_ATTEMPTS: usize = 12;

/// The attempts of a carrier that outlasts a busy machine: for a test whose promise is not the number.
pub const PATIENT_ATTEMPTS: usize = 20 * CARRIER_ATTEMPTS;

/// The carrier's message SID with this number.
pub fn sid(number: u64) -> String {
    format!("SM{number:032x}")
}

/// The parameters that Twilio always sends.
pub fn twilio_form<'a>(
    sid: &'a str,
    from: &'a str,
    to: &'a str,
    body: &'a str,
) -> [(&'a str, &'a str); 11] {
    [
        ("MessageSid", sid),
        ("SmsSid", sid),
        ("SmsMessageSid", sid),
        ("AccountSid", TWILIO_ACCOUNT),
        ("From", from),
        ("To", to),
        ("Body", body),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
        ("SmsStatus", "received"),
        ("ApiVersion", "2010-04-01"),
    ]
}
