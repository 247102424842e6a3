//! A worker: one thread, one poll loop, its own connections.
//!
//! Each round of the loop polls, takes in what is new, and then works for about one slice on the
//! connections that have something to do, in the order of the [`Queue`]. Without work of its own a worker
//! helps another for a slice; without any it sleeps in the poll. Replies that took a search are written at the
//! end of a round, or when there are [`WRITES`] of them. What workers share is told of in
//! [`Board`](super::board::Board) and [`Service`].

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::admission::Permit;
use super::board::Offer;
use super::connection::{Connection, Next};
use super::kit::Kit;
use super::pace::seeds;
use super::queue::{Queue, Turn};
use super::service::Service;
use powd_core::unstable::{SharedSearch, blocks};
use powd_core::{Difficulty, Progress, Tally};

/// The waker's token; connections have those of their places in the slab.
pub(super) const WAKER: Token = Token(usize::MAX);

/// Events taken in at once; more wait in the kernel for the next round.
const EVENTS: usize = 1024;

/// Sweeps come no more often than this, however short a timeout is, and at least this often.
const SWEEP_LEAST: Duration = Duration::from_millis(10);
const SWEEP_MOST: Duration = Duration::from_secs(10);

/// How long the loop waits when its only searches wait for helpers to finish their last chunks.
const STALL: Duration = Duration::from_millis(1);

/// How long a worker looks for more before it sleeps, when it has helped or has written replies that took a
/// search. A client with one hard request at a time sends the next one within this time; to be woken for it
/// takes as long (one connection at difficulty 3: 8,000 replies/s, 5,500 without; Zen 4, a virtual machine,
/// 2026-11).
const LOITER: Duration = Duration::from_micros(100);

/// Connections whose replies are written together.
const WRITES: usize = 16;

/// A connection on its way from the acceptor to a worker.
#[derive(Debug)]
pub(super) struct Handoff {
    pub(super) stream: mio::net::TcpStream,
    pub(super) difficulty: Difficulty,
    pub(super) permit: Permit,
}

#[derive(Debug)]
pub(super) struct Worker {
    kit: Kit,
    service: Arc<Service>,
    poll: Poll,
    mailbox: Receiver<Handoff>,
    mailbox_closed: bool,
    connections: Slab<Connection>,
    queue: Queue,
    /// Connections that can only wait for helpers.
    stalled: Vec<usize>,
    /// Those whose replies are still to be written in this round.
    unwritten: Vec<usize>,
    /// When to look for connections whose time is over; none while there can be none.
    next_sweep: Option<Instant>,
    /// When a drain must be over.
    drain_until: Option<Instant>,
    /// The worker that was helped last.
    helped: usize,
    /// Until when it looks for more to do before it sleeps.
    loiter_until: Option<Instant>,
}

impl Worker {
    pub(super) fn new(
        kit: Kit,
        service: Arc<Service>,
        poll: Poll,
        mailbox: Receiver<Handoff>,
    ) -> Worker {
        Worker {
            queue: Queue::new(kit.pace.slice),
            helped: kit.worker,
            kit,
            service,
            poll,
            mailbox,
            mailbox_closed: false,
            connections: Slab::new(),
            stalled: Vec::new(),
            unwritten: Vec::with_capacity(WRITES),
            next_sweep: None,
            drain_until: None,
            loiter_until: None,
        }
    }

    /// Runs until the service has drained. An error means that polling itself failed.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        // From its first sleep on, not from its first wake-up: the first search must find help, too.
        self.kit.set_available(true);
        while !self.is_done() {
            self.wait(&mut events)?;
            self.kit.now = Instant::now();
            // Before anything is closed or opened: a token means the connection it meant to the kernel.
            let news = self.take_in(&events);
            if news {
                self.take_mail();
            }
            if self.service.is_draining() && !self.kit.draining {
                self.begin_drain();
            }
            self.sweep();
            self.work_slice();
            let is_free = self.queue.is_empty() && self.stalled.is_empty();
            self.kit.set_available(is_free);
            if is_free {
                self.help_slice();
            }
        }
        self.kit.set_available(false);
        for connection in self.connections.drain() {
            connection.close(&mut self.kit);
        }
        // The others may have waited for the last connection to close.
        self.kit.board.wake_all();
        Ok(())
    }

    /// Polls: without waiting while there is work, else until there is news.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let me = self.kit.worker;
        let timeout = if !self.queue.is_empty() {
            Some(Duration::ZERO)
        } else if self.loiters() {
            thread::yield_now();
            Some(Duration::ZERO)
        } else {
            self.loiter_until = None;
            self.kit.board.fall_asleep(me);
            let has_offer = self.stalled.is_empty() && self.kit.board.find(self.helped).is_some();
            if has_offer {
                Some(Duration::ZERO)
            } else {
                self.patience()
            }
        };
        let polled = self.poll.poll(events, timeout);
        self.kit.board.wake_up(me);
        match polled {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            polled => polled,
        }
    }

    /// Whether it waits awake. It gives way then to whoever else wants its CPU: a client there has the next
    /// request, and would have to interrupt it (four connections at difficulty 3: 34,000 replies/s, 28,300
    /// with neither side giving way; Zen 4, a virtual machine, 2026-11).
    fn loiters(&self) -> bool {
        self.stalled.is_empty() && self.loiter_until.is_some_and(|until| self.kit.now < until)
    }

    /// How long the worker can sleep: until the next thing that time alone brings.
    fn patience(&self) -> Option<Duration> {
        let stall = (!self.stalled.is_empty()).then_some(STALL);
        let at = [self.next_sweep, self.drain_until]
            .into_iter()
            .flatten()
            .min();
        let timer = at.map(|at| at.saturating_duration_since(Instant::now()));
        [stall, timer].into_iter().flatten().min()
    }

    /// Notes what the poll says of each connection; says whether the waker was among it.
    fn take_in(&mut self, events: &Events) -> bool {
        let mut news = false;
        for event in events {
            if event.token() == WAKER {
                news = true;
            } else if let Some(connection) = self.connections.get_mut(event.token().0) {
                connection.notice(event, &mut self.kit);
                enqueue(&mut self.queue, event.token().0, connection);
            }
        }
        news
    }

    fn take_mail(&mut self) {
        loop {
            match self.mailbox.try_recv() {
                Ok(handoff) => self.open(handoff),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.mailbox_closed = true;
                    return;
                }
            }
        }
    }

    fn open(&mut self, handoff: Handoff) {
        let Handoff {
            stream,
            difficulty,
            permit,
        } = handoff;
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        let connection = entry.insert(Connection::new(stream, difficulty, permit, self.kit.now));
        self.kit.counters.connections_opened.add(1);
        // Both for the whole life of the connection: edges cost nothing, changes of interest cost a call.
        let interest = Interest::READABLE | Interest::WRITABLE;
        // Urgent data cuts reads short. Other systems' polls do not tell of it; there the next packet has to come.
        #[cfg(target_os = "linux")]
        let interest = interest | Interest::PRIORITY;
        let registered = self
            .poll
            .registry()
            .register(connection.stream(), Token(key), interest);
        if let Err(error) = registered {
            tracing::warn!(%error, "a connection could not be polled and was closed");
            self.close(key);
        } else if self.kit.draining {
            connection.begin_drain();
            enqueue(&mut self.queue, key, connection);
        } else if let Some(timeout) = connection.timeout(&self.kit) {
            self.arm_sweep(timeout);
        }
    }

    fn close(&mut self, key: usize) {
        self.connections.remove(key).close(&mut self.kit);
    }

    /// Gives turns for about one slice.
    fn work_slice(&mut self) {
        for key in self.stalled.drain(..) {
            self.queue.goes_on(key);
        }
        self.queue.begin_round();
        while let Some(Turn { key, budget }) = self.queue.next() {
            let mut left = budget;
            let next = self.connections[key].turn(&mut self.kit, &mut left);
            self.queue.charge(budget - left);
            self.arrange(key, next);
            if self.unwritten.len() == WRITES {
                self.write();
            }
        }
        self.write();
    }

    /// Ends the turns of those connections whose replies are still to be written.
    fn write(&mut self) {
        if !self.unwritten.is_empty() {
            self.loiter_until = Some(Instant::now() + LOITER);
        }
        for place in 0..self.unwritten.len() {
            let key = self.unwritten[place];
            let next = self.connections[key].write(&mut self.kit);
            self.arrange(key, next);
        }
        self.unwritten.clear();
    }

    /// Has a connection get what it needs.
    fn arrange(&mut self, key: usize, next: Next) {
        let connection = &mut self.connections[key];
        connection.queued = !matches!(next, Next::Event);
        let timeout = connection.timeout(&self.kit);
        match next {
            Next::Turn => self.queue.goes_on(key),
            Next::Write => self.unwritten.push(key),
            Next::Later => self.stalled.push(key),
            Next::Event => {
                if let Some(timeout) = timeout {
                    self.arm_sweep(timeout);
                }
            }
            Next::Close => self.close(key),
        }
    }

    /// Has the next sweep come early enough for a timeout of `timeout` to be late by a quarter at most.
    fn arm_sweep(&mut self, timeout: Duration) {
        let at = self.kit.now + (timeout / 4).clamp(SWEEP_LEAST, SWEEP_MOST);
        self.next_sweep = Some(self.next_sweep.map_or(at, |next| next.min(at)));
    }

    /// Gives a turn to each connection whose time is over. One pass over all of them a few times per
    /// timeout: cheaper than a timer for each, which every request would have to move.
    fn sweep(&mut self) {
        if self.next_sweep.is_none_or(|at| self.kit.now < at) {
            return;
        }
        self.next_sweep = None;
        let mut shortest: Option<Duration> = None;
        for (key, connection) in &mut self.connections {
            shortest = [shortest, connection.timeout(&self.kit)]
                .into_iter()
                .flatten()
                .min();
            if connection.is_overdue(&self.kit) {
                connection.try_again();
                enqueue(&mut self.queue, key, connection);
            }
        }
        if let Some(timeout) = shortest {
            self.arm_sweep(timeout);
        }
    }

    /// Helps one slice with a search of another worker, if one is offered.
    fn help_slice(&mut self) {
        if let Some(Offer { owner, search }) = self.kit.board.find(self.helped) {
            self.helped = owner;
            // One helper brings the next, as long as there is an offer.
            self.kit.board.wake_helper(self.kit.worker);
            let tally = help(&mut self.kit, &search);
            self.kit.count(tally, search.job());
            let counters = &self.kit.counters;
            counters.help_hashes.add(tally.hashes);
            counters.help_slices.add(1);
            self.loiter_until = Some(Instant::now() + LOITER);
        }
    }

    fn begin_drain(&mut self) {
        self.kit.draining = true;
        self.drain_until = Some(self.kit.now + self.kit.options.limits.drain_timeout);
        for (key, connection) in &mut self.connections {
            connection.begin_drain();
            enqueue(&mut self.queue, key, connection);
        }
    }

    /// Whether the service has drained. While other workers still answer, this one helps them.
    fn is_done(&self) -> bool {
        let too_late = self.drain_until.is_some_and(|until| self.kit.now >= until);
        let drained = self.mailbox_closed && self.connections.is_empty() && self.service.is_empty();
        self.kit.draining && (drained || too_late)
    }
}

/// Gives a connection a place in the queue, unless it has one.
fn enqueue(queue: &mut Queue, key: usize, connection: &mut Connection) {
    if !std::mem::replace(&mut connection.queued, true) {
        queue.has_news(key);
    }
}

fn help(kit: &mut Kit, search: &SharedSearch) -> Tally {
    let mut tally = Tally::default();
    let length = search.ring().length().get() + search.job().message.len();
    let budget = seeds(kit.pace.slice, blocks(length) as u64);
    let mut share = search.join(&mut kit.searcher);
    while share.work(&mut tally) == Progress::Pending && tally.hashes < budget.get() {}
    tally
}
