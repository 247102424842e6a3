//! What the service is told at its start.

use std::time::Duration;

use ipnet::IpNet;

use crate::protocol::Framing;
use powd_core::{Kernel, SeedLength};

/// The largest value of [`Limits::max_message_bytes`]: one batch of hashes of such a message already
/// takes a good part of a slice.
pub const MAX_MESSAGE_BYTES: usize = 65_536;

/// Everything that a server is told, apart from its listeners.
#[derive(Clone, Debug)]
pub struct Options {
    /// The workers, each a thread with its own connections. At least one.
    pub workers: usize,
    /// Whether each worker is bound to one CPU.
    pub pin: bool,
    /// The kernel of every worker.
    pub kernel: Kernel,
    /// Hash rate of that kernel on one-block messages, hashes/s: sizes the slices of a search.
    pub hash_rate: f64,
    /// Characters of the first seeds tried.
    pub seed_length: SeedLength,
    /// How requests are cut from the stream.
    pub framing: Framing,
    /// The seed of the generators that draw where searches start.
    pub rng_seed: u64,
    /// What clients may ask for.
    pub limits: Limits,
}

/// Bounds on clients. A duration of `None` is no bound.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest message, at most [`MAX_MESSAGE_BYTES`].
    pub max_message_bytes: usize,
    /// Connections open at once.
    pub max_connections: usize,
    /// Connections open at once from one address, or from one /64 of IPv6.
    pub max_connections_per_ip: Option<usize>,
    /// A connection on which nothing moves for so long is closed, unless it waits for a search.
    pub idle_timeout: Option<Duration>,
    /// How long a client that ended its stream is answered without taking a reply; zero: not at all.
    pub half_close_timeout: Duration,
    /// The longest search.
    pub deadline: Option<Duration>,
    /// How long a drain may take.
    pub drain_timeout: Duration,
    /// The only addresses served; empty: all.
    pub allow: Vec<IpNet>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_message_bytes: 8192,
            max_connections: 65_536,
            max_connections_per_ip: None,
            idle_timeout: None,
            half_close_timeout: Duration::from_secs(5),
            deadline: None,
            drain_timeout: Duration::from_secs(30),
            allow: Vec::new(),
        }
    }
}
