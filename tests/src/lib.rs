//! What the system tests stand on: engines, a system in one process, servers of other parties, and the wire to DynamoDB
//! with its faults and its bill.

pub mod budget;
pub mod carrier;
pub mod consumers;
pub mod crash;
pub mod engine;
pub mod figures;
pub mod form;
pub mod items;
pub mod json;
pub mod lambda;
pub mod receiver;
pub mod response;
pub mod rest;
pub mod simulator;
pub mod system;
pub mod table;
pub mod wire;

/// Tests whose promise depends on the engine: on transactions and their conditions, on queries and pages, on the stream, on
/// what an item may hold. Each test takes a system of its own, and runs on both engines.
#[macro_export]
macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        $crate::on_engine!(dynamodb_local, DynamoDbLocal, $($test),+);
        $crate::on_engine!(embedded, Embedded, $($test),+);
    };
}

/// Tests of what no engine can change: the text of a request, a filter, a reply, a field that is refused. Each test takes
/// a system of its own, and runs on the embedded engine, which takes half the time of DynamoDB Local.
#[macro_export]
macro_rules! on_the_embedded_engine {
    ($($test:ident),+ $(,)?) => {
        $crate::on_engine!(one_engine, Embedded, $($test),+);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! on_engine {
    ($module:ident, $kind:ident, $($test:ident),+) => {
        mod $module {
            use $crate::{engine::EngineKind, system::TestSystem};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(TestSystem::start(EngineKind::$kind).await).await;
                }
            )+
        }
    };
}
