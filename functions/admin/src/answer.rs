//! Answers: a success as JSON, and everything else, which is written and logged in this one place.

use std::any::Any;

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use service::ErrorChain;
use tracing::field::display;

use crate::codes::{self, Problem};

/// What a handler answers when it did what it was asked.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Ok(Value),
    Created(Value),
    NoContent,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Answer::Ok(body) => (StatusCode::OK, body),
            Answer::Created(body) => (StatusCode::CREATED, body),
            Answer::NoContent => return StatusCode::NO_CONTENT.into_response(),
        };
        (status, [(CONTENT_TYPE, JSON)], body.to_string()).into_response()
    }
}

/// The body follows in [`tell`], which knows the request.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let realm = HeaderValue::from_static("Basic realm=\"Crosspoint\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, realm);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the body of what is not a success, and logs it.
pub(crate) async fn tell(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let template = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    let template = template.as_ref().map_or("no route", MatchedPath::as_str);
    log(method.as_str(), template, &problem);
    response.headers_mut().remove(CONTENT_LENGTH);
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    *response.body_mut() = Body::from(problem.body(&path).to_string());
    response
}

/// The path's template, not the path: it may hold a phone number.
fn log(method: &str, template: &str, problem: &Problem) {
    let (status, code) = (problem.status.as_u16(), problem.code);
    if problem.status.is_server_error() {
        let cause = problem.cause.as_deref();
        let error = cause.map(|cause| display(ErrorChain(cause)));
        tracing::error!(
            method,
            template,
            status,
            code,
            error,
            "{method} {template} was answered {status}, code {code}"
        );
    } else {
        tracing::info!(
            method,
            template,
            status,
            code,
            "{method} {template} was answered {status}, code {code}"
        );
    }
}

/// What a panic said has been printed by the panic hook, with its place.
pub(crate) fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    codes::PANIC.into_response()
}
