//! What the doors by HTTP are told at their start.

use std::time::Duration;

use powd_core::Difficulty;

use crate::jobs::Bounds;
use crate::sockets::Proxies;
use crate::tokens::Tokens;

/// Everything that the doors are told, apart from their listeners.
#[derive(Clone, Debug)]
pub struct Options {
    /// That of requests which do not say one.
    pub difficulty: Difficulty,
    /// What clients may ask for.
    pub limits: Limits,
    /// What a request has to show, if anything.
    pub tokens: Option<Tokens>,
    /// Bounds on jobs.
    pub jobs: Bounds,
    /// Who begins its connections with a PROXY header.
    pub proxies: Proxies,
}

/// Bounds on requests. A duration of `None` is no bound.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The highest difficulty that can be asked for.
    pub max_difficulty: Difficulty,
    /// The longest search.
    pub deadline: Option<Duration>,
    /// A connection on which nothing moves for so long is closed, unless it waits for a search.
    pub idle_timeout: Duration,
}
