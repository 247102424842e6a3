//! What the line protocol counts of itself, and all that a server counts, for who asks.

use serde::Serialize;

use crate::engine::{self, counters};
use crate::protocol::ErrorLine;

counters! {
    /// The counters of one worker's connections, or of the acceptor.
    Counters,
    /// The counters of all of them, added up.
    Totals,
    {
        /// Connections accepted.
        connections_opened,
        /// Connections closed.
        connections_closed,
        /// Connections closed because nothing moved on them.
        closed_idle,
        /// Connections refused: more than `--max-connections`.
        refused_busy,
        /// Connections refused: more than `--max-connections-per-ip`.
        refused_busy_address,
        /// Connections refused: not in `--allow`.
        refused_denied,
        /// Connections refused: in `--proxy-protocol`, and without a PROXY header.
        refused_header,
        /// Times that accepting paused.
        accept_pauses,
        /// Requests cut from the streams.
        requests,
        /// Replies written to output buffers.
        replies,
        /// Messages longer than allowed.
        errors_too_long,
        /// Searches longer than allowed.
        errors_deadline,
        /// Searches without a solution.
        errors_exhausted,
        /// Requests that were still open when the time of a drain was over.
        errors_draining,
    }
}

impl Counters {
    /// Counts an error line.
    pub(crate) fn count_error(&self, error: ErrorLine) {
        let counter = match error {
            ErrorLine::TooLong { .. } => &self.errors_too_long,
            ErrorLine::Deadline => &self.errors_deadline,
            ErrorLine::Exhausted => &self.errors_exhausted,
            ErrorLine::Draining => &self.errors_draining,
            ErrorLine::Busy => &self.refused_busy,
            ErrorLine::BusyAddress => &self.refused_busy_address,
            ErrorLine::Denied => &self.refused_denied,
        };
        counter.add(1);
    }
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
    /// In `--proxy-protocol`, and without a PROXY header.
    pub header: u64,
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
    /// Still open when the time of a drain was over.
    pub draining: u64,
}

/// Work of idle workers for others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Help {
    /// Searches that were opened to helpers.
    pub searches: u64,
    /// Quanta that helpers gave.
    pub quanta: u64,
    /// Seeds that helpers tried.
    pub hashes: u64,
}

impl Snapshot {
    /// All that a server has counted. The totals are taken apart whole: no counter can be forgotten
    /// here.
    pub(super) fn new(engine: engine::Totals, line: Totals) -> Snapshot {
        let engine::Totals {
            rounds: _,
            handoffs_closed: _,
            calls_refused: _,
            searches_begun: _,
            searches_ended: _,
            cancelled_searches,
            hashes,
            false_hits,
            searches_shared,
            help_quanta,
            help_hashes,
            guest_hashes: _,
            appeals: _,
            busy_nanoseconds: _,
        } = engine;
        let Totals {
            connections_opened,
            connections_closed,
            closed_idle,
            refused_busy,
            refused_busy_address,
            refused_denied,
            refused_header,
            accept_pauses,
            requests,
            replies,
            errors_too_long,
            errors_deadline,
            errors_exhausted,
            errors_draining,
        } = line;
        Snapshot {
            connections: Connections {
                // Read at two moments: one that opened and closed in between must not count as less
                // than none.
                open: connections_opened.saturating_sub(connections_closed),
                total: connections_opened,
                refused: Refused {
                    busy: refused_busy,
                    busy_address: refused_busy_address,
                    denied: refused_denied,
                    header: refused_header,
                },
                closed_idle,
                accept_pauses,
            },
            requests,
            replies,
            errors: Errors {
                too_long: errors_too_long,
                deadline: errors_deadline,
                exhausted: errors_exhausted,
                draining: errors_draining,
            },
            cancelled_searches,
            hashes,
            false_hits,
            help: Help {
                searches: searches_shared,
                quanta: help_quanta,
                hashes: help_hashes,
            },
        }
    }
}
