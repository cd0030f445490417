//! The cost of each outcome stays within its budget.

use tests::budget::{self, Row};
use tests::engine::EngineKind;

async fn check(kind: EngineKind) {
    let rows = budget::outcomes(kind).await;
    let exceeded: Vec<&Row> = rows.iter().filter(|row| row.exceeded()).collect();
    assert!(exceeded.is_empty(), "{exceeded:#?}");
    assert!(
        rows.iter().all(|row| row.cost.calls > 0),
        "every outcome was billed: {rows:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_outcome_exceeds_its_budget_on_dynamodb_local() {
    check(EngineKind::DynamoDbLocal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_outcome_exceeds_its_budget_on_the_embedded_engine() {
    check(EngineKind::Embedded).await;
}
