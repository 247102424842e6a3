//! One search: where it starts, how it walks the seed space, when it is over.
//!
//! A search is a position on a [`Ring`] of seeds, small enough to be put aside and taken up again after
//! any number of hashes. It is exhaustive: it starts at a drawn place, walks every seed of its length
//! once, and goes on with one character more when that length is proven empty. Every winner is hashed
//! again by the oracle in [`pow`](crate::pow) before it leaves, so a kernel cannot make a wrong answer,
//! only a logged and counted one.
//!
//! No sockets, no threads, no clock: who asked, and which thread does the work, is for the layer above.

mod draws;
mod job;
mod probe;
mod progress;
mod ring;
mod searcher;
mod sequential;
mod shared;

pub use draws::Draws;
pub use job::{Job, Tally};
pub use progress::Progress;
pub use ring::Ring;
pub use searcher::Searcher;
pub use sequential::Search;
pub use shared::{Share, SharedSearch};
