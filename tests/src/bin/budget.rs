//! `cargo run -p tests`: what each outcome costs on DynamoDB, beside its budget, and what a crowd on one pair costs.
//! Fails where a budget is exceeded.

use std::process::ExitCode;

use tests::budget::{self, Row};
use tests::engine::EngineKind;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "it is what the program is for")]
async fn main() -> ExitCode {
    let kind = match std::env::args().nth(1).as_deref() {
        None | Some("embedded") => EngineKind::Embedded,
        Some("dynamodb-local") => EngineKind::DynamoDbLocal,
        Some(other) => {
            println!("{other} is no engine; give embedded or dynamodb-local");
            return ExitCode::FAILURE;
        }
    };
    println!(
        "Engine: {kind:?}. Units as it reports them (a budget in brackets); an engine may count the index entries"
    );
    println!(
        "of a transaction double, and the budget allows for it. Dollars a million, at list price.\n"
    );
    println!(
        "{:<42} {:>9} {:>12} {:>12} {:>12} {:>8}",
        "outcome", "calls", "read units", "table units", "index units", "$/M"
    );
    let rows = budget::outcomes(kind).await;
    for row in &rows {
        println!("{}", line(row));
    }
    println!(
        "\n{:<42} {:>9} {:>12} {:>12} {:>12} {:>8}",
        "at once, each message", "calls", "read units", "table units", "slowest ms", "5xx"
    );
    for crowd in budget::crowds(kind).await {
        println!(
            "{:<42} {:>9.1} {:>12.1} {:>12.1} {:>12} {:>8}",
            crowd.name,
            crowd.calls,
            crowd.read_units,
            crowd.write_units,
            crowd.slowest.as_millis(),
            crowd.refused
        );
    }
    let exceeded: Vec<&Row> = rows.iter().filter(|row| row.exceeded()).collect();
    for row in &exceeded {
        println!("\nover budget: {}", row.name);
    }
    if exceeded.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn line(row: &Row) -> String {
    let (cost, budget) = (&row.cost, &row.budget);
    format!(
        "{:<42} {:>9} {:>12} {:>12} {:>12} {:>8.2}",
        row.name,
        format!("{} ({})", cost.calls, budget.calls),
        format!("{} ({})", cost.read_units, budget.read_units),
        format!("{} ({})", cost.write_units, budget.write_units),
        format!("{} ({})", cost.index_units, budget.index_units),
        cost.dollars(),
    )
}
