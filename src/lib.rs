//! powd finds proofs of work: a short seed such that `SHA-256(seed || message)` starts with a given
//! number of zero nibbles.
//!
//! The layers, from the top, each of which may use only those below it: [`cli`]; [`server`] and [`load`];
//! [`solver`]; [`search`]; [`kernel`]; [`sha256`]; `simd`; [`cpus`]; [`pow`]. What each one owns, and must not
//! know, stands in ARCHITECTURE.md.

pub mod cli;
pub mod cpus;
pub mod kernel;
pub mod load;
pub mod pow;
pub mod search;
pub mod server;
pub mod sha256;
#[cfg(target_arch = "x86_64")]
mod simd;
pub mod solver;
