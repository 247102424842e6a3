//! What the API counts of itself. Any of its threads adds to any of these.

use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use powd_core::Difficulty;

use crate::admission::Refusal;
use crate::engine::{Answer, Durations};
use crate::problem::Code;

/// A number that any thread adds to and any thread reads.
#[derive(Debug, Default)]
pub(super) struct Counter(CachePadded<AtomicU64>);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(super) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The counters of the API.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Connections accepted.
    pub(super) opened: Counter,
    /// Connections closed.
    pub(super) closed: Counter,
    /// Messages that a seed was asked for.
    pub(super) requests: Counter,
    /// Seeds answered.
    pub(super) replies: Counter,
    /// Connections refused, for each reason.
    refused: Refused,
    /// Connections closed: in `--proxy-protocol`, and without a PROXY header.
    pub(super) refused_header: Counter,
    /// Problems answered, for each code.
    errors: [Counter; Code::ALL.len()],
    /// From a request to its answer.
    pub(super) durations: Durations,
}

/// A counter for each refusal.
#[derive(Debug, Default)]
struct Refused {
    busy: Counter,
    busy_address: Counter,
    denied: Counter,
}

impl Refused {
    fn of(&self, refusal: Refusal) -> &Counter {
        match refusal {
            Refusal::Busy => &self.busy,
            Refusal::BusyAddress => &self.busy_address,
            Refusal::Denied => &self.denied,
        }
    }
}

impl Counters {
    pub(super) fn count_reply(&self, difficulty: Difficulty, answer: &Answer) {
        self.replies.add(1);
        self.durations.record_shared(difficulty, answer.time);
    }

    pub(super) fn count_error(&self, code: Code) {
        self.count_errors(code, 1);
    }

    pub(super) fn count_errors(&self, code: Code, count: u64) {
        self.errors[code as usize].add(count);
    }

    pub(super) fn errors(&self, code: Code) -> u64 {
        self.errors[code as usize].read()
    }

    pub(super) fn count_refusal(&self, refusal: Refusal) {
        self.refused.of(refusal).add(1);
    }

    pub(super) fn refused(&self, refusal: Refusal) -> u64 {
        self.refused.of(refusal).read()
    }
}
