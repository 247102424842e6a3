//! What time alone can end: a connection that is idle, abandoned by its client, or has lingered
//! long enough; a drain's waiting for a first request; and a search that has taken too long.
//!
//! The worker asks when that is, and then gives the session a turn in which it tries once more what
//! it waits for. Only when that fails it closes.

use std::time::Instant;

use super::{FIRST_REQUEST, Limits, Peer, Session, Stage, Unread};

impl<T> Session<T> {
    /// When time alone gives it something to do, if ever.
    pub(crate) fn due(&self, limits: &Limits) -> Option<Instant> {
        let lingered = match self.stage {
            Stage::Lingering { until } => Some(until),
            Stage::Open | Stage::Closing => None,
        };
        let late = self.request.get().zip(limits.deadline);
        let late = late.and_then(|(request, limit)| request.since.checked_add(limit));
        [
            lingered,
            self.abandoned_at(limits),
            self.idle_at(limits),
            self.first_by(),
            late.filter(|_| self.output.is_none()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// That time has come. It tries once more what it waits for, which may have come since the
    /// poll.
    pub(crate) fn on_due(&mut self) {
        self.last_try = true;
        match self.output {
            Some(_) => self.readiness.writable = true,
            None => self.readiness.readable = true,
        }
    }

    /// Its client has ended its stream and has taken no reply for too long: as good as gone. Not
    /// once powd has ended its own: then that end is what it waits for.
    pub(super) fn is_abandoned(&self, now: Instant, limits: &Limits) -> bool {
        self.abandoned_at(limits).is_some_and(|at| at <= now)
    }

    fn abandoned_at(&self, limits: &Limits) -> Option<Instant> {
        match (self.stage, self.peer) {
            (Stage::Open | Stage::Closing, Peer::HalfClosed { since, .. }) => {
                since.max(self.moved).checked_add(limits.half_close_timeout)
            }
            _ => None,
        }
    }

    /// When a drain gives up waiting for its first request.
    pub(super) fn first_by(&self) -> Option<Instant> {
        match (self.stage, self.unread) {
            (Stage::Open, Unread::First) => Some(self.moved + FIRST_REQUEST),
            _ => None,
        }
    }

    /// Nothing moves on it, and that is up to the client: it does not take its replies, or has
    /// asked nothing.
    pub(super) fn is_idle(&self, now: Instant, limits: &Limits) -> bool {
        self.idle_at(limits).is_some_and(|at| at <= now)
    }

    fn idle_at(&self, limits: &Limits) -> Option<Instant> {
        let waits_for_client = match self.output {
            Some(_) => !self.readiness.writable,
            None => {
                self.request.get().is_none()
                    && self.needs_input
                    && !self.readiness.readable
                    && !self.has_read_eof()
            }
        };
        let limit = limits.idle_timeout.filter(|_| waits_for_client)?;
        self.moved.checked_add(limit)
    }
}
