//! An idle stack rests: it calls neither the table nor its stream.

use std::time::Duration;

use tests::carrier::sid;
use tests::engine::EngineKind;
use tests::receiver::{Receiver, Reply};
use tests::system::{ADA, OURS, TestSystem};
use tests::wire::Wire;

/// Longer than any pause of a stack that does not rest.
const WINDOW: Duration = Duration::from_secs(3);
const WINDOWS_MAX: usize = 20;

/// Waits for a window without a call.
async fn wait_for_rest(wires: &[&Wire]) {
    let mut calls = Vec::new();
    for _ in 0..WINDOWS_MAX {
        for wire in wires {
            wire.take_calls();
        }
        tokio::time::sleep(WINDOW).await;
        calls = wires.iter().flat_map(|wire| wire.take_calls()).collect();
        if calls.is_empty() {
            return;
        }
    }
    panic!("in {WINDOW:?} came: {calls:#?}");
}

/// The engine is embedded: no other process can write its table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_stack_makes_no_call_and_wakes_at_a_message() {
    let stream = Wire::default();
    let system = TestSystem::start(EngineKind::Embedded).await;
    let receiver = Receiver::start(|_| Reply::new(200, "")).await;
    system.set_post_webhook(&receiver.url(), &[]).await;
    system.autocreation(OURS).await;
    let system = system.start_dispatcher_over(&stream).await;
    for number in 1..3 {
        wait_for_rest(&[&system.wire, &stream]).await;
        let sent = system.message(&sid(number), ADA, OURS, "hello").await;
        assert!(sent.accepted(), "{}", sent.text());
        receiver
            .wait_for(2 + usize::try_from(number).expect("few"))
            .await;
    }
    // Time passes without a write.
    let timers = [("Timers.Closed", "PT1H")];
    let conversation = system.conversation(&timers).await;
    wait_for_rest(&[&system.wire, &stream]).await;
    system.advance(Duration::from_secs(3_600));
    for _ in 0..WINDOWS_MAX {
        let row = system.fetch_conversation(&conversation).await;
        let kept = system.sort_keys(&conversation).await;
        if row["state"] == "closed" && !kept.contains(&"T".to_owned()) {
            return;
        }
        tokio::time::sleep(WINDOW).await;
    }
    panic!("the timer did not fire");
}
