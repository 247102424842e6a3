//! A request of another thread: the client of a worker that has no socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use powd_core::{Difficulty, Job, Progress, SeedLength, Solution};

use super::budget::{Budget, TurnKind};
use super::client::{Cancel, Class, Drain, Host, Next, Standing};
use super::context::Context;
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
    pub(crate) asked: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) effort: Arc<Effort>,
    pub(crate) reply: oneshot::Sender<Outcome>,
    pub(crate) task: Option<Task>,
    /// Set when it is over, unless nobody waits for it.
    pub(crate) outcome: Option<Outcome>,
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

impl Call {
    /// Whether nobody waits for the answer.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.reply.is_canceled()
    }

    /// A turn.
    pub(crate) fn turn(&mut self, context: &mut Context, budget: &mut Budget) -> Next {
        if self.is_abandoned() {
            return Next::Close;
        }
        if context.drain() == Drain::Expired {
            context.counters.calls_refused.add(1);
            return self.finish(Err(SolveError::Draining));
        }
        // Before it gets another turn: when there are more searches than time for them, those that
        // come to nothing must not take half of it.
        if self
            .deadline
            .is_some_and(|deadline| context.now >= deadline)
        {
            return self.finish(Err(SolveError::Deadline));
        }
        let bytes = self.message.len();
        let class = Class {
            standing: Standing::Open,
            work: context.work(self.difficulty, bytes),
        };
        let seed_length = self.seed_length;
        let task = self
            .task
            .get_or_insert_with(|| context.begin_with(seed_length, bytes));
        // Its time comes in its class.
        if !self.effort.has_begun()
            && budget.kind() == TurnKind::New
            && context.is_hard(self.difficulty, bytes)
        {
            return Next::Turn {
                class,
                resumes: false,
            };
        }
        let job = Job {
            message: &self.message,
            difficulty: self.difficulty,
        };
        let progress = task.advance(context, job, budget);
        let hashes = task.hashes();
        self.effort.begun.store(true, Relaxed);
        self.effort.hashes.store(hashes, Relaxed);
        self.effort.helpers.store(task.helpers(), Relaxed);
        match progress {
            Progress::Found(solution) => {
                let time = self.asked.elapsed();
                self.finish_search(Ok(Answer {
                    solution,
                    hashes,
                    time,
                }));
                // Who waits has to be woken, and may take this worker's CPU: better for many
                // answers at once.
                match context.outlasts_a_write(self.difficulty) {
                    true => Next::Flush,
                    false => Next::Close,
                }
            }
            Progress::Exhausted => self.finish_search(Err(SolveError::Exhausted)),
            // After a short turn it queues behind its equals: it had no place before.
            Progress::Pending => Next::Turn {
                class,
                resumes: budget.kind() != TurnKind::New,
            },
            Progress::Stalled => Next::Stalled(class),
        }
    }

    /// The search is over: there is nothing to cancel.
    fn finish_search(&mut self, outcome: Outcome) -> Next {
        self.task = None;
        self.finish(outcome)
    }

    fn finish(&mut self, outcome: Outcome) -> Next {
        self.outcome = Some(outcome);
        Next::Close
    }

    /// Stops its search on every core, and tells who waits what became of it.
    pub(crate) fn end(mut self, context: &mut Context) {
        if let Some(task) = self.task.take() {
            let why = match self.outcome {
                None | Some(Err(SolveError::Draining)) => Cancel::Abandoned,
                Some(_) => Cancel::Refused,
            };
            context.cancel(task, why);
        }
        if let Some(outcome) = self.outcome {
            // Who has just stopped waiting is not told.
            let _ = self.reply.send(outcome);
        }
    }
}
