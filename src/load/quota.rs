//! How many requests a run makes in all, where that is fixed: shared by its threads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Requests that may still be made, and those whose end is still to come.
#[derive(Debug)]
pub(super) struct Quota {
    left: AtomicU64,
    unfinished: AtomicU64,
}

impl Quota {
    pub(super) fn new(requests: u64) -> Quota {
        Quota {
            left: AtomicU64::new(requests),
            unfinished: AtomicU64::new(requests),
        }
    }

    /// Takes up to `wanted` requests; returns how many there were.
    pub(super) fn take(&self, wanted: usize) -> usize {
        // Most calls of the last milliseconds find nothing, and need not write.
        if self.left.load(Relaxed) == 0 {
            return 0;
        }
        let left = self
            .left
            .fetch_update(Relaxed, Relaxed, |left| {
                Some(left.saturating_sub(wanted as u64))
            })
            .unwrap_or_default();
        // No more than `wanted`, so it fits.
        left.min(wanted as u64) as usize
    }

    /// Notes that `requests` of those taken were answered or lost; true if they were the last of
    /// all.
    pub(super) fn finish(&self, requests: usize) -> bool {
        requests > 0 && self.unfinished.fetch_sub(requests as u64, Relaxed) == requests as u64
    }

    /// Requests whose end is still to come, made or not.
    pub(super) fn unfinished(&self) -> u64 {
        self.unfinished.load(Relaxed)
    }

    /// Whether no request is left to be made.
    pub(super) fn is_spent(&self) -> bool {
        self.left.load(Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_shared_out_once_and_ends_with_the_last_answer() {
        let quota = Quota::new(10);
        let taken: Vec<_> = [4, 0, 4, 4, 4].map(|wanted| quota.take(wanted)).into();
        assert_eq!(taken, [4, 0, 4, 2, 0]);
        assert!(quota.is_spent());
        let finished: Vec<_> = [5, 0, 4, 1].map(|requests| quota.finish(requests)).into();
        assert_eq!(finished, [false, false, false, true]);
    }

    #[test]
    fn threads_take_no_more_than_there_is() {
        let quota = Quota::new(100_000);
        let take = || std::iter::repeat_with(|| quota.take(7)).take_while(|&got| got > 0);
        let taken: usize = std::thread::scope(|scope| {
            let threads = [(); 3].map(|()| scope.spawn(|| take().sum::<usize>()));
            threads
                .map(|thread| thread.join().expect("no panic"))
                .iter()
                .sum()
        });
        assert_eq!(taken, 100_000);
    }
}
