//! The engine: pinned workers that search for whoever asks, through whatever door.
//!
//! A worker owns its clients for their whole life and shares nothing on the path of a request. One
//! that has nothing to do helps with the search of another, or sleeps. Clients with sockets come
//! through a [`Door`], which the engine does not look behind; requests of other threads come
//! through a [`Handle`].
//!
//! ```
//! use std::num::NonZeroUsize;
//! use powd::engine::{Engine, Options};
//! use powd_core::{Difficulty, verify};
//!
//! let engine = Engine::start(Options {
//!     workers: NonZeroUsize::new(2).expect("two"),
//!     pin: false,
//!     ..Options::default()
//! })?;
//! let handle = engine.handle();
//! let answer = pollster::block_on(handle.solve("hello", Difficulty::of::<3>(), None))?;
//! let seed = answer.solution.seed();
//! assert!(verify(seed, b"hello", Difficulty::of::<3>()).is_some());
//! handle.drain();
//! engine.wait()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It must know nothing of protocols, nor of instruction sets, nor of the command line.

mod bell;
mod binding;
mod board;
mod budget;
mod bunch;
mod call;
mod client;
mod context;
mod counters;
mod desk;
mod durations;
mod flow;
mod guests;
mod handle;
mod long_searches;
mod mailbox;
mod options;
mod outpost;
mod parking;
mod queue;
mod scheduler;
mod shared;
mod spin;
mod sync;
mod task;
mod worker;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_utils::CachePadded;
use mio::event::Event;
use mio::{Poll, Registry, Token, Waker};

use board::{Board, Wake};
use desk::Desk;
use long_searches::LongSearches;
use shared::Shared;
use worker::Worker;

use crate::cpus::{self, Bound};

pub use budget::{Budget, TurnKind};
pub use call::{Answer, Effort, SolveError};
pub use client::{Cancel, Class, Client, Door, Drain, Host, Next, Standing, Urgency, Work};
pub use context::Context;
pub(crate) use counters::counters;
pub use counters::{Counter, Counters, Totals};
pub use durations::{Durations, Histogram};
pub use flow::Flow;
pub use guests::{GuestProgress, Guests};
pub use handle::{Handle, Query, Solve};
pub use long_searches::LongSearch;
pub use mailbox::Mailbox;
pub(crate) use mailbox::least_loaded;
pub(crate) use options::FOR_EVER;
pub use options::{MessageBytes, MessageBytesError, Options};
pub use outpost::{Appeal, Outpost};
pub use shared::Pass;
pub use task::Task;
pub(crate) use worker::WAKER;

/// Why an engine could not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A poll, a waker or a thread could not be made.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
    /// A thread ended before its time; what it had open is lost.
    #[error("a thread of the service failed; the others were drained")]
    Failed,
}

/// A running engine. Dropping it leaves its threads running; [`Engine::wait`] ends with them.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    handle: Handle,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Starts the workers, which are asked through [`Engine::handle`] alone.
    ///
    /// # Errors
    ///
    /// When the system does not give a thread or a poll.
    pub fn start(options: Options) -> Result<Engine, EngineError> {
        Engine::with_door(options, |_| NoDoor).map(|(engine, _)| engine)
    }

    /// Starts the workers, each with its own side of a door; returns the mailboxes that the door
    /// puts new clients in. When it returns, every worker runs.
    ///
    /// # Errors
    ///
    /// As [`Engine::start`].
    pub fn with_door<D: Door>(
        options: Options,
        mut door: impl FnMut(usize) -> D,
    ) -> Result<(Engine, Vec<Mailbox<D>>), EngineError> {
        let options = Arc::new(Options {
            drain_timeout: options.drain_timeout.min(FOR_EVER),
            ..options
        });
        let workers = options.workers.get();
        let polls = (0..workers).map(|_| make_poll());
        let polls = polls.collect::<io::Result<Vec<_>>>();
        let (polls, wakers): (Vec<Poll>, Vec<Waker>) =
            polls.map_err(EngineError::Start)?.into_iter().unzip();
        let (desks, letters): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::channel()).unzip();
        let shared = Arc::new(Shared::new(
            Board::new(
                wakers
                    .into_iter()
                    .map(|waker| Box::new(waker) as Box<dyn Wake>),
            ),
            (0..workers).map(|_| Arc::default()).collect(),
            (0..workers)
                .map(|_| Arc::new(LongSearches::new()))
                .collect(),
            desks
                .into_iter()
                .map(|letters| CachePadded::new(Desk::new(letters)))
                .collect(),
            options.hash_rate,
        ));
        let mut engine = Engine {
            handle: Handle::new(Arc::clone(&shared), Arc::clone(&options)),
            shared: Arc::clone(&shared),
            threads: Vec::with_capacity(workers + 1),
        };
        let cpus = options.pin.then(|| cpus::one_each(workers)).flatten();
        let (started, starts) = mpsc::channel();
        let mut mailboxes = Vec::with_capacity(workers);
        let spawned =
            polls
                .into_iter()
                .zip(letters)
                .enumerate()
                .try_for_each(|(number, (poll, letters))| {
                    let (sender, handoffs) = mpsc::channel();
                    let cpu = cpus.as_ref().map(|cpus| cpus[number]);
                    mailboxes.push(Mailbox::new(number, cpu, sender, Arc::clone(&shared)));
                    let (options, shared, started) =
                        (Arc::clone(&options), Arc::clone(&shared), started.clone());
                    let door = door(number);
                    engine.spawn(format!("worker-{number}"), move || {
                        // Pinned first: what the worker allocates then lies near its CPU.
                        let bound = cpu.map(Bound::this_thread).transpose();
                        let is_heard = started.send((number, bound)).is_ok();
                        // The engine waits until every worker has let go of it.
                        drop(started);
                        if !is_heard {
                            return Ok(());
                        }
                        let counters = Arc::clone(&shared.counters[number]);
                        let long_searches = Arc::clone(&shared.long_searches[number]);
                        let board = Arc::clone(&shared.board);
                        let outpost = Arc::clone(&shared.outpost);
                        let context =
                            Context::new(number, options, board, counters, long_searches, outpost);
                        Worker::new(context, door, shared, poll, handoffs, letters).run()
                    })
                });
        drop(started);
        // Those that did start end at once.
        spawned.inspect_err(|_| shared.drain())?;
        let (mut bound, mut unbound) = (Vec::new(), Vec::new());
        for (number, start) in starts {
            match start {
                Ok(thread) => bound.extend(thread.map(|thread| (number, thread))),
                Err(error) => unbound.push(error),
            }
        }
        if let Some(cpus) = cpus.filter(|_| !bound.is_empty()) {
            binding::watch(bound, cpus, &shared);
        }
        if let Some(error) = unbound.first() {
            // Binding only makes it faster.
            tracing::warn!(
                "{error}: {} of {workers} workers run where the system puts them",
                unbound.len()
            );
        }
        Ok((engine, mailboxes))
    }

    /// The way to ask it, from any thread.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Opens a door: a drain waits until the pass is dropped. `on_drain` is called when a drain
    /// begins, by the thread that begins it.
    pub fn open_door(&self, on_drain: impl Fn() + Send + Sync + 'static) -> Pass {
        self.shared.open_door(on_drain)
    }

    /// Starts a thread that the engine waits for at its end. If it fails or panics, the engine
    /// drains and its end is a failure.
    ///
    /// # Errors
    ///
    /// When the system gives no further thread.
    pub fn spawn(
        &mut self,
        name: String,
        run: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> Result<(), EngineError> {
        let guard = Guard(Arc::clone(&self.shared));
        let body = move || {
            if let Err(error) = run() {
                tracing::error!(%error, thread = thread::current().name(), "a thread of the service failed");
                guard.0.fail();
            }
            drop(guard);
        };
        let thread = thread::Builder::new().name(name).spawn(body);
        self.threads.push(thread.map_err(EngineError::Start)?);
        Ok(())
    }

    /// Waits until it has drained.
    ///
    /// # Errors
    ///
    /// When one of its threads has failed.
    pub fn wait(self) -> Result<(), EngineError> {
        for thread in self.threads {
            // A panic was noted by the thread's own guard.
            let _ = thread.join();
        }
        if self.shared.has_failed() {
            Err(EngineError::Failed)
        } else {
            Ok(())
        }
    }
}

/// Tells the engine when its thread panics, so that the others do not serve on without it.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail();
        }
    }
}

/// A poll, and what ends its sleep.
///
/// # Errors
///
/// When the system has no descriptor left.
pub fn make_poll() -> io::Result<(Poll, Waker)> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    Ok((poll, waker))
}

/// The door of an engine that is asked through its handle alone.
#[derive(Clone, Copy, Debug)]
struct NoDoor;

impl Door for NoDoor {
    type Handoff = Infallible;
    type Client = Infallible;

    fn open(&mut self, nobody: Infallible, _: &Context) -> Infallible {
        nobody
    }
}

impl Client<NoDoor> for Infallible {
    fn register(&mut self, _: &Registry, _: Token) -> io::Result<()> {
        match *self {}
    }

    fn on_ready(&mut self, _: &Event, _: &mut Context, _: &mut NoDoor) -> Urgency {
        match *self {}
    }

    fn begin_drain(&mut self) {
        match *self {}
    }

    fn turn(&mut self, _: &mut Context, _: &mut NoDoor, _: &mut Budget) -> Next {
        match *self {}
    }

    fn flush(&mut self, _: &mut Context, _: &mut NoDoor) -> Next {
        match *self {}
    }

    fn due(&self, _: &Context, _: &NoDoor) -> Option<Instant> {
        match *self {}
    }

    fn on_due(&mut self) {
        match *self {}
    }

    fn close(self, _: &mut Context, _: &mut NoDoor) {
        match self {}
    }
}
