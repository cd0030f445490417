//! One request, read whole before anything is done: path, parameters, what it asks for.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, RawPathParams};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use carriers::Form;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use routing::AccountSid;
use service::{App, Asked};
use store::Deadline;

use crate::Admin;
use crate::codes::{self, Problem};
use crate::params::Params;

pub(crate) struct Request {
    admin: Arc<Admin>,
    /// Percent-decoded.
    segments: Vec<(String, String)>,
    /// Of the body for a POST, else of the query.
    pub(crate) params: Params,
    pub(crate) asked: Asked,
}

/// The longest list of parameters that the API has, with 16 KB of attributes of which each byte is escaped, is a tenth
/// of it.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

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

    /// A part of the path, by the name that its route gives it.
    pub(crate) fn segment(&self, name: &str) -> &str {
        let found = self.segments.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// An absolute URL of ours; never made of what the request calls us.
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
        // A path that is no UTF-8 names nothing.
        let segments = segments.await.map_err(|_| codes::NOT_FOUND)?;
        let form = match parts.method {
            Method::POST => {
                let body = read(body).await?;
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
            params: Params::new(form.map_err(codes::form)?),
            asked: Asked {
                webhooks: wants_webhooks(&parts.headers),
                deadline,
            },
        })
    }
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(codes::body_too_large()),
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
