//! What is known of the client of one connection: when bytes last moved, whether it is powd that it
//! waits for, and how much it may have under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};

use super::socket::Socket;
use crate::engine::Flow;
use crate::problem::{Code, Problem};

/// How often a request that takes long looks at most whether its client is still there.
const WATCH: Duration = Duration::from_millis(100);

/// Bytes that the batches of one connection have under way, about: enough for all workers, and
/// little beside what a client could send.
const UNDER_WAY: usize = 1 << 20;

/// The client of one connection. Its requests share it.
#[derive(Debug)]
pub(super) struct Peer {
    socket: Socket,
    flow: Flow,
    opened: Instant,
    /// Milliseconds from the opening to when something last moved.
    moved: AtomicU64,
    /// Requests that wait for a search.
    busy: AtomicUsize,
    /// Batches that are being answered.
    batches: AtomicUsize,
}

/// For as long as it lives, it is powd that the client waits for.
#[derive(Debug)]
pub(super) struct Busy(Arc<Peer>);

/// The share of one batch in what its connection may have under way. All have the same: no client
/// of a connection that many use, as those of proxies are, waits for another one. What a batch has
/// when others come it keeps, so 256 of them together can have six times as much
/// (1 + 1/2 + 1/3 and so on), and a message more each.
#[derive(Debug)]
pub(super) struct Share(Arc<Peer>);

impl Share {
    /// In bytes.
    pub(super) fn bytes(&self) -> usize {
        UNDER_WAY / self.0.batches.load(Relaxed).max(1)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.batches.fetch_sub(1, Relaxed);
    }
}

impl Peer {
    pub(super) fn new(socket: Socket) -> Arc<Peer> {
        Arc::new(Peer {
            socket,
            flow: Flow::new(),
            opened: Instant::now(),
            moved: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            batches: AtomicUsize::new(0),
        })
    }

    /// Whose share of the workers its requests have.
    pub(super) fn flow(&self) -> Flow {
        self.flow
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

    /// One more batch.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        self.batches.fetch_add(1, Relaxed);
        Share(Arc::clone(self))
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
    ///
    /// What has come and is not read would be told of again and again: hence the pause. Where
    /// nothing comes nobody wakes up.
    pub(super) async fn gone(&self) {
        loop {
            tokio::time::sleep(WATCH).await;
            match self.socket.readable().await {
                Ok(false) => {}
                Ok(true) | Err(_) => return,
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
