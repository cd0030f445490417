//! The whole system in one process, on a table of its own, and the doors that its users have.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use carriers::simulator::Outbox;
use carriers::{signature, twilio};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use local::dispatcher::Dispatcher;
use local::stack;
use local::tasks::Tasks;
use routing::{AccountSid, ConversationSid};
use serde_json::Value;
use service::dispatch::{HandOff, HandOffError};
use service::{App, Caller, Carriers, Clock, PublicUrl, TwilioCredentials};
use store::{Store, engine_config};
use tower::ServiceExt;

use crate::engine::{EngineKind, endpoint};
use crate::wire::{Fault, Wire};

pub const ACCOUNT: &str = "AC00000000000000000000000000000000";
pub const TOKEN: &str = "testtoken";
pub const PUBLIC_URL: &str = "https://crosspoint.example";
pub const TWILIO_ACCOUNT: &str = "AC11111111111111111111111111111111";
pub const TWILIO_TOKEN: &str = "twiliotoken";

/// Our number, and a consumer's.
pub const OURS: &str = "+15550002222";
pub const ADA: &str = "+15550001111";
pub const BOB: &str = "+15550001112";

/// The system. Clones are further copies of its functions over the same table.
#[derive(Clone, Debug)]
pub struct TestSystem {
    router: Router,
    pub app: App,
    pub tasks: Tasks,
    endpoint: String,
    table: String,
    pub wire: Wire,
    dispatcher: Option<Arc<Dispatcher>>,
}

/// An answer at one of the doors.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {} {}", self.status, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        if self.body.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// The public error code of an answer that must have this status.
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

impl TestSystem {
    pub async fn start(kind: EngineKind) -> TestSystem {
        TestSystem::with_twilio(kind, None).await
    }

    /// With Twilio's API at another URL.
    pub async fn with_twilio(kind: EngineKind, twilio_api_url: Option<&str>) -> TestSystem {
        static TABLES: AtomicU64 = AtomicU64::new(0);
        let run = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let table = format!("test-{run}-{}", TABLES.fetch_add(1, Ordering::Relaxed));
        let wire = Wire::default();
        let endpoint = endpoint(kind).await;
        let config = engine_config(&endpoint).http_client(wire.clone());
        let store = Store::new(Store::client(config), &table);
        // A busy engine takes its time, and a table that is there already is no error.
        let mut created = store.create_table().await;
        for _ in 1..CREATE_ATTEMPTS_MAX {
            if created.is_ok() {
                break;
            }
            created = store.create_table().await;
        }
        created.expect("a table");
        wire.take_calls();
        let app = App {
            store,
            caller: Caller::new(TOKEN),
            clock: Clock::default(),
            account: AccountSid::parse(ACCOUNT).expect("a SID"),
            public_url: PublicUrl::parse(PUBLIC_URL).expect("a URL"),
            carriers: Carriers {
                twilio: twilio_api_url.map(sender),
                simulator: Some(Outbox::default()),
            },
        };
        TestSystem::assembled(app, endpoint, table, wire)
    }

    /// Other functions over the same table and with the same clock: they send at Twilio by this URL, or have no
    /// credentials for it.
    pub fn twilio_at(&self, url: Option<&str>) -> TestSystem {
        let mut app = self.app.clone();
        app.carriers.twilio = url.map(sender);
        let (endpoint, table) = (self.endpoint.clone(), self.table.clone());
        TestSystem::assembled(app, endpoint, table, self.wire.clone())
    }

    fn assembled(app: App, endpoint: String, table: String, wire: Wire) -> TestSystem {
        let account = AccountSid::parse(TWILIO_ACCOUNT).expect("a SID");
        let twilio = TwilioCredentials {
            account,
            token: TWILIO_TOKEN.to_owned(),
        };
        let tasks = Tasks::new(app.clone());
        TestSystem {
            router: stack::router(app.clone(), TOKEN.to_owned(), Some(twilio), tasks.clone()),
            app,
            tasks,
            endpoint,
            table,
            wire,
            dispatcher: None,
        }
    }

    /// Where the table is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn table(&self) -> &str {
        &self.table
    }

    /// A client beside the wire, for what no door does or tells.
    pub fn client(&self) -> Client {
        Store::client(engine_config(&self.endpoint))
    }

    /// From now on stream and clock are at work: what leaves by itself leaves.
    pub async fn dispatch(mut self) -> TestSystem {
        let (app, tasks) = (self.app.clone(), self.tasks.clone());
        let dispatcher = Dispatcher::start(app, tasks, &self.endpoint).await;
        self.dispatcher = Some(Arc::new(dispatcher.expect("a stream")));
        self
    }

    /// Moves the clock, and does nothing else.
    pub fn advance(&self, by: Duration) {
        self.app.clock.advance(by);
    }

    /// Moves the local stack's clock through its door, which does what falls due; an ISO 8601 duration.
    pub async fn pass(&self, duration: &str) -> Value {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/simulator/clock");
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let body = Body::from(encode(&[("Advance", duration)]));
        self.send(request.body(body).expect("a request"))
            .await
            .expect(200)
    }

    /// What the simulator was given to send, oldest first.
    pub async fn outbox(&self) -> Vec<Value> {
        let request = Request::get("/simulator/outbox");
        let answer = self.send(request.body(Body::empty()).expect("a request"));
        let Value::Array(sent) = answer.await.expect(200) else {
            panic!("the outbox is no array");
        };
        sent
    }

    /// What the simulator was given to send, as soon as it is so much.
    ///
    /// # Panics
    /// If it takes too long.
    pub async fn sent(&self, count: usize) -> Vec<Value> {
        for _ in 0..SENT_ROUNDS_MAX {
            let sent = self.outbox().await;
            if sent.len() >= count {
                return sent;
            }
            tokio::time::sleep(SENT_ROUND).await;
        }
        let sent = self.outbox().await;
        panic!("{} of {count} were sent: {sent:#?}", sent.len());
    }

    /// What the table says of each message to each recipient, in no order. No door shows it yet.
    pub async fn outbound(&self) -> Vec<OutboundRecord> {
        let client = self.client();
        let mut records = Vec::new();
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let scan = client.scan().table_name(&self.table).consistent_read(true);
            let page = scan
                .set_exclusive_start_key(next)
                .send()
                .await
                .expect("a page");
            records.extend(page.items().iter().filter_map(OutboundRecord::of));
            next = page.last_evaluated_key;
            if next.is_none() {
                return records;
            }
        }
        panic!("the table has more than {PAGES_MAX} pages");
    }

    /// Lets the consumers of a conversation run to their end, here and now, as one hand-off does.
    pub async fn run(&self, conversation: &str) {
        dispatch::hand_off::run(&self.app, &[conversation.to_owned()])
            .await
            .expect("a run");
    }

    /// What the function behind the stream answers to an event. What it hands off has run by then.
    pub async fn invoke(&self, event: Value) -> Value {
        let answer = dispatch::handle(&self.app, &AtOnce(&self.app), event).await;
        answer.unwrap_or_else(|error| panic!("an invocation failed: {error:?}"))
    }

    /// What the clock does once a minute. What it hands off has run by then.
    pub async fn tick(&self) {
        self.invoke(serde_json::json!({"clock": {}})).await;
    }

    /// Time goes by, and the clock does once what it does once a minute.
    pub async fn later(&self, by: Duration) {
        self.advance(by);
        self.tick().await;
    }

    /// The time as webhooks write it.
    pub fn now(&self) -> String {
        let now = self.app.clock.now();
        now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
    }

    /// Does some work and stops where it calls DynamoDB for the `nth` time, as a process that is killed stops.
    /// `arrives`: that call is still done. Whether it came that far.
    pub async fn killed_at(&self, nth: u32, arrives: bool, work: impl Future<Output = ()>) -> bool {
        self.killed_at_call(|_, _| true, nth, arrives, work).await
    }

    /// The same, of the calls alone that `counts` says, from operation and body.
    pub async fn killed_at_call(
        &self,
        counts: impl Fn(&str, &str) -> bool + Send + 'static,
        nth: u32,
        arrives: bool,
        work: impl Future<Output = ()>,
    ) -> bool {
        let calls = AtomicU32::new(0);
        let (killed, mut kill) = tokio::sync::watch::channel(false);
        self.wire.fail_by(move |operation, body| {
            let counts = u32::from(counts(operation, body));
            let call = calls.fetch_add(counts, Ordering::SeqCst) + counts;
            if call < nth {
                return None;
            }
            if arrives && call == nth && counts == 1 {
                return Some(Fault::AnswerLost);
            }
            let _ = killed.send(true);
            Some(Fault::Late(Duration::from_secs(3_600)))
        });
        let killed = tokio::select! {
            _ = kill.wait_for(|killed| *killed) => true,
            () = work => false,
        };
        self.wire.heal();
        killed
    }

    /// The sort keys of what the table holds in a conversation's partition. No door tells.
    pub async fn kept(&self, conversation: &str) -> Vec<String> {
        let found = self
            .client()
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(format!("C#{conversation}")))
            .consistent_read(true)
            .send()
            .await
            .expect("a query");
        let items = found.items.unwrap_or_default();
        items
            .iter()
            .filter_map(|item| item.get("sk")?.as_s().ok().cloned())
            .collect()
    }

    /// Takes the first item of a partition whose sort key begins so out of the table. No door does.
    pub async fn take_item(&self, pk: &str, sk: &str) -> HashMap<String, AttributeValue> {
        let client = self.client();
        let found = client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .expression_attribute_values(":sk", AttributeValue::S(sk.to_owned()))
            .consistent_read(true)
            .send();
        let items = found.await.expect("a query").items.unwrap_or_default();
        let item = items.into_iter().next();
        let item = item.unwrap_or_else(|| panic!("{pk} has no {sk}"));
        let delete = client.delete_item().table_name(&self.table);
        let delete = delete.key("pk", item["pk"].clone());
        let delete = delete.key("sk", item["sk"].clone());
        delete.send().await.expect("a write");
        item
    }

    /// Puts an item into the table as it is.
    pub async fn put_item(&self, item: HashMap<String, AttributeValue>) {
        let client = self.client();
        let put = client.put_item().table_name(&self.table);
        put.set_item(Some(item)).send().await.expect("a write");
    }

    /// One request at the front door, as it is.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("a router never fails");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.rest(Method::GET, path, &[], false).await
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.rest(Method::POST, path, form, false).await
    }

    /// With `X-Twilio-Webhook-Enabled: true`.
    pub async fn post_with_webhooks(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.rest(Method::POST, path, form, true).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.rest(Method::DELETE, path, &[], false).await
    }

    /// With `X-Twilio-Webhook-Enabled: true`.
    pub async fn delete_with_webhooks(&self, path: &str) -> Answer {
        self.rest(Method::DELETE, path, &[], true).await
    }

    async fn rest(
        &self,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
        webhooks: bool,
    ) -> Answer {
        let path = path.strip_prefix(PUBLIC_URL).unwrap_or(path);
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header("Authorization", basic(ACCOUNT, TOKEN));
        if webhooks {
            request = request.header("X-Twilio-Webhook-Enabled", "true");
        }
        let body = match method {
            Method::POST => {
                request = request.header("Content-Type", "application/x-www-form-urlencoded");
                encode(form)
            }
            _ => String::new(),
        };
        self.send(request.body(Body::from(body)).expect("a request"))
            .await
    }

    /// A message by the simulator, under a message SID.
    pub async fn message(&self, sid: &str, from: &str, to: &str, body: &str) -> Answer {
        self.simulator(&[
            ("MessageSid", sid),
            ("From", from),
            ("To", to),
            ("Body", body),
        ])
        .await
    }

    /// A message by the simulator, as the form says.
    pub async fn simulator(&self, form: &[(&str, &str)]) -> Answer {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/inbound/simulator");
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(encode(form))).expect("a request"))
            .await
    }

    /// A message by Twilio, signed as Twilio signs.
    pub async fn twilio(&self, form: &[(&str, &str)]) -> Answer {
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

    /// As a carrier does: what is answered 5xx is sent again after a while, at most `attempts_max` times in all.
    pub async fn message_repeated(
        &self,
        sid: &str,
        from: &str,
        to: &str,
        body: &str,
        attempts_max: usize,
    ) -> Answer {
        let mut answer = self.message(sid, from, to, body).await;
        for _ in 1..attempts_max {
            if !answer.status.is_server_error() {
                break;
            }
            tokio::time::sleep(CARRIER_PAUSE).await;
            answer = self.message(sid, from, to, body).await;
        }
        answer
    }

    /// A number of ours, with form fields besides; the simulator's, unless they say another carrier.
    pub async fn number(&self, number: &str, fields: &[(&str, &str)]) -> Value {
        let mut form = [&[("PhoneNumber", number)], fields].concat();
        if !fields.iter().any(|(name, _)| *name == "Carrier") {
            form.push(("Carrier", "simulator"));
        }
        let path = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json");
        self.post(&path, &form).await.expect(201)
    }

    /// An address configuration that makes conversations.
    pub async fn autocreation(&self, address: &str) -> Value {
        let kind = if address.starts_with("whatsapp:") {
            "whatsapp"
        } else {
            "sms"
        };
        let form = [
            ("Type", kind),
            ("Address", address),
            ("AutoCreation.Enabled", "true"),
        ];
        self.post("/v1/Configuration/Addresses", &form)
            .await
            .expect(201)
    }

    /// The account's post-action webhook, with form fields besides.
    pub async fn hear(&self, url: &str, fields: &[(&str, &str)]) -> Value {
        let form = [&[("PostWebhookUrl", url)], fields].concat();
        let path = "/v1/Configuration/Webhooks";
        self.post(path, &form).await.expect(200)
    }

    /// The account's pre-action webhook, with form fields besides.
    pub async fn ask(&self, url: &str, fields: &[(&str, &str)]) -> Value {
        let form = [&[("PreWebhookUrl", url)], fields].concat();
        let path = "/v1/Configuration/Webhooks";
        self.post(path, &form).await.expect(200)
    }

    /// A new conversation's SID.
    pub async fn conversation(&self, form: &[(&str, &str)]) -> String {
        text(&self.post("/v1/Conversations", form).await.expect(201)["sid"])
    }

    /// A new conversation that holds the pair, and the participant.
    pub async fn bound(&self, address: &str, proxy: &str) -> (String, String) {
        let conversation = self.conversation(&[]).await;
        let participant = self.add(&conversation, address, proxy).await.expect(201);
        (conversation, text(&participant["sid"]))
    }

    /// Adds a participant behind a pair.
    pub async fn add(&self, conversation: &str, address: &str, proxy: &str) -> Answer {
        let form = [
            ("MessagingBinding.Address", address),
            ("MessagingBinding.ProxyAddress", proxy),
        ];
        self.post(
            &format!("/v1/Conversations/{conversation}/Participants"),
            &form,
        )
        .await
    }

    /// Every row of a list, over all its pages.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut next = Some(path.to_owned());
        for _ in 0..PAGES_MAX {
            let Some(path) = next else {
                return rows;
            };
            let page = self.get(&path).await.expect(200);
            let key = text(&page["meta"]["key"]);
            rows.extend(page[&key].as_array().expect("rows").iter().cloned());
            next = page["meta"]["next_page_url"].as_str().map(str::to_owned);
        }
        panic!("{path} has more than {PAGES_MAX} pages");
    }

    /// The one conversation that an address takes part in.
    pub async fn conversation_of(&self, address: &str) -> String {
        let query = encode(&[("Address", address)]);
        let path = format!("/v1/ParticipantConversations?{query}");
        text(&only(self.list(&path).await)["conversation_sid"])
    }

    pub async fn conversations(&self) -> Vec<Value> {
        self.list("/v1/Conversations?PageSize=100").await
    }

    /// The messages of a conversation, by index.
    pub async fn messages(&self, conversation: &str) -> Vec<Value> {
        self.list(&format!(
            "/v1/Conversations/{conversation}/Messages?PageSize=100"
        ))
        .await
    }

    pub async fn participants(&self, conversation: &str) -> Vec<Value> {
        self.list(&format!("/v1/Conversations/{conversation}/Participants"))
            .await
    }

    /// A conversation as it is now.
    pub async fn fetch(&self, conversation: &str) -> Value {
        self.get(&format!("/v1/Conversations/{conversation}"))
            .await
            .expect(200)
    }

    /// Changes a conversation.
    pub async fn update(&self, conversation: &str, form: &[(&str, &str)]) -> Answer {
        self.post(&format!("/v1/Conversations/{conversation}"), form)
            .await
    }

    /// The bodies of a conversation's messages, by index, which must be dense.
    pub async fn bodies(&self, conversation: &str) -> Vec<String> {
        let messages = self.messages(conversation).await;
        for (index, message) in messages.iter().enumerate() {
            assert_eq!(message["index"], index, "indexes are dense: {messages:#?}");
        }
        messages
            .iter()
            .map(|message| text(&message["body"]))
            .collect()
    }
}

/// A hand-off that waits for what it hands off.
struct AtOnce<'a>(&'a App);

impl HandOff for AtOnce<'_> {
    async fn hand_off(&self, conversations: Vec<ConversationSid>) -> Result<(), HandOffError> {
        let sids: Vec<String> = conversations.iter().map(ToString::to_string).collect();
        // Lambda tells nobody how an asynchronous invocation ended.
        let _ = dispatch::hand_off::run(self.0, &sids).await;
        Ok(())
    }
}

const PAGES_MAX: usize = 1_000;

/// How often the making of a table is asked for.
const CREATE_ATTEMPTS_MAX: usize = 10;

/// How long something that must be sent may take, on a busy machine.
const SENT_ROUND: Duration = Duration::from_millis(20);
const SENT_ROUNDS_MAX: usize = 1_500;

fn sender(url: &str) -> twilio::Sender {
    let account = AccountSid::parse(TWILIO_ACCOUNT).expect("a SID");
    twilio::Sender::new(account, TWILIO_TOKEN, url)
}

/// How far a message to one recipient has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundRecord {
    pub from: String,
    pub to: String,
    pub message_sid: String,
    /// `sending`, `waiting`, `sent`, `failed` or `unknown`.
    pub state: &'static str,
    /// The carrier's.
    pub code: Option<u32>,
    pub carrier_id: Option<String>,
}

impl OutboundRecord {
    fn of(item: &HashMap<String, AttributeValue>) -> Option<OutboundRecord> {
        let string = |name: &str| item.get(name)?.as_s().ok().cloned();
        let number = |name: &str| item.get(name)?.as_n().ok()?.parse().ok();
        if !string("pk")?.starts_with("O#") {
            return None;
        }
        let message = item.get("m")?.as_b().ok()?.as_ref();
        let hex: String = message.iter().map(|byte| format!("{byte:02x}")).collect();
        let states = ["sending", "waiting", "sent", "failed", "unknown"];
        Some(OutboundRecord {
            from: string("x")?,
            to: string("a")?,
            message_sid: format!("IM{hex}"),
            state: states[usize::try_from(number("st")?).ok()?],
            code: number("ec"),
            carrier_id: string("ci"),
        })
    }
}

/// How long a carrier waits before it sends again.
const CARRIER_PAUSE: Duration = Duration::from_millis(500);

/// How often a carrier that is told to repeats: `#rc=5&rp=all` at the webhook, and the same at the fallback URL.
pub const CARRIER_ATTEMPTS: usize = 12;

/// A carrier's message SID, by number.
pub fn sid(number: u64) -> String {
    format!("SM{number:032x}")
}

/// A JSON string's text.
#[track_caller]
pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no string"))
        .to_owned()
}

/// Whether it is a SID with this prefix, as we make them.
pub fn is_sid(value: &Value, prefix: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    value
        .as_str()
        .and_then(|sid| sid.strip_prefix(prefix))
        .is_some_and(|digits| digits.len() == 32 && digits.chars().all(hex))
}

/// The names of a JSON object's fields, in order.
#[track_caller]
pub fn keys(value: &Value) -> Vec<&str> {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("{value} is no object"));
    let mut keys: Vec<_> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Seconds since 1970 of a time as the REST API writes it, `2015-12-16T22:18:37Z`: no fraction, in UTC.
#[track_caller]
pub fn seconds(time: &Value) -> i64 {
    let text = text(time);
    assert_eq!(text.len(), "2015-12-16T22:18:37Z".len(), "{text}");
    assert!(text.ends_with('Z'), "{text}");
    let number = |range: std::ops::Range<usize>| -> i64 {
        text[range]
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    // Years that begin in March, so that the leap day is the last.
    let (month, day) = (number(5..7), number(8..10));
    let year = number(0..4) - i64::from(month < 3);
    let days = year * 365 + year / 4 - year / 100 + year / 400 - 719_469
        + (153 * ((month + 9) % 12) + 2) / 5
        + day;
    days * 86_400 + number(11..13) * 3_600 + number(14..16) * 60 + number(17..19)
}

/// What Twilio always sends.
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

/// The one row that there is.
#[track_caller]
pub fn only(rows: Vec<Value>) -> Value {
    let [row] = <[Value; 1]>::try_from(rows).expect("one row");
    row
}

pub fn encode(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
