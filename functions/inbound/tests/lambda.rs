//! The deployed program itself, run against a stand-in for Lambda's Runtime API.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use carriers::webhook::signature;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

#[derive(Clone)]
struct Runtime {
    events: Arc<Mutex<VecDeque<Value>>>,
    answers: UnboundedSender<(String, Value)>,
}

async fn next(State(runtime): State<Runtime>) -> Response {
    let event = runtime.events.lock().unwrap().pop_front();
    let Some(event) = event else {
        // Lambda holds the request until there is work.
        return std::future::pending().await;
    };
    let headers = [
        ("Lambda-Runtime-Aws-Request-Id", "1"),
        ("Lambda-Runtime-Deadline-Ms", "9999999999999"),
        (
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:us-east-1:0:function:inbound",
        ),
        ("Lambda-Runtime-Trace-Id", "Root=1"),
        ("Content-Type", "application/json"),
    ];
    (headers, event.to_string()).into_response()
}

async fn answered(
    State(runtime): State<Runtime>,
    Path((_, kind)): Path<(String, String)>,
    body: Bytes,
) -> &'static str {
    let body = serde_json::from_slice(&body).unwrap_or_default();
    runtime.answers.send((kind, body)).unwrap();
    "{}"
}

fn event(method: &str, host: &str, path: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": {"host": host, "content-type": "application/x-www-form-urlencoded"},
        "requestContext": {
            "accountId": "0", "apiId": "x", "domainName": "example.com", "domainPrefix": "x", "requestId": "x",
            "routeKey": "$default", "stage": "$default", "time": "x", "timeEpoch": 0,
            "http": {
                "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "x"
            }
        },
        "body": "From=%2B15550001111", "isBase64Encoded": false
    })
}

/// A message from Twilio, with the signature of this URL. It names no account, so no function takes it.
fn signed(path: &str, url: &str) -> Value {
    let mut event = event("POST", "example.com", path);
    let signature = signature::sign("other", url, [("From", "+15550001111")]);
    event["headers"]["x-twilio-signature"] = signature.into();
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_answers_every_event_and_lives_on() {
    let twilio = "https://crosspoint.example/key/inbound/twilio";
    let cases = [
        (event("POST", "example.com", "/inbound/nobody"), 404),
        (event("POST", "a.b.127.0.0.1:9", "/inbound/nobody"), 404),
        (event("POST", "{}<>^ \"", "/inbound/nobody"), 404),
        (event("POST", "example.com", "/ {}"), 404),
        (event("GET", "example.com", "/inbound/twilio"), 405),
        (event("POST", "example.com", "/inbound/simulator"), 404),
        (event("POST", "example.com", "/inbound/twilio"), 400),
        // The path of the public URL stands before a path once, and in the signed URL once.
        (event("POST", "example.com", "/key/inbound/twilio"), 400),
        (signed("/key/key/inbound/twilio", twilio), 404),
    ];
    // A signature that does not fit is another refusal than an account that does not.
    let refused = [
        (signed("/key/inbound/twilio", twilio), "AccountSid"),
        (
            signed("/key/inbound/twilio", &twilio.replace("/key", "")),
            "X-Twilio-Signature",
        ),
    ];
    let (answers, mut answered_with) = unbounded_channel();
    // An event that is no request fails by itself, and the function answers the next event.
    let mut events: VecDeque<Value> = [json!({"what": "is this"})].into();
    events.extend(cases.iter().map(|(event, _)| event.clone()));
    events.extend(refused.iter().map(|(event, _)| event.clone()));
    let runtime = Runtime {
        events: Arc::new(Mutex::new(events)),
        answers,
    };
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(answered))
        .with_state(runtime);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut function = Command::new(env!("CARGO_BIN_EXE_inbound"))
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "inbound")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "x")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "x")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "x")
        .env("AWS_SECRET_ACCESS_KEY", "x")
        // No server listens there: the table is dead, and none of these requests needs it.
        .env("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
        .env("CROSSPOINT_ACCOUNT_SID", format!("AC{}", "0".repeat(32)))
        .env("CROSSPOINT_AUTH_TOKEN", "token")
        .env("CROSSPOINT_PUBLIC_URL", "https://crosspoint.example/key/")
        .env("CROSSPOINT_TABLE", "crosspoint")
        .env(
            "CROSSPOINT_TWILIO_ACCOUNT_SID",
            format!("AC{}", "1".repeat(32)),
        )
        .env("CROSSPOINT_TWILIO_AUTH_TOKEN", "other")
        .kill_on_drop(true)
        .spawn()
        .unwrap();

    let answer = |receiver: Option<(String, Value)>| receiver.expect("the stand-in lives");
    let wait = Duration::from_secs(30);
    let (kind, _) = answer(
        tokio::time::timeout(wait, answered_with.recv())
            .await
            .unwrap(),
    );
    assert_eq!(kind, "error");
    for (event, status) in cases {
        let (kind, body) = answer(
            tokio::time::timeout(wait, answered_with.recv())
                .await
                .unwrap(),
        );
        assert_eq!(
            (kind.as_str(), &body["statusCode"]),
            ("response", &json!(status)),
            "{event} {body}"
        );
        let text: Value = serde_json::from_str(body["body"].as_str().unwrap()).unwrap();
        assert!(text["message"].is_string());
    }
    for (event, reason) in refused {
        let (_, body) = answer(
            tokio::time::timeout(wait, answered_with.recv())
                .await
                .unwrap(),
        );
        assert_eq!(body["statusCode"], 403, "{event} {body}");
        let text = body["body"].as_str().unwrap();
        assert!(text.contains(reason), "{event} {text}");
    }
    assert!(function.try_wait().unwrap().is_none(), "the function lives");
    function.kill().await.unwrap();
}
