//! What a worker asks of those it works for, and what they ask of it.
//!
//! A *client* of a worker is a connection, or what one flow asks for from other threads. The worker
//! gives it turns; the client says after each turn what it needs next. A [`Door`] brings clients
//! that have sockets; what they speak is not known here.

use std::fmt::Debug;
use std::io;
use std::time::Instant;

use mio::event::Event;
use mio::{Registry, Token};
use powd_core::{Difficulty, Job, Progress};

use super::budget::Budget;
use super::context::Context;

/// Whether a search is for somebody who certainly waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its client is there.
    Open,
    /// Its client has ended its stream, and has probably gone: it gets the time that nobody else
    /// wants.
    Background,
}

/// Whom a client waits among for more time: those of the same standing whose searches take about as
/// long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Whether its client is there.
    pub standing: Standing,
    /// How long its search takes.
    pub work: Work,
}

/// The work of a search on average: the power of sixteen that its blocks come to, rounded down.
/// Requests with messages of one block have their difficulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Work(u8);

impl Work {
    /// All values are below this one: 16^64 hashes of up to 2^15 blocks.
    pub(crate) const COUNT: usize = 68;

    /// The work of a search for `difficulty` where each hash takes `blocks` (at least one, less
    /// than 2^16).
    pub fn new(difficulty: Difficulty, blocks: u64) -> Work {
        let bits = 4 * u32::from(difficulty.nibbles()) + blocks.max(1).ilog2().min(15);
        Work((bits / 4) as u8)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What a client needs after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More time for a search. With `resumes` it is still at the one that this turn was for, and
    /// keeps its place among the others; else it waits behind them.
    Turn {
        /// Whom it waits among.
        class: Class,
        /// Whether it keeps its place.
        resumes: bool,
    },
    /// A short turn, like one to whom something has happened: it only has to read or write.
    Soon,
    /// The end of its turn, by [`Client::flush`], with those of other clients.
    Flush,
    /// Another turn of its class, but not at once: helpers must finish first.
    Stalled(Class),
    /// A turn when its socket has news, or its time is over.
    Event,
    /// Nothing more: it is over.
    Close,
}

/// Whether what has happened to a client can wait for the turn that it has coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// More bytes, or room for some.
    Routine,
    /// It has ended its stream, or is lost: that changes what it may have.
    Urgent,
}

/// How far a drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// There is none: requests are taken and answered.
    Serving,
    /// What was received is answered, nothing more is taken.
    Draining,
    /// The time for it is over: what is still open is refused.
    Expired,
}

/// A worker's client that has a socket.
pub trait Client<D>: Debug + Sized {
    /// Registers its socket with the worker's poll, once.
    ///
    /// # Errors
    ///
    /// What the system says when it does not take one more.
    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()>;

    /// Takes in what the poll says of its socket.
    fn on_ready(&mut self, event: &Event, context: &mut Context, door: &mut D) -> Urgency;

    /// Takes in that a drain begins: only what has arrived by now is still answered.
    fn begin_drain(&mut self);

    /// A turn: reads, searches, writes. Takes what it used from `budget`.
    fn turn(&mut self, context: &mut Context, door: &mut D, budget: &mut Budget) -> Next;

    /// The end of a turn that said [`Next::Flush`]: writes what was answered.
    fn flush(&mut self, context: &mut Context, door: &mut D) -> Next;

    /// When it needs a turn even if nothing happens, if ever.
    fn due(&self, context: &Context, door: &D) -> Option<Instant>;

    /// That time has come. It tries once more what it waits for: that may have come since the last
    /// poll.
    fn on_due(&mut self);

    /// Gives back what was lent to it, and cancels its search.
    fn close(self, context: &mut Context, door: &mut D);
}

/// The side of a worker that has sockets: what its clients share, and how they are made. Each
/// worker has its own.
pub trait Door: Send + 'static {
    /// What the door's own thread sends for a new client.
    type Handoff: Send + 'static;
    /// A client.
    type Client: Client<Self>
    where
        Self: Sized;

    /// A new client.
    fn open(&mut self, handoff: Self::Handoff, context: &Context) -> Self::Client
    where
        Self: Sized;
}

/// What a client has of its worker during a turn: the search. [`Context`] is one; a simulation has
/// another.
pub trait Host {
    /// A search that is under way.
    type Task: Debug;

    /// The time of this round.
    fn now(&self) -> Instant;

    /// How far a drain has come.
    fn drain(&self) -> Drain;

    /// The work of a search for a message of `bytes`.
    fn work(&self, difficulty: Difficulty, bytes: usize) -> Work;

    /// Whether a search of that kind is so long that helpers are woken for it: it is not begun in a
    /// short turn.
    fn is_hard(&self, difficulty: Difficulty, bytes: usize) -> bool;

    /// Whether to find a reply takes longer than to write it.
    fn outlasts_a_write(&self, difficulty: Difficulty) -> bool;

    /// Takes the cost of a turn's read and write from `budget`.
    fn charge_turn(&self, budget: &mut Budget);

    /// A search for a message of `bytes`, not yet begun.
    fn begin(&mut self, bytes: usize) -> Self::Task;

    /// Works on it for about `budget`, from which what was used is taken. `job` is the same at each
    /// call.
    fn advance(&mut self, task: &mut Self::Task, job: Job<'_>, budget: &mut Budget) -> Progress;

    /// Takes it off the board: no further helper finds it until it is worked on again.
    fn withdraw(&mut self, task: &Self::Task);

    /// Lets no core go on with it for now. What helpers have done is lost.
    fn pause(&mut self, task: &mut Self::Task);

    /// Ends it, on every core: its client is gone, or has waited long enough.
    fn cancel(&mut self, task: Self::Task, why: Cancel);
}

/// Why a search ends without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// Its client is gone, or does not want it any more.
    Abandoned,
    /// Its client got an error in place of an answer.
    Refused,
}
