//! Responses are JSON. This file alone writes and logs those that report a problem.

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

use crate::codes;
use crate::problem::Problem;

/// The response of a handler that did what the request asks.
#[derive(Clone, Debug)]
pub(crate) enum Success {
    Ok(Value),
    Created(Value),
    NoContent,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl IntoResponse for Success {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Success::Ok(body) => (StatusCode::OK, body),
            Success::Created(body) => (StatusCode::CREATED, body),
            Success::NoContent => return StatusCode::NO_CONTENT.into_response(),
        };
        (status, [(CONTENT_TYPE, JSON)], body.to_string()).into_response()
    }
}

/// [`write_problems`] writes the body, because it knows the request.
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

/// Writes the body of every response that reports a problem, and logs the problem.
pub(crate) async fn write_problems(request: Request, next: Next) -> Response {
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

/// Logs the path's template. The path itself may hold a phone number.
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
            "{method} {template} failed with status {status} and code {code}"
        );
    } else {
        tracing::info!(
            method,
            template,
            status,
            code,
            "{method} {template} was refused with status {status} and code {code}"
        );
    }
}

/// The panic hook has already printed the panic's text and place.
pub(crate) fn panic_response(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked; the request gets status 500");
    codes::PANIC.into_response()
}
