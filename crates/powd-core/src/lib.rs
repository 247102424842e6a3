//! Finds proofs of work: a short seed such that `SHA-256(seed || message)` starts with a given number of zero
//! nibbles.
//!
//! The layers, from the top, each of which may use only those below it: `solver`; `search`; `kernel`; `sha256`;
//! `simd`; `pow`. What each one owns, and must not know, stands in its own documentation.
#![cfg_attr(
    not(feature = "unstable"),
    allow(
        dead_code,
        unreachable_pub,
        reason = "some of it is for the service alone"
    )
)]

mod kernel;
mod pow;
mod search;
mod sha256;
#[cfg(target_arch = "x86_64")]
mod simd;
#[cfg(feature = "solver")]
mod solver;

pub use kernel::{Kernel, KernelError};
pub use pow::{
    Difficulty, DifficultyError, Digest, Seed, SeedError, SeedLength, SeedLengthError, Solution,
    verify,
};
pub use search::{Job, Progress, Search, Searcher, Tally};
#[cfg(feature = "solver")]
pub use solver::{Solver, Task};

/// What the powd service, the benchmarks and the fuzz targets are made of: changes without notice.
#[cfg(feature = "unstable")]
pub mod unstable {
    pub use crate::kernel::{Heads, Scan, measure, measure_sha2, whole_batches};
    pub use crate::pow::{ALPHABET, digest, hex_digits};
    pub use crate::search::{Draws, Ring, Share, SharedSearch};
    pub use crate::sha256::{INITIAL_STATE, Template, blocks};
}
