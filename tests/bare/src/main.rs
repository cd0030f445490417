//! A bare `lambda_http` program with one DynamoDB client: the least that a function like ours could be.

use aws_sdk_dynamodb::Client;
use lambda_http::{Body, Error, Request, Response, run, service_fn, tracing};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let client = Client::new(&config);
    run(service_fn(move |_: Request| {
        let client = client.clone();
        async move {
            let tables = client.list_tables().limit(1).send().await?;
            let text = format!("{:?}", tables.table_names());
            Ok::<Response<Body>, Error>(Response::new(Body::Text(text)))
        }
    }))
    .await
}
