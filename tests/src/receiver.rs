//! The server of another party: a real HTTP server on a free port of loopback. It keeps the requests that it received, and
//! replies as a test wants.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use carriers::webhook::signature;
use local::stack::{self, Served};

/// A request that came.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    /// With its query.
    pub url: String,
    pub headers: http::HeaderMap,
    /// Of the query for GET, of the body otherwise.
    pub parameters: Vec<(String, String)>,
    pub at: Instant,
}

impl Received {
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// All parameters, by name.
    pub fn form(&self) -> BTreeMap<&str, &str> {
        self.parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    /// Whether it is signed as Twilio signs, for the URL that was called, without the query of a GET's parameters.
    pub fn signed(&self, token: &str, url: &str) -> bool {
        let expected = match self.method.as_str() {
            "GET" => {
                let (_, query) = self.url.split_once('?').unwrap_or_default();
                let url = url.split_once('?').map_or(url, |(url, _)| url);
                signature::sign_url(token, &format!("{url}?{query}"))
            }
            _ => signature::sign(token, url, self.form()),
        };
        self.header("X-Twilio-Signature") == expected
    }

    /// What tells one event from another, and is the same for each attempt at it.
    #[track_caller]
    pub fn token(&self) -> String {
        let token = self.header("I-Twilio-Idempotency-Token");
        assert!(!token.is_empty(), "{self:?}");
        token.to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// One parameter of each request, in their order; empty where it is missing.
pub fn parameters<'a>(received: &'a [Received], name: &str) -> Vec<&'a str> {
    received
        .iter()
        .map(|received| received.parameter(name).unwrap_or_default())
        .collect()
}

/// What the server answers.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
    pub delay: Duration,
    pub headers: Vec<(&'static str, String)>,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<String>) -> Reply {
        Reply {
            status,
            content_type: "text/xml",
            body: body.into(),
            delay: Duration::ZERO,
            headers: Vec::new(),
        }
    }

    pub fn json(body: impl Into<String>) -> Reply {
        Reply {
            content_type: "application/json",
            ..Reply::new(200, body)
        }
    }

    pub fn after(self, delay: Duration) -> Reply {
        Reply { delay, ..self }
    }

    pub fn with(mut self, header: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((header, value.into()));
        self
    }
}

type Answer = Box<dyn Fn(&Received) -> Reply + Send + Sync>;

/// The server; it ends with the test's runtime.
pub struct Receiver {
    served: Served,
    received: Arc<Mutex<Vec<Received>>>,
    answer: Arc<Mutex<Arc<Answer>>>,
}

/// How often the received requests are counted, and how many times: two minutes in all, on a busy machine.
const WAIT_ROUND: Duration = Duration::from_millis(20);
const WAIT_ROUNDS_MAX: usize = 6_000;

/// Enough for anything that is sent here.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Receiver {
    pub async fn start(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Receiver {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let answer: Arc<Mutex<Arc<Answer>>> = Arc::new(Mutex::new(Arc::new(Box::new(answer))));
        let (log, say) = (received.clone(), answer.clone());
        let router = Router::new().fallback(move |request: Request| {
            let (log, say) = (log.clone(), say.clone());
            async move {
                let received = read(request).await;
                let say = say.lock().expect("no thread panics with the lock").clone();
                log.lock()
                    .expect("no thread panics with the lock")
                    .push(received.clone());
                let Reply {
                    status,
                    content_type,
                    body,
                    delay,
                    headers,
                } = say(&received);
                tokio::time::sleep(delay).await;
                let mut response = Response::builder()
                    .status(status)
                    .header("Content-Type", content_type);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(body)).expect("a response")
            }
        });
        let listener = stack::listen(0).await.expect("a free port");
        let served = stack::serve(listener, router).expect("a server");
        Receiver {
            served,
            received,
            answer,
        }
    }

    pub fn url(&self) -> String {
        self.served.url()
    }

    /// From now on it answers so.
    pub fn answer(&self, answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) {
        *self.answer.lock().expect("no thread panics with the lock") = Arc::new(Box::new(answer));
    }

    /// Everything that came, as soon as it is so many.
    ///
    /// # Panics
    /// If it takes too long.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        for _ in 0..WAIT_ROUNDS_MAX {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            tokio::time::sleep(WAIT_ROUND).await;
        }
        let received = self.received();
        panic!("{} of {count} came: {received:#?}", received.len());
    }

    /// Everything that came, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.received
            .lock()
            .expect("no thread panics with the lock")
            .clone()
    }
}

async fn read(request: Request) -> Received {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
    let encoded = match parts.method {
        http::Method::GET => parts.uri.query().unwrap_or_default().as_bytes().to_vec(),
        _ => body.to_vec(),
    };
    Received {
        method: parts.method.to_string(),
        url: parts.uri.to_string(),
        headers: parts.headers,
        parameters: form_urlencoded::parse(&encoded).into_owned().collect(),
        at: Instant::now(),
    }
}
