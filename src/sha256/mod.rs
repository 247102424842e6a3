//! SHA-256 (FIPS 180-4): constants, message blocks, and the part of the work that is the same for
//! every seed.
//!
//! It knows how a message lies behind a seed, not in which order seeds are tried, nor which
//! instruction set runs: the compression function is generic over the words of `simd`.

mod constants;
mod template;

pub use constants::{INITIAL_STATE, K};
pub use template::{Hoisted, Template, is_constant};
