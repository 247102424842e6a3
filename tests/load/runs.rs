//! Runs of the load client that end when enough was counted, not by the clock.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use powd::load::{self, Options, Progress, Report};
use powd_testkit::DEADLINE;

/// One connection with one request in flight, measured from the start.
pub(crate) fn options(address: SocketAddr) -> Options {
    Options {
        duration: DEADLINE,
        warmup: Duration::ZERO,
        ..Options::new(address)
    }
}

/// Runs until `enough`, which must come before the deadline.
pub(crate) fn run_until(options: &Options, mut enough: impl FnMut(&Progress) -> bool) -> Report {
    let stop = AtomicBool::new(false);
    let mut hook = |progress: &Progress| {
        if enough(progress) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let report = load::run(options, &mut hook, &stop).expect("it runs");
    assert!(stop.into_inner(), "it never came to that: {report:?}");
    report
}

/// Runs until it ends by itself, which must be before the deadline.
pub(crate) fn run_to_end(options: &Options, mut look: impl FnMut(&Progress)) -> Report {
    let report = load::run(options, &mut look, &AtomicBool::new(false)).expect("it runs");
    assert!(report.seconds < DEADLINE.as_secs_f64(), "{report:?}");
    report
}
