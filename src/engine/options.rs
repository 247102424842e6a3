//! What the engine is told at its start.

use std::num::NonZeroUsize;
use std::time::Duration;

use powd_core::unstable::hash_blocks;
use powd_core::{Comparison, Difficulty, Kernel, SeedLength};

use super::client::Work;
use crate::cpus;

/// Everything that an engine is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The workers, each a thread with its own clients.
    pub workers: NonZeroUsize,
    /// Whether each worker is bound to one CPU, if there are as many as CPUs and no quota takes
    /// time from them, and as long as none waits for its CPU while another has nothing to do.
    pub pin: bool,
    /// The kernel of every worker.
    pub kernel: Kernel,
    /// Its rate on messages of one block, hashes/s. Workers begin with it, and correct it by what
    /// they see.
    pub hash_rate: f64,
    /// Characters of the first seeds tried.
    pub seed_length: SeedLength,
    /// The longest message.
    pub max_message_bytes: MessageBytes,
    /// The seed of the generators that draw where searches start.
    pub rng_seed: u64,
    /// How long a drain may take before what is still open is refused.
    pub drain_timeout: Duration,
}

impl Options {
    /// The work of a search for a message of `bytes`.
    pub(crate) fn work(&self, difficulty: Difficulty, bytes: usize) -> Work {
        Work::new(difficulty, self.blocks(bytes))
    }

    /// Blocks of a hash for a message of `bytes`.
    pub(crate) fn blocks(&self, bytes: usize) -> u64 {
        hash_blocks(self.seed_length, bytes)
    }
}

impl Default for Options {
    /// A worker for each CPU, with the fastest kernel, which is measured for some milliseconds.
    /// Every engine started with this draws the same places.
    fn default() -> Options {
        let comparison = Comparison::measure();
        let kernel = comparison.fastest();
        Options {
            workers: NonZeroUsize::new(cpus::available()).unwrap_or(NonZeroUsize::MIN),
            pin: true,
            kernel,
            hash_rate: comparison.hash_rate(kernel),
            seed_length: SeedLength::DEFAULT,
            max_message_bytes: MessageBytes::DEFAULT,
            rng_seed: 0,
            drain_timeout: Duration::from_secs(8),
        }
    }
}

/// As good as for ever, and no clock overflows where it is added to the time.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A limit for the length of messages, 1 to 65,536 bytes: one batch of hashes of the longest takes
/// more than a worker's quantum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageBytes(usize);

/// Why a number of bytes is not a [`MessageBytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number from 1 to {}", MessageBytes::MAX.0)]
pub struct MessageBytesError;

impl MessageBytes {
    /// The highest limit.
    pub const MAX: MessageBytes = MessageBytes(65_536);

    /// What the original server took.
    pub const DEFAULT: MessageBytes = MessageBytes(8192);

    /// A limit of `bytes`.
    ///
    /// # Errors
    ///
    /// When it is none or more than [`MessageBytes::MAX`].
    pub const fn new(bytes: usize) -> Result<MessageBytes, MessageBytesError> {
        if 1 <= bytes && bytes <= MessageBytes::MAX.0 {
            Ok(MessageBytes(bytes))
        } else {
            Err(MessageBytesError)
        }
    }

    /// The bytes.
    pub const fn get(self) -> usize {
        self.0
    }
}

impl Default for MessageBytes {
    fn default() -> MessageBytes {
        MessageBytes::DEFAULT
    }
}

impl std::fmt::Display for MessageBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for MessageBytes {
    type Err = MessageBytesError;

    fn from_str(text: &str) -> Result<MessageBytes, MessageBytesError> {
        let bytes = text.parse().map_err(|_| MessageBytesError)?;
        MessageBytes::new(bytes)
    }
}
