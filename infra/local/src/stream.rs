//! The table's stream, read as Lambda reads it: what is new goes to the doorbell.
//!
//! It begins with what comes after its start; what came before is the sweep's. Not required for correctness: the sweep
//! finds what this reader misses.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodbstreams::types::{OperationType, Record, ShardIteratorType};
use dispatch::doorbell::{self, Ring};
use service::ErrorChain;
use service::dispatch::HandOff;
use tokio::time::Instant;

/// How often an open shard is asked for more. Lambda asks four times a second.
const POLL: Duration = Duration::from_millis(10);
/// How often new shards are looked for.
const SHARDS_EVERY: Duration = Duration::from_secs(5);
/// How long to wait after a failure.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// A client for the streams of an engine that checks no credentials.
pub fn client(endpoint: &str) -> Client {
    let config = aws_sdk_dynamodbstreams::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new(
            "crosspoint",
            "local",
            None,
            None,
            "engine",
        ));
    Client::from_conf(config.build())
}

/// A reader of one stream.
pub struct Stream {
    client: Client,
    arn: String,
    /// Of each open shard, where to go on.
    iterators: HashMap<String, String>,
    known: HashSet<String>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Stream {
    /// A reader of what comes from now on.
    ///
    /// # Errors
    /// If the engine does not answer.
    pub async fn open(client: Client, arn: String) -> Result<Stream, Failure> {
        let mut stream = Stream {
            client,
            arn,
            iterators: HashMap::new(),
            known: HashSet::new(),
        };
        stream.find_shards(ShardIteratorType::Latest).await?;
        Ok(stream)
    }

    /// Reads on, and rings, until the task is ended.
    pub async fn pump(mut self, hand_off: impl HandOff) {
        let mut looked = Instant::now();
        loop {
            let rung = self.read(&hand_off).await;
            let shards_due = self.iterators.is_empty() || looked.elapsed() > SHARDS_EVERY;
            let found = match (&rung, shards_due) {
                (Ok(_), true) => {
                    looked = Instant::now();
                    self.find_shards(ShardIteratorType::TrimHorizon).await
                }
                _ => Ok(()),
            };
            match rung.and_then(|read| found.map(|()| read)) {
                Ok(0) => tokio::time::sleep(POLL).await,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(
                        error = %ErrorChain(&*error),
                        "the stream can't be read; trying again"
                    );
                    tokio::time::sleep(FAILURE_PAUSE).await;
                    // All over again: what rings twice harms nothing, and what is missed waits for the sweep.
                    self.iterators.clear();
                    self.known.clear();
                    let _ = self.find_shards(ShardIteratorType::TrimHorizon).await;
                }
            }
        }
    }

    /// One round over the open shards; how many records there were.
    async fn read(&mut self, hand_off: &impl HandOff) -> Result<usize, Failure> {
        let mut count = 0;
        let shards: Vec<(String, String)> = self.iterators.drain().collect();
        for (shard, iterator) in shards {
            let answer = self
                .client
                .get_records()
                .shard_iterator(iterator)
                .send()
                .await?;
            let records = answer.records.unwrap_or_default();
            count += records.len();
            let rings: Vec<Ring> = records.iter().filter_map(ring).collect();
            doorbell::ring(rings, hand_off).await;
            // A shard that is closed and read to its end has no further iterator.
            if let Some(next) = answer.next_shard_iterator {
                self.iterators.insert(shard, next);
            }
        }
        Ok(count)
    }

    /// Opens the shards that are not known yet.
    async fn find_shards(&mut self, from: ShardIteratorType) -> Result<(), Failure> {
        let mut last: Option<String> = None;
        loop {
            let answer = self
                .client
                .describe_stream()
                .stream_arn(&self.arn)
                .set_exclusive_start_shard_id(last)
                .send()
                .await?;
            let Some(description) = answer.stream_description else {
                return Ok(());
            };
            for shard in description.shards.unwrap_or_default() {
                let Some(id) = shard.shard_id else { continue };
                if self.known.contains(&id) {
                    continue;
                }
                let iterator = self
                    .client
                    .get_shard_iterator()
                    .stream_arn(&self.arn)
                    .shard_id(&id)
                    .shard_iterator_type(from.clone())
                    .send()
                    .await?;
                if let Some(iterator) = iterator.shard_iterator {
                    self.known.insert(id.clone());
                    self.iterators.insert(id, iterator);
                }
            }
            last = description.last_evaluated_shard_id;
            if last.is_none() {
                return Ok(());
            }
        }
    }
}

fn ring(record: &Record) -> Option<Ring> {
    if record.event_name != Some(OperationType::Insert) {
        return None;
    }
    let record = record.dynamodb.as_ref()?;
    let text = |name: &str| record.keys.as_ref()?.get(name)?.as_s().ok();
    Some(Ring {
        conversation: store::rung(text("pk")?, text("sk")?)?,
        sequence: record.sequence_number.clone()?,
    })
}
