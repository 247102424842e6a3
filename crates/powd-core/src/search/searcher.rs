//! What one thread searches with.

use crate::kernel::{Kernel, Scan};
use crate::sha256::Template;

/// The tools of one searching thread: a kernel, and memory in which a message is laid out as SHA-256 blocks.
///
/// A thread makes one at its start and takes it to all its searches; after that they allocate nothing. A searcher
/// may go from search to search in any order. It remembers the message it saw last: to go on with the same one
/// costs a comparison of its bytes, not laying it out again.
///
/// ```
/// use powd_core::{Kernel, Searcher};
///
/// // Messages of up to 1 KiB; longer ones are allowed, and make it grow.
/// let searcher = Searcher::new(Kernel::PORTABLE, 1024);
/// # let _ = searcher;
/// ```
#[derive(Clone, Debug)]
pub struct Searcher<S = Kernel> {
    pub(super) scanner: S,
    pub(super) template: Template,
}

impl<S: Scan> Searcher<S> {
    /// A searcher with room for messages of up to `max_message_bytes`: the only allocation.
    pub fn new(scanner: S, max_message_bytes: usize) -> Searcher<S> {
        Searcher {
            scanner,
            template: Template::with_capacity(max_message_bytes),
        }
    }
}
