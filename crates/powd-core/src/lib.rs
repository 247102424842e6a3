//! Proof of work with SHA-256, searched for as fast as the processor can.
//!
//! Given a message, find a *seed* of letters and digits such that the hex digits of `SHA-256(seed
//! || message)` start with a number of zeros. To find one takes 16^N hashes for N zeros; to check
//! one takes a single hash.
//!
//! ```
//! use powd_core::{Difficulty, solve};
//!
//! let solution = solve(b"hello", Difficulty::of::<4>());
//! println!("{} {}", solution.seed(), solution.digest());
//! # let text = [solution.seed().as_bytes(), b"hello"].concat();
//! # assert_eq!(text.len(), 10);
//! # assert!(solution.digest().to_string().starts_with("0000"));
//! # // What the next sentence says.
//! # let known = powd_core::verify("RB8lW".parse()?, b"hello", Difficulty::of::<4>()).unwrap();
//! # assert!(known.digest().to_string().starts_with("0000da4e"));
//! # Ok::<(), powd_core::SeedError>(())
//! ```
//!
//! prints, for instance, `RB8lW 0000da4e...`. Whoever gets that checks it with [`verify`], or with
//! `printf RB8lWhello | sha256sum`.
//!
//! # What to use
//!
//! | to | use |
//! | --- | --- |
//! | solve one message on this thread | [`solve`] |
//! | check a solution of somebody else | [`verify`] |
//! | search in slices, between other work, or with an end | [`Search`] with a [`Searcher`] |
//! | solve many messages, or hard ones, on all cores | `Solver`, with the feature `solver` |
//! | choose the instructions that hash | [`Kernel`] |
//!
//! # Always right
//!
//! Whatever a kernel finds is hashed again with the `sha2` crate, which shares no code with the
//! fast kernels. Only [`verify`] makes a [`Solution`]. A kernel that is wrong costs time, and the
//! [`Tally`] counts it; it cannot make an answer wrong.
//!
//! # Always an end
//!
//! A search starts at a drawn place, walks every seed of its length once, and goes on with one
//! character more when that length has no solution. So it finds one wherever there is one. Drawing
//! seeds at random does not: at difficulty 7, 3.3 % of all messages have no solution of five
//! characters.
//!
//! # Features
//!
//! - `simd` (on by default): the kernels for vector and SHA instructions. Without it there is the
//!   portable kernel alone, at the speed of the `sha2` crate.
//! - `solver`: the type `Solver`, many messages on all cores, by rayon.
//! - `unstable`: the module `unstable`, with what the powd service, its benchmarks and its fuzz
//!   targets are made of. It changes in any version.
//!
//! # How it must be built
//!
//! The fast kernels need `opt-level` 2 or 3. With 0, as in a plain `cargo build`, they would
//! overflow the stack, so they are left out, and the portable kernel is alone. With 1, `"s"` and
//! `"z"` they are there, and slower. `[profile.dev.package.powd-core]` with `opt-level = 2`, in the
//! `Cargo.toml` of your workspace, gives this crate a level of its own; so does
//! `[profile.release.package.powd-core]`.
//!
//! # For those who read the code
//!
//! The layers, from the top, each of which may use only those below it: `solver` and `solve`;
//! `search`; `kernel`; `sha256`; `simd`; `pow`; `sync`. The documentation of each says what it
//! owns, and what it must not know.
#![cfg_attr(
    not(feature = "unstable"),
    allow(unreachable_pub, reason = "public with the feature `unstable` alone")
)]

mod kernel;
mod pow;
mod search;
mod sha256;
#[cfg(fast_kernels)]
mod simd;
mod solve;
#[cfg(feature = "solver")]
mod solver;
mod sync;

pub use kernel::{Comparison, Kernel, KernelError, Scan};
pub use pow::{
    Difficulty, DifficultyError, Digest, DigestError, Seed, SeedError, SeedLength, SeedLengthError,
    Solution, verify,
};
pub use search::{Job, Progress, Search, Searcher, Tally};
pub use solve::solve;
#[cfg(feature = "solver")]
pub use solver::{Solver, SolverOptions, Tried};

/// What the powd service, its benchmarks and its fuzz targets are made of. It changes in any
/// version.
#[cfg(feature = "unstable")]
pub mod unstable {
    pub use crate::kernel::{Heads, measure, whole_batches};
    pub use crate::pow::{ALPHABET, digest};
    pub use crate::search::{Draws, Ring, Share, SharedSearch};
    pub use crate::sha256::{INITIAL_STATE, Template, hash_blocks};
}

/// Its example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
