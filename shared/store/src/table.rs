//! The table's shape, of which this is the one source, and its making where no template makes it.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType,
    TimeToLiveSpecification,
};

use crate::attempt::{self, Deadline, Written};
use crate::error::StoreError;

/// An index: its name, and the names of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    pub name: &'static str,
    pub partition_key: &'static str,
    pub sort_key: &'static str,
}

pub const PARTITION_KEY: &str = "pk";
pub const SORT_KEY: &str = "sk";
/// Lists, time and due work.
pub const GSI1: Index = Index {
    name: "GSI1",
    partition_key: "gp",
    sort_key: "gs",
};
/// By outside address, and by identity.
pub const GSI2: Index = Index {
    name: "GSI2",
    partition_key: "xp",
    sort_key: "xs",
};
/// Both indexes hold keys alone: an index entry costs one write unit for any size of the item, a change of anything else
/// costs none, and what a list shows is read from the table itself.
pub const INDEX_PROJECTION: ProjectionType = ProjectionType::KeysOnly;
/// The stream is a doorbell: it tells which logs have grown, not their content.
pub const STREAM_VIEW: StreamViewType = StreamViewType::KeysOnly;
/// In epoch seconds. Nothing that correctness depends on expires.
pub const TTL_ATTRIBUTE: &str = "ttl";

/// Makes the table if it is not there: on demand, with its indexes, stream and TTL. For the local stack and tests.
pub async fn create(client: &Client, table: &str, deadline: Deadline) -> Result<(), StoreError> {
    let indexes = [GSI1, GSI2].map(|index| {
        let builder = GlobalSecondaryIndex::builder()
            .index_name(index.name)
            .projection(
                Projection::builder()
                    .projection_type(INDEX_PROJECTION)
                    .build(),
            );
        builder
            .set_key_schema(Some(schema(index.partition_key, index.sort_key)))
            .build()
    });
    let names = [
        PARTITION_KEY,
        SORT_KEY,
        GSI1.partition_key,
        GSI1.sort_key,
        GSI2.partition_key,
        GSI2.sort_key,
    ];
    let mut request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest);
    for name in names {
        let definition = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build();
        request = request.attribute_definitions(definition.expect("name and type are set"));
    }
    for index in indexes {
        request =
            request.global_secondary_indexes(index.expect("name, keys and projection are set"));
    }
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(STREAM_VIEW)
        .build();
    let request = request
        .set_key_schema(Some(schema(PARTITION_KEY, SORT_KEY)))
        .stream_specification(stream.expect("the switch is set"));
    let send = || request.clone().send();
    let there = CreateTableError::is_resource_in_use_exception;
    if let Written::Failed(_) =
        attempt::write("create the table", deadline, send, there, |_| false).await?
    {
        return Ok(());
    }
    let ttl = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name(TTL_ATTRIBUTE)
        .build();
    let ttl = ttl.expect("the switch and the name are set");
    let request = client
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(ttl);
    let send = || request.clone().send();
    attempt::read("set the table's time to live", deadline, send).await?;
    Ok(())
}

fn schema(partition_key: &str, sort_key: &str) -> Vec<KeySchemaElement> {
    [(partition_key, KeyType::Hash), (sort_key, KeyType::Range)]
        .into_iter()
        .map(|(name, kind)| {
            let element = KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind)
                .build();
            element.expect("name and kind are set")
        })
        .collect()
}
