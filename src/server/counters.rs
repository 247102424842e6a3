//! What the service counts of itself.
//!
//! One set per worker and one for the acceptor, each written by its own thread only and merged when
//! somebody asks. A plain load and store serves: an atomic addition would lock a cache line that no other
//! thread writes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

/// A number that one thread adds to and any thread reads.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`. Only ever called by the thread that owns the set.
    pub(super) fn add(&self, count: u64) {
        self.0
            .store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    pub(super) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The counters of one thread, on cache lines of their own. In C's order: the first 64 bytes are written when
/// connections come and go, not with each request, since the acceptor reads there of every worker.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(super) struct Counters {
    pub(super) connections_opened: Counter,
    pub(super) connections_closed: Counter,
    pub(super) closed_idle: Counter,
    pub(super) refused_busy: Counter,
    pub(super) refused_busy_address: Counter,
    pub(super) refused_denied: Counter,
    pub(super) accept_pauses: Counter,
    pub(super) cancelled_searches: Counter,
    pub(super) requests: Counter,
    pub(super) replies: Counter,
    pub(super) errors_too_long: Counter,
    pub(super) errors_deadline: Counter,
    pub(super) errors_exhausted: Counter,
    pub(super) hashes: Counter,
    pub(super) false_hits: Counter,
    pub(super) searches_shared: Counter,
    pub(super) help_slices: Counter,
    pub(super) help_hashes: Counter,
}

/// All counters since the start, added up over all threads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Connections.
    pub connections: Connections,
    /// Requests cut from the streams.
    pub requests: u64,
    /// Replies written to output buffers.
    pub replies: u64,
    /// Error lines in place of replies.
    pub errors: Errors,
    /// Searches that were stopped because their client was gone, or the time of a drain was over.
    pub cancelled_searches: u64,
    /// Seeds tried, help included.
    pub hashes: u64,
    /// Hits of a kernel that the oracle did not confirm: each one is a bug, none was sent.
    pub false_hits: u64,
    /// Work of idle workers for others.
    pub help: Help,
}

/// Connections, by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// Open now.
    pub open: u64,
    /// Accepted since the start.
    pub total: u64,
    /// Refused since the start, by reason.
    pub refused: Refused,
    /// Closed because nothing moved on them.
    pub closed_idle: u64,
    /// Times that accepting paused: descriptors or memory ran out, or every attempt failed.
    pub accept_pauses: u64,
}

/// Connections refused, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// More than `--max-connections`.
    pub busy: u64,
    /// More than `--max-connections-per-ip`.
    pub busy_address: u64,
    /// Not in `--allow`.
    pub denied: u64,
}

/// Error lines, by code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// A message longer than `--max-message-bytes`.
    pub too_long: u64,
    /// A search longer than `--deadline`.
    pub deadline: u64,
    /// No seed of up to 16 characters is a solution.
    pub exhausted: u64,
}

/// Work of idle workers for others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Help {
    /// Searches that were opened to helpers.
    pub searches: u64,
    /// Slices that helpers gave.
    pub slices: u64,
    /// Seeds that helpers tried.
    pub hashes: u64,
}

impl Snapshot {
    /// Adds up the sets of all threads. Each number is exact; they are not all of one instant.
    pub(super) fn merge<'a>(sets: impl IntoIterator<Item = &'a Counters>) -> Snapshot {
        let mut sum = Snapshot::default();
        for set in sets {
            let closed = set.connections_closed.read();
            let opened = set.connections_opened.read();
            // Read at two moments: one that opened and closed in between must not count as less than none.
            sum.connections.open += opened.saturating_sub(closed);
            sum.connections.total += opened;
            sum.connections.refused.busy += set.refused_busy.read();
            sum.connections.refused.busy_address += set.refused_busy_address.read();
            sum.connections.refused.denied += set.refused_denied.read();
            sum.connections.closed_idle += set.closed_idle.read();
            sum.connections.accept_pauses += set.accept_pauses.read();
            sum.requests += set.requests.read();
            sum.replies += set.replies.read();
            sum.errors.too_long += set.errors_too_long.read();
            sum.errors.deadline += set.errors_deadline.read();
            sum.errors.exhausted += set.errors_exhausted.read();
            sum.cancelled_searches += set.cancelled_searches.read();
            sum.hashes += set.hashes.read();
            sum.false_hits += set.false_hits.read();
            sum.help.searches += set.searches_shared.read();
            sum.help.slices += set.help_slices.read();
            sum.help.hashes += set.help_hashes.read();
        }
        sum
    }
}
