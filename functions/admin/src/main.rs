//! The deployed function; the library holds its code.

use admin::{Admin, router};
use lambda_http::{Error, tracing};
use service::{App, Config};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let config = Config::read(|name| std::env::var(name).ok())?;
    let store = Store::from_environment(&*config.table).await;
    store.warm().await;
    let app = App::new(store, &config);
    let router = router(Admin {
        app,
        token: config.token,
    });
    gateway::run(router, config.public_url.path()).await
}
