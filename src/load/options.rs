//! What a run is to do. Knows what is possible, not how it is done.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::cpus;
use crate::sockets::Address;
use crate::tokens::Token;
use powd_core::Difficulty;

/// Descriptors that are neither connections nor a thread's own: standard streams, what the process
/// had open before.
const OTHER_DESCRIPTORS: u64 = 64;
/// Descriptors of a thread's own: its poller; of a runtime also a second handle to that, and what
/// wakes it.
const OF_A_POLL_LOOP: usize = 1;
const OF_A_RUNTIME: usize = 3;

/// The most connections: each is a descriptor, and no system has more for one process without being
/// told.
pub const MOST_CONNECTIONS: usize = 1_000_000;
/// The most requests in flight on a connection.
pub const MOST_IN_FLIGHT: usize = 1_000_000;
/// The most requests in flight over HTTP/2, on all connections together: each costs some KiB.
const MOST_STREAMS: usize = 100_000;
/// Sixteen times the longest message that powd can be told to take.
const MOST_MESSAGE_BYTES: usize = 1 << 20;
/// A window's ends are kept in nanoseconds, of which 64 bits hold some hundred years.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The requests per second that can be asked for: two of them are at least a nanosecond apart, the
/// unit of time, and at most a quarter of an hour.
pub const RATES: RangeInclusive<f64> = 0.001..=1e9;

/// What to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Messages {
    /// A new message for each request, of so many bytes. Shorter than about eight bytes, they
    /// repeat.
    Unique(usize),
    /// The same bytes for each request, for servers that answer nothing else.
    Fixed(Vec<u8>),
}

impl Messages {
    /// The length of each message, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Messages::Unique(bytes) => *bytes,
            Messages::Fixed(message) => message.len(),
        }
    }
}

/// What is spoken with the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Exchange {
    /// The line protocol.
    #[default]
    Lines,
    /// HTTP: `POST /v1/solve` for each message. With several in flight, HTTP/2.
    Solve {
        /// The server's name and port, for the header `Host`.
        authority: String,
    },
    /// HTTP: one endless `POST /v1/batch` for each connection.
    Batch {
        /// The server's name and port, for the header `Host`.
        authority: String,
    },
}

/// One measurement.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub target: Address,
    /// What is spoken with it.
    pub exchange: Exchange,
    /// Connections held open; with `reconnect`, at a time.
    pub connections: usize,
    /// Requests in flight on each connection: always in the closed loop, at most in the open loop.
    pub pipeline: usize,
    /// The length of the measurement, without connecting and warming up.
    pub duration: Duration,
    /// The time under load before the measurement; none where `requests` are counted.
    pub warmup: Duration,
    /// Requests in all, after which the run ends, or when nobody has got through to the server for
    /// `timeout`; `None` asks until the time is over.
    pub requests: Option<u64>,
    /// A new connection for each request: latencies include the time to connect.
    pub reconnect: bool,
    /// What the hashes must meet; `None` checks the hash alone.
    pub difficulty: Option<Difficulty>,
    /// Requests per second in all (open loop); `None` asks again as soon as answered (closed loop).
    pub rate: Option<f64>,
    /// What to ask for.
    pub messages: Messages,
    /// What each request over HTTP shows.
    pub token: Option<Token>,
    /// Threads that the connections are spread over.
    pub threads: usize,
    /// The CPUs that these threads are pinned to, in turn; empty leaves it to the scheduler.
    pub pin: Vec<usize>,
    /// How long a connection may be without an answer to any of its requests (or without being
    /// opened, or full without taking more) before it is given up.
    pub timeout: Duration,
}

/// Why a run cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection can be opened, from the start.
    #[error("cannot connect to {target}: {source}")]
    Connect {
        /// The server.
        target: Address,
        /// What the system said.
        source: std::io::Error,
    },
    /// HTTP, of a build without it.
    #[error("this powd was built without HTTP (feature `http`)")]
    NoHttp,
    /// A number that makes no sense; what would.
    #[error("expected {0}")]
    Options(String),
    /// The hard limit of open files is below the number of connections.
    #[error(
        "{needed} open files are needed and {allowed} are allowed: ask for fewer connections, or raise the hard limit (`ulimit -Hn`)"
    )]
    Descriptors {
        /// The connections and a few more.
        needed: u64,
        /// The limit as it is after raising it.
        allowed: u64,
    },
    /// The system gave no poller.
    #[error("no poller: {0}")]
    Poll(#[source] std::io::Error),
    /// The system gave no further thread.
    #[error("cannot start a thread: {0}; ask for fewer")]
    Thread(#[source] std::io::Error),
    /// A CPU that does not exist, or that this process may not use.
    #[error(
        "a thread cannot be pinned to CPU {0}: it does not exist, or this process may not use it"
    )]
    Pin(usize),
}

impl Options {
    /// One connection, one request in flight, one thread, three seconds, no check of the
    /// difficulty.
    pub fn new(target: impl Into<Address>) -> Options {
        Options {
            target: target.into(),
            exchange: Exchange::Lines,
            connections: 1,
            pipeline: 1,
            duration: Duration::from_secs(3),
            warmup: Duration::from_millis(500),
            requests: None,
            reconnect: false,
            difficulty: None,
            rate: None,
            messages: Messages::Unique(20),
            token: None,
            threads: 1,
            pin: Vec::new(),
            timeout: Duration::from_secs(30),
        }
    }

    /// The server as it is typed, with what is spoken.
    pub(super) fn server(&self) -> String {
        match &self.exchange {
            Exchange::Lines => self.target.to_string(),
            Exchange::Solve { authority } => format!("http://{authority}/v1/solve"),
            Exchange::Batch { authority } => format!("http://{authority}/v1/batch"),
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let bytes = self.messages.bytes();
        let wrong = if !(1..=MOST_CONNECTIONS).contains(&self.connections) {
            format!("1 to {MOST_CONNECTIONS} connections")
        } else if !(1..=MOST_IN_FLIGHT).contains(&self.pipeline) {
            format!("1 to {MOST_IN_FLIGHT} requests in flight")
        } else if matches!(self.exchange, Exchange::Solve { .. })
            && self.pipeline > 1
            && self.connections.saturating_mul(self.pipeline) > MOST_STREAMS
        {
            format!(
                "at most {MOST_STREAMS} requests in flight over HTTP/2, on all connections together"
            )
        } else if bytes > MOST_MESSAGE_BYTES {
            format!("messages of at most {MOST_MESSAGE_BYTES} bytes")
        } else if !(1..=cpus::MAX_THREADS).contains(&self.threads) {
            format!("1 to {} threads", cpus::MAX_THREADS)
        } else if self.duration.is_zero() {
            "a measurement above 0 s".to_owned()
        } else if self.duration > LONGEST || self.warmup > LONGEST {
            format!(
                "a measurement and a warm-up of at most {} s",
                LONGEST.as_secs()
            )
        } else if self.requests == Some(0) {
            "one request or more".to_owned()
        } else if self.requests.is_some() && !self.warmup.is_zero() {
            "no warm-up where requests are counted".to_owned()
        } else if self.reconnect && self.pipeline > 1 {
            "one request in flight where each has a new connection".to_owned()
        } else if self.reconnect && matches!(self.exchange, Exchange::Batch { .. }) {
            "a batch, or a new connection for each request".to_owned()
        } else if self.token.is_some() && self.exchange == Exchange::Lines {
            "HTTP where there is a token: lines carry none".to_owned()
        } else if self.timeout.is_zero() {
            "a timeout above 0 s".to_owned()
        } else if self.rate.is_some_and(|rate| !RATES.contains(&rate)) {
            format!(
                "a rate of {} to {} requests per second",
                RATES.start(),
                RATES.end()
            )
        } else if matches!(&self.messages, Messages::Fixed(bytes) if bytes.contains(&b'\n')) {
            "a message without a newline".to_owned()
        } else {
            return self.check_pin();
        };
        Err(Error::Options(wrong))
    }

    fn check_pin(&self) -> Result<(), Error> {
        if self.pin.is_empty() {
            return Ok(());
        }
        let usable = cpus::usable();
        let absent = |cpu: &usize| !usable.contains(cpu);
        match self.pin.iter().copied().find(absent) {
            Some(cpu) => Err(Error::Pin(cpu)),
            None => Ok(()),
        }
    }

    /// Raises the soft limit of open files as far as this run needs and the hard limit allows.
    pub(super) fn raise_descriptor_limit(&self) -> Result<(), Error> {
        let threads = self.threads.min(self.connections);
        let of_a_thread = match self.exchange {
            Exchange::Lines => OF_A_POLL_LOOP,
            Exchange::Solve { .. } | Exchange::Batch { .. } => OF_A_RUNTIME,
        };
        let needed = (self.connections + threads * of_a_thread) as u64 + OTHER_DESCRIPTORS;
        // Where there is no such limit to raise, the first `connect` that fails will say so.
        match rlimit::increase_nofile_limit(needed) {
            Ok(allowed) if allowed < needed => Err(Error::Descriptors { needed, allowed }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        let good = Options::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        assert!(good.check().is_ok());
        let broken: [fn(&mut Options); 25] = [
            |o| o.connections = 0,
            |o| o.connections = MOST_CONNECTIONS + 1,
            |o| o.connections = usize::MAX,
            |o| o.pipeline = 0,
            |o| o.pipeline = usize::MAX,
            |o| {
                o.pipeline = MOST_STREAMS + 1;
                o.exchange = Exchange::Solve {
                    authority: "h:1".to_owned(),
                };
            },
            |o| o.threads = 0,
            |o| o.threads = usize::MAX,
            |o| o.duration = Duration::ZERO,
            |o| o.duration = Duration::MAX,
            |o| o.warmup = Duration::MAX,
            |o| {
                o.warmup = Duration::ZERO;
                o.requests = Some(0);
            },
            |o| o.requests = Some(1),
            |o| {
                o.reconnect = true;
                o.pipeline = 2;
            },
            |o| o.timeout = Duration::ZERO,
            |o| o.rate = Some(0.0),
            |o| o.rate = Some(RATES.start() / 2.0),
            |o| o.rate = Some(f64::MIN_POSITIVE),
            |o| o.rate = Some(f64::MAX),
            |o| o.rate = Some(f64::INFINITY),
            |o| o.rate = Some(f64::NAN),
            |o| o.messages = Messages::Unique(MOST_MESSAGE_BYTES + 1),
            |o| o.messages = Messages::Unique(usize::MAX),
            |o| o.messages = Messages::Fixed(b"a\nb".to_vec()),
            |o| o.token = Token::new("secret"),
        ];
        for breaks in broken {
            let mut options = good.clone();
            breaks(&mut options);
            assert!(options.check().is_err(), "{options:?}");
        }
    }
}
