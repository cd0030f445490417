//! The whole system in one process, on a table of its own.
//!
//! [`TestSystem`] is the local stack without its port. Its methods stand in several files: [`crate::rest`] has those of a
//! REST client, [`crate::carrier`] those of a carrier, [`crate::lambda`] that of Lambda, [`crate::simulator`] the local
//! stack's own doors, [`crate::consumers`] what stream, clock and hand-off do, [`crate::crash`] the death of a process,
//! and [`crate::items`] what the table holds and no door shows.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use axum::Router;
use axum::body::Body;
use carriers::simulator::outbox::Outbox;
use carriers::twilio::{self, send::Sender};
use carriers::{Receivers, Senders};
use http::Request;
use http_body_util::BodyExt;
use local::dispatcher::Dispatcher;
use local::tasks::Tasks;
use local::{stack, stream};
use routing::AccountSid;
use service::{Allowed, App, Caller, Clock, PublicUrl};
use tower::ServiceExt;

use crate::engine::EngineKind;
use crate::response::Response;
use crate::table::TestTable;
use crate::wire::Wire;

pub const ACCOUNT: &str = "AC00000000000000000000000000000000";
pub const TOKEN: &str = "testtoken";
pub const PUBLIC_URL: &str = "https://crosspoint.example";
pub const TWILIO_ACCOUNT: &str = "AC11111111111111111111111111111111";
pub const TWILIO_TOKEN: &str = "twiliotoken";

/// A number of ours, and two phones outside.
pub const OURS: &str = "+15550002222";
pub const ADA: &str = "+15550001111";
pub const BOB: &str = "+15550001112";

/// The system. Clones are further copies of its functions over the same table.
#[derive(Clone, Debug)]
pub struct TestSystem {
    pub(crate) router: Router,
    pub app: App,
    pub tasks: Tasks,
    table: TestTable,
    pub wire: Wire,
    dispatcher: Option<Arc<Dispatcher>>,
}

impl TestSystem {
    pub async fn start(engine: EngineKind) -> TestSystem {
        TestSystem::with_twilio(engine, None).await
    }

    /// A system that reaches Twilio's API at this URL, or has no credentials for it.
    pub async fn with_twilio(engine: EngineKind, twilio_api_url: Option<&str>) -> TestSystem {
        let table = TestTable::create(engine).await;
        let app = App {
            store: table.store(),
            caller: Caller::new(TOKEN, Allowed::loopback()),
            clock: Clock::default(),
            account: AccountSid::parse(ACCOUNT).expect("a SID"),
            public_url: PublicUrl::parse(PUBLIC_URL).expect("a URL"),
            senders: Senders {
                twilio: twilio_api_url.map(sender),
                simulator: Some(Outbox::default()),
            },
        };
        TestSystem::assembled(app, table)
    }

    /// Other functions over the same table and with the same clock: they reach Twilio's API at this URL, or have no
    /// credentials for it.
    pub fn twilio_at(&self, url: Option<&str>) -> TestSystem {
        let mut app = self.app.clone();
        app.senders.twilio = url.map(sender);
        TestSystem::assembled(app, self.table.clone())
    }

    /// Other functions over the same table: webhooks and carriers' APIs may be at these inside addresses alone.
    pub fn calling(&self, allowed: Allowed) -> TestSystem {
        let mut app = self.app.clone();
        app.caller = Caller::new(TOKEN, allowed);
        TestSystem::assembled(app, self.table.clone())
    }

    /// Other functions over the same table, behind another public URL.
    pub fn behind(&self, public_url: &str) -> TestSystem {
        let mut app = self.app.clone();
        app.public_url = PublicUrl::parse(public_url).expect("a URL");
        TestSystem::assembled(app, self.table.clone())
    }

    fn assembled(app: App, table: TestTable) -> TestSystem {
        let receivers = Receivers {
            twilio: Some(credentials()),
            ..Receivers::default()
        };
        let tasks = Tasks::new(app.clone());
        TestSystem {
            router: stack::router(app.clone(), TOKEN.to_owned(), receivers, tasks.clone()),
            app,
            tasks,
            wire: table.wire.clone(),
            table,
            dispatcher: None,
        }
    }

    /// The URL of the engine that holds the table.
    pub fn endpoint(&self) -> &str {
        self.table.endpoint()
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        self.table.name()
    }

    /// A client that goes around the wire: it meets no fault and is not billed.
    pub fn client(&self) -> Client {
        self.table.client()
    }

    /// Starts the stream and the clock: from now on the consumers run by themselves.
    pub async fn start_dispatcher(self) -> TestSystem {
        self.start_dispatcher_over(&Wire::default()).await
    }

    /// As [`TestSystem::start_dispatcher`]; the stream is read over this wire.
    pub async fn start_dispatcher_over(mut self, wire: &Wire) -> TestSystem {
        let config = stream::client_config(self.endpoint()).http_client(wire.clone());
        let dispatcher = Dispatcher::start(
            self.app.clone(),
            self.tasks.clone(),
            aws_sdk_dynamodbstreams::Client::from_conf(config.build()),
            self.table.writers(),
            &self.table.writes,
        );
        self.dispatcher = Some(Arc::new(dispatcher.await.expect("a stream")));
        self
    }

    /// Moves the clock and does nothing else.
    pub fn advance(&self, by: Duration) {
        self.app.clock.advance(by);
    }

    /// The time as webhooks write it.
    pub fn now(&self) -> String {
        let now = self.app.clock.now();
        now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
    }

    /// Sends one request to the router, as it is.
    pub async fn send(&self, request: Request<Body>) -> Response {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("a router never fails");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        Response {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}

fn sender(url: &str) -> Sender {
    Sender::new(credentials(), url)
}

fn credentials() -> twilio::Credentials {
    twilio::Credentials {
        account: AccountSid::parse(TWILIO_ACCOUNT).expect("a SID"),
        token: TWILIO_TOKEN.to_owned(),
    }
}
