//! The death of a process in the middle of its work.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::system::TestSystem;
use crate::wire::Fault;

impl TestSystem {
    /// Does some work, and stops it at its `nth` call of DynamoDB, as the death of its process does. `arrives`: DynamoDB
    /// still carries that call out. Returns whether the work came that far.
    pub async fn killed_at(&self, nth: u32, arrives: bool, work: impl Future<Output = ()>) -> bool {
        self.killed_at_call(|_, _| true, nth, arrives, work).await
    }

    /// As [`TestSystem::killed_at`], but only the calls count for which `counts` (operation, body) is true.
    pub async fn killed_at_call(
        &self,
        counts: impl Fn(&str, &str) -> bool + Send + 'static,
        nth: u32,
        arrives: bool,
        work: impl Future<Output = ()>,
    ) -> bool {
        let calls = AtomicU32::new(0);
        let (killed, mut kill) = tokio::sync::watch::channel(false);
        self.wire.fail_by(move |operation, body| {
            let counts = u32::from(counts(operation, body));
            let call = calls.fetch_add(counts, Ordering::SeqCst) + counts;
            if call < nth {
                return None;
            }
            if arrives && call == nth && counts == 1 {
                return Some(Fault::AnswerLost);
            }
            let _ = killed.send(true);
            Some(Fault::Late(Duration::from_secs(3_600)))
        });
        let killed = tokio::select! {
            _ = kill.wait_for(|killed| *killed) => true,
            () = work => false,
        };
        self.wire.heal();
        killed
    }
}

/// Gives `case` the number of the first call of some work, of the second, and so on. The case kills its work at this
/// call and returns whether the work came so far. Ends with the first case that did not.
///
/// # Panics
/// If the number of calls, and one more, is not in `calls`.
pub async fn at_each_call(calls: RangeInclusive<u32>, mut case: impl AsyncFnMut(u32) -> bool) {
    for nth in 1..=*calls.end() {
        if !case(nth).await {
            assert!(calls.contains(&nth), "the work has {} calls", nth - 1);
            return;
        }
    }
    panic!("the work has more than {} calls", calls.end());
}
