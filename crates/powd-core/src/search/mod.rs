//! One search: where it starts, how it walks the seed space, when it is over.
//!
//! A search is a position on a [`Ring`] of seeds. It is so small that it can be put aside and taken
//! up again after any number of hashes. It is exhaustive: it starts at a drawn place, walks every
//! seed of its length once, and goes on with one character more when that length is proven empty.
//!
//! The oracle in [`pow`](crate::pow) hashes every winner again before it leaves. So a kernel that
//! is wrong costs time and is counted, but cannot make an answer wrong.
//!
//! A search knows no sockets, no threads and no clock. Who asked, and which thread does the work,
//! is for the layer above.

#[cfg(feature = "_shared")]
mod draws;
mod job;
mod probe;
mod progress;
mod ring;
mod searcher;
mod sequential;
#[cfg(feature = "_shared")]
mod shared;

#[cfg(feature = "_shared")]
pub use draws::Draws;
pub use job::{Job, Tally};
pub use progress::Progress;
pub use ring::Ring;
pub use searcher::Searcher;
pub use sequential::Search;
#[cfg(feature = "unstable")]
pub use shared::Share;
#[cfg(feature = "_shared")]
pub use shared::SharedSearch;
