//! A table of a test's own: made at its start, deleted at its end, also when the test fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder};
use local::writes::{Writers, Writes};
use store::{Deadline, Store, engine_config};
use tokio::sync::mpsc;

use crate::engine::{EngineKind, endpoint};
use crate::wire::Wire;

/// The table, the way to it, and what happens on that way. Clones share them; the table is deleted with the last.
#[derive(Clone, Debug)]
pub struct TestTable {
    owned: Arc<Owned>,
    pub wire: Wire,
    /// The news of writes through the wire and around it.
    pub writes: Writes,
    /// Goes around the wire.
    client: Client,
    engine: EngineKind,
}

/// The place of the table, which is deleted with it.
#[derive(Debug)]
struct Owned {
    endpoint: String,
    name: String,
}

/// How long a busy engine may take to make a table.
const CREATE_TIME_MAX: Duration = Duration::from_secs(60);

impl TestTable {
    /// # Panics
    /// If the engine makes no table.
    pub async fn create(engine: EngineKind) -> TestTable {
        static TABLES: AtomicU64 = AtomicU64::new(0);
        let run = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let name = format!("test-{run}-{}", TABLES.fetch_add(1, Ordering::Relaxed));
        let endpoint = endpoint(engine).await;
        let writes = Writes::default();
        // A wire of its own, without faults: the SDK's usual client would read the certificates of the system.
        let config = engine_config(&endpoint).http_client(Wire::default());
        let table = TestTable {
            client: patient_client(writes.observe(config)),
            owned: Arc::new(Owned { endpoint, name }),
            wire: Wire::default(),
            writes,
            engine,
        };
        let store = table.store();
        let created = store.create_table(Deadline::after(CREATE_TIME_MAX));
        created.await.expect("a table");
        table.wire.take_calls();
        table
    }

    /// A store whose requests go over the wire.
    pub fn store(&self) -> Store {
        let config = engine_config(self.endpoint()).http_client(self.wire.clone());
        Store::new(Store::client(self.writes.observe(config)), self.name())
    }

    /// A client that goes around the wire: it meets no fault and is not billed.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The URL of the engine that holds the table.
    pub fn endpoint(&self) -> &str {
        &self.owned.endpoint
    }

    pub fn name(&self) -> &str {
        &self.owned.name
    }

    /// The processes that can write it.
    pub fn writers(&self) -> Writers {
        match self.engine {
            EngineKind::Embedded => Writers::ThisProcess,
            EngineKind::DynamoDbLocal => Writers::AnyProcess,
        }
    }
}

/// A client that waits for a busy engine, and asks again.
fn patient_client(config: Builder) -> Client {
    let config = config.behavior_version(BehaviorVersion::latest());
    Client::from_conf(config.build())
}

impl Drop for Owned {
    /// Asks a thread that outlives the runtime of the test.
    fn drop(&mut self) {
        static DELETER: OnceLock<mpsc::UnboundedSender<(String, String)>> = OnceLock::new();
        let deleter = DELETER.get_or_init(|| {
            let (sender, names) = mpsc::unbounded_channel();
            thread::spawn(move || delete_tables(names));
            sender
        });
        let owned = (
            std::mem::take(&mut self.endpoint),
            std::mem::take(&mut self.name),
        );
        // Without the thread, the table stays until its engine ends.
        let _ = deleter.send(owned);
    }
}

/// Deletes each table whose name it gets: an engine with many tables is slow.
fn delete_tables(mut names: mpsc::UnboundedReceiver<(String, String)>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        while let Some((endpoint, name)) = names.recv().await {
            let config = engine_config(endpoint).http_client(Wire::default());
            let client = patient_client(config);
            // A table that stays only takes room.
            let _ = client.delete_table().table_name(name).send().await;
        }
    });
}
