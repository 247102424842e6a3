//! The way of a long search to other engines, and back.
//!
//! A worker whose search goes on for long puts it into an [`Appeal`] and shows that to the
//! [`Outpost`], if the engine has one. Who is behind it searches elsewhere, and may say what was
//! found; the worker looks at the appeal once per turn, as it looks at what its helpers here have
//! found. Nothing of this is done, or looked at, for a search that is over sooner.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use powd_core::{Difficulty, Job, SeedLength, Solution, verify};

/// A search that has lasted for less than this is not shown to an outpost: it may be over before
/// anybody hears.
pub(super) const LASTED: Duration = Duration::from_millis(20);

/// Nor is one that takes one worker less than this on average.
pub(super) const WORTH: Duration = Duration::from_millis(50);

/// Appeals of one worker at once; further long searches are for this engine alone.
pub(super) const APPEALS: usize = 4;

/// Who has other engines search for this one. Called by workers: it must neither block nor
/// allocate.
pub trait Outpost: Debug + Send + Sync {
    /// A search to help with. False where there is no room: it is shown again in a later turn.
    fn call(&self, appeal: &Arc<Appeal>) -> bool;

    /// Something has happened: an appeal is over, or a guest's search has come to an end.
    fn wake(&self);
}

/// A search of this engine that others may help with.
#[derive(Debug)]
pub struct Appeal {
    message: Vec<u8>,
    difficulty: Difficulty,
    length: SeedLength,
    is_over: AtomicBool,
    hashes: AtomicU64,
    helpers: AtomicUsize,
    winner: OnceLock<Solution>,
}

impl Appeal {
    pub(super) fn with_capacity(max_message_bytes: usize) -> Appeal {
        Appeal {
            message: Vec::with_capacity(max_message_bytes),
            difficulty: Difficulty::MAX,
            length: SeedLength::MIN,
            is_over: AtomicBool::new(true),
            hashes: AtomicU64::new(0),
            helpers: AtomicUsize::new(0),
            winner: OnceLock::new(),
        }
    }

    pub(super) fn begin(&mut self, job: Job<'_>, length: SeedLength) {
        self.message.clear();
        self.message.extend_from_slice(job.message);
        self.difficulty = job.difficulty;
        self.length = length;
        self.is_over = AtomicBool::new(false);
        self.hashes = AtomicU64::new(0);
        self.helpers = AtomicUsize::new(0);
        self.winner = OnceLock::new();
    }

    /// What is searched for.
    pub fn job(&self) -> Job<'_> {
        Job {
            message: &self.message,
            difficulty: self.difficulty,
        }
    }

    /// The length of the seeds that this engine tries. Others must try longer ones.
    pub fn length(&self) -> SeedLength {
        self.length
    }

    /// Whether nobody needs help any more.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Acquire)
    }

    /// So many seeds were tried elsewhere so far, by so many that are at it now.
    pub fn set_help(&self, hashes: u64, helpers: usize) {
        self.hashes.store(hashes, Relaxed);
        self.helpers.store(helpers, Relaxed);
    }

    /// A solution was found elsewhere. One of another message or a lower difficulty is left.
    pub fn win(&self, solution: Solution) {
        if verify(solution.seed(), &self.message, self.difficulty) == Some(solution) {
            // Two may be found at the same time: the first one counts.
            let _ = self.winner.set(solution);
        }
    }

    pub(super) fn hashes(&self) -> u64 {
        self.hashes.load(Relaxed)
    }

    pub(super) fn helpers(&self) -> usize {
        self.helpers.load(Relaxed)
    }

    pub(super) fn winner(&self) -> Option<Solution> {
        self.winner.get().copied()
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Release);
    }
}
