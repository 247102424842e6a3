//! Where a worker takes the requests of other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::mpsc::Sender;

use super::bell::Bell;
use super::call::Call;
use super::queue::QueueId;
use super::shared::Shared;

/// What is put there.
#[derive(Debug)]
pub(crate) enum Letter {
    /// A request.
    Call(Box<Call>),
    /// Its caller has given up a request that was put there before. The worker finds it in the
    /// queue with this id.
    ///
    /// Rejected: one flag for all requests. The worker then had to look at every call that it had.
    /// With 51,000 calls waiting and 1,400 others given up a second it hashed for a tenth of its
    /// time (Xeon, 2026-11; `cargo bench --bench machine -- 'given up'`).
    Abandoned(QueueId),
}

/// One worker's; the other end of the channel is the worker's own.
#[derive(Debug)]
pub(crate) struct Desk {
    letters: Sender<Letter>,
    /// Calls that the worker has, or is about to get.
    open: AtomicUsize,
    pub(crate) bell: Bell,
}

impl Desk {
    pub(crate) fn new(letters: Sender<Letter>) -> Desk {
        Desk {
            letters,
            open: AtomicUsize::new(0),
            bell: Bell::new(),
        }
    }

    pub(crate) fn open_calls(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Hands a letter in, to be followed by the [`bell`](Desk::bell); false when the worker has
    /// died.
    pub(crate) fn put(&self, letter: Letter) -> bool {
        self.letters.send(letter).is_ok()
    }
}

/// A call's place at a desk, and among the clients that a drain waits for: given back when it is
/// dropped, be it with a worker that fails.
#[derive(Debug)]
pub(crate) struct Seat {
    shared: Arc<Shared>,
    worker: usize,
}

impl Seat {
    pub(crate) fn take(shared: &Arc<Shared>, worker: usize) -> Seat {
        shared.client_comes();
        shared.desks[worker].open.fetch_add(1, Relaxed);
        Seat {
            shared: Arc::clone(shared),
            worker,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.desks[self.worker].open.fetch_sub(1, Relaxed);
        self.shared.client_goes();
    }
}
