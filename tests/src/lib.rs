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

/// Each test takes a system of its own, and runs on both engines.
#[macro_export]
macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        mod dynamodb_local {
            use $crate::{engine::EngineKind, system::TestSystem};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(TestSystem::start(EngineKind::DynamoDbLocal).await).await;
                }
            )+
        }
        mod embedded {
            use $crate::{engine::EngineKind, system::TestSystem};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(TestSystem::start(EngineKind::Embedded).await).await;
                }
            )+
        }
    };
}
