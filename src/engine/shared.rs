//! What all threads of one engine share: whether it drains, how many clients are open, what was
//! counted.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use super::board::Board;
use super::budget::Portions;
use super::counters::{Counters, Totals};
use super::desk::Desk;
use super::long_searches::LongSearches;
use super::outpost::Outpost;

/// Wakes the thread of a door.
type OnDrain = Box<dyn Fn() + Send + Sync>;

pub(crate) struct Shared {
    /// A drain comes soon.
    is_announced: AtomicBool,
    draining: AtomicBool,
    /// When the drain began, known before it is.
    drain_began: OnceLock<Instant>,
    /// A thread of the engine or of a door ended before its time.
    failed: AtomicBool,
    /// Doors through which clients can still come.
    open_doors: AtomicUsize,
    /// What a worker has compressed per second, in whole blocks.
    rate: AtomicU64,
    /// Clients that are open, or on their way to a worker.
    clients: CachePadded<AtomicUsize>,
    pub(crate) board: Arc<Board>,
    /// One set for each worker.
    pub(crate) counters: Box<[Arc<Counters>]>,
    /// What each worker is at.
    pub(crate) long_searches: Box<[Arc<LongSearches>]>,
    /// Where each worker takes requests of other threads.
    pub(crate) desks: Box<[CachePadded<Desk>]>,
    /// Set at most once: the way to other engines.
    pub(crate) outpost: Arc<OnceLock<Arc<dyn Outpost>>>,
    /// Told when a drain begins.
    on_drain: Mutex<Vec<OnDrain>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("draining", &self.draining)
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(
        board: Arc<Board>,
        counters: Box<[Arc<Counters>]>,
        long_searches: Box<[Arc<LongSearches>]>,
        desks: Box<[CachePadded<Desk>]>,
        rate: f64,
    ) -> Shared {
        Shared {
            rate: AtomicU64::new(rate as u64),
            is_announced: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            drain_began: OnceLock::new(),
            failed: AtomicBool::new(false),
            open_doors: AtomicUsize::new(0),
            clients: CachePadded::default(),
            board,
            counters,
            long_searches,
            desks,
            outpost: Arc::default(),
            on_drain: Mutex::new(Vec::new()),
        }
    }

    /// Begins the drain: the doors take no more clients, the workers answer what they have.
    pub(crate) fn drain(&self) {
        self.drain_began.get_or_init(Instant::now);
        self.draining.store(true, SeqCst);
        for tell in self
            .on_drain
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            tell();
        }
        self.board.wake_all();
    }

    /// Wakes a worker for what was put on its desk, unless it was woken for something else there
    /// already.
    pub(crate) fn ring(&self, worker: usize) {
        if self.desks[worker].bell.ring() {
            self.board.wake(worker);
        }
    }

    /// Leaves it to [`ring_if_due`](Shared::ring_if_due) to wake a worker for what was put on its
    /// desk.
    pub(crate) fn ring_later(&self, worker: usize) {
        self.desks[worker].bell.leave();
    }

    /// Wakes a worker for what was left on its desk, unless somebody has.
    pub(crate) fn ring_if_due(&self, worker: usize) {
        if self.desks[worker].bell.ring_if_due() {
            self.board.wake(worker);
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Acquire)
    }

    /// When the time of the drain is over, where it takes up to `timeout`; none before it begins.
    /// All threads go by this, however late each of them sees it: what one refuses at its end
    /// another has to send.
    pub(crate) fn drain_until(&self, timeout: Duration) -> Option<Instant> {
        self.drain_began.get()?.checked_add(timeout)
    }

    pub(crate) fn announce_drain(&self) {
        self.is_announced.store(true, Release);
    }

    pub(crate) fn is_ready(&self) -> bool {
        !self.is_announced.load(Acquire) && !self.is_draining()
    }

    /// A thread ended before its time: the others drain, and the engine says so at its end.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Release);
        self.drain();
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Acquire)
    }

    /// Whether a client that comes now is turned away: a drain has begun, and no door is open any
    /// more.
    pub(crate) fn is_closed(&self) -> bool {
        self.draining.load(SeqCst) && self.open_doors.load(SeqCst) == 0
    }

    /// Whether nobody is left to answer, and nobody comes any more.
    pub(crate) fn has_drained(&self) -> bool {
        self.is_closed() && self.clients.load(SeqCst) == 0
    }

    /// A client is on its way to a worker.
    pub(crate) fn client_comes(&self) {
        self.clients.fetch_add(1, SeqCst);
    }

    /// A client has gone. The last one of a drain wakes the workers, which wait for it.
    pub(crate) fn client_goes(&self) {
        let last = self.clients.fetch_sub(1, SeqCst) == 1;
        if last && self.is_closed() {
            self.board.wake_all();
        }
    }

    /// A worker has seen that it compresses `rate` blocks per second.
    pub(crate) fn set_rate(&self, rate: f64) {
        self.rate.store(rate as u64, Relaxed);
    }

    /// The portions of a worker, as one of them has seen its rate last.
    pub(crate) fn portions(&self) -> Portions {
        Portions::new(self.rate.load(Relaxed) as f64)
    }

    pub(crate) fn totals(&self) -> Totals {
        Totals::of(self.counters.iter().map(Arc::as_ref))
    }

    /// Opens a door; `on_drain` is called when a drain begins.
    pub(crate) fn open_door(self: &Arc<Self>, on_drain: impl Fn() + Send + Sync + 'static) -> Pass {
        self.open_doors.fetch_add(1, SeqCst);
        self.on_drain
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(on_drain));
        Pass(Arc::clone(self))
    }
}

/// Held by a door for as long as clients can come through it: a drain does not end before.
#[derive(Debug)]
pub struct Pass(Arc<Shared>);

impl Pass {
    /// Whether a drain has begun: the door lets in what has come so far, then closes.
    pub fn is_draining(&self) -> bool {
        self.0.is_draining()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        // A door that is lost is not closed in good order.
        if std::thread::panicking() {
            self.0.fail();
        }
        self.0.open_doors.fetch_sub(1, SeqCst);
        self.0.board.wake_all();
    }
}
