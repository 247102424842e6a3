//! SHA-256 (FIPS 180-4): constants, message blocks, and the part of the work that is the same for
//! every seed.
//!
//! It knows how a message lies behind a seed, not in which order seeds are tried, nor which
//! instruction set runs: the compression function is generic over the words of `simd`.

#[cfg(fast_kernels)]
mod compress;
mod constants;
#[cfg(fast_kernels)]
mod schedule;
mod template;

pub use constants::INITIAL_STATE;
pub use template::Template;
#[cfg(feature = "_shared")]
pub use template::hash_blocks;
#[cfg(fast_kernels)]
pub(crate) use {
    compress::{compress_first, compress_later},
    constants::K,
};
#[cfg(all(fast_kernels, target_arch = "x86_64"))]
pub(crate) use {
    schedule::{Schedule, Step},
    template::Hoisted,
};
