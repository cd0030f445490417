//! What Lambda does: it hands a function an event.

use axum::body::Body;
use serde_json::Value;

use crate::response::Response;
use crate::system::TestSystem;

impl TestSystem {
    /// The response of the function that gets this event, in API Gateway's payload format 2.0.
    pub async fn event(&self, event: Value) -> Response {
        let event = serde_json::from_value(event).expect("an event of API Gateway");
        let request = gateway::request_of(event, self.app.public_url.path());
        self.send(request.map(|body| Body::from(body.to_vec())))
            .await
    }
}
