//! What time alone can end: a connection that is idle, abandoned by its client, or has lingered long enough.
//!
//! The worker's sweep asks which ones are overdue, and has these try once more what they wait for; the turn in
//! which that fails closes them.

use std::time::Duration;

use super::{Connection, Phase};
use crate::server::kit::Kit;

/// How long a client may take to end its stream after powd has ended its own. Closing at once would reset
/// the connection if the client has sent more, and could cost it the last reply.
pub(super) const LINGER: Duration = Duration::from_secs(1);

impl Connection {
    /// The shortest time that can end it, if time alone can.
    pub(in crate::server) fn timeout(&self, kit: &Kit) -> Option<Duration> {
        let limits = &kit.options.limits;
        let lingering = matches!(self.phase, Phase::Lingering(_)).then_some(LINGER);
        let half_closed = self.half_closed.map(|_| limits.half_close_timeout);
        [lingering, half_closed, limits.idle_timeout]
            .into_iter()
            .flatten()
            .min()
    }

    /// Has it try once more what it waits for: the time of an idle one is over only if that does not come, and
    /// it may have come since the poll.
    pub(in crate::server) fn try_again(&mut self) {
        match self.output {
            Some(_) => self.writable = true,
            None => self.readable = true,
        }
    }

    /// Whether its time is over; then a turn closes it.
    pub(in crate::server) fn is_overdue(&self, kit: &Kit) -> bool {
        self.is_abandoned(kit) || self.is_idle(kit) || self.has_lingered(kit)
    }

    /// Its client has ended its stream and has taken no reply for too long: as good as gone. Not once powd has
    /// ended its own: then that end is what it waits for.
    pub(super) fn is_abandoned(&self, kit: &Kit) -> bool {
        if matches!(self.phase, Phase::Lingering(_)) {
            return false;
        }
        let limit = kit.options.limits.half_close_timeout;
        let since = self.half_closed.map(|at| at.max(self.moved));
        since.is_some_and(|at| limit.is_zero() || kit.now.saturating_duration_since(at) > limit)
    }

    /// Nothing moves on it, and that is up to the client: it does not take its replies, or has asked nothing.
    pub(super) fn is_idle(&self, kit: &Kit) -> bool {
        let waits_for_client = match self.output {
            Some(_) => !self.writable,
            None => self.request.is_none() && self.hungry && !self.readable && !self.ended,
        };
        kit.options.limits.idle_timeout.is_some_and(|limit| {
            waits_for_client && kit.now.saturating_duration_since(self.moved) > limit
        })
    }

    pub(super) fn has_lingered(&self, kit: &Kit) -> bool {
        matches!(self.phase, Phase::Lingering(until) if kit.now >= until)
    }
}
