//! What all threads of one server share: whether it drains, who is connected, what was counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};

use mio::Waker;

use super::admission::Admission;
use super::board::Board;
use super::counters::{Counters, Snapshot};

#[derive(Debug)]
pub(super) struct Service {
    draining: AtomicBool,
    /// A thread of the service ended before its time.
    failed: AtomicBool,
    pub(super) admission: Arc<Admission>,
    pub(super) board: Arc<Board>,
    acceptor: Waker,
    /// One set per worker, then the acceptor's.
    counters: Vec<Arc<Counters>>,
}

impl Service {
    pub(super) fn new(
        admission: Arc<Admission>,
        board: Arc<Board>,
        acceptor: Waker,
        counters: Vec<Arc<Counters>>,
    ) -> Service {
        Service {
            draining: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            admission,
            board,
            acceptor,
            counters,
        }
    }

    /// Begins the drain: the acceptor takes no more connections, the workers answer what they have.
    pub(super) fn drain(&self) {
        self.draining.store(true, Release);
        if let Err(error) = self.acceptor.wake() {
            tracing::error!(%error, "cannot wake the acceptor");
        }
        self.board.wake_all();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Acquire)
    }

    /// A thread ended before its time: the others drain, and the server says so at its end.
    pub(super) fn fail(&self) {
        self.failed.store(true, Release);
        self.drain();
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Acquire)
    }

    /// Whether no connection is open, with whichever worker.
    pub(super) fn is_empty(&self) -> bool {
        self.admission.open() == 0
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::merge(self.counters.iter().map(Arc::as_ref))
    }
}
