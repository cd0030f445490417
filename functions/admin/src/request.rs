//! A request, read whole before a handler acts: its path, its parameters, and how it asks for the change.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, RawPathParams};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use carriers::Form;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use routing::{AccountSid, ConversationServiceSid, ConversationSid};
use serde_json::Value;
use service::{App, Asked};
use store::Deadline;

use crate::Admin;
use crate::codes;
use crate::parameters::Parameters;
use crate::problem::Problem;

pub(crate) struct Request {
    admin: Arc<Admin>,
    /// The path's named segments, percent-decoded.
    segments: Vec<(String, String)>,
    /// Those of the body if the method is POST, else those of the query.
    pub(crate) parameters: Parameters,
    pub(crate) asked: Asked,
}

/// Ten times the longest list of parameters that the API has: that list has 16 KB of attributes, each byte escaped.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The segment of a path that names a conversation service.
pub(crate) const SERVICE: &str = "ChatServiceSid";

impl Request {
    pub(crate) fn app(&self) -> &App {
        &self.admin.app
    }

    pub(crate) fn account(&self) -> AccountSid {
        self.admin.app.account
    }

    pub(crate) fn deadline(&self) -> Deadline {
        self.asked.deadline
    }

    /// A segment of the path, by the name that its route gives it; empty if the route has no such segment.
    pub(crate) fn segment(&self, name: &str) -> &str {
        let found = self.segments.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// The conversation service that the request is about: the one of its path, or the account's default. Refuses a path
    /// with a service that does not exist.
    pub(crate) async fn service(&self) -> Result<ConversationServiceSid, Problem> {
        let store = &self.app().store;
        match self.asked.service {
            None => Ok(store.account_get(self.deadline()).await?.default_service),
            Some(sid) => {
                let service = store.conversation_service_get(sid, self.deadline());
                service.await?.map(|_| sid).ok_or(codes::NOT_FOUND)
            }
        }
    }

    /// The URL of a resource of the conversation service, with the service in it if the request's path has it.
    pub(crate) fn service_url(&self, path: &str) -> String {
        match self.asked.service {
            None => self.url(&format!("/v1{path}")),
            Some(service) => self.url(&format!("/v1/Services/{service}{path}")),
        }
    }

    pub(crate) fn conversation_url(&self, conversation: ConversationSid) -> String {
        self.service_url(&format!("/Conversations/{conversation}"))
    }

    /// The resource's body, with the SID of the service if the request's path has it.
    pub(crate) fn with_service(&self, mut body: Value) -> Value {
        if let Some(service) = self.asked.service {
            body["chat_service_sid"] = service.to_string().into();
        }
        body
    }

    /// The absolute URL of a path. It begins with the configured public URL, never with the request's `Host`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.admin.app.public_url.as_str())
    }
}

impl FromRequest<Arc<Admin>> for Request {
    type Rejection = Problem;

    async fn from_request(
        request: axum::extract::Request,
        admin: &Arc<Admin>,
    ) -> Result<Request, Problem> {
        let deadline = Deadline::after(Asked::TIME_MAX);
        let (mut parts, body) = request.into_parts();
        let segments = <RawPathParams as axum::extract::FromRequestParts<()>>::from_request_parts(
            &mut parts,
            &(),
        );
        // Every name is UTF-8.
        let segments = segments.await.map_err(|_| codes::NOT_FOUND)?;
        let mut named = segments.iter();
        let service = match named.find(|(name, _)| *name == SERVICE) {
            None => None,
            Some((_, text)) => Some(ConversationServiceSid::parse(text).ok_or(codes::NOT_FOUND)?),
        };
        let form = match parts.method {
            Method::POST => {
                let body = read_body(body).await?;
                if !body.is_empty() && !is_form(&parts.headers) {
                    return Err(codes::NOT_A_FORM);
                }
                Form::parse(&body)
            }
            _ => Form::parse(parts.uri.query().unwrap_or_default().as_bytes()),
        };
        Ok(Request {
            admin: admin.clone(),
            segments: segments
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            parameters: Parameters::new(form.map_err(codes::form)?),
            asked: Asked {
                service,
                webhooks: wants_webhooks(&parts.headers),
                deadline,
            },
        })
    }
}

async fn read_body(body: Body) -> Result<Bytes, Problem> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(codes::body_too_large(BODY_BYTES_MAX)),
        Err(_) => Err(codes::UNREADABLE),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next());
    essence.is_some_and(|text| {
        text.trim()
            .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

fn wants_webhooks(headers: &HeaderMap) -> bool {
    headers
        .get("X-Twilio-Webhook-Enabled")
        .is_some_and(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"true"))
}
