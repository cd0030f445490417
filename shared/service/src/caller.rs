//! Calls to webhooks: signed, bounded in time and size. [`egress`] makes the connection, and says where it leads.

use std::fmt;
use std::time::Duration;

use carriers::webhook::signature;
use egress::{Allowed, HttpClient, HttpReply, HttpRequest, SendError};
use jiff::Timestamp;
use routing::{Call, Method};

/// The way out, and the token that signs the requests.
#[derive(Clone)]
pub struct Caller {
    client: HttpClient,
    token: String,
}

/// Never shows the token.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({:?})", self.client)
    }
}

/// What an endpoint replied. Only a 2xx reply has its body here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebhookReply {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// What counts of the reply to a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReplyHead {
    pub(crate) status: u16,
    /// The pause before the next attempt that the endpoint asks for.
    pub(crate) retry_after_s: Option<i64>,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("no reply within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("reply is longer than {0} bytes")]
    TooLong(usize),
    #[error(transparent)]
    Send(#[from] SendError),
}

impl Caller {
    /// `token` signs every request; it also opens our API, so no log shows it. `allowed`: the inside addresses that a
    /// webhook's URL may lead to.
    pub fn new(token: impl Into<String>, allowed: Allowed) -> Caller {
        Caller {
            client: HttpClient::new(allowed),
            token: token.into(),
        }
    }

    /// The client for requests that this caller does not sign: those to carriers.
    pub fn http(&self) -> &HttpClient {
        &self.client
    }

    /// Calls a webhook once, and reads its reply. `token`: the idempotency token, the same for each attempt of a change.
    pub(crate) async fn call(
        &self,
        call: &Call,
        parameters: &[(String, String)],
        token: impl fmt::Display,
        time: Duration,
        bytes_max: usize,
    ) -> Result<WebhookReply, CallError> {
        let request = self.request(call, parameters, token);
        let reply = self.whole_reply(request, bytes_max);
        let reply = tokio::time::timeout(time, reply).await;
        reply.unwrap_or(Err(CallError::TimedOut(time)))
    }

    /// Calls a webhook once. The body of its reply is ignored.
    pub(crate) async fn notify(
        &self,
        call: &Call,
        parameters: &[(String, String)],
        token: impl fmt::Display,
        time: Duration,
    ) -> Result<ReplyHead, CallError> {
        let request = self.request(call, parameters, token);
        let reply = tokio::time::timeout(time, self.client.send(request)).await;
        let reply = reply.map_err(|_| CallError::TimedOut(time))??;
        let head = ReplyHead {
            status: reply.status(),
            retry_after_s: reply
                .header("Retry-After")
                .and_then(|text| retry_after_s(text, Timestamp::now())),
        };
        // A connection can be used again once the reply is read to its end. A long or slow reply is cut off.
        let _ = tokio::time::timeout(DRAIN_TIME_MAX, drain(reply)).await;
        Ok(head)
    }

    fn request(
        &self,
        call: &Call,
        parameters: &[(String, String)],
        token: impl fmt::Display,
    ) -> HttpRequest {
        let url = call.url.without_fragment();
        let encoded: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let request = match call.method {
            Method::Post => {
                let pairs = parameters
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()));
                let signature = signature::sign(&self.token, url, pairs);
                HttpRequest::post(url)
                    .header(SIGNATURE, signature)
                    .form(encoded)
            }
            Method::Get => {
                let separator = if url.contains('?') { '&' } else { '?' };
                let url = format!("{url}{separator}{encoded}");
                let signature = signature::sign_url(&self.token, &url);
                HttpRequest::get(url).header(SIGNATURE, signature)
            }
        };
        request
            .header("I-Twilio-Idempotency-Token", token.to_string())
            .header("Accept", "*/*")
    }

    async fn whole_reply(
        &self,
        request: HttpRequest,
        bytes_max: usize,
    ) -> Result<WebhookReply, CallError> {
        let mut reply = self.client.send(request).await?;
        let mut whole = WebhookReply {
            status: reply.status(),
            content_type: reply.header("Content-Type").map(str::to_owned),
            body: Vec::new(),
        };
        // The status alone counts of any other reply; its body may be long, slow or cut.
        if !(200..300).contains(&whole.status) {
            return Ok(whole);
        }
        while let Some(chunk) = reply.chunk().await? {
            if whole.body.len() + chunk.len() > bytes_max {
                return Err(CallError::TooLong(bytes_max));
            }
            whole.body.extend_from_slice(&chunk);
        }
        Ok(whole)
    }
}

const SIGNATURE: &str = "X-Twilio-Signature";

/// How much of an ignored body is still taken off the connection.
const DRAIN_BYTES_MAX: usize = 64 * 1024;
const DRAIN_TIME_MAX: Duration = Duration::from_millis(500);

async fn drain(mut reply: HttpReply) {
    let mut bytes = 0;
    while let Ok(Some(chunk)) = reply.chunk().await {
        bytes += chunk.len();
        if bytes > DRAIN_BYTES_MAX {
            return;
        }
    }
}

/// `Retry-After`: seconds, or a date.
fn retry_after_s(text: &str, now: Timestamp) -> Option<i64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    // Rounded up: not a second too early.
    Some(at.duration_since(now).as_secs().saturating_add(1))
}
