//! The line protocol: connections that bring lines and take replies.
//!
//! One acceptor hands connections to the workers of the [`engine`]. A `Session` knows the protocol,
//! a `Connection` its socket. It must know nothing of instruction sets, nor of how searches are
//! shared, nor of the command line.

mod acceptor;
mod arrivals;
mod buffers;
mod connection;
mod counters;
mod door;
mod listener;
mod options;
mod session;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
mod stream;

use std::sync::Arc;

use acceptor::Acceptor;
use counters::Counters;
use door::LineDoor;

use crate::admission::Admission;
use crate::engine::{self, Durations, Engine, EngineError, Handle, make_poll};

pub use counters::{Connections, Errors, Help, Refused, Snapshot, Totals};
pub use listener::Listener;
pub use options::{Limits, Options};

/// Why a server could not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The engine could not start, or has failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A running service: an engine with line connections. Dropping it leaves its threads running;
/// [`Server::wait`] ends with them.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    control: Control,
    #[cfg(feature = "http")]
    admission: Arc<Admission>,
}

/// The way to a running server for who hears the signals: drains it, reads its counters.
#[derive(Clone, Debug)]
pub struct Control {
    engine: Handle,
    /// One set for each worker, then the acceptor's.
    counters: Arc<[Arc<Counters>]>,
    /// One set for each worker.
    durations: Arc<[Arc<Durations>]>,
}

impl Control {
    /// Takes no more connections, answers what was received, then ends. Returns at once.
    pub fn drain(&self) {
        self.engine.drain();
    }

    /// The counters, added up over all threads.
    pub fn snapshot(&self) -> Snapshot {
        let line = Totals::of(self.counters.iter().map(Arc::as_ref));
        Snapshot::new(self.engine.totals(), line)
    }

    /// How long the connections' requests took.
    pub fn durations(&self) -> impl Iterator<Item = &Durations> + Clone {
        self.durations.iter().map(Arc::as_ref)
    }

    /// The way to the engine.
    pub fn engine(&self) -> &Handle {
        &self.engine
    }
}

impl Server {
    /// Starts the threads. When it returns, every worker runs and connections are accepted.
    ///
    /// # Errors
    ///
    /// When the system does not give what is needed: threads, polls, CPUs.
    pub fn start(
        listeners: Vec<Listener>,
        engine: engine::Options,
        options: Options,
    ) -> Result<Server, ServerError> {
        let options = Arc::new(options);
        let admission = Admission::new(options.limits.bounds());
        let acceptor_counters = Arc::<Counters>::default();
        let of_workers = (0..engine.workers.get()).map(|_| Arc::default());
        let counters: Arc<[Arc<Counters>]> =
            of_workers.chain([Arc::clone(&acceptor_counters)]).collect();
        let durations: Arc<[Arc<Durations>]> =
            (0..engine.workers.get()).map(|_| Arc::default()).collect();
        let (poll, waker) = make_poll().map_err(EngineError::Start)?;
        let (mut engine, mailboxes) = Engine::with_door(engine, |worker| {
            LineDoor::new(
                Arc::clone(&options),
                Arc::clone(&counters[worker]),
                Arc::clone(&durations[worker]),
            )
        })?;
        let pass = engine.open_door(move || {
            if let Err(error) = waker.wake() {
                tracing::error!(%error, "cannot wake the acceptor");
            }
        });
        let control = Control {
            engine: engine.handle(),
            counters: Arc::clone(&counters),
            durations,
        };
        let acceptor = Acceptor::new(
            poll,
            listeners,
            options.proxies.clone(),
            mailboxes,
            Arc::clone(&admission),
            pass,
            acceptor_counters,
        );
        let started = acceptor
            .map_err(EngineError::Start)
            .and_then(|acceptor| engine.spawn("acceptor".to_owned(), || acceptor.run()));
        // The workers end at once.
        started.inspect_err(|_| control.drain())?;
        Ok(Server {
            engine,
            control,
            #[cfg(feature = "http")]
            admission,
        })
    }

    /// The way to drain it and to read its counters.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Its engine, for another door.
    #[cfg(any(feature = "http", feature = "nats"))]
    pub(crate) fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Who gets in through any door.
    #[cfg(feature = "http")]
    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// Waits until it has drained. Returns what it has counted in all.
    ///
    /// # Errors
    ///
    /// When one of its threads has failed.
    pub fn wait(self) -> Result<Snapshot, ServerError> {
        self.engine.wait()?;
        Ok(self.control.snapshot())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{Shutdown, TcpStream};
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use powd_core::{Difficulty, Kernel};

    use super::*;
    use crate::sockets::{self, Address};

    #[test]
    fn a_time_that_no_clock_reaches_is_no_bound() {
        let any_port = "127.0.0.1:0".parse().expect("an address");
        let socket = sockets::Listener::bind(Address::Tcp(any_port)).expect("a free port");
        let listener = Listener::new(socket, Difficulty::NONE);
        let Ok(Address::Tcp(address)) = listener.address() else {
            panic!("it is not bound");
        };
        let engine = engine::Options {
            workers: NonZeroUsize::MIN,
            pin: false,
            kernel: Kernel::PORTABLE,
            drain_timeout: Duration::MAX,
            ..engine::Options::default()
        };
        let options = Options {
            limits: Limits {
                idle_timeout: Some(Duration::MAX),
                half_close_timeout: Duration::MAX,
                deadline: Some(Duration::MAX),
                ..Limits::default()
            },
            ..Options::default()
        };
        let server = Server::start(vec![listener], engine, options).expect("it starts");
        let mut client = TcpStream::connect(address).expect("it listens");
        client.write_all(b"hello\n").expect("it reads");
        client.shutdown(Shutdown::Write).expect("it is open");
        let mut reply = String::new();
        BufReader::new(client)
            .read_line(&mut reply)
            .expect("a reply");
        assert!(reply.starts_with("hello,"), "{reply}");
        server.control().drain();
        assert_eq!(server.wait().expect("no thread fails").requests, 1);
    }
}
