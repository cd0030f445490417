//! The relay under faults of carriers, the network, the table and under death. It sends no message twice silently, loses no
//! message without a record of that, and no recipient waits for the failure of another.

mod carrier_faults;
mod run_faults;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use routing::RETRY_DELAYS_S;
use serde_json::{Value, json};
use tests::carrier::sid;
use tests::crash::at_each_call;
use tests::items::OutboundRecord;
use tests::json::text;
use tests::rest::basic_credentials;
use tests::system::{ACCOUNT, ADA, BOB, OURS, TWILIO_ACCOUNT, TWILIO_TOKEN, TestSystem};
use tests::wire::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::instrument::WithSubscriber;

const OURS_2: &str = "+15550002223";

/// Longer than a lease, a claim and the sweep's distance.
const A_WHILE: Duration = Duration::from_secs(660);

const A_DAY: Duration = Duration::from_secs(86_400);

/// A conversation of participants behind numbers of the simulator's.
async fn at_simulator(system: &TestSystem, pairs: &[(&str, &str)]) -> String {
    let conversation = system.conversation(&[]).await;
    for (address, proxy) in pairs {
        system.number(proxy, &[]).await;
        system
            .add_participant(&conversation, address, proxy)
            .await
            .expect(201);
    }
    conversation
}

/// A stand-in for Twilio, a system that sends there, and a conversation of Ada and Bob behind numbers of Twilio's.
async fn at_carrier(system: &TestSystem) -> (Carrier, TestSystem, String) {
    let carrier = Carrier::start().await;
    let system = system.twilio_at(Some(&carrier.url));
    system.number(OURS, &[("Carrier", "twilio")]).await;
    system.number(OURS_2, &[("Carrier", "twilio")]).await;
    let (conversation, _) = system.bind(ADA, OURS).await;
    system
        .add_participant(&conversation, BOB, OURS_2)
        .await
        .expect(201);
    (carrier, system, conversation)
}

/// Posts a message to all participants.
async fn post(system: &TestSystem, conversation: &str, body: &str) {
    let path = format!("/v1/Conversations/{conversation}/Messages");
    system.post(&path, &[("Body", body)]).await.expect(201);
}

/// A run that may fail.
async fn try_run(system: &TestSystem, conversation: &str) {
    let _ = dispatch::hand_off::run(&system.app, &[conversation.to_owned()]).await;
}

/// Waits until no work is left.
async fn settle(system: &TestSystem, conversation: &str) {
    for time in [Duration::ZERO, Duration::from_secs(10), A_WHILE, A_DAY] {
        system.advance_and_tick(time).await;
        system.run(conversation).await;
    }
}

/// The messages that the simulator got for an address.
async fn sent_to(system: &TestSystem, address: &str) -> Vec<String> {
    let sent = system.outbox().await;
    sent.iter()
        .filter(|sent| sent["to"] == json!([address]))
        .map(|sent| text(&sent["body"]))
        .collect()
}

/// How many records are in each state.
async fn states(system: &TestSystem) -> BTreeMap<&'static str, usize> {
    let mut states = BTreeMap::new();
    for record in system.outbound_records().await {
        *states.entry(record.state).or_default() += 1;
    }
    states
}

async fn wait_for_states(system: &TestSystem, expected: BTreeMap<&'static str, usize>) {
    for _ in 0..WAIT_ROUNDS_MAX {
        if states(system).await == expected {
            return;
        }
        tokio::time::sleep(WAIT_ROUND).await;
    }
    assert_eq!(states(system).await, expected);
}

/// Index and body of a record's message.
async fn body_of(
    system: &TestSystem,
    conversation: &str,
    record: &OutboundRecord,
) -> (u64, String) {
    let path = format!(
        "/v1/Conversations/{conversation}/Messages/{}",
        record.message_sid
    );
    let message: Value = system.get(&path).await.expect(200);
    (
        message["index"].as_u64().expect("an index"),
        text(&message["body"]),
    )
}

/// Twilio's Messages API, down to its bytes, so that it can fail as no HTTP server does.
struct Carrier {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    act: Arc<Mutex<Arc<Rule>>>,
}

type Rule = Box<dyn Fn(&Asked) -> Act + Send + Sync>;

/// A request to send.
#[derive(Clone, Debug)]
struct Asked {
    to: String,
    body: String,
    authorization: String,
    at: Instant,
}

/// The answer to a request, after the stand-in has read it.
enum Act {
    Take,
    /// Accepts the message after a while.
    Late(Duration),
    Say {
        status: u16,
        header: &'static str,
        body: &'static str,
    },
    /// Sends these bytes, and closes.
    Raw(&'static str),
    Close,
    Reset,
    /// Sends nothing, for longer than any client waits.
    Hang,
    /// Sends these bytes, and then nothing.
    HangAfter(&'static str),
}

/// Makes an answer, for each request.
type Make = fn() -> Act;

fn say(status: u16, body: &'static str) -> Act {
    let header = "X-Nothing: 0";
    Act::Say {
        status,
        header,
        body,
    }
}

impl Act {
    fn with(self, with: &'static str) -> Act {
        match self {
            Act::Say { status, body, .. } => Act::Say {
                status,
                header: with,
                body,
            },
            other => other,
        }
    }
}

const WAIT_ROUND: Duration = Duration::from_millis(20);

const WAIT_ROUNDS_MAX: usize = 1_500;

impl Carrier {
    /// It accepts every message, until [`Carrier::act`] changes that.
    async fn start() -> Carrier {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let rule: Rule = Box::new(|_| Act::Take);
        let act = Arc::new(Mutex::new(Arc::new(rule)));
        let (log, rule) = (asked.clone(), act.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, log.clone(), rule.clone()));
            }
        });
        Carrier {
            url: format!("http://{address}"),
            asked,
            act,
        }
    }

    /// Sets the answers from now on.
    fn act(&self, act: impl Fn(&Asked) -> Act + Send + Sync + 'static) {
        *self.act.lock().expect("no holder panics") = Arc::new(Box::new(act));
    }

    /// Every request, oldest first.
    fn all(&self) -> Vec<Asked> {
        self.asked.lock().expect("no holder panics").clone()
    }

    /// The texts of all requests to send to an address, in order, accepted or not.
    fn asked(&self, to: &str) -> Vec<String> {
        let asked = self.all().into_iter().filter(|asked| asked.to == to);
        asked.map(|asked| asked.body).collect()
    }

    async fn wait_for(&self, count: usize) {
        for _ in 0..WAIT_ROUNDS_MAX {
            if self.all().len() >= count {
                return;
            }
            tokio::time::sleep(WAIT_ROUND).await;
        }
        panic!("{} of {count} came: {:#?}", self.all().len(), self.all());
    }
}

/// Serves one connection, until one side closes it.
async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<Asked>>>, rule: Arc<Mutex<Arc<Rule>>>) {
    let mut buffer = Vec::new();
    while let Some(asked) = read(&mut stream, &mut buffer).await {
        let rule = rule.lock().expect("no holder panics").clone();
        log.lock().expect("no holder panics").push(asked.clone());
        let taken = r#"{"sid":"SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","status":"queued"}"#;
        let (status, header, body) = match rule(&asked) {
            Act::Take => (201, "X-Nothing: 0", taken),
            Act::Late(delay) => {
                tokio::time::sleep(delay).await;
                (201, "X-Nothing: 0", taken)
            }
            Act::Say {
                status,
                header,
                body,
            } => (status, header, body),
            Act::Raw(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::HangAfter(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                tokio::time::sleep(Duration::from_secs(60)).await;
                return;
            }
            Act::Close => return,
            Act::Reset => {
                let _ = stream.set_zero_linger();
                return;
            }
            Act::Hang => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return;
            }
        };
        let length = match status {
            204 => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        let answer = format!("HTTP/1.1 {status} Said\r\n{header}\r\n{length}\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next request of a connection, read to its end.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let header = |name: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_owned()).unwrap_or_default()
            };
            let length: usize = header("Content-Length").parse().ok()?;
            if buffer.len() >= end + 4 + length {
                let rest = buffer.split_off(end + 4 + length);
                let form: BTreeMap<_, _> = form_urlencoded::parse(&buffer[end + 4..])
                    .into_owned()
                    .collect();
                *buffer = rest;
                let field = |name: &str| form.get(name).cloned().unwrap_or_default();
                return Some(Asked {
                    to: field("To"),
                    body: field("Body"),
                    authorization: header("Authorization"),
                    at: Instant::now(),
                });
            }
        }
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes).await {
            Ok(count) if count > 0 => buffer.extend_from_slice(&bytes[..count]),
            _ => return None,
        }
    }
}
