//! Doors that the local stack alone has: the messages that the simulator was asked to send, and a clock that can be moved.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::get;
use carriers::Form;
use carriers::simulator::outbox::Outbox;
use serde_json::{Value, json};
use service::{App, ErrorChain};

use crate::clock;
use crate::tasks::Tasks;

/// The parts that the doors need to answer.
#[derive(Clone, Debug)]
pub struct Simulator {
    pub app: App,
    pub tasks: Tasks,
}

/// How far the clock moves at once: a year.
const ADVANCE_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

pub fn router(simulator: Simulator) -> Router {
    Router::new()
        .route("/simulator/outbox", get(outbox))
        .route("/simulator/clock", get(time).post(advance))
        .with_state(simulator)
}

/// A JSON array of the messages that the simulator was asked to send, oldest first.
async fn outbox(State(simulator): State<Simulator>) -> Response {
    let outbox = simulator.app.senders.simulator.as_ref();
    let sent = outbox.map_or_else(|| "[]".to_owned(), Outbox::to_json);
    json_response(StatusCode::OK, sent)
}

/// The time, in ISO 8601.
async fn time(State(simulator): State<Simulator>) -> Response {
    json_response(StatusCode::OK, now_json(&simulator.app).to_string())
}

/// Moves the clock forward by `Advance`, an ISO 8601 duration. Before the response, the timers that come due on the way
/// have fired, and every attempt that comes due is made, unless an endpoint hangs. The events of the timers are on their way.
async fn advance(State(simulator): State<Simulator>, body: Bytes) -> Response {
    let Simulator { app, tasks } = &simulator;
    let form = Form::parse(&body);
    let by = form.as_ref().ok().and_then(|form| form.get("Advance"));
    let by = by.and_then(admin::timer::parse);
    let Some(by) = by.filter(|by| *by <= ADVANCE_MAX) else {
        let message = "Advance is not an ISO 8601 duration such as PT11M, of a year at most";
        return json_response(
            StatusCode::BAD_REQUEST,
            json!({"message": message}).to_string(),
        );
    };
    match clock::advance(app, tasks, by).await {
        Ok(()) => json_response(StatusCode::OK, now_json(app).to_string()),
        Err(error) => {
            tracing::error!(
                error = %ErrorChain(&*error),
                "part of the due work failed"
            );
            let message = "part of the due work failed; see the log";
            json_response(
                StatusCode::INTERNAL_SERVER_ERROR,
                json!({"message": message}).to_string(),
            )
        }
    }
}

fn now_json(app: &App) -> Value {
    json!({"now": app.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()})
}

fn json_response(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = axum::http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
