//! The acceptor: one thread that takes connections from all listeners and hands them out round-robin.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::counters::Counters;
use super::listener::{BACKLOG, Listener};
use super::reply::ErrorLine;
use super::service::Service;
use super::worker::{Handoff, WAKER};
use crate::pow::Difficulty;

/// How long accepting pauses when descriptors or memory ran out: they come back when others close.
const PAUSE: Duration = Duration::from_millis(50);

/// Connections taken from one listener before the next has its turn.
const BATCH: usize = 64;

#[derive(Debug)]
pub(super) struct Acceptor {
    poll: Poll,
    listeners: Vec<Source>,
    mailboxes: Vec<Mailbox>,
    service: Arc<Service>,
    counters: Arc<Counters>,
    next_worker: usize,
    paused: bool,
    /// The log has the reason of the pause already.
    told: bool,
}

/// The way to one worker.
#[derive(Debug)]
struct Mailbox {
    sender: Sender<Handoff>,
    /// It got something that its worker was not woken for yet.
    has_mail: bool,
}

#[derive(Debug)]
struct Source {
    listener: TcpListener,
    difficulty: Difficulty,
    /// It may have connections waiting.
    ready: bool,
}

impl Mailbox {
    fn new(sender: Sender<Handoff>) -> Mailbox {
        Mailbox {
            sender,
            has_mail: false,
        }
    }
}

/// How accepting one connection went.
enum Accepted {
    One,
    /// None is waiting.
    Empty,
    /// None can be had now.
    Exhausted,
}

impl Acceptor {
    pub(super) fn new(
        poll: Poll,
        listeners: Vec<Listener>,
        mailboxes: Vec<Sender<Handoff>>,
        service: Arc<Service>,
        counters: Arc<Counters>,
    ) -> io::Result<Acceptor> {
        let mut sources = Vec::with_capacity(listeners.len());
        for (token, Listener { socket, difficulty }) in listeners.into_iter().enumerate() {
            socket.set_nonblocking(true)?;
            let mut listener = TcpListener::from_std(socket);
            poll.registry()
                .register(&mut listener, Token(token), Interest::READABLE)?;
            sources.push(Source {
                listener,
                difficulty,
                ready: true,
            });
        }
        Ok(Acceptor {
            poll,
            listeners: sources,
            mailboxes: mailboxes.into_iter().map(Mailbox::new).collect(),
            service,
            counters,
            next_worker: 0,
            paused: false,
            told: false,
        })
    }

    /// Accepts until the service drains, then once more what the kernel has already taken: closing a
    /// listener would reset those clients.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(64);
        while !self.service.is_draining() {
            self.wait(&mut events)?;
            for event in &events {
                if event.token() != WAKER {
                    self.listeners[event.token().0].ready = true;
                }
            }
            self.accept_batches();
        }
        self.paused = false;
        for source in &mut self.listeners {
            source.ready = true;
        }
        // No more than can have waited: clients that keep coming must not keep the service alive.
        for _ in 0..BACKLOG as usize / BATCH {
            self.accept_batches();
        }
        // The mailboxes close with this thread; the workers look when they are woken.
        self.mailboxes.clear();
        self.service.board.wake_all();
        Ok(())
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = if self.paused {
            Some(PAUSE)
        } else if self.listeners.iter().any(|source| source.ready) {
            Some(Duration::ZERO)
        } else {
            None
        };
        self.paused = false;
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            polled => polled,
        }
    }

    fn accept_batches(&mut self) {
        for source in 0..self.listeners.len() {
            for _ in 0..BATCH {
                if self.paused || !self.listeners[source].ready {
                    break;
                }
                match self.accept(source) {
                    Accepted::One => {}
                    Accepted::Empty => self.listeners[source].ready = false,
                    Accepted::Exhausted => self.paused = true,
                }
            }
        }
        // One wake for each worker with mail, however much it got.
        for (worker, mailbox) in self.mailboxes.iter_mut().enumerate() {
            if std::mem::take(&mut mailbox.has_mail) {
                self.service.board.wake(worker);
            }
        }
    }

    fn accept(&mut self, source: usize) -> Accepted {
        let Source {
            listener,
            difficulty,
            ..
        } = &self.listeners[source];
        match listener.accept() {
            Ok((stream, peer)) => {
                let difficulty = *difficulty;
                self.told = false;
                self.admit(stream, peer, difficulty);
                Accepted::One
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => Accepted::Empty,
                // Of the connection, not of the listener (accept(2)): the client is gone already.
                ErrorKind::Interrupted
                | ErrorKind::ConnectionAborted
                | ErrorKind::ConnectionReset
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::NetworkDown
                | ErrorKind::TimedOut => Accepted::One,
                // EMFILE, ENFILE, ENOBUFS, ENOMEM, and whatever else is not over at once.
                _ => {
                    self.counters.accept_pauses.add(1);
                    // Once, not at every try: a shortage can last for hours.
                    if !std::mem::replace(&mut self.told, true) {
                        tracing::warn!(%error, "cannot accept connections, trying until it works");
                    }
                    Accepted::Exhausted
                }
            },
        }
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr, difficulty: Difficulty) {
        let permit = match self.service.admission.admit(peer.ip()) {
            Ok(permit) => permit,
            Err(reason) => return self.refuse(stream, reason),
        };
        // Replies are small and complete: waiting for more to send would only delay them. A client that is
        // gone already is found out by its worker.
        let _ = stream.set_nodelay(true);
        let handoff = Handoff {
            stream,
            difficulty,
            permit,
        };
        let mailbox = &mut self.mailboxes[self.next_worker];
        // Fails only when that worker has died; then the service is draining already.
        mailbox.has_mail |= mailbox.sender.send(handoff).is_ok();
        self.next_worker = (self.next_worker + 1) % self.mailboxes.len();
    }

    /// Says why, without waiting for anything, and closes.
    fn refuse(&self, mut stream: TcpStream, reason: ErrorLine) {
        match reason {
            ErrorLine::BusyAddress => self.counters.refused_busy_address.add(1),
            ErrorLine::Denied => self.counters.refused_denied.add(1),
            _ => self.counters.refused_busy.add(1),
        }
        // A new socket has room for one line. What has come in already is read, because closing a socket
        // with unread bytes resets it, and some systems then drop the line.
        let _ = stream.write_all(reason.to_string().as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read(&mut [0; 4096]);
    }
}
