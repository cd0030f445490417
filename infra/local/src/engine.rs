//! The embedded DynamoDB engine: what lets `cargo run` do without Java, Docker and an AWS account.
//!
//! The engine is dynoxide, which speaks DynamoDB's HTTP protocol over SQLite. Left alone it scans its whole
//! stream for each written item, and never forgets a stream record; two indexes and a trigger, made here through
//! a SQLite connection of our own, cure both. No other file knows dynoxide or SQLite, and a test below fails if
//! the internal table that we lean on changes.
//!
//! An [`Engine`] is opened, on disk or in memory, and then served: [`ServedEngine`] is an endpoint on loopback,
//! like any other that speaks DynamoDB. A data directory that another process holds is refused: dynoxide itself
//! would open the file twice.

use std::error::Error;
use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// An open database that no server serves yet.
///
/// On disk it holds its data directory alone, until it, or what was served from it, has ended.
pub struct Engine {
    database: Database,
    /// Released by the operating system when the file is closed, however the process ends.
    lock: Option<File>,
}

impl Engine {
    /// Opens the database in `data_dir`, and makes both if they are missing.
    ///
    /// What was acknowledged survives the death of the process (not, for certain, a loss of power).
    ///
    /// # Errors
    /// [`EngineError::Held`] if an engine has this directory open, here or in another process.
    pub fn on_disk(data_dir: &Path) -> Result<Self, EngineError> {
        fs::create_dir_all(data_dir)
            .map_err(|source| failed("create the data directory", data_dir, source))?;
        let lock = lock_data_dir(data_dir)?;
        let database = open_prepared(&data_dir.join(DATABASE_FILE))?;
        Ok(Self {
            database,
            lock: Some(lock),
        })
    }

    /// A database in memory, gone with the engine.
    ///
    /// # Errors
    /// If the system's temporary directory cannot be written: no connection of ours reaches a database in
    /// memory, so it starts as a copy of an empty file that has the indexes.
    pub fn in_memory() -> Result<Self, EngineError> {
        let scratch = ScratchDirectory::create()?;
        let prepared_path = scratch.path.join(DATABASE_FILE);
        drop(open_prepared(&prepared_path)?);
        let copy = || -> Result<Database, Box<dyn Error + Send + Sync>> {
            let database = Database::memory()?;
            database.restore_from(text_of(&prepared_path)?)?;
            Ok(database)
        };
        let database =
            copy().map_err(|source| failed("copy into memory", &prepared_path, source))?;
        Ok(Self {
            database,
            lock: None,
        })
    }

    /// Serves DynamoDB's HTTP protocol on a free port of loopback, in a task of the current runtime.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn serve(self) -> Result<ServedEngine, EngineError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(EngineError::Listen)?;
        let address = listener.local_addr().map_err(EngineError::Listen)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let Self { database, lock } = self;
        let server = tokio::spawn(async move {
            let shutdown = async {
                // A dropped sender is a word to stop like any other.
                let _ = stopped.await;
            };
            let served = dynoxide::server::serve_with_shutdown(listener, database, shutdown).await;
            if let Err(reason) = served {
                tracing::error!(%address, reason, "embedded engine at {address} failed");
            }
            drop(lock);
        });
        Ok(ServedEngine {
            address,
            stop,
            server,
        })
    }
}

/// A running engine. Dropped, it ends too, but without waiting for it.
pub struct ServedEngine {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl ServedEngine {
    /// Where a DynamoDB client finds the engine: `http://127.0.0.1:<port>`.
    /// Any region will do, and any credentials of letters and digits.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the requests that have begun, closes the database and gives the data directory back.
    ///
    /// Not required for correctness: a database that was not closed is whole, and opens as fast.
    pub async fn stop(self) {
        let Self {
            address,
            stop,
            mut server,
        } = self;
        // A server that has ended by itself does not listen any more.
        let _ = stop.send(());
        if tokio::time::timeout(STOP_WAIT_MAX, &mut server)
            .await
            .is_err()
        {
            server.abort();
            tracing::warn!(%address, "embedded engine at {address} still had requests; left them behind");
        }
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Another engine, most likely in another process, has this data directory open.
    #[error("another process holds the data directory {}", data_dir.display())]
    Held {
        /// The directory asked for.
        data_dir: PathBuf,
    },
    /// No port of loopback could be bound.
    #[error("listen on loopback")]
    Listen(#[source] std::io::Error),
    /// The file system or the database refused an operation.
    #[error("{operation} {}", path.display())]
    Failed {
        /// What was tried, to read after "failed to".
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the file system or the database said.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// In the data directory: the database (SQLite keeps two files of its own beside it), and the lock.
const DATABASE_FILE: &str = "table.db";
const LOCK_FILE: &str = "lock";

/// How long [`ServedEngine::stop`] waits for requests that have begun. One takes milliseconds; only a
/// client that sent half of one takes longer.
const STOP_WAIT_MAX: Duration = Duration::from_secs(5);

/// Stream records kept, over all tables. The stream is only a doorbell, and the local reader is milliseconds
/// behind it: this is 100 written items a second for a quarter of an hour, and, at 1 to 2 KB a record, 200 MB.
/// A reader that is further behind misses rings, which the sweep finds.
const STREAM_RECORDS_MAX: u32 = 100_000;

/// The first index serves the next sequence number, which each written item asks for; the second GetRecords.
/// Without them both scan the stream: 2.7 ms for a transaction become 22 ms at 20,000 records.
/// `id` counts up and is never used again, so the trigger deletes one record for each that comes.
fn stream_preparation() -> String {
    format!(
        "CREATE INDEX IF NOT EXISTS crosspoint_stream_by_sequence
             ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
         CREATE INDEX IF NOT EXISTS crosspoint_stream_by_shard
             ON _stream_records (table_name, shard_id, CAST(sequence_number AS INTEGER));
         DROP TRIGGER IF EXISTS crosspoint_stream_trim;
         CREATE TRIGGER crosspoint_stream_trim AFTER INSERT ON _stream_records BEGIN
             DELETE FROM _stream_records WHERE id <= NEW.id - {STREAM_RECORDS_MAX};
         END;"
    )
}

fn lock_data_dir(data_dir: &Path) -> Result<File, EngineError> {
    let lock_path = data_dir.join(LOCK_FILE);
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(|source| failed("open", &lock_path, source))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(EngineError::Held {
            data_dir: data_dir.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed("lock", &lock_path, source)),
    }
}

/// Opens a database file and sees to the stream's indexes and trigger, whether it is new or not.
fn open_prepared(path: &Path) -> Result<Database, EngineError> {
    let open = || -> Result<Database, Box<dyn Error + Send + Sync>> {
        let database = Database::new(text_of(path)?)?;
        // By its name the end of a bulk load, by its effect `synchronous = NORMAL`: with the write-ahead log,
        // no commit waits for the disk, and none is lost with the process.
        database.disable_bulk_loading()?;
        // After dynoxide, which has made its tables by now.
        let connection = rusqlite::Connection::open(path)?;
        connection.busy_timeout(PREPARATION_WAIT_MAX)?;
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {} COMMIT;",
            stream_preparation()
        ))?;
        Ok(database)
    };
    open().map_err(|source| failed("open the database", path, source))
}

/// The lock file keeps other engines away; a database browser may still hold the database for a moment.
const PREPARATION_WAIT_MAX: Duration = Duration::from_secs(5);

/// A directory under the system's temporary directory, removed when dropped.
struct ScratchDirectory {
    path: PathBuf,
}

impl ScratchDirectory {
    fn create() -> Result<Self, EngineError> {
        static CREATED: AtomicU64 = AtomicU64::new(0);
        // The number tells this process's directories apart, the time those of an earlier process with our id.
        let since_epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let path = std::env::temp_dir().join(format!(
            "crosspoint-{}-{}-{}",
            std::process::id(),
            CREATED.fetch_add(1, Ordering::Relaxed),
            since_epoch.as_nanos(),
        ));
        // Not `create_dir_all`: a directory that exists belongs to another program.
        fs::create_dir(&path)
            .map_err(|source| failed("create the temporary directory", &path, source))?;
        Ok(Self { path })
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        // If it stays, it is an empty database where the system clears up by itself.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// dynoxide takes paths as text.
fn text_of(path: &Path) -> Result<&str, &'static str> {
    path.to_str().ok_or("the path is not UTF-8")
}

fn failed(
    operation: &'static str,
    path: &Path,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> EngineError {
    EngineError::Failed {
        operation,
        path: path.to_owned(),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
        ScalarAttributeType, StreamSpecification, StreamViewType,
    };
    use rusqlite::Connection;

    /// dynoxide's own two questions to its stream, word for word.
    const NEXT_SEQUENCE_NUMBER: &str = "SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 \
         FROM _stream_records WHERE table_name = ?1";
    const RECORDS: &str = "SELECT event_name, keys_json, new_image, old_image, sequence_number, \
         created_at, user_identity, event_id FROM _stream_records \
         WHERE table_name = ?1 AND shard_id = ?2 AND CAST(sequence_number AS INTEGER) > ?3 \
         ORDER BY CAST(sequence_number AS INTEGER) ASC LIMIT ?4";

    fn connection(data_dir: &Path) -> Connection {
        Connection::open(data_dir.join(DATABASE_FILE)).unwrap()
    }

    fn column<T: rusqlite::types::FromSql>(
        connection: &Connection,
        statement: &str,
        index: usize,
    ) -> Vec<T> {
        let mut statement = connection.prepare(statement).unwrap();
        let rows = statement.query_map([], |row| row.get(index)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn plan(connection: &Connection, query: &str) -> String {
        // Unbound parameters are null, which changes nothing about the plan.
        let plan = format!("EXPLAIN QUERY PLAN {query}");
        let parameters = connection.prepare(&plan).unwrap().parameter_count();
        let mut statement = connection.prepare(&plan).unwrap();
        let nulls = rusqlite::params_from_iter(vec![rusqlite::types::Null; parameters]);
        let rows = statement
            .query_map(nulls, |row| row.get::<_, String>(3))
            .unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>().join("\n")
    }

    fn insert_record(connection: &Connection, id: u32) {
        connection
            .execute(
                "INSERT INTO _stream_records
                     (id, table_name, event_name, keys_json, sequence_number, shard_id, created_at)
                 VALUES (?1, 't', 'INSERT', '{}', ?2, 's', 0)",
                (id, id.to_string()),
            )
            .unwrap();
    }

    fn client(engine: &ServedEngine) -> Client {
        Client::from_conf(
            aws_sdk_dynamodb::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .endpoint_url(engine.endpoint_url())
                .region(Region::new("local"))
                .credentials_provider(Credentials::new("local", "local", None, None, "test"))
                .build(),
        )
    }

    async fn create_table(client: &Client) {
        let key = AttributeDefinition::builder()
            .attribute_name("pk")
            .attribute_type(ScalarAttributeType::S)
            .build()
            .unwrap();
        let schema = KeySchemaElement::builder()
            .attribute_name("pk")
            .key_type(KeyType::Hash)
            .build()
            .unwrap();
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::KeysOnly)
            .build()
            .unwrap();
        client
            .create_table()
            .table_name("letters")
            .attribute_definitions(key)
            .key_schema(schema)
            .billing_mode(BillingMode::PayPerRequest)
            .stream_specification(stream)
            .send()
            .await
            .unwrap();
    }

    async fn put(client: &Client, key: &str) {
        client
            .put_item()
            .table_name("letters")
            .item("pk", AttributeValue::S(key.to_owned()))
            .send()
            .await
            .unwrap();
    }

    async fn has(client: &Client, key: &str) -> bool {
        let answer = client
            .get_item()
            .table_name("letters")
            .key("pk", AttributeValue::S(key.to_owned()))
            .send()
            .await
            .unwrap();
        answer.item.is_some()
    }

    #[tokio::test]
    async fn dynoxides_stream_table_is_the_one_we_know() {
        let data_dir = ScratchDirectory::create().unwrap();
        let engine = Engine::on_disk(&data_dir.path).unwrap();
        let engine = engine.serve().await.unwrap();
        let client = client(&engine);
        create_table(&client).await;
        put(&client, "a").await;

        let connection = connection(&data_dir.path);
        let columns: Vec<String> = column(&connection, "PRAGMA table_info(_stream_records)", 1);
        assert_eq!(
            columns,
            [
                "id",
                "table_name",
                "event_name",
                "keys_json",
                "new_image",
                "old_image",
                "sequence_number",
                "shard_id",
                "created_at",
                "user_identity",
                "event_id",
            ]
        );
        let written: Vec<String> = column(
            &connection,
            "SELECT table_name || ' ' || typeof(CAST(sequence_number AS INTEGER)) || ' ' || \
             (id = (SELECT MAX(rowid) FROM _stream_records)) FROM _stream_records",
            0,
        );
        assert_eq!(written, ["letters integer 1"]);
        engine.stop().await;
    }

    #[test]
    fn the_stream_is_read_by_index_on_disk_and_in_memory() {
        let scratch = ScratchDirectory::create().unwrap();
        let data_dir = scratch.path.join("not/there/yet");
        let on_disk = Engine::on_disk(&data_dir).unwrap();
        let copy_path = scratch.path.join("copy.db");
        let in_memory = Engine::in_memory().unwrap();
        in_memory
            .database
            .vacuum_into(text_of(&copy_path).unwrap())
            .unwrap();

        for connection in [connection(&data_dir), Connection::open(&copy_path).unwrap()] {
            assert_eq!(
                plan(&connection, NEXT_SEQUENCE_NUMBER),
                "SEARCH _stream_records USING COVERING INDEX crosspoint_stream_by_sequence (table_name=?)"
            );
            assert_eq!(
                plan(&connection, RECORDS),
                "SEARCH _stream_records USING INDEX crosspoint_stream_by_shard \
                 (table_name=? AND shard_id=? AND <expr>>?)"
            );
            insert_record(&connection, 1);
            insert_record(&connection, 1 + STREAM_RECORDS_MAX);
            let kept: Vec<u32> = column(&connection, "SELECT id FROM _stream_records", 0);
            assert_eq!(
                kept,
                [1 + STREAM_RECORDS_MAX],
                "the copy has the trigger too"
            );
        }
        drop(on_disk);
    }

    #[test]
    fn the_stream_keeps_the_newest_records() {
        let data_dir = ScratchDirectory::create().unwrap();
        let _engine = Engine::on_disk(&data_dir.path).unwrap();
        let connection = connection(&data_dir.path);
        for id in [1, 2, 3, STREAM_RECORDS_MAX] {
            insert_record(&connection, id);
        }
        let kept = || column::<u32>(&connection, "SELECT id FROM _stream_records ORDER BY id", 0);
        assert_eq!(kept(), [1, 2, 3, STREAM_RECORDS_MAX]);
        insert_record(&connection, STREAM_RECORDS_MAX + 2);
        assert_eq!(kept(), [3, STREAM_RECORDS_MAX, STREAM_RECORDS_MAX + 2]);
    }

    #[tokio::test]
    async fn a_data_directory_has_one_engine_at_a_time() {
        let data_dir = ScratchDirectory::create().unwrap();
        let refused = || match Engine::on_disk(&data_dir.path) {
            Err(EngineError::Held { data_dir: held }) => held == data_dir.path,
            _ => false,
        };
        let engine = Engine::on_disk(&data_dir.path).unwrap();
        assert!(refused());
        let engine = engine.serve().await.unwrap();
        assert!(refused());
        engine.stop().await;
        drop(Engine::on_disk(&data_dir.path).unwrap());
        Engine::on_disk(&data_dir.path).unwrap();
    }

    #[tokio::test]
    async fn what_was_written_is_there_after_closing_and_opening_again() {
        let data_dir = ScratchDirectory::create().unwrap();
        let engine = Engine::on_disk(&data_dir.path).unwrap();
        let engine = engine.serve().await.unwrap();
        let writer = client(&engine);
        create_table(&writer).await;
        put(&writer, "a").await;
        engine.stop().await;
        assert!(
            !data_dir.path.join("table.db-wal").exists(),
            "a clean end folds the write-ahead log into the database"
        );

        let engine = Engine::on_disk(&data_dir.path).unwrap();
        let engine = engine.serve().await.unwrap();
        let reader = client(&engine);
        assert!(has(&reader, "a").await);
        put(&reader, "b").await;
        assert!(has(&reader, "b").await);
        let sequence: Vec<String> = column(
            &connection(&data_dir.path),
            "SELECT json_extract(keys_json, '$.pk.S') FROM _stream_records ORDER BY id",
            0,
        );
        assert_eq!(sequence, ["a", "b"]);
        engine.stop().await;
    }

    #[tokio::test]
    async fn a_dropped_server_ends() {
        let data_dir = ScratchDirectory::create().unwrap();
        let engine = Engine::on_disk(&data_dir.path).unwrap();
        let engine = engine.serve().await.unwrap();
        create_table(&client(&engine)).await;
        drop(engine);
        let ended = async {
            while Engine::on_disk(&data_dir.path).is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), ended)
            .await
            .expect("the data directory is free again");
    }
}
