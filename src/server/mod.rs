//! The service: the line protocol over TCP, on every core.
//!
//! One acceptor hands connections to workers, one per CPU, in turn. A worker owns its connections for
//! their whole life: it reads, cuts, searches and writes, in slices, and shares nothing on that path. A
//! worker that has nothing to do helps with the search of another, or sleeps.
//!
//! With `load` the only user of `mio`. It must know nothing of instruction sets, nor of the command line.

mod acceptor;
mod admission;
mod board;
mod buffers;
mod connection;
mod counters;
mod kit;
mod listener;
mod options;
mod pace;
mod queue;
mod reply;
mod request;
mod service;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use mio::{Poll, Waker};

use acceptor::{Acceptor, Mailbox};
use admission::Admission;
use board::Board;
use counters::Counters;
use kit::Kit;
use service::Service;
use worker::{WAKER, Worker};

use crate::cpus::{self, CpuError};

pub use counters::{Connections, Errors, Help, Refused, Snapshot};
pub use listener::Listener;
pub use options::{Limits, MAX_MESSAGE_BYTES, Options};

/// Why a server could not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A worker cannot be bound to a CPU.
    #[error(transparent)]
    Cpu(#[from] CpuError),
    /// A poll, a waker or a thread could not be made.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
    /// A thread ended before its time; what it had open is lost.
    #[error("a thread of the service failed; the others were drained")]
    Failed,
}

/// A running service. Dropping it leaves its threads running; [`Server::wait`] ends with them.
#[derive(Debug)]
pub struct Server {
    service: Arc<Service>,
    threads: Vec<JoinHandle<()>>,
}

/// A handle for whoever hears the signals: drains a server, reads its counters.
#[derive(Clone, Debug)]
pub struct Control(Arc<Service>);

impl Control {
    /// Takes no more connections, answers what was received, then ends. Returns at once.
    pub fn drain(&self) {
        self.0.drain();
    }

    /// The counters, merged over all threads.
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }
}

impl Server {
    /// Starts the threads. When it returns, every worker is bound to its CPU and connections are accepted.
    pub fn start(listeners: Vec<Listener>, options: Options) -> Result<Server, ServerError> {
        let options = Arc::new(options);
        let polls = make_polls(options.workers).map_err(ServerError::Start)?;
        let (acceptor_poll, acceptor_waker) = make_poll().map_err(ServerError::Start)?;
        let (polls, wakers): (Vec<Poll>, Vec<Waker>) = polls.into_iter().unzip();
        let counters: Vec<_> = (0..=options.workers).map(|_| Arc::default()).collect();
        let acceptor_counters = Arc::clone(&counters[options.workers]);
        let service = Arc::new(Service::new(
            Admission::new(&options.limits),
            Board::new(wakers),
            acceptor_waker,
            counters.clone(),
        ));
        let mut server = Server {
            service: Arc::clone(&service),
            threads: Vec::with_capacity(options.workers + 1),
        };
        let started = server
            .start_workers(&options, polls, counters)
            .and_then(|mailboxes| {
                server.start_acceptor(acceptor_poll, listeners, mailboxes, acceptor_counters)
            });
        // The mailboxes of what did start are closed by now: it ends at once.
        started.inspect_err(|_| service.drain())?;
        Ok(server)
    }

    /// Starts the workers and waits until each is bound to its CPU; returns their mailboxes.
    fn start_workers(
        &mut self,
        options: &Arc<Options>,
        polls: Vec<Poll>,
        counters: Vec<Arc<Counters>>,
    ) -> Result<Vec<Mailbox>, ServerError> {
        let cpus = if options.pin {
            Some(cpus::assign(options.workers)?)
        } else {
            None
        };
        let (started, starts) = mpsc::channel();
        let mut mailboxes = Vec::with_capacity(options.workers);
        for (number, (poll, counters)) in polls.into_iter().zip(counters).enumerate() {
            let (mailbox, mail) = mpsc::channel();
            mailboxes.push(Mailbox::new(mailbox, Arc::clone(&counters)));
            let (options, service, started) = (
                Arc::clone(options),
                Arc::clone(&self.service),
                started.clone(),
            );
            let cpu = cpus.as_ref().map(|cpus| cpus[number]);
            self.spawn(format!("worker-{number}"), move || {
                // Pinned first: what the worker allocates then lies near its CPU.
                let pinned = cpu.map_or(Ok(()), cpus::pin);
                let ready = pinned.is_ok();
                let heard = started.send(pinned).is_ok();
                // The server waits until every worker has let go of it.
                drop(started);
                if !heard || !ready {
                    return Ok(());
                }
                let kit = Kit::new(number, options, Arc::clone(&service.board), counters);
                Worker::new(kit, service, poll, mail).run()
            })?;
        }
        drop(started);
        starts.into_iter().collect::<Result<(), CpuError>>()?;
        Ok(mailboxes)
    }

    fn start_acceptor(
        &mut self,
        poll: Poll,
        listeners: Vec<Listener>,
        mailboxes: Vec<Mailbox>,
        counters: Arc<Counters>,
    ) -> Result<(), ServerError> {
        let acceptor = Acceptor::new(
            poll,
            listeners,
            mailboxes,
            Arc::clone(&self.service),
            counters,
        )
        .map_err(ServerError::Start)?;
        self.spawn("acceptor".to_owned(), || acceptor.run())
    }

    /// A handle to drain it and to read its counters.
    pub fn control(&self) -> Control {
        Control(Arc::clone(&self.service))
    }

    /// Waits until it has drained.
    pub fn wait(self) -> Result<(), ServerError> {
        for thread in self.threads {
            // A panic was noted by the thread's own guard.
            let _ = thread.join();
        }
        if self.service.has_failed() {
            Err(ServerError::Failed)
        } else {
            Ok(())
        }
    }

    fn spawn(
        &mut self,
        name: String,
        run: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> Result<(), ServerError> {
        let guard = Guard(Arc::clone(&self.service));
        let body = move || {
            if let Err(error) = run() {
                tracing::error!(%error, thread = thread::current().name(), "a thread of the service failed");
                guard.0.fail();
            }
            drop(guard);
        };
        let thread = thread::Builder::new()
            .name(name)
            .spawn(body)
            .map_err(ServerError::Start)?;
        self.threads.push(thread);
        Ok(())
    }
}

/// Tells the service when its thread panics, so that the others do not serve on without it.
struct Guard(Arc<Service>);

impl Drop for Guard {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail();
        }
    }
}

fn make_poll() -> io::Result<(Poll, Waker)> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    Ok((poll, waker))
}

fn make_polls(count: usize) -> io::Result<Vec<(Poll, Waker)>> {
    (0..count).map(|_| make_poll()).collect()
}
