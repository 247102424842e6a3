//! What is known of the client of one connection: when bytes last moved, and whether it is powd
//! that it waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};

use super::socket::Socket;
use crate::problem::{Code, Problem};

/// How often a request that takes long looks whether its client is still there.
const WATCH: Duration = Duration::from_millis(100);

/// The client of one connection. Its requests share it.
#[derive(Debug)]
pub(super) struct Peer {
    socket: Socket,
    opened: Instant,
    /// Milliseconds from the opening to when something last moved.
    moved: AtomicU64,
    /// Requests that wait for a search.
    busy: AtomicUsize,
}

/// For as long as it lives, it is powd that the client waits for.
#[derive(Debug)]
pub(super) struct Busy(Arc<Peer>);

impl Peer {
    pub(super) fn new(socket: Socket) -> Arc<Peer> {
        Arc::new(Peer {
            socket,
            opened: Instant::now(),
            moved: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
        })
    }

    /// Notes that something has moved.
    pub(super) fn touch(&self) {
        let now = self.opened.elapsed().as_millis() as u64;
        // Of two threads at once the later moment counts.
        self.moved.fetch_max(now, Relaxed);
    }

    /// The client waits for powd from now on.
    pub(super) fn wait(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Relaxed);
        Busy(Arc::clone(self))
    }

    /// When the connection counts as idle, unless something moves.
    pub(super) fn idle_at(&self, timeout: Duration) -> Instant {
        // Whoever sees that the last wait is over sees when it was over.
        let from = match self.busy.load(Acquire) {
            0 => self.opened + Duration::from_millis(self.moved.load(Relaxed)),
            _ => Instant::now(),
        };
        from + timeout
    }

    /// What powd does for the client while that waits for it, unless the client goes: then it is
    /// dropped.
    pub(super) async fn waits_for<T>(
        self: &Arc<Self>,
        work: impl Future<Output = T>,
    ) -> Result<T, Problem> {
        let _busy = self.wait();
        tokio::select! {
            biased;
            outcome = work => Ok(outcome),
            () = self.gone() => Err(Problem::new(Code::Gone, "the client has gone")),
        }
    }

    /// Ends when the client has gone. HTTP/1.1 alone does not see that while another request waits
    /// behind this one.
    pub(super) async fn gone(&self) {
        loop {
            tokio::time::sleep(WATCH).await;
            if self.socket.has_ended() {
                return;
            }
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.touch();
        self.0.busy.fetch_sub(1, Release);
    }
}
