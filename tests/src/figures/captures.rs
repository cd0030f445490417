//! Captures per second through the door, beside a bare loop that sends DynamoDB the same requests.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use futures_util::future::join_all;
use routing::ConversationServiceSid;
use store::{Store, engine_config};

use crate::carrier::sid;
use crate::engine::EngineKind;
use crate::system::{OURS, TestSystem};

/// Messages a second.
#[derive(Clone, Debug)]
pub struct Captures {
    pub ours: f64,
    pub bare: f64,
    /// Of ours to bare, the median of the rounds.
    pub ratio: f64,
}

type Item = HashMap<String, AttributeValue>;

/// Conversations that messages come to side by side.
const WORKERS: u64 = 4;
const MESSAGES: u64 = 60;
/// Each round measures both, one after the other, in turns.
const ROUNDS: u64 = 9;

/// Measures on one engine.
///
/// # Panics
/// If a message is not captured.
pub async fn measure(kind: EngineKind) -> Captures {
    let system = TestSystem::start(kind).await;
    system.number(OURS, &[]).await;
    let mut conversations = Vec::new();
    for worker in 0..WORKERS {
        conversations.push(system.bind(&address(worker), OURS).await.0);
    }
    let body = "x".repeat(160);
    let first = system.message(&sid(1), &address(0), OURS, &body).await;
    assert!(first.accepted(), "{}", first.text());
    let client = Store::client(engine_config(system.endpoint()));
    let bare = Bare::like(client, system.table(), &conversations[0]).await;

    let (mut ours_took, mut bare_took) = (Duration::ZERO, Duration::ZERO);
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let began = Instant::now();
        join_all((0..WORKERS).map(|worker| {
            let (system, body) = (&system, &body);
            async move {
                for number in 0..MESSAGES {
                    let sid = sid(1_000 + number + MESSAGES * (worker + WORKERS * round));
                    let answer = system.message(&sid, &address(worker), OURS, body).await;
                    assert!(answer.accepted(), "{}", answer.text());
                }
            }
        }))
        .await;
        let ours = began.elapsed();
        let began = Instant::now();
        join_all((0..WORKERS).map(|worker| {
            let bare = &bare;
            async move {
                for number in 0..MESSAGES {
                    bare.capture(worker, round * MESSAGES + number).await;
                }
            }
        }))
        .await;
        let bare = began.elapsed();
        ours_took += ours;
        bare_took += bare;
        ratios.push(bare.as_secs_f64() / ours.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    let count = (WORKERS * MESSAGES * ROUNDS) as f64;
    Captures {
        ours: count / ours_took.as_secs_f64(),
        bare: count / bare_took.as_secs_f64(),
        ratio: ratios[ratios.len() / 2],
    }
}

fn address(worker: u64) -> String {
    format!("+1555200{worker:04}")
}

/// The requests of a capture and nothing else: keys and items as they were seen, under other keys.
struct Bare {
    client: Client,
    table: String,
    entry: Item,
    journal: Item,
}

impl Bare {
    async fn like(client: Client, table: &str, conversation: &str) -> Bare {
        let entries = client
            .query()
            .table_name(table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", text(format!("C#{conversation}")))
            .expression_attribute_values(":sk", text("L#".to_owned()))
            .scan_index_forward(false)
            .limit(1)
            .send();
        let entry = entries.await.expect("a log").items.unwrap_or_default();
        let journals = client
            .query()
            .table_name(table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(format!("J#{}", sid(1))))
            .send();
        let journal = journals.await.expect("a journal").items.unwrap_or_default();
        Bare {
            client,
            table: table.to_owned(),
            entry: entry.into_iter().next().expect("an entry"),
            journal: journal.into_iter().next().expect("a journal entry"),
        }
    }

    async fn capture(&self, worker: u64, number: u64) {
        let conversation = format!("C#CH{worker:032x}");
        let message = format!("J#SM{:032x}", 1_000_000 + worker * 1_000_000 + number);
        let journal_sk = self.journal["sk"].clone();
        let binding = (format!("B#{}", address(worker)), text(OURS.to_owned()));
        tokio::join!(
            self.get(message.clone(), journal_sk),
            self.get(binding.0, binding.1),
            self.query(format!("N#{OURS}"), 3),
            self.get("ACC#0".to_owned(), text("A".to_owned())),
        );
        let service = format!("IS#{}#0", ConversationServiceSid::DEFAULT);
        tokio::join!(
            self.query(conversation.clone(), 1),
            self.get(service, text("S".to_owned())),
        );
        let slot = format!("L#{number:010}#E");
        let actions = [
            self.put(&self.journal, message, None),
            self.put(&self.entry, conversation, Some(slot)),
        ];
        self.client
            .transact_write_items()
            .client_request_token(format!("{worker}-{number}"))
            .set_transact_items(Some(actions.to_vec()))
            .send()
            .await
            .expect("a commit");
    }

    async fn get(&self, pk: String, sk: AttributeValue) {
        let got = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", text(pk))
            .key("sk", sk)
            .consistent_read(true)
            .send();
        got.await.expect("an answer");
    }

    async fn query(&self, pk: String, limit: i32) {
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(pk))
            .scan_index_forward(false)
            .limit(limit)
            .consistent_read(true)
            .send();
        found.await.expect("an answer");
    }

    fn put(&self, like: &Item, pk: String, sk: Option<String>) -> TransactWriteItem {
        let mut item = like.clone();
        item.insert("pk".to_owned(), text(pk));
        if let Some(sk) = sk {
            item.insert("sk".to_owned(), text(sk));
        }
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .build();
        TransactWriteItem::builder()
            .put(put.expect("table and item are set"))
            .build()
    }
}

fn text(text: String) -> AttributeValue {
    AttributeValue::S(text)
}
