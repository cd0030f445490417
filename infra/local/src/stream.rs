//! The table's stream, read as Lambda reads it: each new record goes to the doorbell.
//!
//! The reader begins with the records that come after its start; the sweep finds what came before. While nothing happens
//! the reader rests: after each round without a record it waits longer, until this process has written or the longest
//! pause is over. Not required for correctness: the sweep finds what this reader misses.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodbstreams::types::{OperationType, Record, ShardIteratorType};
use dispatch::doorbell::{self, Ring};
use service::ErrorChain;
use service::dispatch::HandOff;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::writes::{Writers, Writes};

/// The pause after a first round without a record; each further round doubles it. Lambda asks four times a second.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest pause where other processes write the table too. Where none does, no news means that nothing will come.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How many pages of a stream's shards are read. A page has a hundred shards, and a local engine one or two.
const SHARD_PAGES_MAX: usize = 10;
/// How often new shards are looked for.
const SHARDS_EVERY: Duration = Duration::from_secs(5);
/// How long to wait after a failure.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// The configuration of a client for the streams of an engine that checks no credentials.
pub fn client_config(endpoint: &str) -> aws_sdk_dynamodbstreams::config::Builder {
    aws_sdk_dynamodbstreams::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new(
            "crosspoint",
            "local",
            None,
            None,
            "engine",
        ))
}

/// A reader of one stream.
pub struct Stream {
    client: Client,
    arn: String,
    /// The next iterator of each open shard.
    iterators: HashMap<String, String>,
    known: HashSet<String>,
    writers: Writers,
    news: watch::Receiver<u64>,
    /// Keeps the channel of the news open.
    _writes: Writes,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Stream {
    /// A reader of the records that come from now on.
    ///
    /// # Errors
    /// If the engine does not answer.
    pub async fn open(
        client: Client,
        arn: String,
        writers: Writers,
        writes: &Writes,
    ) -> Result<Stream, Failure> {
        let mut stream = Stream {
            client,
            arn,
            iterators: HashMap::new(),
            known: HashSet::new(),
            writers,
            news: writes.subscribe(),
            _writes: writes.clone(),
        };
        stream.find_shards(ShardIteratorType::Latest).await?;
        Ok(stream)
    }

    /// Reads on and rings, until the task is ended.
    pub async fn pump(mut self, hand_off: impl HandOff) {
        let mut looked = Instant::now();
        let mut empty_rounds = 0;
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
                Ok(0) => {
                    let news = self.rest(empty_rounds).await;
                    empty_rounds = if news { 0 } else { empty_rounds + 1 };
                }
                Ok(_) => empty_rounds = 0,
                Err(error) => {
                    tracing::warn!(
                        error = %ErrorChain(&*error),
                        "failed to read the stream; trying again"
                    );
                    sleep(FAILURE_PAUSE).await;
                    // From the beginning: a second ring for one record harms nothing.
                    self.iterators.clear();
                    self.known.clear();
                    let _ = self.find_shards(ShardIteratorType::TrimHorizon).await;
                }
            }
        }
    }

    /// Waits until it is time for the next round. Returns whether there is news.
    async fn rest(&mut self, empty_rounds: u32) -> bool {
        // However fast this process writes, the rounds keep this distance.
        sleep(PAUSE_MIN).await;
        match pause_after(empty_rounds, self.writers) {
            Some(pause) => {
                let news = timeout(pause - PAUSE_MIN, self.news.changed()).await;
                matches!(news, Ok(Ok(())))
            }
            None => self.news.changed().await.is_ok(),
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
        for _ in 0..SHARD_PAGES_MAX {
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
                break;
            }
        }
        Ok(())
    }
}

/// The pause after so many empty rounds in a row (the one before it not counted); `None`: until there is news.
fn pause_after(empty_rounds: u32, writers: Writers) -> Option<Duration> {
    let pause = PAUSE_MIN.saturating_mul(2_u32.saturating_pow(empty_rounds));
    match writers {
        Writers::ThisProcess => Some(pause).filter(|pause| *pause <= PAUSE_MAX),
        Writers::AnyProcess => Some(pause.min(PAUSE_MAX)),
    }
}

/// The ring of a new log entry; `None` for any other record.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_rests_longer_from_round_to_round() {
        let pauses = |writers, rounds: &[u32]| -> Vec<Option<u64>> {
            let ms = |pause: Duration| u64::try_from(pause.as_millis()).unwrap();
            let pause = |round: &u32| pause_after(*round, writers).map(ms);
            rounds.iter().map(pause).collect()
        };
        let rounds = [0, 1, 2, 6, 7, 60, u32::MAX];
        let first = [Some(10), Some(20), Some(40), Some(640)];
        assert_eq!(
            pauses(Writers::ThisProcess, &rounds),
            [&first[..], &[None; 3]].concat()
        );
        assert_eq!(
            pauses(Writers::AnyProcess, &rounds),
            [&first[..], &[Some(1_000); 3]].concat()
        );
    }
}
