//! What threads share: types of the standard library, or those of `loom` in a model (`--cfg loom`).
//!
//! Only the types differ. Every ordering is written where it is used, so that a model checks the
//! code that ships.

#[cfg(not(all(loom, test)))]
mod standard;
#[cfg(not(all(loom, test)))]
pub(crate) use standard::*;

#[cfg(all(loom, test))]
mod model;
#[cfg(all(loom, test))]
pub(crate) use model::*;
