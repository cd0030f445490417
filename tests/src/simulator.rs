//! The doors that the local stack alone has: its outbox, and the clock that a request moves.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request};
use serde_json::Value;

use crate::form::encode;
use crate::system::TestSystem;

impl TestSystem {
    /// Moves the clock by an ISO 8601 duration, through the local stack's door: the stack does what falls due on the way.
    pub async fn advance_by_door(&self, duration: &str) -> Value {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/simulator/clock");
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let body = Body::from(encode(&[("Advance", duration)]));
        self.send(request.body(body).expect("a request"))
            .await
            .expect(200)
    }

    /// The messages that the simulator was given to send, oldest first.
    pub async fn outbox(&self) -> Vec<Value> {
        let request = Request::get("/simulator/outbox");
        let response = self.send(request.body(Body::empty()).expect("a request"));
        let Value::Array(sent) = response.await.expect(200) else {
            panic!("the outbox is no array");
        };
        sent
    }

    /// As [`TestSystem::outbox`], as soon as it holds `count` messages.
    ///
    /// # Panics
    /// If they do not come within the bound.
    pub async fn wait_for_outbox(&self, count: usize) -> Vec<Value> {
        for _ in 0..SENT_ROUNDS_MAX {
            let sent = self.outbox().await;
            if sent.len() >= count {
                return sent;
            }
            tokio::time::sleep(SENT_ROUND).await;
        }
        let sent = self.outbox().await;
        panic!("{} of {count} were sent: {sent:#?}", sent.len());
    }
}

/// How often the outbox is read, and how many times: two minutes in all, on a busy machine.
const SENT_ROUND: Duration = Duration::from_millis(20);
const SENT_ROUNDS_MAX: usize = 6_000;
