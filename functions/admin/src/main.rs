//! The deployed function: everything is in the library.

use admin::{Admin, router};
use lambda_http::{Error, tracing};
use service::{App, Caller, Clock, Config};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let config = Config::read(|name| std::env::var(name).ok())?;
    let store = Store::from_environment(config.table).await;
    store.warm().await;
    let app = App {
        store,
        caller: Caller::new(config.token.clone()),
        clock: Clock::default(),
        account: config.account,
        public_url: config.public_url,
    };
    gateway::run(router(Admin {
        app,
        token: config.token,
    }))
    .await
}
