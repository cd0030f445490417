//! The news that this process has written the table: it lets the stack rest while nothing happens.
//!
//! [`Writes`] observes the requests of a DynamoDB client. The embedded engine serves this process alone, so there the
//! news is complete; another engine may have other writers. Not required for correctness: the sweep finds a change that
//! this process missed.

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{Builder, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use tokio::sync::watch;

/// A channel of news. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// How many write requests have ended.
    ended: watch::Sender<u64>,
}

/// The processes that write a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// This process alone: without news, the table is as it was.
    ThisProcess,
    /// Other processes may write too, and this process has no news of that.
    AnyProcess,
}

impl Writes {
    /// Observes the client that `config` makes.
    pub fn observe(&self, config: Builder) -> Builder {
        config.interceptor(self.clone())
    }

    /// A receiver for which all news so far is old.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }
}

/// The operations that write items.
const WRITING: [&str; 5] = [
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
    "TransactWriteItems",
];

impl Intercept for Writes {
    fn name(&self) -> &'static str {
        "Writes"
    }

    /// The request owns its configuration: this configuration ends with the answer, and also when the caller gives the
    /// request up, which the engine may carry out all the same.
    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        configuration: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = configuration.load::<Metadata>().map(Metadata::name);
        if operation.is_some_and(|operation| WRITING.contains(&operation)) {
            let write = Write(self.clone());
            configuration.interceptor_state().store_put(write);
        }
        Ok(())
    }
}

/// A write request under way; its end is news.
#[derive(Debug)]
struct Write(Writes);

impl Storable for Write {
    type Storer = StoreReplace<Write>;
}

impl Drop for Write {
    fn drop(&mut self) {
        self.0.ended.send_modify(|count| *count += 1);
    }
}
