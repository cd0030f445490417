//! The deployed function; the library holds its code.

use std::sync::Arc;

use bytes::Bytes;
use inbound::{Door, handle};
use lambda_http::{Body, Error, Request, Response, service_fn, tracing};
use service::{App, Config};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let config = Config::read(|name| std::env::var(name).ok())?;
    let store = Store::from_environment(&*config.table).await;
    store.warm().await;
    let door = Arc::new(Door {
        app: App::new(store, &config),
        receivers: config.receivers(),
    });
    let service = service_fn(move |request: Request| {
        let door = door.clone();
        async move {
            let response = handle(&door, request.map(bytes)).await;
            Ok::<Response<Body>, Error>(response.map(|body| Body::Binary(body.into())))
        }
    });
    gateway::run(service, config.public_url.path()).await
}

fn bytes(body: Body) -> Bytes {
    match body {
        Body::Text(text) => text.into(),
        Body::Binary(bytes) => bytes.into(),
        _ => Bytes::new(),
    }
}
