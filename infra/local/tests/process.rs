//! The program that `cargo run` runs, as a process: started, stopped, killed.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashMap;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use local::engine::Engine;
use local::stack::{self, Served};
use tokio::sync::Notify;

const ACCOUNT: &str = "AC00000000000000000000000000000000";
const TOKEN: &str = "localdevelopmenttoken";

/// A running stack; killed with the test.
struct Stack {
    child: Child,
    url: String,
    /// One for all requests: a new client reads the certificates of the system.
    client: reqwest::Client,
}

/// How long a busy machine may take to end a stack; an idle one takes milliseconds.
const END_TIME_MAX: Duration = Duration::from_secs(120);

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stack {
    fn start(arguments: &[&str]) -> Stack {
        let mut child = command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        // This thread reads the rest, so that the stack never waits for a reader.
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        let url = first
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let url = url
            .unwrap_or_else(|| panic!("{first:?} names no URL"))
            .trim_end_matches(',')
            .to_owned();
        Stack {
            child,
            url,
            client: reqwest::Client::new(),
        }
    }

    fn on_disk(dir: &Path) -> Stack {
        Stack::start(&["--port", "0", "--data-dir", dir.to_str().unwrap()])
    }

    /// The processor's time that the stack has taken: on a busy machine, too, that is its own.
    fn processor_time(&self) -> Duration {
        processor_time(&self.child.id().to_string())
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    fn ended(&mut self) -> std::process::ExitStatus {
        let began = Instant::now();
        while began.elapsed() < END_TIME_MAX {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the stack does not end");
    }

    async fn post(&self, path: &str, form: &str) -> Option<(u16, String)> {
        let request = self
            .client
            .post(format!("{}{path}", self.url))
            .basic_auth(ACCOUNT, Some(TOKEN))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        answer(request).await
    }

    async fn get(&self, path: &str) -> Option<(u16, String)> {
        let request = self.client.get(format!("{}{path}", self.url));
        answer(request.basic_auth(ACCOUNT, Some(TOKEN))).await
    }

    async fn message(&self, number: usize) -> bool {
        let form = format!(
            "MessageSid=SM{number:032x}&From=%2B1555000{:04}&To=%2B15550002222&Body=message+{number}",
            number % 8
        );
        matches!(self.post("/inbound/simulator", &form).await, Some((200, _)))
    }

    /// Every message of every conversation.
    async fn bodies(&self) -> Vec<String> {
        let mut bodies = Vec::new();
        let list = self.get("/v1/Conversations?PageSize=100").await.unwrap().1;
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        for conversation in list["conversations"].as_array().unwrap() {
            let mut next = Some(
                conversation["links"]["messages"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
            while let Some(url) = next {
                let path = url.strip_prefix(&self.url).unwrap_or_else(|| {
                    // Links name the address of the process that wrote them.
                    &url[url.find("/v1/").unwrap()..]
                });
                let page = self.get(path).await.unwrap().1;
                let page: serde_json::Value = serde_json::from_str(&page).unwrap();
                let rows = page["messages"].as_array().unwrap();
                bodies.extend(
                    rows.iter()
                        .map(|row| row["body"].as_str().unwrap().to_owned()),
                );
                next = page["meta"]["next_page_url"].as_str().map(str::to_owned);
            }
        }
        bodies.sort();
        bodies
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Option<(u16, String)> {
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    Some((status, response.text().await.ok()?))
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CROSSPOINT_")) {
        command.env_remove(name);
    }
    command.args(arguments).env("RUST_LOG", "error");
    command
}

/// A directory of the test's own, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "crosspoint-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        Scratch(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const AUTOCREATE: &str = "Type=sms&Address=%2B15550002222&AutoCreation.Enabled=true";

/// Twice the work of a start of the stack, both in an unoptimised build.
const YARDSTICK_ROUNDS: u64 = 20_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stack_is_ready_after_little_work_and_ends_at_a_signal() {
    let little = 12 * yardstick();
    for signal in ["-INT", "-TERM"] {
        let scratch = Scratch::new();
        let mut stack = Stack::on_disk(&scratch.0);
        let worked = stack.processor_time();
        assert!(worked < little, "{worked:?} of {little:?}");
        assert_eq!(stack.get("/healthz").await.unwrap().0, 200);
        stack
            .post("/v1/Configuration/Addresses", AUTOCREATE)
            .await
            .unwrap();
        assert!(stack.message(1).await);
        stack.signal(signal);
        assert!(stack.ended().success());
        let again = Stack::on_disk(&scratch.0);
        assert_eq!(again.bodies().await, ["message 1"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_stack_loses_and_doubles_nothing_that_it_accepted() {
    let scratch = Scratch::new();
    let mut sent = 0;
    let mut accepted = Vec::new();
    for round in 0..3 {
        let mut stack = Stack::on_disk(&scratch.0);
        if round == 0 {
            stack
                .post("/v1/Configuration/Addresses", AUTOCREATE)
                .await
                .unwrap();
        }
        let messages = (sent..sent + 60).collect::<Vec<_>>();
        sent += messages.len();
        // Some have been accepted, and others are under way.
        let (came, counted) = (AtomicUsize::new(0), Notify::new());
        let killer = async {
            while came.load(Ordering::SeqCst) < 5 + 10 * round {
                counted.notified().await;
            }
            stack.signal("-KILL");
        };
        let answers = futures_util::future::join_all(messages.iter().map(|number| async {
            let accepted = stack.message(*number).await;
            came.fetch_add(1, Ordering::SeqCst);
            counted.notify_one();
            accepted
        }));
        let (answers, ()) = tokio::join!(answers, killer);
        accepted.extend(
            messages
                .into_iter()
                .zip(answers)
                .filter(|(_, accepted)| *accepted),
        );
        assert!(!stack.ended().success());
    }
    assert!(
        !accepted.is_empty(),
        "some messages came through before the kill"
    );
    let stack = Stack::on_disk(&scratch.0);
    let bodies = stack.bodies().await;
    for (number, _) in &accepted {
        let body = format!("message {number}");
        assert!(bodies.contains(&body), "{body} was accepted");
    }
    // The carrier sends each message again that got no answer.
    for number in 0..sent {
        assert!(stack.message(number).await);
    }
    let mut all: Vec<String> = (0..sent)
        .map(|number| format!("message {number}"))
        .collect();
    all.sort();
    assert_eq!(stack.bodies().await, all);
}

/// The processor's time that a process has taken, or `thread-self`: user and system, in steps of a hundredth of a second.
fn processor_time(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // After the name, which is in brackets: user and system time are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let hundredths: u64 = [fields[11], fields[12]]
        .iter()
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(10 * hundredths)
}

/// The processor's time of a fixed piece of work, which measures the machine.
fn yardstick() -> Duration {
    let before = processor_time("thread-self");
    for round in 0..YARDSTICK_ROUNDS {
        black_box(round);
    }
    processor_time("thread-self") - before
}

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// Arguments, environment, and words of the message.
type Wrong<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);

#[test]
fn one_message_names_all_problems_at_the_start() {
    let scratch = Scratch::new();
    let held = Stack::on_disk(&scratch.0);
    let port = held.url.rsplit(':').next().unwrap().to_owned();
    let dir = scratch.0.to_str().unwrap();
    let wrong = |arguments: &[&str], environment: &[(&str, &str)]| {
        let output = output(command(arguments).envs(environment.iter().copied()));
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let cases: [Wrong; 4] = [
        (&["--what"], &[], &["--what", "--help"]),
        (
            &["--port", "0", "--data-dir", dir],
            &[],
            &["another process holds the data directory"],
        ),
        (
            &["--port", &port, "--in-memory"],
            &[],
            &["can't be listened on"],
        ),
        (
            &["--port", "0", "--in-memory"],
            &[
                ("CROSSPOINT_ACCOUNT_SID", "AC1"),
                ("CROSSPOINT_AUTH_TOKEN", "a-b"),
            ],
            &["CROSSPOINT_ACCOUNT_SID", "CROSSPOINT_AUTH_TOKEN"],
        ),
    ];
    for (arguments, environment, words) in cases {
        let said = wrong(arguments, environment);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    let help = output(&mut command(&["--help"]));
    assert!(
        help.status.success()
            && String::from_utf8(help.stdout)
                .unwrap()
                .contains("--data-dir")
    );
}

/// An engine that throttles the first requests of each operation, and hands the others on to the engine behind it.
fn throttling_engine(throttled: usize, behind: String) -> impl Future<Output = Served> {
    let asked: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let client = reqwest::Client::new();
    let router = Router::new().fallback(move |request: Request| {
        let (asked, client, behind) = (asked.clone(), client.clone(), behind.clone());
        async move {
            let target = request.headers().get("x-amz-target").cloned().unwrap();
            let target = target.to_str().unwrap().to_owned();
            let number = {
                let mut asked = asked.lock().unwrap();
                let number = asked.entry(target).or_default();
                *number += 1;
                *number
            };
            let builder = Response::builder().header("Content-Type", "application/x-amz-json-1.0");
            if number <= throttled {
                let body = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"too much"}"#;
                return builder.status(400).body(Body::from(body)).unwrap();
            }
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let handed_on = client.post(&behind).headers(parts.headers).body(body);
            let response = handed_on.send().await.unwrap();
            let status = response.status();
            let body = response.bytes().await.unwrap();
            builder.status(status).body(Body::from(body)).unwrap()
        }
    });
    async move { stack::serve(stack::listen(0).await.unwrap(), router).unwrap() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_starts_at_an_engine_that_throttles_the_first_requests() {
    let engine = Engine::in_memory().unwrap().serve().await.unwrap();
    let throttling = throttling_engine(4, engine.endpoint_url()).await;
    let arguments = ["--port", "0", "--dynamodb-endpoint", &throttling.url()];
    let stack = tokio::task::block_in_place(|| Stack::start(&arguments));
    stack
        .post("/v1/Configuration/Addresses", AUTOCREATE)
        .await
        .unwrap();
    assert!(stack.message(1).await);
    assert_eq!(stack.bodies().await, ["message 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_at_an_engine_that_always_throttles_ends_and_says_why() {
    let engine = Engine::in_memory().unwrap().serve().await.unwrap();
    let throttling = throttling_engine(usize::MAX, engine.endpoint_url()).await;
    let arguments = ["--port", "0", "--dynamodb-endpoint", &throttling.url()];
    let ended = tokio::task::block_in_place(|| output(&mut command(&arguments)));
    assert!(!ended.status.success());
    let said = String::from_utf8(ended.stderr).unwrap();
    for word in [
        "failed to create the table",
        "ProvisionedThroughputExceeded",
    ] {
        assert!(said.contains(word), "{said}");
    }
}

/// A script that waits for something that never comes ends.
const SCRIPT_TIME_MAX: Duration = Duration::from_secs(300);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a script prints, run with the official client library. The script must succeed.
fn printed_by(script: &str) -> String {
    let provision = output(&mut Command::new(root().join("tests/python/provision")));
    assert!(
        provision.status.success(),
        "{}",
        String::from_utf8_lossy(&provision.stderr)
    );
    let python = String::from_utf8(provision.stdout).unwrap();
    let python = python.lines().last().unwrap().to_owned();
    let mut running = Command::new(python)
        .args(["-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while running.try_wait().unwrap().is_none() {
        if began.elapsed() > SCRIPT_TIME_MAX {
            running.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let ran = running.wait_with_output().unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    String::from_utf8(ran.stdout).unwrap()
}

/// The README's tour, word by word, with the official client library.
#[test]
fn the_tour_of_the_readme_goes_as_it_says() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let tour = readme
        .split("```python\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let printed = readme
        .split("prints\n\n```text\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let stack = Stack::start(&["--port", "0", "--in-memory"]);
    let tour = tour.replace("http://127.0.0.1:9010", &stack.url);
    assert_eq!(printed_by(&tour), printed);
}

/// Each character takes seven bytes in a response of Lambda, so that a page of the size that the client asks for would
/// be too long for one.
#[test]
fn the_client_library_reads_long_messages_once_and_in_order_over_all_pages() {
    let stack = Stack::start(&["--port", "0", "--in-memory"]);
    let script = r#"
from twilio.rest import Client

client = Client("AC" + "0" * 32, "localdevelopmenttoken")
client.api.base_url = client.conversations.base_url = crosspoint
client.incoming_phone_numbers.create(phone_number="+15550002222")
client.conversations.v1.address_configurations.create(
    type="sms", address="+15550002222", auto_creation_enabled=True
)
bodies = [f"{number} " + "\x01" * 32_000 for number in range(30)]
for body in bodies:
    form = {"From": "+15550001111", "To": "+15550002222", "Body": body}
    response = client.request("POST", f"{crosspoint}/inbound/simulator", data=form)
    assert response.status_code == 200, response.text
[conversation] = client.conversations.v1.conversations.list()
first = list(conversation.messages.page(page_size=1000))
read = [message.body for message in conversation.messages.list(page_size=1000)]
print(0 < len(first) < len(read), read == bodies)
"#;
    let script = format!("crosspoint = '{}'\n{script}", stack.url);
    assert_eq!(printed_by(&script), "True True\n");
}
