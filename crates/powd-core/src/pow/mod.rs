//! What a proof of work is: difficulty, seed, solution, and how to check one.
//!
//! This is the oracle for all the rest. It is plain, it hashes with the `sha2` crate alone, and it must
//! know nothing of the layers above: a fast kernel that shares code with its judge proves nothing.

mod difficulty;
mod digest;
mod seed;
mod seed_length;
mod solution;

pub use difficulty::{Difficulty, DifficultyError};
pub use digest::{Digest, digest, hex_digits};
pub use seed::{ALPHABET, Seed, SeedError};
pub use seed_length::{SeedLength, SeedLengthError};
pub use solution::{Solution, verify};
