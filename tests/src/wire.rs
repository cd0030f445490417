//! The wire between us and DynamoDB: where faults are made that no engine makes, and where the bill is read.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

/// What happens to one request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Another transaction is at work on one of the items; nothing is done.
    TransactionConflict,
    /// The same transaction is at work already; nothing is done by this request.
    TransactionInProgress,
    /// Too many requests; nothing is done.
    Throttled,
    /// DynamoDB fails; nothing is done, but the caller can't know.
    ServerError,
    /// DynamoDB does it, and the answer is lost.
    AnswerLost,
    /// The request never arrives.
    RequestLost,
    /// The request arrives late.
    Late(Duration),
    /// The sender gets no reply, and the request stays in the network until [`Wire::deliver_held`].
    Held,
    /// The request waits until [`Wire::open_gate`] lets it pass.
    Gated,
    /// The table is missing.
    NoTable,
    /// Of a query's answer come so many items, of a batch so many are done: DynamoDB ends an answer at a megabyte, and
    /// leaves parts of a batch undone.
    Part(usize),
}

/// A call of one operation, as DynamoDB bills it.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: String,
    pub began: Instant,
    pub ended: Instant,
    pub read_units: f64,
    /// Items that a query looked at.
    pub scanned: u64,
    /// Of the table itself.
    pub write_units: f64,
    /// Of its indexes.
    pub index_write_units: f64,
}

type Rule = Box<dyn Fn(&str, &str) -> Option<Fault> + Send>;

#[derive(Default)]
struct State {
    /// Faults for the next calls of an operation.
    next: VecDeque<(&'static str, Fault)>,
    /// Faults by rule, from operation and body.
    rule: Option<Rule>,
    calls: Vec<Call>,
    held: Vec<(Connector, HttpRequest, String)>,
}

/// Where [`Fault::Gated`] requests wait.
struct Gate {
    /// How many requests have come, over all.
    arrived: watch::Sender<usize>,
    open: Semaphore,
}

/// An HTTP client for the SDK. Clones share faults and bill.
#[derive(Clone)]
pub struct Wire {
    inner: SharedHttpClient,
    state: Arc<Mutex<State>>,
    gate: Arc<Gate>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl Default for Wire {
    fn default() -> Wire {
        let inner = aws_smithy_http_client::Builder::new().build_http();
        Wire {
            inner,
            state: Arc::default(),
            gate: Arc::new(Gate {
                arrived: watch::Sender::default(),
                open: Semaphore::new(0),
            }),
        }
    }
}

impl Wire {
    /// The next call of the operation (`TransactWriteItems`, `PutItem`, …) meets the fault. Later ones queue up.
    pub fn fail_next(&self, operation: &'static str, fault: Fault) {
        self.lock().next.push_back((operation, fault));
    }

    /// Every call meets what the rule says, from operation and body.
    pub fn fail_by(&self, rule: impl Fn(&str, &str) -> Option<Fault> + Send + 'static) {
        self.lock().rule = Some(Box::new(rule));
    }

    /// Delivers the requests that met [`Fault::Held`].
    pub async fn deliver_held(&self) {
        let held = std::mem::take(&mut self.lock().held);
        for (connector, request, operation) in held {
            let delivered = connector.deliver(request, operation, Instant::now()).await;
            delivered.expect("the engine is there");
        }
    }

    /// Waits until so many requests have come to the gate, over all.
    pub async fn gated(&self, count: usize) {
        let mut arrived = self.gate.arrived.subscribe();
        let waited = arrived.wait_for(|arrived| *arrived >= count).await;
        waited.expect("the gate is there");
    }

    /// Lets one request pass the gate.
    pub fn open_gate(&self) {
        self.gate.open.add_permits(1);
    }

    /// No more faults.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.next.clear();
        state.rule = None;
    }

    /// The calls since the last time.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock().calls)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with the lock")
    }

    fn fault(&self, operation: &str, body: &str) -> Option<Fault> {
        let mut state = self.lock();
        let queued = state
            .next
            .iter()
            .position(|(wanted, _)| *wanted == operation);
        let queued = queued
            .and_then(|index| state.next.remove(index))
            .map(|(_, fault)| fault);
        queued.or_else(|| state.rule.as_ref().and_then(|rule| rule(operation, body)))
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Connector {
            inner,
            wire: self.clone(),
        })
    }
}

#[derive(Clone, Debug)]
struct Connector {
    inner: SharedHttpConnector,
    wire: Wire,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { connector.carry(request).await })
    }
}

impl Connector {
    async fn carry(&self, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        let began = Instant::now();
        let lost = || ConnectorError::timeout("lost on the wire".into());
        match self.wire.fault(&operation, &body) {
            None => {}
            Some(Fault::RequestLost) => return Err(lost()),
            Some(Fault::AnswerLost) => {
                self.deliver(request, operation, began).await?;
                return Err(lost());
            }
            Some(Fault::Late(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Held) => {
                let held = (self.clone(), request, operation);
                self.wire.lock().held.push(held);
                return Err(lost());
            }
            Some(Fault::Gated) => {
                self.wire.gate.arrived.send_modify(|arrived| *arrived += 1);
                let permit = self.wire.gate.open.acquire().await;
                permit.expect("the gate is never closed").forget();
            }
            Some(Fault::Part(size)) => {
                let rest = cut(&operation, &mut request, &body, size);
                let response = self.deliver(request, operation, began).await?;
                return Ok(left(response, rest));
            }
            Some(Fault::TransactionConflict) => return Ok(in_the_way(&operation, &body)),
            Some(Fault::TransactionInProgress) => {
                return Ok(refuse(400, "TransactionInProgressException"));
            }
            Some(Fault::Throttled) => {
                return Ok(refuse(400, "ProvisionedThroughputExceededException"));
            }
            Some(Fault::ServerError) => return Ok(refuse(500, "InternalServerError")),
            Some(Fault::NoTable) => return Ok(refuse(400, "ResourceNotFoundException")),
        }
        self.deliver(request, operation, began).await
    }

    async fn deliver(
        &self,
        request: HttpRequest,
        operation: String,
        began: Instant,
    ) -> Result<HttpResponse, ConnectorError> {
        let sent = request.body().bytes().unwrap_or_default().to_vec();
        let response = self.inner.call(request).await?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = response.into_body().collect().await;
        let body = body.map_err(ConnectorError::io)?.to_bytes();
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let ended = Instant::now();
        let units = |part: fn(&Value) -> f64| total(&answer["ConsumedCapacity"], part);
        let failed = u16::from(status) >= 400;
        let reads = matches!(operation.as_str(), "GetItem" | "Query" | "BatchGetItem");
        let (read_units, write_units, index_write_units) = match (reads, failed) {
            (true, _) => (units(all), 0.0, 0.0),
            (false, false) => (0.0, units(of_table), units(of_indexes)),
            (false, true) => (0.0, attempted_units(&operation, &sent), 0.0),
        };
        self.wire.lock().calls.push(Call {
            operation,
            began,
            ended,
            read_units,
            scanned: answer["ScannedCount"].as_u64().unwrap_or_default(),
            write_units,
            index_write_units,
        });
        let mut copy = HttpResponse::new(status, SdkBody::from(body));
        *copy.headers_mut() = headers;
        Ok(copy)
    }
}

/// Cuts a request to `size` items. Returns the items that it cut off, in the form in which the answer names them.
fn cut(operation: &str, request: &mut HttpRequest, body: &str, size: usize) -> Option<Value> {
    let mut asked: Value = serde_json::from_str(body).expect("a request");
    let mut rest = None;
    match operation {
        "Query" => {
            let limit = asked["Limit"].as_u64().unwrap_or(u64::MAX);
            asked["Limit"] = json!(limit.min(size as u64));
        }
        "BatchGetItem" | "BatchWriteItem" => {
            let tables = asked["RequestItems"].as_object_mut().expect("tables");
            let (table, wanted) = tables.iter_mut().next().expect("a table");
            let (list, name) = match operation {
                "BatchGetItem" => (&mut wanted["Keys"], "UnprocessedKeys"),
                _ => (wanted, "UnprocessedItems"),
            };
            let list = list.as_array_mut().expect("a batch");
            let undone = Value::Array(list.split_off(list.len().min(size)));
            let undone = match operation {
                "BatchGetItem" => json!({"Keys": undone, "ConsistentRead": true}),
                _ => undone,
            };
            rest = Some(json!({name: {table: undone}}));
        }
        other => panic!("{other} has no parts"),
    }
    let asked = asked.to_string();
    let length = asked.len().to_string();
    request.headers_mut().insert("content-length", length);
    *request.body_mut() = SdkBody::from(asked);
    rest
}

/// The answer to a batch of which a part was left undone.
fn left(mut response: HttpResponse, rest: Option<Value>) -> HttpResponse {
    let Some(rest) = rest.as_ref().and_then(Value::as_object) else {
        return response;
    };
    let said = response.body().bytes().expect("an answer");
    let mut said: Value = serde_json::from_slice(said).expect("JSON");
    let fields = said.as_object_mut().expect("an object");
    fields.extend(rest.clone());
    let said = said.to_string();
    let headers = response.headers_mut();
    headers.remove("x-amz-crc32");
    headers.insert("content-length", said.len().to_string());
    *response.body_mut() = SdkBody::from(said);
    response
}

fn refuse(status: u16, code: &str) -> HttpResponse {
    answer(
        status,
        json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": code}),
    )
}

/// What DynamoDB says of a transaction, or of a single write, that met another transaction.
fn in_the_way(operation: &str, body: &str) -> HttpResponse {
    if operation != "TransactWriteItems" {
        return refuse(400, "TransactionConflictException");
    }
    let request: Value = serde_json::from_str(body).unwrap_or_default();
    let count = request["TransactItems"].as_array().map_or(1, Vec::len);
    let mut reasons = vec![json!({"Code": "None"}); count];
    reasons[0] =
        json!({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"});
    answer(
        400,
        json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "message": "Transaction cancelled",
            "CancellationReasons": reasons,
        }),
    )
}

fn answer(status: u16, body: Value) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("a status");
    let mut response = HttpResponse::new(status, SdkBody::from(body.to_string()));
    response
        .headers_mut()
        .insert("content-type", "application/x-amz-json-1.0");
    response
}

/// What a write is billed whose condition failed, with items under 1 KB; engines do not report it.
fn attempted_units(operation: &str, sent: &[u8]) -> f64 {
    let request: Value = serde_json::from_slice(sent).unwrap_or_default();
    match operation {
        "TransactWriteItems" => {
            2.0 * request["TransactItems"].as_array().map_or(0, Vec::len) as f64
        }
        _ => 1.0,
    }
}

/// What an answer says of one part of its cost, over all its tables.
fn total(consumed: &Value, part: fn(&Value) -> f64) -> f64 {
    match consumed {
        Value::Array(tables) => tables.iter().map(part).sum(),
        table => part(table),
    }
}

fn all(table: &Value) -> f64 {
    table["CapacityUnits"].as_f64().unwrap_or_default()
}

fn of_table(table: &Value) -> f64 {
    table["Table"]["CapacityUnits"].as_f64().unwrap_or_default()
}

fn of_indexes(table: &Value) -> f64 {
    let indexes = table["GlobalSecondaryIndexes"].as_object();
    indexes
        .into_iter()
        .flatten()
        .map(|(_, index)| all(index))
        .sum()
}
