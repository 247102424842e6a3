//! A worker: one thread, one poll loop, its own clients.
//!
//! Each round of the loop polls, dispatches what is new, and then works for about one quantum on
//! the clients that have something to do, in the order of the [`Scheduler`]. Without work of its
//! own a worker helps another for a quantum; without any it spins for a moment, then parks in the
//! poll. Replies that took a search are written at the end of a round, or when there are [`WRITES`]
//! of them. What workers share is told of in [`Board`](super::board::Board) and [`Shared`]. It must
//! not know what a client's socket speaks.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token};
use powd_core::unstable::{SharedSearch, hash_blocks};
use powd_core::{Progress, Tally};
use slab::Slab;

use super::board::Offer;
use super::budget::seeds;
use super::bunch::Bunch;
use super::call::Call;
use super::client::{Client, Door, Drain, Next, Standing, Urgency};
use super::context::Context;
use super::desk::Letter;
use super::queue::{Queue, QueueId};
use super::scheduler::{Scheduler, Turn};
use super::shared::Shared;
use super::spin::{Gaps, Wait};

/// The waker's token; clients have those of their places in the slab.
pub(crate) const WAKER: Token = Token(usize::MAX);

/// Events taken in at once; more wait in the kernel for the next round.
const EVENTS: usize = 1024;

/// Sweeps come no more often than this, however short a timeout is.
const SWEEP_LEAST: Duration = Duration::from_millis(10);

/// How long the loop waits when its only searches wait for helpers to finish their last chunks.
const STALL: Duration = Duration::from_millis(1);

/// How long clients may take to hear that their requests are refused, when the time of a drain is
/// over.
const FAREWELL: Duration = Duration::from_millis(500);

/// Clients whose replies are written together.
const WRITES: usize = 16;

#[derive(Debug)]
pub(crate) struct Worker<D: Door> {
    context: Context,
    door: D,
    shared: Arc<Shared>,
    poll: Poll,
    handoffs: Receiver<D::Handoff>,
    letters: Receiver<Letter>,
    clients: Slab<Kind<D::Client>>,
    /// The key of each queue among the clients.
    queues: HashMap<QueueId, usize>,
    scheduler: Scheduler,
    /// When to look for clients whose time is over; none while there can be none.
    next_sweep: Option<Instant>,
    /// When the time of a drain is over: first for searches, then for farewells.
    drain_until: Option<Instant>,
    /// The worker that was helped last.
    helped: usize,
    gaps: Gaps,
    bunch: Bunch,
}

/// The two kinds of clients.
#[derive(Debug)]
enum Kind<C> {
    Socket(C),
    Calls(Queue),
}

impl<D: Door> Worker<D> {
    pub(crate) fn new(
        context: Context,
        door: D,
        shared: Arc<Shared>,
        poll: Poll,
        handoffs: Receiver<D::Handoff>,
        letters: Receiver<Letter>,
    ) -> Worker<D> {
        Worker {
            scheduler: Scheduler::new(context.portions.quantum()),
            helped: context.worker,
            context,
            door,
            shared,
            poll,
            handoffs,
            letters,
            clients: Slab::new(),
            queues: HashMap::new(),
            next_sweep: None,
            drain_until: None,
            gaps: Gaps::default(),
            bunch: Bunch::ALL,
        }
    }

    /// Runs until the engine has drained. An error means that polling itself failed.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        // From its first sleep on, not from its first wake-up: the first search must find help,
        // too.
        self.context.set_available(true);
        while !self.is_done() {
            self.wait(&mut events)?;
            self.context.counters.rounds.add(1);
            // Before anything is closed or opened: a token means the client it meant to the kernel.
            if self.dispatch(&events) {
                self.take_mail();
            }
            self.follow_drain();
            self.sweep();
            self.work();
        }
        self.context.set_available(false);
        for key in 0..self.clients.capacity() {
            self.close(key);
        }
        Ok(())
    }

    /// Polls: without waiting while there is work, else until there is something new.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let me = self.context.worker;
        let before = self.context.now;
        let has_work = self.scheduler.has_foreground() || self.scheduler.has_background();
        let timeout = if has_work {
            self.gaps.end(before, None);
            Some(Duration::ZERO)
        } else {
            let idle_from = Instant::now();
            self.count_work(idle_from - before);
            let is_free = !self.scheduler.has_stalled();
            if is_free && self.shared.board.has_offer(me) {
                // That is no gap. Who gave way after each quantum of help would leave its CPU to
                // any busy program there: 8 % of it were left beside one (Xeon, 2 CPUs, 2026-11).
                self.gaps.end(idle_from, None);
                Some(Duration::ZERO)
            } else {
                match is_free.then(|| self.gaps.wait(idle_from)) {
                    Some(Wait::Look) => Some(Duration::ZERO),
                    Some(Wait::GiveWay) => {
                        // A client on this CPU has the next request, and would have to interrupt
                        // (four connections at difficulty 3: 34,000 replies/s, 28,300 with neither
                        // side giving way; Zen 4, a virtual machine, 2026-11).
                        thread::yield_now();
                        Some(Duration::ZERO)
                    }
                    Some(Wait::Park) | None => {
                        self.shared.board.park(me);
                        if is_free && self.shared.board.has_offer(me) {
                            Some(Duration::ZERO)
                        } else {
                            self.poll_timeout(idle_from)
                        }
                    }
                }
            }
        };
        let polled = self.poll.poll(events, timeout);
        self.shared.board.unpark(me);
        self.context.now = Instant::now();
        if has_work {
            self.count_work(self.context.now - before);
        } else if !events.is_empty() {
            let mut events = events.iter().map(Event::token);
            let alone = events.next().filter(|_| events.next().is_none());
            self.gaps.end(self.context.now, alone);
            self.bunch = Bunch::new(self.gaps.has_awaited_one());
        }
        match polled {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            polled => polled,
        }
    }

    /// Counts a round that took `time`, in which the worker did not sleep. If it was mostly hashing
    /// it corrects the portions of work.
    fn count_work(&mut self, time: Duration) {
        self.context.counters.add_busy(time);
        let blocks = std::mem::take(&mut self.context.hashed_blocks);
        if blocks >= self.context.portions.quantum() / 2 {
            let portions = &mut self.context.portions;
            if portions.observe(blocks, time) {
                self.scheduler.set_quantum(portions.quantum());
                self.shared.set_rate(portions.rate());
            }
        }
    }

    /// How long the worker can sleep: until the next thing that time alone brings.
    fn poll_timeout(&self, now: Instant) -> Option<Duration> {
        let stall = self.scheduler.has_stalled().then_some(STALL);
        let at = [self.next_sweep, self.drain_until]
            .into_iter()
            .flatten()
            .min();
        let timer = at.map(|at| at.saturating_duration_since(now));
        [stall, timer].into_iter().flatten().min()
    }

    /// Tells each client what the poll says of it; says whether the waker was among it.
    fn dispatch(&mut self, events: &Events) -> bool {
        let mut woken = false;
        for event in events {
            let key = event.token().0;
            if event.token() == WAKER {
                woken = true;
            } else if let Some(Kind::Socket(client)) = self.clients.get_mut(key) {
                match client.on_ready(event, &mut self.context, &mut self.door) {
                    Urgency::Routine => self.scheduler.wake(key),
                    Urgency::Urgent => self.scheduler.interrupt(key),
                }
            }
        }
        woken
    }

    fn take_mail(&mut self) {
        self.shared.desks[self.context.worker].bell.hear();
        while let Ok(handoff) = self.handoffs.try_recv() {
            self.open_socket(handoff);
        }
        while let Ok(letter) = self.letters.try_recv() {
            match letter {
                Letter::Call(call) => self.open_call(call),
                Letter::Abandoned(queue) => {
                    if let Some(&key) = self.queues.get(&queue) {
                        self.refuse(key, Queue::on_abandoned);
                    }
                }
            }
        }
    }

    /// Calls `refuse` with the queue `key`; does nothing if that client is a socket. `refuse` ends
    /// calls, and says whether the first was among them: then the queue gets a new turn.
    fn refuse(&mut self, key: usize, refuse: fn(&mut Queue, &mut Context) -> bool) {
        if let Some(Kind::Calls(queue)) = self.clients.get_mut(key)
            && refuse(queue, &mut self.context)
        {
            self.scheduler.interrupt(key);
        }
    }

    fn open_socket(&mut self, handoff: D::Handoff) {
        self.gaps.on_arrival();
        let mut client = self.door.open(handoff, &self.context);
        if self.context.drain != Drain::Serving {
            client.begin_drain();
        }
        let entry = self.clients.vacant_entry();
        let key = entry.key();
        let registered = client.register(self.poll.registry(), Token(key));
        entry.insert(Kind::Socket(client));
        self.scheduler.insert(key);
        match registered {
            Ok(()) if self.context.drain == Drain::Serving => self.arm_sweep(key),
            Ok(()) => self.scheduler.wake(key),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be polled and was closed");
                self.close(key);
            }
        }
    }

    fn open_call(&mut self, call: Box<Call>) {
        let id = call.queue;
        let key = *self.queues.entry(id).or_insert_with(|| {
            let key = self.clients.insert(Kind::Calls(Queue::new(id)));
            self.scheduler.insert(key);
            key
        });
        if let Some(Kind::Calls(queue)) = self.clients.get_mut(key) {
            queue.push(call, &mut self.context);
        }
        self.scheduler.wake(key);
        self.arm_sweep(key);
    }

    /// Closes the client, if there is one.
    fn close(&mut self, key: usize) {
        match self.clients.try_remove(key) {
            None => return,
            Some(Kind::Socket(client)) => {
                client.close(&mut self.context, &mut self.door);
                self.context.counters.handoffs_closed.add(1);
                // The other workers may wait for the last client to go.
                self.shared.client_goes();
            }
            Some(Kind::Calls(mut queue)) => {
                self.queues.remove(&queue.id());
                queue.end(&mut self.context);
            }
        }
        self.scheduler.remove(key);
    }

    /// Works for about a quantum: for its own clients, for those of others, or for who has probably
    /// gone.
    fn work(&mut self) {
        if self.scheduler.has_foreground() || self.scheduler.has_stalled() {
            self.run_round();
        }
        let is_free = !self.scheduler.has_foreground() && !self.scheduler.has_stalled();
        self.context.set_available(is_free);
        if !is_free || self.help(Standing::Open) {
            return;
        }
        match self.scheduler.next_background() {
            Some(turn) => {
                self.give(turn);
                self.flush();
            }
            None => {
                self.help(Standing::Background);
            }
        }
    }

    fn run_round(&mut self) {
        self.scheduler.begin_round();
        while let Some(turn) = self.scheduler.next() {
            self.give(turn);
            if self.scheduler.unwritten().len() == WRITES {
                self.flush();
            }
        }
        self.flush();
    }

    /// Gives a client its turn.
    fn give(&mut self, Turn { key, mut budget }: Turn) {
        let next = match &mut self.clients[key] {
            Kind::Socket(client) => {
                budget = budget.for_requests(self.bunch.take());
                client.turn(&mut self.context, &mut self.door, &mut budget)
            }
            Kind::Calls(queue) => queue.turn(&mut self.context, &mut budget),
        };
        self.scheduler.charge(budget.spent());
        self.settle(key, next);
    }

    /// Ends the turns of those clients whose replies are still to be written.
    fn flush(&mut self) {
        for place in 0..self.scheduler.unwritten().len() {
            let key = self.scheduler.unwritten()[place];
            let next = match &mut self.clients[key] {
                Kind::Socket(client) => client.flush(&mut self.context, &mut self.door),
                Kind::Calls(queue) => queue.flush(),
            };
            self.settle(key, next);
        }
        self.scheduler.clear_unwritten();
    }

    fn settle(&mut self, key: usize, next: Next) {
        self.scheduler.settle(key, next);
        match next {
            Next::Close => self.close(key),
            Next::Flush => {}
            Next::Turn { .. } | Next::Soon | Next::Stalled(_) | Next::Event => self.arm_sweep(key),
        }
    }

    /// The next sweep is to come when time alone gives that client something to do.
    fn arm_sweep(&mut self, key: usize) {
        if let Some(due) = self.due(key) {
            let at = due.max(self.context.now + SWEEP_LEAST);
            self.next_sweep = Some(self.next_sweep.map_or(at, |next| next.min(at)));
        }
    }

    fn due(&self, key: usize) -> Option<Instant> {
        match self.clients.get(key)? {
            Kind::Socket(client) => client.due(&self.context, &self.door),
            Kind::Calls(queue) => queue.due(),
        }
    }

    /// Gives a turn to each client whose time has come. One pass over all of them when the first
    /// one may be due: cheaper than a timer for each, which every request would have to move.
    fn sweep(&mut self) {
        if self.next_sweep.is_none_or(|at| self.context.now < at) {
            return;
        }
        self.next_sweep = None;
        for key in 0..self.clients.capacity() {
            if self.due(key).is_some_and(|due| due <= self.context.now) {
                if let Some(Kind::Socket(client)) = self.clients.get_mut(key) {
                    client.on_due();
                    self.scheduler.interrupt(key);
                }
                self.refuse(key, Queue::refuse_late);
            }
            self.arm_sweep(key);
        }
    }

    /// Helps for a quantum with a search of another worker, or of a guest, if one of that standing
    /// is offered.
    fn help(&mut self, standing: Standing) -> bool {
        let Some(Offer { owner, search }) = self.shared.board.find(self.helped, standing) else {
            return false;
        };
        self.gaps.end(self.context.now, None);
        self.helped = owner;
        // One helper brings the next, as long as there is an offer.
        self.shared.board.wake_helper(self.context.worker);
        let (tally, progress) = share(&mut self.context, &search);
        let counters = &self.context.counters;
        if self.shared.board.is_guest(owner) {
            counters.guest_hashes.add(tally.hashes);
            if progress != Progress::Pending {
                // Who brought it does not search.
                self.context.wake_outpost();
            }
        } else {
            counters.help_hashes.add(tally.hashes);
            counters.help_quanta.add(1);
        }
        true
    }

    /// Takes in how far a drain has come.
    fn follow_drain(&mut self) {
        if !self.shared.is_draining() {
            return;
        }
        let now = self.context.now;
        match self.context.drain {
            Drain::Serving => {
                self.context.drain = Drain::Draining;
                self.drain_until = self.shared.drain_until(self.context.options.drain_timeout);
                for (key, client) in &mut self.clients {
                    if let Kind::Socket(client) = client {
                        client.begin_drain();
                    }
                    self.scheduler.wake(key);
                }
            }
            Drain::Draining if self.drain_until.is_some_and(|until| now >= until) => {
                self.context.drain = Drain::Expired;
                self.drain_until = Some(now + FAREWELL);
                for (key, _) in &self.clients {
                    self.scheduler.interrupt(key);
                }
            }
            Drain::Draining | Drain::Expired => {}
        }
    }

    /// Whether the engine has drained. While other workers still answer, this one helps them.
    fn is_done(&self) -> bool {
        let is_over = self
            .drain_until
            .is_some_and(|until| self.context.now >= until);
        self.shared.has_drained() || (self.context.drain == Drain::Expired && is_over)
    }
}

/// A worker that fails takes its clients with it: the others must not wait for their end. Calls
/// give their seats back themselves.
impl<D: Door> Drop for Worker<D> {
    fn drop(&mut self) {
        let is_socket = |(_, client): &(usize, &Kind<_>)| matches!(client, Kind::Socket(_));
        let here = self.clients.iter().filter(is_socket).count();
        for _ in 0..here + self.handoffs.try_iter().count() {
            self.shared.client_goes();
        }
    }
}

/// A quantum of help with a search of another worker or a guest.
fn share(context: &mut Context, search: &SharedSearch) -> (Tally, Progress) {
    let mut tally = Tally::default();
    let job = search.job();
    let blocks = hash_blocks(search.ring().length(), job.message.len());
    let budget = seeds(context.portions.quantum(), blocks).get();
    let mut share = search.join(&mut context.searcher);
    let mut progress = Progress::Pending;
    while progress == Progress::Pending && tally.hashes < budget {
        progress = share.work(&mut tally);
    }
    context.count(tally, job, blocks);
    (tally, progress)
}
