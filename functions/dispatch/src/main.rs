//! The deployed function: everything is in the library.

use std::sync::Arc;

use dispatch::{Invoke, handle};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn, tracing};
use serde_json::Value;
use service::{App, Config, ErrorChain};
use store::Store;

/// The variable by which Lambda tells the function its own name.
const FUNCTION: &str = "AWS_LAMBDA_FUNCTION_NAME";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let config = Config::read(|name| std::env::var(name).ok())?;
    let function = std::env::var(FUNCTION).map_err(|_| format!("{FUNCTION} is not set"))?;
    let shared = store::environment().await;
    let store = Store::of(&shared, &*config.table);
    store.warm().await;
    let parts = Arc::new((App::new(store, &config), Invoke::new(&shared, function)));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let parts = parts.clone();
        async move {
            let (app, invoke) = &*parts;
            handle(app, invoke, event.payload).await.map_err(|error| {
                let (kind, chain) = (error.kind(), ErrorChain(&error));
                ::tracing::warn!(kind, error = %chain, "an invocation failed; Lambda repeats it");
                Diagnostic::from(&error)
            })
        }
    }))
    .await
}
