//! The one table: keys, items, facts, commit. The only crate that knows DynamoDB.
//!
//! One table with two overloaded, sparse indexes that hold keys alone. It refuses to decide anything: it reads facts,
//! carries plans out, and returns the items that made conditions fail.
//!
//! # Entities
//!
//! CH conversation, MB participant, IS conversation service, MG messaging service, AI name of a sender, WH webhook,
//! SM carrier message; `#16` is spread over 16
//! partitions by a hash. Every item carries a version, `v`.
//!
//! | item | pk / sk | GSI1: lists, time, due work | GSI2: by outside address or identity |
//! |---|---|---|---|
//! | binding of a pair | `B#address` / `proxy` | – | `X#proxy#16` / address |
//! | binding of a group | `G#address,…` / `B` | – | – |
//! | log entry | `C#CH` / `L#slot#E` | `T#day#16` / time, unless a journal entry names it | – |
//! | current version of a message | `C#CH` / `L#slot#C` | – | – |
//! | metadata | `C#CH` / `M` | `S#IS#16` / created, CH | – |
//! | participant | `C#CH` / `P#MB` | – | `A#address` or `I#IS#identity` / CH, MB |
//! | claim of an identity | `C#CH` / `I#identity` | – | – |
//! | cursor of a consumer | `C#CH` / `KP` (the account's endpoint), `KS` (the service's), `KH#WH` (a scoped webhook), `KR` (relay), `KN` (numbers) | `D#K#16` / due, sk, CH, only while it waits | – |
//! | scoped webhook | `C#CH` / `KW#WH` | – | – |
//! | timer; purge job | `C#CH` / `T`; `Z` | `D#T#16`; `D#Z#16` / due, sk, CH | – |
//! | unique name | `U#IS#name` / `U` | – | – |
//! | journal entry | `J#SM` / carrier, account, number | `T#day#16` / time | `O#address` / time |
//! | unreadable message | `J#SM` / carrier, account, `?` and a hash | `T#day#16` / time | – |
//! | outbound record | `O#SM` / `O` | `T#day#16` / time | `O#address` / time |
//! | the sweep's mark | `SW#16` / `W` | – | – |
//! | number | `N#address` / `N` | `LN` / created | – |
//! | address configuration | `N#address` / `A` | `LA` / created | – |
//! | place of a number in a sender pool | `N#address` / `P` | `LP#MG#N`, a short code's `LP#MG#S` / entered | – |
//! | name of a sender in a pool | `MP#MG` / `A#AI` | `LP#MG#A` / created | – |
//! | messaging service, 8 equal copies | `MG#MG#i` / `S` | the first copy: `LM` / created | – |
//! | conversation service, 8 equal copies | `IS#IS#i` / `S` | the first copy: `LS` / created | – |
//! | account settings, 8 equal copies | `ACC#i` / `A` | – | – |
//!
//! # Access patterns
//!
//! Costs with items under 1 KB; a write unit in a transaction counts twice, an index entry once. A read of a bound
//! message is: binding, number's partition, account, journal (together), then the tail and the service (together).
//!
//! | pattern | sequential calls | read units | write units: table + index |
//! |---|---|---|---|
//! | capture | 3 | 6 | 4 + 2 |
//! | … after each lost slot from the second on | 2 more | 1 more: tail; 4 more if the settings have grown old: also number's partition, account, service | billed as if done |
//! | … with a pre-action webhook | 2 more after its reply | twice as many | – |
//! | … that makes the conversation active | 3 | 6 | 6 + 2, with timers 8 + 3 |
//! | autocreation (a scoped webhook: 2 more) | 3 | 5; of a number in a sender pool 6 | 10 + 5 |
//! | rejected by a pre-action webhook | 5, three of them after the reply | 10–12 | 1 + 2 |
//! | fall-through | 2, and the note after the answer | 4 | 1 + 2, note 1 |
//! | … of a number in a sender pool | 1 more | 1 more; unlocked 2 more | – |
//! | duplicate | 1 | 4 | – |
//! | unreadable, also a duplicate | 1 | – | by size + 1 |
//! | expired, then autocreation | 3; 4 in another service, or of a number in a sender pool | 6–7 | 14 + 6, per further pair 2 + 1 |
//! | participant added | 2 | 5; with an identity 3 | 6 + 3 |
//! | participant moved to another proxy | 2 | 5 | 8 + 4 |
//! | … refused | 3 | 6 | billed as if done |
//! | participant removed | 2 | 4 | 6 + 3 |
//! | close, p pairs | 2 | 4 | 4 + 1, per pair 2 + 1; with timers 2 + 1 |
//! | delete | 2 | 4 | as close, and 2 + 1 |
//! | message by REST | 2; by a named author 3 | 3–4 | 1 + 1 |
//! | webhook gets an event, at the first attempt | 4 | 4 | 2, both of the cursor; each further event of the run 1 |
//! | … that fails | 3 | 3 | 2 + 1 |
//! | message sent to one participant | 7 | 5 | 4 + 2: cursor 2, record 2 |
//! | … where a service's own webhook was ever in force | 1 more | 1 more: the service | – |
//! | run with nothing to do | 1 | 3 | – |
//! | the clock, with nothing to do | 11 | 16 reads, 64 queries of an index | – |
//! | a page of conversations | 3 | 16 queries of the index, then two reads a row | – |
//! | a page of messages | 1 | by size | – |
//! | a page of bindings | 2; of our address 3 | by size, then one read a row; of our address 16 queries of the index first | – |
//! | conversations of an address | 3 | by size | – |

mod account;
mod attempt;
mod bindings;
mod commit;
mod conversation_services;
mod conversations;
mod cursors;
mod due;
mod error;
mod gather;
mod item;
mod journal;
mod key;
mod log;
mod messages;
mod messaging_services;
mod outbound;
mod page;
mod participants;
mod purge;
mod receiver;
mod record;
mod settings;
mod sweep;
pub mod table;

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};

pub use attempt::{Deadline, pause, pause_after};
pub use bindings::{BindingFilter, BindingView};
pub use commit::CommitError;
pub use conversations::{ConversationFilter, View};
pub use due::Due;
pub use error::StoreError;
pub use journal::Recorded;
pub use key::{DueKind, SHARDS, alpha_sender_sid, outbound_sid, rung};
pub use messages::{MessageView, Order};
pub use outbound::Claimed;
pub use page::{ListKind, Page, PageRequest};
pub use receiver::Receiver;
pub use record::RecordError;
pub use sweep::{Changed, PendingForward};

/// The table, and the client that reaches it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: String,
}

/// One attempt of one request. DynamoDB answers in milliseconds; what takes longer is sent again.
const ATTEMPT: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_secs(1);

impl Store {
    pub fn new(client: Client, table: impl Into<String>) -> Store {
        Store {
            client,
            table: table.into(),
        }
    }

    /// A client with our time limits. The SDK's own retries are off: [`Store::commit`] must know each answer.
    pub fn client(config: Builder) -> Client {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT)
            .connect_timeout(CONNECT)
            .build();
        let config = config
            .behavior_version(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        Client::from_conf(config.build())
    }

    /// The store of a deployed function.
    pub async fn from_environment(table: impl Into<String>) -> Store {
        Store::of(&environment().await, table)
    }

    pub fn of(environment: &aws_config::SdkConfig, table: impl Into<String>) -> Store {
        Store::new(Store::client(Builder::from(environment)), table)
    }

    /// Makes the table if it is not there. Deployed, the template does.
    pub async fn create_table(&self, deadline: Deadline) -> Result<(), StoreError> {
        table::create(&self.client, &self.table, deadline).await
    }

    /// The ARN of the table's stream, where it has one.
    pub async fn stream_arn(&self, deadline: Deadline) -> Result<Option<String>, StoreError> {
        let send = || self.client.describe_table().table_name(&self.table).send();
        let described = attempt::read("describe the table", deadline, send).await?;
        Ok(described.table.and_then(|table| table.latest_stream_arn))
    }

    /// Opens the connection, so that the first message need not. Not required for correctness.
    pub async fn warm(&self) {
        let copy = key::account(0);
        let _ = self.get(copy, Deadline::after(CONNECT)).await;
    }
}

/// Region, credentials and endpoint of a deployed function.
pub async fn environment() -> aws_config::SdkConfig {
    aws_config::defaults(BehaviorVersion::latest()).load().await
}

/// The configuration of a client for an engine that checks no credentials.
pub fn engine_config(endpoint_url: impl Into<String>) -> Builder {
    Builder::new()
        .endpoint_url(endpoint_url)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new(
            "crosspoint",
            "local",
            None,
            None,
            "engine",
        ))
}
