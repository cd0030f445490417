//! The hand-off in Lambda: an asynchronous invocation of this same function.

use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use routing::ConversationSid;
use serde_json::json;
use service::dispatch::{HandOff, HandOffError};

/// A client of Lambda, and the name of this function.
#[derive(Clone, Debug)]
pub struct Invoke {
    client: Client,
    function: String,
}

/// Lambda queues an invocation in milliseconds. An invocation that it queues twice harms nothing.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(3);
const ATTEMPTS_MAX: u32 = 3;

impl Invoke {
    /// Region, credentials and endpoint come from the environment.
    pub fn new(config: &aws_config::SdkConfig, function: impl Into<String>) -> Invoke {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIME_MAX)
            .build();
        let config = aws_sdk_lambda::config::Builder::from(config)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(timeouts)
            .build();
        Invoke {
            client: Client::from_conf(config),
            function: function.into(),
        }
    }
}

impl HandOff for Invoke {
    async fn hand_off(&self, conversations: Vec<ConversationSid>) -> Result<(), HandOffError> {
        let sids: Vec<String> = conversations.iter().map(ToString::to_string).collect();
        let event = json!({"conversations": sids});
        let invoked = self
            .client
            .invoke()
            .function_name(&self.function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(event.to_string()))
            .send()
            .await;
        match invoked {
            Ok(_) => Ok(()),
            Err(error) => Err(HandOffError(Box::new(error))),
        }
    }
}
