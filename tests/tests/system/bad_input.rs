//! Bad input at every door: each is refused with an error that a program can read, and leaves nothing behind.

mod message;
mod rest;
mod signatures;

use axum::body::Body;
use carriers::webhook::signature;
use http::{Method, Request};
use serde_json::{Value, json};
use tests::carrier::{sid, twilio_form};
use tests::form::encode;
use tests::json::{keys, only, text};
use tests::response::Response;
use tests::rest::basic_credentials;
use tests::system::{
    ACCOUNT, ADA, BOB, OURS, PUBLIC_URL, TOKEN, TWILIO_ACCOUNT, TWILIO_TOKEN, TestSystem,
};

const FORM: &str = "application/x-www-form-urlencoded";

/// Parameters of a message that no carrier's parser can read.
pub(crate) const MALFORMED: [(&str, &str); 14] = [
    ("From", ""),
    ("From", "+"),
    ("From", "whatsapp:"),
    (
        "From",
        "+11111111111111111111111111111111111111111111111111",
    ),
    ("From", "+1555000\n1111"),
    ("To", ""),
    ("To", "+"),
    ("To", "whatsapp:"),
    ("To", "+11111111111111111111111111111111111111111111111111"),
    ("NumMedia", "many"),
    ("NumMedia", "-1"),
    ("NumMedia", "1000000"),
    ("NumMedia", "99999999999999999999"),
    // A medium is announced and does not come.
    ("NumMedia", "1"),
];

/// A message by the simulator.
fn form<'a>(sid: &'a str, from: &'a str, to: &'a str, body: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("MessageSid", sid),
        ("From", from),
        ("To", to),
        ("Body", body),
    ]
}

fn request(method: &str, uri: &str, content_type: &str, body: impl AsRef<[u8]>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(uri);
    if !content_type.is_empty() {
        request = request.header("Content-Type", content_type);
    }
    let body = Body::from(body.as_ref().to_vec());
    request.body(body).expect("a request")
}

/// Asserts that the answer blames the client, in JSON.
#[track_caller]
fn refused(answer: &Response, what: &str) {
    let what: String = what.chars().take(200).collect();
    assert!(
        answer.status.is_client_error(),
        "{what}: {} {}",
        answer.status,
        answer.text()
    );
    let content_type = answer.headers.get("content-type");
    assert!(
        content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json")),
        "{what}: {content_type:?} {}",
        answer.text()
    );
    let error = answer.json();
    assert!(error["message"].is_string(), "{what}: {error}");
    assert_eq!(error["status"], answer.status.as_u16(), "{what}: {error}");
}

/// Asserts that the table has nothing of Ada's refused message `SM…1`: no conversation, and no journal entry that would
/// make a duplicate of the same message in a valid form.
async fn nothing_happened(system: &TestSystem) {
    assert_eq!(system.conversations().await.len(), 0);
    let sid = sid(1);
    let answer = system.message(&sid, ADA, OURS, "simulated").await;
    assert!(answer.accepted(), "{}", answer.text());
    let form = twilio_form(&sid, ADA, OURS, "by Twilio");
    let answer = system.twilio(&form).await;
    assert!(answer.accepted(), "{}", answer.text());
    let conversation = text(&only(system.conversations().await)["sid"]);
    let bodies = system.bodies(&conversation).await;
    assert_eq!(bodies, ["simulated", "by Twilio"]);
}
