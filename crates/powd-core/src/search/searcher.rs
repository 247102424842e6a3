//! What one thread searches with.

use crate::kernel::{Kernel, Scan};
use crate::sha256::Template;

/// The tools of one searching thread: a kernel, and memory in which a message is laid out as
/// SHA-256 blocks.
///
/// A thread makes one at its start and takes it to all its searches; after that they allocate
/// nothing. A searcher may go from search to search in any order. It remembers the message it saw
/// last: to go on with the same one costs a comparison of its bytes, not laying it out again.
///
/// `S` is a [`Kernel`]: [`Scan`] is sealed.
///
/// ```
/// use std::num::NonZeroU64;
///
/// use powd_core::{Difficulty, Job, Kernel, Progress, Search, SeedLength, Searcher, Tally};
///
/// let mut searcher = Searcher::new(Kernel::PORTABLE, 1024);
/// let mut tally = Tally::default();
/// for message in ["one", "two"] {
///     let job = Job { message: message.as_bytes(), difficulty: Difficulty::of::<2>() };
///     let mut search = Search::new(SeedLength::DEFAULT, 0);
///     let progress = search.advance(&mut searcher, job, NonZeroU64::MAX, &mut tally);
///     assert!(matches!(progress, Progress::Found(_)));
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Searcher<S = Kernel> {
    pub(super) scanner: S,
    pub(super) template: Template,
}

impl<S: Scan> Searcher<S> {
    /// A searcher with a kernel, and room for messages of up to `max_message_bytes`: about five
    /// bytes for each of theirs, in two allocations. There is no other one, unless a longer message
    /// comes.
    ///
    /// # Panics
    ///
    /// When no memory can be so large: see [`Vec::with_capacity`].
    pub fn new(scanner: S, max_message_bytes: usize) -> Searcher<S> {
        Searcher {
            scanner,
            template: Template::with_capacity(max_message_bytes),
        }
    }
}
