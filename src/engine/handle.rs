//! Asking an engine from any thread, without a socket.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use powd_core::{Difficulty, SeedLength};

use super::call::{Answer, Call, Effort, SolveError};
use super::counters::Totals;
use super::desk::{Letter, Seat};
use super::flow::Flow;
use super::guests::Guests;
use super::long_searches::LongSearch;
use super::mailbox::least_loaded;
use super::options::Options;
use super::outpost::Outpost;
use super::queue::QueueId;
use super::shared::Shared;

/// The way to an engine from any thread; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    inner: Arc<Inner>,
    flow: Option<Flow>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    options: Arc<Options>,
    /// The worker after the one that got the last call.
    next: AtomicUsize,
}

/// What is asked, where [`Handle::solve`] does not say enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What the seed is to stand before.
    pub message: Vec<u8>,
    /// The zeros asked for.
    pub difficulty: Difficulty,
    /// The characters of the first seeds tried, where not the engine's.
    pub seed_length: Option<SeedLength>,
    /// The longest to wait for the answer.
    pub deadline: Option<Duration>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>, options: Arc<Options>) -> Handle {
        Handle {
            inner: Arc::new(Inner {
                shared,
                options,
                next: AtomicUsize::new(0),
            }),
            flow: None,
        }
    }

    /// The same way, for what `flow` asks. Without a flow, each request is one of its own.
    pub fn of(&self, flow: Flow) -> Handle {
        Handle {
            inner: Arc::clone(&self.inner),
            flow: Some(flow),
        }
    }

    /// Asks for a seed before `message`, to be found within `deadline`.
    ///
    /// The request is under way when this returns, in the same queue as those of connections,
    /// whether or not the future is polled. To drop the future cancels the search, on every core.
    pub fn solve(
        &self,
        message: impl Into<Vec<u8>>,
        difficulty: Difficulty,
        deadline: impl Into<Option<Duration>>,
    ) -> Solve {
        self.ask(Query {
            message: message.into(),
            difficulty,
            seed_length: None,
            deadline: deadline.into(),
        })
    }

    /// As [`Handle::solve`], with all that can be asked for.
    pub fn ask(&self, query: Query) -> Solve {
        self.put(query, Shared::ring)
    }

    /// As [`Handle::ask`], for one of several requests that are there at the same time: first ask
    /// all, then poll their futures.
    ///
    /// To wake a worker takes longer than an easy search, and it may take this thread's CPU to
    /// answer one request where it could answer all of them. So it is woken when the first of the
    /// futures is polled; for a search that outlasts a write, at once.
    pub fn ask_together(&self, query: Query) -> Solve {
        let portions = self.inner.shared.portions();
        match portions.outlasts_a_write(query.difficulty) {
            true => self.ask(query),
            false => self.put(query, Shared::ring_later),
        }
    }

    /// How long a search for a message of one block takes one worker on average; the longest time
    /// there is where no clock reaches it.
    pub fn mean_time(&self, difficulty: Difficulty) -> Duration {
        let seconds = difficulty.expected_hashes() / self.inner.shared.portions().rate();
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// Puts a request on a worker's desk, and lets `tell` tell it.
    fn put(&self, query: Query, tell: fn(&Shared, usize)) -> Solve {
        let Inner {
            shared, options, ..
        } = &*self.inner;
        let max = options.max_message_bytes.get();
        if query.message.len() > max {
            return Solve::refused(SolveError::TooLong { max });
        }
        // First counted, then looked whether it is too late: a worker that ends looks in the other
        // order.
        let worker = self.worker_with_fewest();
        let seat = Seat::take(shared, worker);
        if shared.is_closed() {
            return Solve::refused(SolveError::Draining);
        }
        let asked = Instant::now();
        let (reply, answer) = oneshot::channel();
        let effort = Arc::<Effort>::default();
        let work = options.work(query.difficulty, query.message.len());
        let queue = (self.flow.unwrap_or_else(Flow::new), work);
        let call = Box::new(Call {
            message: query.message,
            difficulty: query.difficulty,
            seed_length: query.seed_length.unwrap_or(options.seed_length),
            asked,
            // A deadline that no clock reaches is none.
            deadline: query.deadline.and_then(|limit| asked.checked_add(limit)),
            effort: Arc::clone(&effort),
            reply,
            queue,
            seat,
        });
        if !shared.desks[worker].put(Letter::Call(call)) {
            return Solve::refused(lost(shared));
        }
        tell(shared, worker);
        Solve {
            state: State::Waiting {
                answer,
                worker,
                queue,
                shared: Arc::clone(shared),
            },
            effort,
        }
    }

    /// The worker with the fewest calls, the next in turn among equals.
    fn worker_with_fewest(&self) -> usize {
        let desks = &self.inner.shared.desks;
        let next = self.inner.next.load(Relaxed);
        let worker = least_loaded(desks.len(), next, |worker| {
            desks[worker].open_calls() as u64
        });
        self.inner.next.store((worker + 1) % desks.len(), Relaxed);
        worker
    }

    /// Begins the drain: what was asked is answered, nothing more is taken. Returns at once.
    pub fn drain(&self) {
        self.inner.shared.drain();
    }

    /// Whether a drain has begun.
    pub fn is_draining(&self) -> bool {
        self.inner.shared.is_draining()
    }

    /// When the time of the drain is over; none before it begins.
    pub fn drain_until(&self) -> Option<Instant> {
        let Inner {
            shared, options, ..
        } = &*self.inner;
        shared.drain_until(options.drain_timeout)
    }

    /// Says that a drain comes soon: from now on the engine is not ready for more clients, though
    /// it takes them.
    pub fn announce_drain(&self) {
        self.inner.shared.announce_drain();
    }

    /// Whether balancers are to send it clients: no drain has begun or been announced.
    pub fn is_ready(&self) -> bool {
        self.inner.shared.is_ready()
    }

    /// Joins the engine with others: from now on its long searches are shown to `outpost`, which
    /// gets the places for the searches of others. `None`: it has an outpost.
    pub fn join(&self, outpost: Arc<dyn Outpost>) -> Option<Guests> {
        let shared = &self.inner.shared;
        shared.outpost.set(outpost).ok()?;
        Some(Guests::new(Arc::clone(shared)))
    }

    /// Whether a worker has nothing to do for a client of this engine.
    pub fn has_idle_worker(&self) -> bool {
        self.inner.shared.board.has_idle_worker()
    }

    /// Whether a drain has ended: nobody is left to answer, and nobody comes any more.
    pub fn has_drained(&self) -> bool {
        self.inner.shared.has_drained()
    }

    /// What the engine was told at its start.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// The searches under way that take more than a turn; some dozens are shown for each worker.
    pub fn long_searches(&self) -> Vec<LongSearch> {
        let workers = self.inner.shared.long_searches.iter();
        workers.flat_map(|searches| searches.list()).collect()
    }

    /// How long each worker has not been waiting.
    pub fn busy(&self) -> impl Iterator<Item = Duration> {
        let workers = self.inner.shared.counters.iter();
        workers.map(|counters| counters.busy())
    }

    /// The rounds that each worker has begun: one that turns begins the next within milliseconds,
    /// or when it is woken.
    pub fn rounds(&self) -> impl Iterator<Item = u64> {
        let workers = self.inner.shared.counters.iter();
        workers.map(|counters| counters.rounds.read())
    }

    /// Wakes all workers that sleep.
    pub fn wake_all(&self) {
        self.inner.shared.board.wake_all();
    }

    /// The counters of all workers, added up.
    pub fn totals(&self) -> Totals {
        self.inner.shared.totals()
    }
}

/// A request under way. It is a future of any runtime; dropped before it is ready, it cancels the
/// search.
#[derive(Debug)]
#[must_use = "dropping it cancels the search"]
pub struct Solve {
    state: State,
    effort: Arc<Effort>,
}

#[derive(Debug)]
enum State {
    Refused(SolveError),
    Waiting {
        answer: oneshot::Receiver<Result<Answer, SolveError>>,
        worker: usize,
        queue: QueueId,
        shared: Arc<Shared>,
    },
    Ended,
}

impl Solve {
    fn refused(error: SolveError) -> Solve {
        Solve {
            state: State::Refused(error),
            effort: Arc::default(),
        }
    }

    /// How far it has come, also for other threads.
    pub fn effort(&self) -> &Arc<Effort> {
        &self.effort
    }
}

/// Why a worker has ended without an answer. At the end of a drain it is not at fault.
fn lost(shared: &Shared) -> SolveError {
    match shared.is_draining() && !shared.has_failed() {
        true => SolveError::Draining,
        false => SolveError::Failed,
    }
}

impl Future for Solve {
    type Output = Result<Answer, SolveError>;

    /// # Panics
    ///
    /// When it is polled after it was ready.
    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let outcome = match &mut self.state {
            State::Refused(error) => Err(*error),
            State::Waiting {
                answer,
                worker,
                shared,
                ..
            } => {
                shared.ring_if_due(*worker);
                match Pin::new(answer).poll(task) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(outcome) => outcome.unwrap_or_else(|_| Err(lost(shared))),
                }
            }
            State::Ended => panic!("a request is polled after it has ended"),
        };
        self.state = State::Ended;
        Poll::Ready(outcome)
    }
}

impl Drop for Solve {
    fn drop(&mut self) {
        if let State::Waiting {
            answer,
            worker,
            queue,
            shared,
        } = std::mem::replace(&mut self.state, State::Ended)
        {
            // First nobody waits, then the worker looks.
            drop(answer);
            shared.desks[worker].put(Letter::Abandoned(queue));
            shared.ring(worker);
        }
    }
}
