//! Sends by Twilio's Messages API.
//!
//! The API has no key by which it would recognize a repetition. After a lost reply, Twilio may have the message or not.
//! Only a message that Twilio surely has not accepted may be sent again.

use std::time::Duration;

use egress::{ErrorChain, HttpClient, HttpReply, HttpRequest};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::{SendResult, Sending};

use super::Credentials;

/// Twilio's API. Tests call a stand-in.
pub const API_URL: &str = "https://api.twilio.com";

/// Sends for an account at Twilio.
#[derive(Clone, Debug)]
pub struct Sender {
    credentials: Credentials,
    url: String,
}

/// The body of a reply.
#[derive(Deserialize, Default)]
struct ReplyBody {
    sid: Option<String>,
    code: Option<u32>,
}

/// Errors that pass, and are no fault of the message: the account is throttled or suspended, its credentials are wrong, or
/// its queue is full.
const PASSING_CODES: [u32; 8] = [
    14_107, 20_003, 20_005, 20_006, 20_008, 20_403, 20_429, 21_611,
];
/// Twilio's replies are a few kilobytes.
const REPLY_BYTES_MAX: usize = 64 * 1024;

impl Sender {
    /// `api_url` has no `/` at its end.
    pub fn new(credentials: Credentials, api_url: &str) -> Sender {
        let account = credentials.account;
        Sender {
            credentials,
            url: format!("{api_url}/2010-04-01/Accounts/{account}/Messages.json"),
        }
    }

    /// Sends once. Every failure is a result: it tells whether Twilio may have the message.
    pub(crate) async fn send(
        &self,
        http: &HttpClient,
        sending: &Sending<'_>,
        time: Duration,
    ) -> SendResult {
        let Credentials { account, token } = &self.credentials;
        let request = HttpRequest::post(self.url.as_str())
            .basic_auth(account.to_string(), token.as_str())
            .form(encode(sending));
        let until = Instant::now() + time;
        let mut reply = match timeout_at(until, http.send(request)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) if error.surely_not_sent() => {
                return SendResult::not_accepted(ErrorChain(&error).to_string());
            }
            Ok(Err(error)) => {
                return SendResult::Unknown {
                    reason: ErrorChain(&error).to_string(),
                };
            }
            Err(_) => {
                return SendResult::Unknown {
                    reason: format!("no reply within {} ms", time.as_millis()),
                };
            }
        };
        let status = reply.status();
        let retry_after = reply.header("Retry-After");
        let retry_after_s = retry_after.and_then(|value| value.trim().parse().ok());
        // The status decides. The body tells more, but may be slow, or cut off.
        let mut body = Vec::new();
        let _ = timeout_at(until, read_body(&mut body, &mut reply)).await;
        send_result(status, retry_after_s, serde_json::from_slice(&body).ok())
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

async fn read_body(body: &mut Vec<u8>, reply: &mut HttpReply) {
    while let Ok(Some(chunk)) = reply.chunk().await {
        if body.len() + chunk.len() > REPLY_BYTES_MAX {
            break;
        }
        body.extend_from_slice(&chunk);
    }
}

/// `body`: `None` where it could not be read.
fn send_result(status: u16, retry_after_s: Option<i64>, body: Option<ReplyBody>) -> SendResult {
    let unread = body.is_none();
    let body = body.unwrap_or_default();
    let reason = match body.code {
        // The rest of the body holds phone numbers.
        Some(code) => format!("status {status}, error {code}"),
        None => format!("status {status}"),
    };
    let passing = body.code.is_some_and(|code| PASSING_CODES.contains(&code));
    match status {
        200..=299 => SendResult::Accepted { id: body.sid },
        // We follow no redirect; the user can correct credentials and URLs.
        300..=399 | 401 | 403 | 404 | 405 | 407 | 429 => SendResult::NotAccepted {
            retry_after_s,
            reason,
        },
        // Surely not accepted, and not for a fault of the message that we know.
        400..=499 if passing || unread => SendResult::NotAccepted {
            retry_after_s,
            reason,
        },
        400..=499 => SendResult::Refused {
            code: body.code,
            reason,
        },
        _ => SendResult::Unknown { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use routing::{CarrierMessageSid, ConversationSid, MessageSid};

    #[test]
    fn a_reply_means_accepted_not_accepted_refused_or_unknown() {
        let body = |code| ReplyBody {
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
            let result = match send_result(status, Some(7), Some(body(code))) {
                SendResult::Accepted { id } => {
                    assert_eq!(id.as_deref(), Some("SM1"));
                    "accepted"
                }
                SendResult::NotAccepted { retry_after_s, .. } => {
                    assert_eq!(retry_after_s, Some(7));
                    "not"
                }
                SendResult::Refused { code: said, .. } => {
                    assert_eq!(said, code);
                    "refused"
                }
                SendResult::Unknown { .. } => "unknown",
            };
            assert_eq!(result, expected, "{status} {code:?}");
        }
    }

    #[test]
    fn a_status_without_a_body_still_tells() {
        for (status, expected) in [
            (201, SendResult::Accepted { id: None }),
            (
                400,
                SendResult::NotAccepted {
                    retry_after_s: Some(7),
                    reason: "status 400".to_owned(),
                },
            ),
            (
                429,
                SendResult::NotAccepted {
                    retry_after_s: Some(7),
                    reason: "status 429".to_owned(),
                },
            ),
            (
                500,
                SendResult::Unknown {
                    reason: "status 500".to_owned(),
                },
            ),
        ] {
            assert_eq!(send_result(status, Some(7), None), expected);
        }
    }

    #[test]
    fn a_whatsapp_message_carries_one_medium() {
        let count = |from: &str, to: &str| {
            let sending = Sending {
                sid: CarrierMessageSid::from_bytes(false, [3; 16]),
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
