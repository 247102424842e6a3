//! A scanner for tests that hashes nothing: it reports the heads that it was told to report.

use std::sync::atomic::Ordering::Relaxed;

use super::Scan;
use super::heads::{Batches, Heads};
use crate::pow::Difficulty;
use crate::sha256::Template;
use crate::sync::AtomicU64;

/// It takes heads one by one, and stops between two of them, as a kernel stops between two batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scripted<'a> {
    /// The heads to report, right or wrong.
    pub(crate) reports: &'a [u32],
    /// The heads tried so far, each one a bit: heads below 64 only.
    pub(crate) tried: &'a AtomicU64,
}

impl Scan for Scripted<'_> {
    fn next_hit(&self, template: &Template, heads: &mut Heads<'_>, _: Difficulty) -> Option<u32> {
        let mut tried = Batches::new(template, heads, 1).map(|batch| batch.first);
        tried.find(|&head| {
            let before = self.tried.fetch_or(1 << head, Relaxed);
            assert_eq!(before & 1 << head, 0, "head {head} is tried twice");
            self.reports.contains(&head)
        })
    }
}
