//! A request of another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use powd_core::{Difficulty, Job, Progress, SeedLength, Solution};

use super::budget::Budget;
use super::client::{Drain, Host as _};
use super::context::Context;
use super::desk::Seat;
use super::queue::QueueId;
use super::task::Task;

/// What is answered to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// A seed, checked by the oracle, and its digest.
    pub solution: Solution,
    /// Seeds tried for it, on all cores.
    pub hashes: u64,
    /// From the call to the find.
    pub time: Duration,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SolveError {
    /// The message is longer than the engine takes: split it, or hash it first.
    #[error("a message has at most {max} bytes here")]
    TooLong {
        /// The most it takes.
        max: usize,
    },
    /// The search took longer than allowed: ask for a lower difficulty, or allow more.
    #[error("no seed found in the time allowed")]
    Deadline,
    /// No seed of up to 16 characters is a solution. Only in theory: that many cannot be tried.
    #[error("no seed of up to {} characters is a solution", SeedLength::MAX)]
    Exhausted,
    /// The engine ends: ask another one.
    #[error("the service is ending")]
    Draining,
    /// The worker died: a bug, which its log tells of.
    #[error("the worker of this request failed")]
    Failed,
}

/// A request on its way to a worker, and while it is there.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) message: Vec<u8>,
    pub(crate) difficulty: Difficulty,
    pub(crate) seed_length: SeedLength,
    pub(crate) queue: QueueId,
    pub(crate) asked: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) effort: Arc<Effort>,
    pub(crate) reply: oneshot::Sender<Outcome>,
    pub(crate) seat: Seat,
}

/// What becomes of a request.
pub(crate) type Outcome = Result<Answer, SolveError>;

/// How far a request has come, for who asks while it waits.
#[derive(Debug, Default)]
pub struct Effort {
    begun: AtomicBool,
    hashes: AtomicU64,
    helpers: AtomicUsize,
}

impl Effort {
    /// Whether its search has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Relaxed)
    }

    /// Seeds tried so far, on all cores; known once per turn.
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Relaxed)
    }

    /// Other engines that search for it, too.
    pub fn helpers(&self) -> usize {
        self.helpers.load(Relaxed)
    }
}

/// Why a request gets no answer, or no more time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nobody waits for it.
    Abandoned,
    /// The time of a drain is over.
    Draining,
    /// Its own time is over.
    Deadline,
}

impl Call {
    /// Why it gets no more time, if it gets none.
    pub(crate) fn refusal(&self, context: &Context) -> Option<Refusal> {
        let is_late = |deadline| context.now >= deadline;
        match () {
            () if self.is_abandoned() => Some(Refusal::Abandoned),
            () if context.drain() == Drain::Expired => Some(Refusal::Draining),
            () if self.deadline.is_some_and(is_late) => Some(Refusal::Deadline),
            () => None,
        }
    }

    /// Whether nobody waits for it.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.reply.is_canceled()
    }

    /// Whether its first turn is to be one of its class.
    pub(crate) fn waits_for_its_class(&self, context: &Context) -> bool {
        !self.effort.has_begun() && context.is_hard(self.difficulty, self.message.len())
    }

    /// A search for it, not yet begun.
    pub(crate) fn task(&self, context: &mut Context) -> Task {
        context.begin_with(self.seed_length, self.message.len())
    }

    /// Works on the search for it.
    pub(crate) fn advance(
        &self,
        task: &mut Task,
        context: &mut Context,
        budget: &mut Budget,
    ) -> Progress {
        let job = Job {
            message: &self.message,
            difficulty: self.difficulty,
        };
        let progress = task.advance(context, job, budget);
        self.effort.begun.store(true, Relaxed);
        self.effort.hashes.store(task.hashes(), Relaxed);
        self.effort.helpers.store(task.helpers(), Relaxed);
        progress
    }

    /// What is answered where `solution` is found.
    pub(crate) fn answer(&self, solution: Solution) -> Answer {
        Answer {
            solution,
            hashes: self.effort.hashes(),
            time: self.asked.elapsed(),
        }
    }

    /// Tells who waits what became of it, then gives its seat back. Who has just stopped waiting is
    /// not told.
    pub(crate) fn tell(self, outcome: Outcome) {
        let _ = self.reply.send(outcome);
        drop(self.seat);
    }
}
