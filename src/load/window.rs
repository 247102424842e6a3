//! The time base of a run, and the window in which replies count.
//!
//! Times are durations since the run began: small, shared without a lock, and never behind the
//! clock of another thread. It knows nothing of connections.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// When replies count: from `start` to `end`, both in nanoseconds since `base`, and `u64::MAX`
/// until they are known.
#[derive(Debug)]
pub(super) struct Window {
    base: Instant,
    start: AtomicU64,
    end: AtomicU64,
    timetable_start: OnceLock<Duration>,
    /// Who made it, and sleeps until it closes.
    conductor: Thread,
}

impl Window {
    /// A window that is not open yet; its time base is now.
    pub(super) fn new() -> Window {
        Window {
            base: Instant::now(),
            start: AtomicU64::new(u64::MAX),
            end: AtomicU64::new(u64::MAX),
            timetable_start: OnceLock::new(),
            conductor: thread::current(),
        }
    }

    /// The time since the run began.
    pub(super) fn now(&self) -> Duration {
        self.base.elapsed()
    }

    /// When the open loop's timetable began, for all threads: when the first connection of any was
    /// open, which is `now` if none was before.
    pub(super) fn timetable_start(&self, now: Duration) -> Duration {
        *self.timetable_start.get_or_init(|| now)
    }

    /// Opens the window at `start`, for `length`.
    pub(super) fn set(&self, start: Duration, length: Duration) {
        self.end.store(nanos(start + length), Ordering::Relaxed);
        self.start.store(nanos(start), Ordering::Relaxed);
    }

    /// Closes the window at `now`, unless it closed before, and wakes its maker.
    pub(super) fn end_at(&self, now: Duration) {
        self.end.fetch_min(nanos(now), Ordering::Relaxed);
        self.conductor.unpark();
    }

    /// When the window closes.
    pub(super) fn end(&self) -> Duration {
        Duration::from_nanos(self.end.load(Ordering::Relaxed))
    }

    fn start(&self) -> Duration {
        Duration::from_nanos(self.start.load(Ordering::Relaxed))
    }

    /// Whether a reply that came at `now` counts.
    pub(super) fn counts(&self, now: Duration) -> bool {
        now >= self.start() && !self.is_over(now)
    }

    /// Whether there is nothing more to measure at `now`.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        now >= self.end()
    }

    /// How much of the window has passed: at the end of the run, what replies per second divide by.
    pub(super) fn measured(&self) -> Duration {
        self.now().min(self.end()).saturating_sub(self.start())
    }

    /// Lets the thread that made the window sleep until `then`, or until it closes.
    pub(super) fn sleep_until(&self, then: Duration) {
        loop {
            let now = self.now();
            if now >= then.min(self.end()) {
                return;
            }
            thread::park_timeout(then - now);
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_inside_counts() {
        let window = Window::new();
        let at = Duration::from_nanos;
        assert!(!window.counts(at(5)) && !window.is_over(at(5)));
        window.set(at(10), at(10));
        for (now, counts, over) in [
            (9, false, false),
            (10, true, false),
            (19, true, false),
            (20, false, true),
        ] {
            assert_eq!(
                (window.counts(at(now)), window.is_over(at(now))),
                (counts, over),
                "{now}"
            );
        }
    }

    #[test]
    fn the_timetable_begins_once() {
        let window = Window::new();
        let starts = [5, 3, 7].map(|now| window.timetable_start(Duration::from_nanos(now)));
        assert_eq!(starts, [Duration::from_nanos(5); 3]);
    }

    #[test]
    fn a_window_that_ended_before_it_began_measured_nothing() {
        let window = Window::new();
        window.end_at(window.now());
        assert_eq!(window.measured(), Duration::ZERO);
        assert!(window.is_over(window.now()));
    }
}
