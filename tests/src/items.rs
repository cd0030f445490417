//! The items of the table, for what no door shows or does.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};

use crate::system::TestSystem;

impl TestSystem {
    /// The outbound record of each message to each recipient, in no order. No door shows them yet.
    pub async fn outbound_records(&self) -> Vec<OutboundRecord> {
        let client = self.client();
        let mut records = Vec::new();
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let scan = client.scan().table_name(self.table()).consistent_read(true);
            let page = scan
                .set_exclusive_start_key(next)
                .send()
                .await
                .expect("a page");
            records.extend(page.items().iter().filter_map(OutboundRecord::of));
            next = page.last_evaluated_key;
            if next.is_none() {
                return records;
            }
        }
        panic!("the table has more than {PAGES_MAX} pages");
    }

    /// The sort keys of all items in a conversation's partition.
    pub async fn sort_keys(&self, conversation: &str) -> Vec<String> {
        let found = self
            .client()
            .query()
            .table_name(self.table())
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(format!("C#{conversation}")))
            .consistent_read(true)
            .send()
            .await
            .expect("a query");
        let items = found.items.unwrap_or_default();
        items
            .iter()
            .filter_map(|item| item.get("sk")?.as_s().ok().cloned())
            .collect()
    }

    /// Removes the first item of a partition whose sort key begins with `sk`, and returns it.
    pub async fn take_item(&self, pk: &str, sk: &str) -> HashMap<String, AttributeValue> {
        let client = self.client();
        let found = client
            .query()
            .table_name(self.table())
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .expression_attribute_values(":sk", AttributeValue::S(sk.to_owned()))
            .consistent_read(true)
            .send();
        let items = found.await.expect("a query").items.unwrap_or_default();
        let item = items.into_iter().next();
        let item = item.unwrap_or_else(|| panic!("{pk} has no {sk}"));
        let delete = client.delete_item().table_name(self.table());
        let delete = delete.key("pk", item["pk"].clone());
        let delete = delete.key("sk", item["sk"].clone());
        delete.send().await.expect("a write");
        item
    }

    /// Puts an item into the table as it is.
    pub async fn put_item(&self, item: HashMap<String, AttributeValue>) {
        let client = self.client();
        let put = client.put_item().table_name(self.table());
        put.set_item(Some(item)).send().await.expect("a write");
    }

    /// Puts many items into the table as they are.
    pub async fn put_items(&self, items: Vec<HashMap<String, AttributeValue>>) {
        let client = self.client();
        for items in items.chunks(BATCH_MAX) {
            let puts = items.iter().map(|item| {
                let put = PutRequest::builder().set_item(Some(item.clone())).build();
                let request = WriteRequest::builder().put_request(put.expect("an item"));
                request.build()
            });
            let mut wanted: Vec<WriteRequest> = puts.collect();
            while !wanted.is_empty() {
                let batch = client.batch_write_item();
                let batch = batch.request_items(self.table(), wanted).send().await;
                let left = batch.expect("a write").unprocessed_items;
                let left = left.into_iter().flatten();
                wanted = left.flat_map(|(_, left)| left).collect();
            }
        }
    }
}

/// DynamoDB's bound on a `BatchWriteItem`.
const BATCH_MAX: usize = 25;

/// The pages that a scan of a test's table may have.
const PAGES_MAX: usize = 1_000;

/// The state of one message to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundRecord {
    pub from: String,
    pub to: String,
    pub message_sid: String,
    /// `sending`, `waiting`, `sent`, `failed` or `unknown`.
    pub state: &'static str,
    /// The carrier's error code.
    pub code: Option<u32>,
    pub carrier_id: Option<String>,
}

impl OutboundRecord {
    fn of(item: &HashMap<String, AttributeValue>) -> Option<OutboundRecord> {
        let string = |name: &str| item.get(name)?.as_s().ok().cloned();
        let number = |name: &str| item.get(name)?.as_n().ok()?.parse().ok();
        if !string("pk")?.starts_with("O#") {
            return None;
        }
        let message = item.get("m")?.as_b().ok()?.as_ref();
        let hex: String = message.iter().map(|byte| format!("{byte:02x}")).collect();
        let states = ["sending", "waiting", "sent", "failed", "unknown"];
        Some(OutboundRecord {
            from: string("x")?,
            to: string("a")?,
            message_sid: format!("IM{hex}"),
            state: states[usize::try_from(number("st")?).ok()?],
            code: number("ec"),
            carrier_id: string("ci"),
        })
    }
}
