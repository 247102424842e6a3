//! The acceptor: one thread that takes connections from all listeners and hands each to a worker
//! with the fewest: among equals to the one on the CPU that its packets come in on, or else in
//! turn.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Source as _;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::arrivals::{Arrival, Arrivals, Outcome};
use super::counters::Counters;
use super::door::{Handoff, LineDoor};
use super::listener::Listener;
use crate::admission::{Admission, Refusal};
use crate::engine::{Mailbox, Pass, WAKER, least_loaded};
use crate::protocol::ErrorLine;
use crate::sockets::{self, AcceptFailure, Accepting, BACKLOG, PAUSE, Proxies, Seldom, Stream};
use powd_core::Difficulty;

/// Connections taken from one listener before the next has its turn.
const BATCH: usize = 64;

#[derive(Debug)]
pub(crate) struct Acceptor {
    poll: Poll,
    listeners: Vec<PolledListener>,
    arrivals: Arrivals,
    mailboxes: Vec<Mailbox<LineDoor>>,
    admission: Arc<Admission>,
    /// Held while it takes connections: a drain waits for that.
    pass: Pass,
    counters: Arc<Counters>,
    next_worker: usize,
    paused_until: Option<Instant>,
    /// Why accepting paused, in the log.
    told_of_pause: Seldom,
    /// That a header is missing, in the log.
    told_of_header: Seldom,
}

/// A listener in the poll.
#[derive(Debug)]
struct PolledListener {
    socket: sockets::Listener,
    difficulty: Difficulty,
    /// It may have connections waiting.
    ready: bool,
    accepting: Accepting,
}

impl Acceptor {
    pub(crate) fn new(
        poll: Poll,
        listeners: Vec<Listener>,
        proxies: Proxies,
        mailboxes: Vec<Mailbox<LineDoor>>,
        admission: Arc<Admission>,
        pass: Pass,
        counters: Arc<Counters>,
    ) -> io::Result<Acceptor> {
        let mut polled = Vec::with_capacity(listeners.len());
        for (token, Listener { socket, difficulty }) in listeners.into_iter().enumerate() {
            let registry = poll.registry();
            SourceFd(&socket.as_raw_fd()).register(registry, Token(token), Interest::READABLE)?;
            polled.push(PolledListener {
                socket,
                difficulty,
                ready: true,
                accepting: Accepting::default(),
            });
        }
        Ok(Acceptor {
            poll,
            arrivals: Arrivals::new(proxies, polled.len()),
            listeners: polled,
            mailboxes,
            admission,
            pass,
            counters,
            next_worker: 0,
            paused_until: None,
            told_of_pause: Seldom::default(),
            told_of_header: Seldom::default(),
        })
    }

    /// Accepts until the service drains, then once more what the kernel has already taken: closing
    /// a listener would reset those clients.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(64);
        while !self.pass.is_draining() {
            self.wait(&mut events)?;
            for event in &events {
                let token = event.token();
                if token == WAKER {
                    continue;
                }
                match self.listeners.get_mut(token.0) {
                    Some(listener) => listener.ready = true,
                    None => {
                        let outcome = self.arrivals.on_ready(event, self.poll.registry());
                        self.settle(outcome);
                    }
                }
            }
            self.end_waiting();
            self.accept_batches();
        }
        self.paused_until = None;
        for listener in &mut self.listeners {
            // Who waits on one that was handed over is served by the next process that gets it.
            listener.ready = !listener.socket.is_inherited();
        }
        // No more than can have waited: clients that keep coming must not keep the service alive.
        for _ in 0..BACKLOG as usize / BATCH {
            self.accept_batches();
        }
        while let Some(outcome) = self.arrivals.give_up(self.poll.registry()) {
            self.settle(outcome);
        }
        self.wake_workers();
        Ok(())
    }

    /// Ends the waiting of those who have waited long enough.
    fn end_waiting(&mut self) {
        if self.arrivals.due().is_none() {
            return;
        }
        let now = Instant::now();
        while let Some(outcome) = self.arrivals.expire(now, self.poll.registry()) {
            self.settle(outcome);
        }
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = if let Some(until) = self.paused_until {
            Some(until.saturating_duration_since(Instant::now()))
        } else if self.listeners.iter().any(|listener| listener.ready) {
            Some(Duration::ZERO)
        } else {
            let due = self.arrivals.due();
            due.map(|due| due.saturating_duration_since(Instant::now()))
        };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            polled => polled?,
        }
        // Not whenever the poll returns: each client that comes during a pause has it do that.
        self.paused_until = self.paused_until.filter(|until| *until > Instant::now());
        Ok(())
    }

    fn accept_batches(&mut self) {
        for listener in 0..self.listeners.len() {
            self.accept_batch(listener);
        }
        self.wake_workers();
    }

    /// One wake for each worker with mail, however much it got.
    fn wake_workers(&mut self) {
        self.mailboxes.iter_mut().for_each(Mailbox::wake);
    }

    /// Accepts from one listener until a batch is full, none is waiting, or accepting has to pause.
    fn accept_batch(&mut self, listener: usize) {
        for _ in 0..BATCH {
            let listener = &mut self.listeners[listener];
            if self.paused_until.is_some() || !listener.ready {
                return;
            }
            let error = match listener.socket.accept() {
                Ok((stream, origin)) => {
                    listener.accepting.succeeded();
                    let arrival = Arrival {
                        stream,
                        origin,
                        difficulty: listener.difficulty,
                    };
                    let outcome = self.arrivals.take(arrival, self.poll.registry());
                    self.settle(outcome);
                    continue;
                }
                Err(error) => error,
            };
            match listener.accepting.failed(&error) {
                AcceptFailure::NoneWaiting => listener.ready = false,
                AcceptFailure::OneConnection => {}
                AcceptFailure::All => self.pause(&error),
            }
        }
    }

    fn pause(&mut self, error: &io::Error) {
        self.paused_until = Some(Instant::now() + PAUSE);
        self.counters.accept_pauses.add(1);
        if self.told_of_pause.is_due() {
            tracing::warn!(%error, "cannot accept connections, trying until it works");
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Known(arrival) => self.admit(arrival),
            Outcome::Nothing => {}
            Outcome::Broken(proxy) => {
                self.counters.refused_header.add(1);
                if self.told_of_header.is_due() {
                    tracing::warn!("{}", sockets::missing_header(proxy));
                }
            }
            Outcome::Crowded => self.counters.refused_header.add(1),
        }
    }

    fn admit(&mut self, arrival: Arrival) {
        let Arrival {
            stream,
            origin,
            difficulty,
        } = arrival;
        let permit = match self.admission.admit(origin) {
            Ok(permit) => permit,
            Err(refusal) => return self.refuse(stream, refusal),
        };
        let near = self.worker_near(&stream);
        let handoff = Handoff {
            stream,
            difficulty,
            permit,
        };
        let clients = |worker: usize| self.mailboxes[worker].clients();
        let first = near.unwrap_or(self.next_worker);
        let worker = least_loaded(self.mailboxes.len(), first, clients);
        self.mailboxes[worker].put(handoff);
        self.next_worker = (worker + 1) % self.mailboxes.len();
    }

    /// The worker on the CPU that takes in what this client sends: no other CPU has to be woken for
    /// it (four connections from the same machine at difficulty 0, two CPUs: 1.4 times the
    /// replies/s; Xeon, a virtual machine, 2026-11).
    fn worker_near(&self, stream: &Stream) -> Option<usize> {
        let cpu = stream.incoming_cpu()?;
        let mut mailboxes = self.mailboxes.iter();
        mailboxes.position(|mailbox| mailbox.cpu() == Some(cpu))
    }

    /// Says why, without waiting for anything, and closes.
    fn refuse(&self, mut stream: Stream, refusal: Refusal) {
        let refusal = ErrorLine::from(refusal);
        self.counters.count_error(refusal);
        let line = refusal.to_string();
        // A new socket has room for one line. What has come in already is read, because closing a
        // socket with unread bytes resets it, and some systems then drop the line.
        let _ = stream.write_all(line.as_bytes());
        let _ = stream.end();
        let _ = stream.read(&mut [0; 4096]);
    }
}

impl From<Refusal> for ErrorLine {
    fn from(refusal: Refusal) -> ErrorLine {
        match refusal {
            Refusal::Busy => ErrorLine::Busy,
            Refusal::BusyAddress => ErrorLine::BusyAddress,
            Refusal::Denied => ErrorLine::Denied,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use powd_core::Kernel;

    use super::super::options::Limits;
    use super::*;
    use crate::engine::{self, Engine, make_poll};

    #[test]
    fn an_error_that_lasts_pauses_accepting() {
        // Not listening: every accept fails, with EINVAL.
        let socket = sockets::Listener::deaf();
        let listener = Listener::new(socket, Difficulty::NONE);
        let engine = Engine::start(engine::Options {
            workers: NonZeroUsize::MIN,
            kernel: Kernel::PORTABLE,
            ..engine::Options::default()
        })
        .expect("one thread");
        let mut acceptor = Acceptor::new(
            make_poll().expect("a descriptor is free").0,
            vec![listener],
            Proxies::default(),
            Vec::new(),
            Admission::new(Limits::default().bounds()),
            engine.open_door(|| {}),
            Arc::default(),
        )
        .expect("a poll takes any socket");
        acceptor.accept_batches();
        assert!(acceptor.paused_until.is_some());
        assert_eq!(acceptor.counters.accept_pauses.read(), 1);
        drop(acceptor);
        engine.handle().drain();
        engine.wait().expect("no thread failed");
    }
}
