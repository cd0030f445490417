//! The promises, through the real doors, on a real DynamoDB engine: every test runs on DynamoDB Local and on the
//! embedded engine.

/// Each test takes a system of its own, and runs on both engines.
macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        mod dynamodb_local {
            use tests::{engine::EngineKind, system::TestSystem};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(TestSystem::start(EngineKind::DynamoDbLocal).await).await;
                }
            )+
        }
        mod embedded {
            use tests::{engine::EngineKind, system::TestSystem};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(TestSystem::start(EngineKind::Embedded).await).await;
                }
            )+
        }
    };
}

mod bad_input;
mod budget;
mod doorbell;
mod faults;
mod forward;
mod journey;
mod number_webhook;
mod post;
mod post_faults;
mod races;
mod relay;
mod relay_faults;
mod rest_conversations;
mod rest_messages;
mod rest_participants;
mod rest_settings;
mod timers;
mod veto;
