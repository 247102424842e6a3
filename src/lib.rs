//! powd serves proofs of work: a short seed such that `SHA-256(seed || message)` starts with a
//! given number of zero nibbles. The search itself is the crate [`powd_core`].
//!
//! The layers, from the top, each of which may use only those below it: [`cli`]; `http`; `jobs`;
//! `cluster`; [`mod@line`] and [`load`]; `admission`, `asked`, `problem`, [`tokens`] and
//! [`supervisor`]; [`sockets`]; [`engine`]; [`protocol`]; [`cpus`]. What each one owns, and must
//! not know, stands in ARCHITECTURE.md.

#![forbid(unsafe_code)]

mod admission;
#[cfg(any(feature = "http", feature = "nats"))]
mod asked;
pub mod cli;
#[cfg(feature = "nats")]
pub mod cluster;
pub mod cpus;
pub mod engine;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "http")]
pub mod jobs;
pub mod line;
pub mod load;
#[cfg(any(feature = "http", feature = "nats"))]
mod problem;
pub mod protocol;
pub mod sockets;
pub mod supervisor;
pub mod tokens;
