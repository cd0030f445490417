//! The way to other people's servers: signed, bounded in time and size, redirects not followed.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use carriers::webhook::signature;
use jiff::Timestamp;
use routing::{Call, Method};

/// An HTTP client, and the token that signs what it sends.
#[derive(Clone)]
pub struct Caller {
    /// Made at the first call: it reads the certificates of the system, and most messages call nobody.
    http: Arc<OnceLock<reqwest::Client>>,
    token: String,
}

/// Never shows the token.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// What a server that was told something answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    /// How long it asks us to wait before the next attempt.
    pub(crate) retry_after_s: Option<i64>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("connection failed")]
    Failed(#[source] reqwest::Error),
    #[error("URL can't be called")]
    Url,
}

const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// A function that was frozen wakes up with connections that are dead by now; few are kept, and not for long.
const IDLE_TIME_MAX: Duration = Duration::from_secs(5);

impl Caller {
    /// `token` signs every request; it opens our API, so it is never logged.
    pub fn new(token: impl Into<String>) -> Caller {
        Caller {
            http: Arc::default(),
            token: token.into(),
        }
    }

    /// Calls a webhook once. The idempotency token is the same however often the same change calls.
    pub(crate) async fn call(
        &self,
        call: &Call,
        parameters: &[(String, String)],
        token: impl fmt::Display,
        time: Duration,
        bytes_max: usize,
    ) -> Result<Answered, CallError> {
        let request = self.request(call, parameters, token)?;
        match tokio::time::timeout(time, read(request, bytes_max)).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::TimedOut(time)),
        }
    }

    /// Tells a webhook once; of its answer only the status counts.
    pub(crate) async fn tell(
        &self,
        call: &Call,
        parameters: &[(String, String)],
        token: impl fmt::Display,
        time: Duration,
    ) -> Result<Heard, CallError> {
        let request = self.request(call, parameters, token)?;
        let response = match tokio::time::timeout(time, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(CallError::Failed(error.without_url())),
            Err(_) => return Err(CallError::TimedOut(time)),
        };
        let heard = Heard {
            status: response.status().as_u16(),
            retry_after_s: retry_after_s(&response, Timestamp::now()),
        };
        // Read to its end, a connection can be used again; an answer that is long or slow is cut off.
        let _ = tokio::time::timeout(DRAIN_TIME_MAX, drain(response)).await;
        Ok(heard)
    }

    /// The client, for calls that we do not sign.
    pub fn http(&self) -> &reqwest::Client {
        self.http.get_or_init(|| {
            let http = reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIME_MAX)
                .pool_idle_timeout(IDLE_TIME_MAX)
                .user_agent(concat!("Crosspoint/", env!("CARGO_PKG_VERSION")))
                .build();
            http.expect("the TLS library has its defaults")
        })
    }

    fn request(
        &self,
        call: &Call,
        parameters: &[(String, String)],
        token: impl fmt::Display,
    ) -> Result<reqwest::RequestBuilder, CallError> {
        let url = call.url.without_fragment();
        let encoded: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let request = match call.method {
            Method::Post => {
                let pairs = parameters
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()));
                self.http()
                    .post(parse(url)?)
                    .header(
                        "X-Twilio-Signature",
                        signature::sign(&self.token, url, pairs),
                    )
                    .header(
                        "Content-Type",
                        "application/x-www-form-urlencoded; charset=utf-8",
                    )
                    .body(encoded)
            }
            Method::Get => {
                let separator = if url.contains('?') { '&' } else { '?' };
                let url = format!("{url}{separator}{encoded}");
                self.http()
                    .get(parse(&url)?)
                    .header("X-Twilio-Signature", signature::sign_url(&self.token, &url))
            }
        };
        Ok(request
            .header("I-Twilio-Idempotency-Token", token.to_string())
            .header("Accept", "*/*"))
    }
}

/// What of an answer nobody reads is still taken off the connection.
const DRAIN_BYTES_MAX: usize = 64 * 1024;
const DRAIN_TIME_MAX: Duration = Duration::from_millis(500);

async fn drain(mut response: reqwest::Response) {
    let mut bytes = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes += chunk.len();
        if bytes > DRAIN_BYTES_MAX {
            return;
        }
    }
}

/// Seconds, or a date.
fn retry_after_s(response: &reqwest::Response, now: Timestamp) -> Option<i64> {
    let text = response.headers().get("Retry-After")?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    // Not a second too early.
    Some(at.duration_since(now).as_secs().saturating_add(1))
}

fn parse(url: &str) -> Result<reqwest::Url, CallError> {
    reqwest::Url::parse(url).map_err(|_| CallError::Url)
}

async fn read(request: reqwest::RequestBuilder, bytes_max: usize) -> Result<Answered, CallError> {
    let mut response = request
        .send()
        .await
        .map_err(|error| CallError::Failed(error.without_url()))?;
    let status = response.status().as_u16();
    let content_type = response
        .headers()
        .get("Content-Type")
        .and_then(|value| value.to_str().ok());
    let content_type = content_type.map(str::to_owned);
    let mut body = Vec::new();
    // Of what is no success, only the status counts; its body may be long, slow or cut.
    if !response.status().is_success() {
        return Ok(Answered {
            status,
            content_type,
            body,
        });
    }
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| CallError::Failed(error.without_url()))?
    {
        if body.len() + chunk.len() > bytes_max {
            return Err(CallError::TooLong(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answered {
        status,
        content_type,
        body,
    })
}
