//! A server that is gone, where only the last of the requests would end a run: they would be tried
//! for ever.

use std::time::Duration;

use super::Progress;
use super::quota::Quota;
use super::stats::Waits;

/// Since when nobody has got through to the server.
#[derive(Debug)]
pub(super) struct Absence<'a> {
    quota: &'a Quota,
    since: Option<Duration>,
    lasted: Duration,
    /// As they were when somebody got through for the last time.
    unfinished: u64,
    errors: u64,
}

impl<'a> Absence<'a> {
    pub(super) fn of(quota: &'a Quota) -> Absence<'a> {
        Absence {
            quota,
            since: None,
            lasted: Duration::ZERO,
            unfinished: quota.unfinished(),
            errors: 0,
        }
    }

    /// Looks whether it lasts: there were errors, and since then no connection was seen open, and
    /// no request has come to its end.
    pub(super) fn look(&mut self, now: Duration, progress: &Progress) {
        let unfinished = self.quota.unfinished();
        if progress.open > 0 || unfinished < self.unfinished {
            self.since = None;
            self.unfinished = unfinished;
            self.errors = progress.errors;
        } else if progress.errors > self.errors {
            self.since.get_or_insert(now);
        }
        self.lasted = self.since.map_or(Duration::ZERO, |since| now - since);
    }

    /// How long it had lasted at the last look.
    pub(super) fn lasted(&self) -> Duration {
        self.lasted
    }

    /// What nobody will answer any more: the requests that were not made, too.
    pub(super) fn unanswered(&self) -> Waits {
        Waits {
            requests: self.quota.unfinished(),
            longest: self.lasted,
        }
    }
}
