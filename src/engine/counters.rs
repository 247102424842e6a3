//! What the engine counts of itself.
//!
//! One set per worker, written by its own thread only and added up when somebody asks. A plain load
//! and store serves: an atomic addition would lock a cache line that no other thread writes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A number that one thread adds to and any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`. Only ever called by the thread that owns the set.
    pub fn add(&self, count: u64) {
        self.0
            .store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// The number now.
    pub fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Defines a set of counters, one for each thread, and the type of their totals. One list for both:
/// no counter can be forgotten when they are added up.
macro_rules! counters {
    (
        $(#[$set_doc:meta])* $set:ident,
        $(#[$totals_doc:meta])* $totals:ident,
        { $($(#[$doc:meta])* $name:ident,)+ }
    ) => {
        $(#[$set_doc])*
        #[derive(Debug, Default)]
        #[repr(C, align(128))]
        pub struct $set {
            $($(#[$doc])* pub $name: $crate::engine::Counter,)+
        }

        $(#[$totals_doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $totals {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl $totals {
            /// Adds up the sets of all threads. Each number is exact; they are not all of one
            /// instant.
            pub fn of<'a>(sets: impl IntoIterator<Item = &'a $set>) -> $totals {
                let mut totals = $totals::default();
                for set in sets {
                    $(totals.$name += set.$name.read();)+
                }
                totals
            }
        }
    };
}
pub(crate) use counters;

counters! {
    /// The counters of one worker, on cache lines of their own.
    Counters,
    /// The counters of all workers, added up.
    Totals,
    {
        /// Rounds of the worker's loop.
        rounds,
        /// Clients with sockets that were closed.
        handoffs_closed,
        /// Searches that were begun.
        searches_begun,
        /// Searches that have ended, in whatever way.
        searches_ended,
        /// Searches that were stopped because their client was gone, or the time of a drain was
        /// over.
        cancelled_searches,
        /// Requests of other threads that were still open when the time of a drain was over.
        calls_refused,
        /// Seeds tried, help included.
        hashes,
        /// Hits of a kernel that the oracle did not confirm: each one is a bug, none was sent.
        false_hits,
        /// Searches that were opened to helpers.
        searches_shared,
        /// Quanta that helpers gave.
        help_quanta,
        /// Seeds that helpers tried.
        help_hashes,
        /// Seeds that were tried for searches of other engines.
        guest_hashes,
        /// Searches that others elsewhere were asked to help with.
        appeals,
        /// Nanoseconds in which the worker was not waiting.
        busy_nanoseconds,
    }
}

impl Counters {
    /// Adds time in which the worker was not waiting.
    pub(crate) fn add_busy(&self, time: Duration) {
        self.busy_nanoseconds.add(time.as_nanos() as u64);
    }

    /// How long the worker has not been waiting.
    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy_nanoseconds.read())
    }
}
