//! What both ways to ask, lines and HTTP, have in common: a thread's part of a run, and what is
//! known of a connection whatever it carries. It must not know of sockets, nor of who waits for
//! them.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Mutex;
use std::time::Duration;

use super::lock;
use super::options::Options;
use super::pace::Pace;
use super::quota::Quota;
use super::stats::{Stats, Waits};
use super::window::Window;
use crate::cpus;

/// Connections of all threads that wait for the answer to `connect` at a time: more would overflow
/// a listen queue.
const CONNECTING_AT_A_TIME: usize = 128;
/// The first wait before a connection that failed is tried again; it doubles, up to a thousandfold.
pub(super) const RETRY: Duration = Duration::from_millis(1);

/// One thread's part of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    pub(super) options: &'a Options,
    pub(super) window: &'a Window,
    pub(super) quota: Option<&'a Quota>,
    /// This thread's number, of so many.
    pub(super) thread: usize,
    pub(super) threads: usize,
}

impl Part<'_> {
    /// The numbers of this thread's connections in the run: `thread`, `thread + threads`, `thread +
    /// 2 * threads` and so on.
    pub(super) fn numbers(&self) -> impl Iterator<Item = usize> + use<> {
        (self.thread..self.options.connections).step_by(self.threads)
    }

    /// The timetable of these connections, in the open loop.
    pub(super) fn pace(&self) -> Option<Pace> {
        let pace = |rate| Pace::new(rate, self.options.connections, self.numbers().collect());
        self.options.rate.map(pace)
    }

    /// This thread's share of the connections that may be waiting for the answer to `connect`.
    pub(super) fn connecting_at_most(&self) -> usize {
        (CONNECTING_AT_A_TIME / self.threads).max(1)
    }

    /// Pins the thread that calls it, if that is asked for.
    pub(super) fn pin(&self, stats: &Mutex<Stats>) {
        let mut cpus = self.options.pin.iter().cycle();
        if let Some(&id) = cpus.nth(self.thread)
            && cpus::pin(id).is_err()
        {
            lock(stats).error(Cow::Owned(format!("no pinning to CPU {id}")));
        }
    }

    /// Puts a connection on the timetable, if it is not on it.
    pub(super) fn join(&self, pace: &mut Pace, connection: usize) {
        let now = self.window.now();
        pace.join(connection, self.window.timetable_start(now), now);
    }

    /// How many of `wanted` requests may be made.
    pub(super) fn granted(&self, wanted: usize) -> usize {
        self.quota.map_or(wanted, |quota| quota.take(wanted))
    }

    /// Whether no request is left to be made.
    pub(super) fn is_spent(&self) -> bool {
        self.quota.is_some_and(Quota::is_spent)
    }

    /// Notes that so many requests have come to their end. With the last of all the window closes.
    pub(super) fn finish(&self, requests: usize) {
        if self.quota.is_some_and(|quota| quota.finish(requests)) {
            self.window.end_at(self.window.now());
        }
    }

    /// Counts the requests of a connection that were not made when the window closed: those that
    /// were due, or else the one that the connection was being opened for.
    pub(super) fn count_unmade(
        &self,
        connection: usize,
        standing: &Standing,
        pace: Option<&Pace>,
        end: Duration,
        waits: &mut Waits,
    ) {
        let reserved = u64::from(standing.reserved.get());
        let (unmade, most) = match pace {
            Some(pace) if !self.is_spent() => (pace.overdue(connection, end), u64::MAX),
            Some(pace) => (pace.overdue(connection, end), reserved),
            None => (standing.began.get().map(|began| (1, began)), reserved),
        };
        if let Some((requests, since)) = unmade
            && most > 0
        {
            waits.add(requests.min(most), end.saturating_sub(since));
        }
    }
}

/// What is known of a connection. Cells, since the requests of one over HTTP share it.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Opened or refused at least once, or without anything to ask.
    settled: Cell<bool>,
    /// Failures in a row without a right reply between them: one that is told `ERR busy` each time
    /// it comes must not come back at once each time.
    failures: Cell<u32>,
    /// With `reconnect`: a request of the quota is its, to be made when it is open.
    pub(super) reserved: Cell<bool>,
    /// When the attempt to open it began, until a request was made or it failed.
    pub(super) began: Cell<Option<Duration>>,
    last_progress: Cell<Duration>,
}

impl Standing {
    /// Notes what came of it first: whether a server may be behind it.
    pub(super) fn settle(&self, reached: bool, stats: &mut Stats) {
        if !self.settled.replace(true) {
            stats.settled += 1;
            stats.reached += usize::from(reached);
        }
    }

    /// Notes an attempt to open it.
    pub(super) fn begin(&self, now: Duration) {
        self.began.set(Some(now));
        self.moved(now);
    }

    /// Notes that the server moved, or that the first request after silence was made.
    pub(super) fn moved(&self, now: Duration) {
        self.last_progress.set(now);
    }

    /// How long nothing has moved.
    pub(super) fn silence(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last_progress.get())
    }

    /// Notes so many right replies.
    pub(super) fn answered(&self, right: usize) {
        if right > 0 {
            self.failures.set(0);
        }
    }

    /// Notes a failure; how long to wait before the next attempt: not at all the first time, longer
    /// and longer while no right reply comes.
    pub(super) fn fail(&self) -> Duration {
        self.began.set(None);
        let failures = self.failures.replace(self.failures.get() + 1);
        match failures {
            0 => Duration::ZERO,
            failures => RETRY * (1 << failures.min(10)),
        }
    }
}
