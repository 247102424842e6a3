//! What a proof of work is: difficulty, seed, solution, and how to check one.
//!
//! This is the oracle for all the rest. It is plain, and it hashes with the `sha2` crate alone. It
//! must know nothing of the layers above: a kernel that shared code with the oracle could repeat
//! its mistakes unseen.

mod difficulty;
mod digest;
mod seed;
mod seed_length;
mod solution;

pub use difficulty::{Difficulty, DifficultyError};
pub use digest::{Digest, DigestError, digest};
pub use seed::{ALPHABET, Seed, SeedError};
pub use seed_length::{SeedLength, SeedLengthError};
pub use solution::{Solution, verify};
