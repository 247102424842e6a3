//! What the line protocol is told at its start.

use std::num::NonZeroUsize;
use std::time::Duration;

use ipnet::IpNet;

use crate::admission::Bounds;
use crate::engine::MessageBytes;
use crate::protocol::Framing;
use crate::sockets::Proxies;

/// Everything that the line protocol is told, apart from its listeners.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How requests are cut from the stream.
    pub framing: Framing,
    /// What clients may ask for.
    pub limits: Limits,
    /// Who begins its connections with a PROXY header.
    pub proxies: Proxies,
}

/// Bounds on clients. A duration of `None` is no bound.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest message; no longer than the engine's.
    pub max_message_bytes: MessageBytes,
    /// Connections open at once.
    pub max_connections: usize,
    /// Connections open at once from one address, or from one /64 of IPv6.
    pub max_connections_per_ip: Option<NonZeroUsize>,
    /// A connection on which nothing moves for so long is closed, unless it waits for a search.
    pub idle_timeout: Option<Duration>,
    /// How long a client that ended its stream is answered without taking a reply; zero: not at
    /// all.
    pub half_close_timeout: Duration,
    /// The longest search.
    pub deadline: Option<Duration>,
    /// The only addresses served; empty: all.
    pub allow: Vec<IpNet>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_message_bytes: MessageBytes::DEFAULT,
            max_connections: 65_536,
            max_connections_per_ip: None,
            idle_timeout: None,
            half_close_timeout: Duration::from_secs(5),
            deadline: None,
            allow: Vec::new(),
        }
    }
}

impl Limits {
    /// Those on connections.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            allow: self.allow.clone(),
            max: self.max_connections,
            max_per_ip: self.max_connections_per_ip,
        }
    }
}
