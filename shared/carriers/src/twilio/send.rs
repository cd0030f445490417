//! Sending by Twilio's Messages API.
//!
//! The API knows no key by which a repetition would be recognized. So an answer that is lost leaves a message that may
//! have been taken or not, and only what surely was not taken may be sent again.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use routing::AccountSid;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::{Sending, Taken};

/// Where Twilio is, but for tests.
pub const API_URL: &str = "https://api.twilio.com";

/// An account at Twilio.
#[derive(Clone)]
pub struct Sender {
    account: AccountSid,
    token: String,
    url: String,
}

/// Never shows the token.
impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({})", self.account)
    }
}

#[derive(Deserialize, Default)]
struct Answer {
    sid: Option<String>,
    code: Option<u32>,
}

/// Errors that say nothing of the message, and pass: the account is throttled or suspended, its credentials are wrong,
/// its queue is full.
const PASSING_CODES: [u32; 8] = [
    14_107, 20_003, 20_005, 20_006, 20_008, 20_403, 20_429, 21_611,
];
/// Twilio's answers are a few kilobytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

impl Sender {
    /// `api_url` has no `/` at its end.
    pub fn new(account: AccountSid, token: impl Into<String>, api_url: &str) -> Sender {
        Sender {
            account,
            token: token.into(),
            url: format!("{api_url}/2010-04-01/Accounts/{account}/Messages.json"),
        }
    }

    /// Sends once. Every failure is an answer: what it means for the message is what matters.
    pub async fn send(
        &self,
        http: &reqwest::Client,
        sending: &Sending<'_>,
        time: Duration,
    ) -> Taken {
        let request = http
            .post(&self.url)
            .basic_auth(self.account, Some(&self.token))
            .header(
                "Content-Type",
                "application/x-www-form-urlencoded; charset=utf-8",
            )
            .body(encode(sending));
        let until = Instant::now() + time;
        let mut response = match timeout_at(until, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() || error.is_builder() => {
                return Taken::Not {
                    retry_after_s: None,
                    reason: reason(&error.without_url()),
                };
            }
            Ok(Err(error)) => {
                return Taken::Unknown {
                    reason: reason(&error.without_url()),
                };
            }
            Err(_) => {
                return Taken::Unknown {
                    reason: format!("no answer within {} ms", time.as_millis()),
                };
            }
        };
        let status = response.status().as_u16();
        let retry_after = response.headers().get("Retry-After");
        let retry_after_s = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // The status has decided; what else is said is good to know, and may be slow, or cut off.
        let mut body = Vec::new();
        let _ = timeout_at(until, fill(&mut body, &mut response)).await;
        read(status, retry_after_s, serde_json::from_slice(&body).ok())
    }
}

fn encode(sending: &Sending) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("To", &sending.to.to_string());
    form.append_pair("From", &sending.from.to_string());
    if !sending.body.is_empty() {
        form.append_pair("Body", sending.body);
    }
    for url in sending.media.iter().take(sending.media_max()) {
        form.append_pair("MediaUrl", url);
    }
    form.finish()
}

async fn fill(body: &mut Vec<u8>, response: &mut reqwest::Response) {
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            break;
        }
        body.extend_from_slice(&chunk);
    }
}

/// `answer`: what the body says, where it could be read.
fn read(status: u16, retry_after_s: Option<i64>, answer: Option<Answer>) -> Taken {
    let unread = answer.is_none();
    let answer = answer.unwrap_or_default();
    let reason = match answer.code {
        // What it says besides holds phone numbers.
        Some(code) => format!("status {status}, error {code}"),
        None => format!("status {status}"),
    };
    let passing = answer
        .code
        .is_some_and(|code| PASSING_CODES.contains(&code));
    match status {
        200..=299 => Taken::Accepted { id: answer.sid },
        // A redirect is not followed; credentials and addresses of ours can be put right.
        300..=399 | 401 | 403 | 404 | 405 | 407 | 429 => Taken::Not {
            retry_after_s,
            reason,
        },
        // Nobody knows why; it surely was not taken.
        400..=499 if passing || unread => Taken::Not {
            retry_after_s,
            reason,
        },
        400..=499 => Taken::Refused {
            code: answer.code,
            reason,
        },
        _ => Taken::Unknown { reason },
    }
}

/// The whole chain of causes.
fn reason(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use routing::{ConversationSid, MessageSid};

    #[test]
    fn an_answer_means_taken_not_taken_refused_or_unknown() {
        let answer = |code| Answer {
            sid: Some("SM1".to_owned()),
            code,
        };
        for (status, code, expected) in [
            (201, None, "accepted"),
            (200, None, "accepted"),
            (302, None, "not"),
            (400, Some(21_610), "refused"),
            (400, Some(21_211), "refused"),
            (400, Some(21_611), "not"),
            (400, Some(20_003), "not"),
            (400, None, "refused"),
            (401, Some(20_003), "not"),
            (404, Some(20_404), "not"),
            (429, Some(20_429), "not"),
            (500, None, "unknown"),
            (503, Some(20_503), "unknown"),
        ] {
            let taken = match read(status, Some(7), Some(answer(code))) {
                Taken::Accepted { id } => {
                    assert_eq!(id.as_deref(), Some("SM1"));
                    "accepted"
                }
                Taken::Not { retry_after_s, .. } => {
                    assert_eq!(retry_after_s, Some(7));
                    "not"
                }
                Taken::Refused { code: said, .. } => {
                    assert_eq!(said, code);
                    "refused"
                }
                Taken::Unknown { .. } => "unknown",
            };
            assert_eq!(taken, expected, "{status} {code:?}");
        }
    }

    #[test]
    fn a_status_without_what_else_is_said_still_tells() {
        for (status, expected) in [
            (201, Taken::Accepted { id: None }),
            (
                400,
                Taken::Not {
                    retry_after_s: Some(7),
                    reason: "status 400".to_owned(),
                },
            ),
            (
                429,
                Taken::Not {
                    retry_after_s: Some(7),
                    reason: "status 429".to_owned(),
                },
            ),
            (
                500,
                Taken::Unknown {
                    reason: "status 500".to_owned(),
                },
            ),
        ] {
            assert_eq!(read(status, Some(7), None), expected);
        }
    }

    #[test]
    fn a_whatsapp_message_carries_one_medium() {
        let count = |from: &str, to: &str| {
            let sending = Sending {
                from: &from.parse().unwrap(),
                to: &to.parse().unwrap(),
                body: "a & b",
                media: vec!["https://example.com/1", "https://example.com/2"],
                message: MessageSid::from_bytes([1; 16]),
                conversation: ConversationSid::from_bytes([2; 16]),
            };
            let form = encode(&sending);
            assert!(form.contains("Body=a+%26+b"), "{form}");
            form.matches("MediaUrl=").count()
        };
        assert_eq!(count("+15550002222", "+15550001111"), 2);
        assert_eq!(count("whatsapp:+15550002222", "whatsapp:+15550001111"), 1);
    }
}
