//! Measurements that are programs to run, not tests: on a busy machine only ratios within one run mean something.

pub mod binaries;
pub mod captures;
pub mod latency;

use std::time::Duration;

/// The value that `percent` of the samples do not exceed.
///
/// # Panics
/// Without samples.
pub fn percentile(samples: &mut [Duration], percent: usize) -> Duration {
    samples.sort_unstable();
    samples[(samples.len() - 1) * percent / 100]
}
