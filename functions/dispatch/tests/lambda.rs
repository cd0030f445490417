//! The deployed program itself, run against stand-ins for Lambda's Runtime API and for all that it may call: Lambda
//! itself, the table, the carrier.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use dispatch::handle;
use lambda_runtime::Diagnostic;
use routing::ConversationSid;
use serde_json::{Value, json};
use service::dispatch::{HAND_OFF_MAX, HandOff, HandOffError};
use service::{App, Config};
use store::{Store, engine_config};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

const FUNCTION: &str = "a-stack-Dispatch";
/// A process that starts on a busy machine takes its time.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Serves a stand-in on a free port of loopback; its address.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Lambda's side of the function: events to it, answers from it.
#[derive(Clone)]
struct Runtime {
    events: Arc<tokio::sync::Mutex<UnboundedReceiver<Value>>>,
    answers: UnboundedSender<(String, Value)>,
}

async fn next(State(runtime): State<Runtime>) -> Response {
    // Lambda holds the request until there is work.
    let Some(event) = runtime.events.lock().await.recv().await else {
        return std::future::pending().await;
    };
    let headers = [
        ("Lambda-Runtime-Aws-Request-Id", "1"),
        ("Lambda-Runtime-Deadline-Ms", "9999999999999"),
        (
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:us-east-1:0:function:a-stack-Dispatch",
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

/// Lambda's API for invocations.
#[derive(Clone, Default)]
struct Lambda {
    invocations: Arc<Mutex<Vec<Invocation>>>,
    refusal: Arc<Mutex<Option<Refusal>>>,
}

struct Invocation {
    path: String,
    kind: String,
    body: Value,
}

/// An answer to every invocation whose event names this.
#[derive(Clone)]
struct Refusal {
    named: String,
    status: StatusCode,
    error: &'static str,
}

async fn invoked(State(lambda): State<Lambda>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let refusal = lambda.refusal.lock().unwrap().clone();
    let refusal = refusal.filter(|refusal| String::from_utf8_lossy(&body).contains(&refusal.named));
    if let Some(Refusal { status, error, .. }) = refusal {
        let headers = [("X-Amzn-Errortype", error)];
        return (status, headers, r#"{"message": "not now"}"#).into_response();
    }
    let kind = parts.headers.get("X-Amz-Invocation-Type");
    lambda.invocations.lock().unwrap().push(Invocation {
        path: parts.uri.path().to_owned(),
        kind: kind.map_or("", |kind| kind.to_str().unwrap()).to_owned(),
        body: serde_json::from_slice(&body).unwrap(),
    });
    StatusCode::ACCEPTED.into_response()
}

/// The text of a message, which an answer of the table may hold and no log line may show.
const BODY: &str = "the text of a message";

/// A server that notes each call: an empty table, or a carrier.
#[derive(Clone, Default)]
struct Noted {
    calls: Arc<Mutex<Vec<String>>>,
    /// What DynamoDB answers instead, as a body with status 400.
    refusal: Arc<Mutex<Option<Value>>>,
}

impl Noted {
    fn all(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// Refuses every call from now on.
    fn refuse(&self, error: &str, message: &str) {
        let name = format!("com.amazon.coral.service#{error}");
        let body = json!({"__type": name, "Message": message, "Item": {"b": {"S": BODY}}});
        *self.refusal.lock().unwrap() = Some(body);
    }

    fn router(&self) -> Router {
        Router::new().fallback(any(note)).with_state(self.clone())
    }
}

async fn note(State(noted): State<Noted>, headers: HeaderMap) -> Response {
    let target = headers.get("X-Amz-Target");
    let target = target.map_or("", |target| target.to_str().unwrap());
    noted.calls.lock().unwrap().push(target.to_owned());
    let headers = [("Content-Type", "application/x-amz-json-1.0")];
    match noted.refusal.lock().unwrap().as_ref() {
        Some(body) => (StatusCode::BAD_REQUEST, headers, body.to_string()).into_response(),
        None => (headers, "{}").into_response(),
    }
}

/// The program, and all that is around it.
struct Around {
    function: Child,
    log: JoinHandle<String>,
    events: UnboundedSender<Value>,
    answers: UnboundedReceiver<(String, Value)>,
    lambda: Lambda,
    table: Noted,
    carrier: Noted,
}

impl Around {
    async fn start() -> Around {
        let (events, events_there) = unbounded_channel();
        let (answers_there, answers) = unbounded_channel();
        let runtime = Runtime {
            events: Arc::new(tokio::sync::Mutex::new(events_there)),
            answers: answers_there,
        };
        let runtime = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(answered))
            .with_state(runtime);
        let (lambda, table, carrier) = (Lambda::default(), Noted::default(), Noted::default());
        let invocations = Router::new()
            .fallback(any(invoked))
            .with_state(lambda.clone());
        let mut function = Command::new(env!("CARGO_BIN_EXE_dispatch"))
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", serve(runtime).await)
            .env("AWS_LAMBDA_FUNCTION_NAME", FUNCTION)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "x")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "x")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "x")
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .env(
                "AWS_ENDPOINT_URL_LAMBDA",
                format!("http://{}", serve(invocations).await),
            )
            .env(
                "AWS_ENDPOINT_URL_DYNAMODB",
                format!("http://{}", serve(table.router()).await),
            )
            .env("CROSSPOINT_ACCOUNT_SID", format!("AC{}", "0".repeat(32)))
            .env("CROSSPOINT_AUTH_TOKEN", "token")
            .env("CROSSPOINT_PUBLIC_URL", "https://crosspoint.example")
            .env("CROSSPOINT_TABLE", "crosspoint")
            .env("CROSSPOINT_CALL_ALLOW", "127.0.0.0/8")
            .env(
                "CROSSPOINT_TWILIO_ACCOUNT_SID",
                format!("AC{}", "1".repeat(32)),
            )
            .env("CROSSPOINT_TWILIO_AUTH_TOKEN", "other")
            .env(
                "CROSSPOINT_TWILIO_API_URL",
                format!("http://{}", serve(carrier.router()).await),
            )
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut written = function.stdout.take().unwrap();
        let log = tokio::spawn(async move {
            let mut text = String::new();
            written.read_to_string(&mut text).await.unwrap();
            text
        });
        Around {
            function,
            log,
            events,
            answers,
            lambda,
            table,
            carrier,
        }
    }

    /// Invokes the function. `response` or `error`, and its body.
    async fn invoke(&mut self, event: Value) -> (String, Value) {
        self.events.send(event).unwrap();
        let answer = tokio::time::timeout(WAIT_MAX, self.answers.recv()).await;
        answer
            .expect("the function answers")
            .expect("the stand-in lives")
    }

    /// The kind of failure that an event ends in.
    async fn error_type(&mut self, event: Value) -> String {
        let (kind, body) = self.invoke(event.clone()).await;
        assert_eq!(kind, "error", "{event} {body}");
        body["errorType"].as_str().unwrap().to_owned()
    }

    /// The invocations that the function has asked for since the last call of this.
    fn invocations(&self) -> Vec<Invocation> {
        std::mem::take(&mut self.lambda.invocations.lock().unwrap())
    }

    /// Refuses every invocation whose event names this.
    fn refuse(&self, named: &str, status: StatusCode, error: &'static str) {
        let refusal = Refusal {
            named: named.to_owned(),
            status,
            error,
        };
        *self.lambda.refusal.lock().unwrap() = Some(refusal);
    }

    /// Ends the function, and returns its log lines.
    async fn end(mut self) -> Vec<Value> {
        let ended = self.function.try_wait().unwrap();
        assert!(ended.is_none(), "the function lives");
        self.function.kill().await.unwrap();
        let text = self.log.await.unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }
}

fn conversation(n: usize) -> String {
    format!("CH{n:032x}")
}

/// A record as Lambda hands it on.
fn record(event: &str, sequence: usize, pk: &str, sk: &str) -> Value {
    json!({
        "eventID": "x", "eventName": event, "eventVersion": "1.1", "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_790_000_000,
            "Keys": {"pk": {"S": pk}, "sk": {"S": sk}},
            "SequenceNumber": sequence.to_string(), "SizeBytes": 100, "StreamViewType": "KEYS_ONLY"
        },
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:0:table/crosspoint/stream/x"
    })
}

fn ring(sequence: usize, n: usize, slot: u64) -> Value {
    let pk = format!("C#{}", conversation(n));
    record("INSERT", sequence, &pk, &format!("L#{slot:010}#E"))
}

/// The rings of two conversations, each twice, among records that are no ring or can't be read.
fn batch() -> Value {
    let pk = format!("C#{}", conversation(3));
    json!({"Records": [
        ring(1, 1, 0),
        ring(2, 2, 7),
        record("MODIFY", 3, &pk, "L#0000000001#E"),
        record("INSERT", 4, &pk, "L#0000000001#C"),
        {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "5"}},
        ring(6, 1, 1),
        ring(7, 2, 8),
    ]})
}

fn failures(sequences: &[usize]) -> Value {
    let failures = sequences
        .iter()
        .map(|sequence| json!({"itemIdentifier": sequence.to_string()}));
    json!({"batchItemFailures": failures.collect::<Vec<_>>()})
}

fn response(body: Value) -> (String, Value) {
    ("response".to_owned(), body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doorbell_hands_off_to_the_function_itself_and_makes_no_other_call() {
    let mut around = Around::start().await;
    assert_eq!(around.invoke(batch()).await, response(failures(&[])));
    let [invocation] = &around.invocations()[..] else {
        panic!("two conversations are handed off at once");
    };
    assert_eq!(
        invocation.path,
        format!("/2015-03-31/functions/{FUNCTION}/invocations")
    );
    assert_eq!(invocation.kind, "Event");
    let expected = json!({"conversations": [conversation(1), conversation(2)]});
    assert_eq!(invocation.body, expected);

    // Records without a ring are handed off to no run.
    let silent = json!({"Records": [record("REMOVE", 8, "J#x", "twilio")]});
    assert_eq!(around.invoke(silent).await, response(failures(&[])));
    assert!(around.invocations().is_empty());

    // The doorbell does not read the webhooks from the table. The one call is for the connection, at the start.
    assert_eq!(around.table.all(), ["DynamoDB_20120810.GetItem"]);
    assert_eq!(around.carrier.all(), [""; 0]);

    // infra/template.yaml counts lines by their level.
    let log = around.end().await;
    let errors: Vec<_> = log.iter().filter(|line| line["level"] == "ERROR").collect();
    let [error] = errors[..] else {
        panic!("one record can't be read: {errors:?}");
    };
    let message = error["fields"]["message"].as_str().unwrap();
    assert!(message.contains("can't be read"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_whose_hand_off_fails_is_delivered_again() {
    let mut around = Around::start().await;
    for (status, error) in [
        (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException"),
        (StatusCode::INTERNAL_SERVER_ERROR, "ServiceException"),
        (StatusCode::FORBIDDEN, "AccessDeniedException"),
    ] {
        around.refuse("CH", status, error);
        let answer = around.invoke(batch()).await;
        assert_eq!(answer, response(failures(&[1, 2, 6, 7])), "{status}");
    }
    assert!(around.invocations().is_empty());

    // Of many, only those that were refused.
    around.refuse(
        &conversation(HAND_OFF_MAX + 1),
        StatusCode::TOO_MANY_REQUESTS,
        "TooManyRequestsException",
    );
    let many = (1..=HAND_OFF_MAX + 2).map(|n| ring(n, n, 0));
    let answer = around
        .invoke(json!({"Records": many.collect::<Vec<_>>()}))
        .await;
    let refused = [HAND_OFF_MAX + 1, HAND_OFF_MAX + 2];
    assert_eq!(answer, response(failures(&refused)));
    let [invocation] = &around.invocations()[..] else {
        panic!("one of the two invocations is taken");
    };
    let taken: Vec<_> = (1..=HAND_OFF_MAX).map(conversation).collect();
    assert_eq!(invocation.body, json!({"conversations": taken}));

    assert_eq!(around.table.all(), ["DynamoDB_20120810.GetItem"]);
    around.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_event_fails_and_the_function_lives_on() {
    let mut around = Around::start().await;
    for event in [
        json!({"what": "is this"}),
        json!({"Records": "all"}),
        json!({"conversations": 7}),
        json!([]),
        json!(null),
    ] {
        let (kind, body) = around.invoke(event.clone()).await;
        assert_eq!(kind, "error", "{event} {body}");
        let message = body["errorMessage"].as_str().unwrap();
        assert!(message.contains("neither of the stream"), "{message}");
    }
    assert_eq!(around.table.all(), ["DynamoDB_20120810.GetItem"]);

    // The other two events do read the table, which is empty.
    for event in [
        json!({"clock": "minute"}),
        json!({"conversations": [conversation(1)]}),
    ] {
        let calls = around.table.all().len();
        assert_eq!(around.invoke(event).await, response(Value::Null));
        assert!(around.table.all().len() > calls);
    }
    assert_eq!(around.invoke(batch()).await, response(failures(&[])));
    assert_eq!(around.invocations().len(), 1);
    around.end().await;
}

/// A role that lacks a permission.
const DENIED: &str =
    "User: arn:aws:sts::0:assumed-role/dispatch is not authorized to perform: dynamodb:Query";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_logged_with_its_whole_cause() {
    let mut around = Around::start().await;
    around.table.refuse("AccessDeniedException", DENIED);
    around.invoke(json!({"clock": "minute"})).await;
    let run = json!({"conversations": [conversation(1)]});
    around.invoke(run).await;
    around.refuse("CH", StatusCode::FORBIDDEN, "AccessDeniedException");
    around.invoke(batch()).await;
    let log = around.end().await;
    for line in &log {
        assert!(!line.to_string().contains(BODY), "{line}");
    }
    // The clock, the hand-off and the doorbell.
    for (message, cause) in [
        ("an invocation failed", DENIED),
        ("consumers of conversation", DENIED),
        ("could not be handed off", "not now"),
    ] {
        let field = |line: &Value, name: &str| line["fields"][name].as_str().map(str::to_owned);
        let line = log
            .iter()
            .find(|line| field(line, "message").is_some_and(|text| text.contains(message)));
        let error = line.and_then(|line| field(line, "error"));
        let error = error.unwrap_or_else(|| panic!("{message} of no error: {log:#?}"));
        for part in ["failed to ", "AccessDeniedException", cause] {
            assert!(error.contains(part), "{message}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_failure_queue_names_the_kind_of_a_failure() {
    let mut around = Around::start().await;
    let clock = json!({"clock": "minute"});
    let run = json!({"conversations": [conversation(1)]});
    assert_eq!(around.error_type(json!({"what": "is this"})).await, "event");
    around.table.refuse("AccessDeniedException", DENIED);
    assert_eq!(around.error_type(clock).await, "store");
    assert_eq!(around.error_type(run).await, "run");
    around.end().await;
}

/// A hand-off that has a defect.
struct Panicking;

impl HandOff for Panicking {
    async fn hand_off(&self, _: Vec<ConversationSid>) -> Result<(), HandOffError> {
        panic!("a defect");
    }
}

#[tokio::test]
async fn a_panic_fails_its_invocation_by_a_word() {
    let config = Config::read(|name| match name {
        "CROSSPOINT_ACCOUNT_SID" => Some(format!("AC{}", "0".repeat(32))),
        "CROSSPOINT_AUTH_TOKEN" => Some("token".to_owned()),
        "CROSSPOINT_PUBLIC_URL" => Some("https://crosspoint.example".to_owned()),
        "CROSSPOINT_TABLE" => Some("crosspoint".to_owned()),
        _ => None,
    });
    let client = Store::client(engine_config("http://127.0.0.1:9"));
    let app = App::new(Store::new(client, "crosspoint"), &config.unwrap());
    let error = handle(&app, &Panicking, batch()).await.unwrap_err();
    assert_eq!(Diagnostic::from(&error).error_type, "panic");
}
