//! SHA-256 (FIPS 180-4): constants, message blocks, and the part of the work that is the same for
//! every seed.
//!
//! It knows how a message lies behind a seed, not in which order seeds are tried, nor which
//! instruction set runs: the compression function is generic over the words of `simd`.

#[cfg(target_arch = "x86_64")]
mod compress;
mod constants;
#[cfg(target_arch = "x86_64")]
mod schedule;
mod template;

#[cfg(target_arch = "x86_64")]
pub use compress::{LaneState, compress_first, compress_later};
pub use constants::{INITIAL_STATE, K};
#[cfg(target_arch = "x86_64")]
pub use schedule::{Schedule, Step};
pub use template::{Hoisted, Template, blocks, is_constant};
