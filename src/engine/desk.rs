//! Where a worker takes the requests of other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::mpsc::Sender;

use super::bell::Bell;
use super::call::Call;
use super::shared::Shared;

/// One worker's; the other end of the channel is the worker's own.
#[derive(Debug)]
pub(crate) struct Desk {
    calls: Sender<Box<Call>>,
    /// Calls that the worker has, or is about to get.
    open: AtomicUsize,
    pub(crate) bell: Bell,
    /// Somebody does not wait for an answer any more.
    has_abandoned: AtomicBool,
}

impl Desk {
    pub(crate) fn new(calls: Sender<Box<Call>>) -> Desk {
        Desk {
            calls,
            open: AtomicUsize::new(0),
            bell: Bell::new(),
            has_abandoned: AtomicBool::new(false),
        }
    }

    pub(crate) fn open_calls(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Hands a call in, to be followed by the [`bell`](Desk::bell); false when the worker has died.
    pub(crate) fn put(&self, call: Box<Call>) -> bool {
        self.calls.send(call).is_ok()
    }

    /// Notes that somebody does not wait any more; to be followed by the [`bell`](Desk::bell).
    pub(crate) fn abandon(&self) {
        self.has_abandoned.store(true, Release);
    }

    /// Whether somebody has abandoned a call since this was asked last.
    pub(crate) fn take_abandoned(&self) -> bool {
        self.has_abandoned.load(Relaxed) && self.has_abandoned.swap(false, Acquire)
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
