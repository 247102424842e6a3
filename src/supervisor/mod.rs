//! What a supervisor hands over and is told: systemd, or one that does the same.
//!
//! Sockets that it listens on, in our place ([`Inherited`]); that powd is ready, ends, and is well
//! (`notify`). It must not know flags, nor what is served.

mod inherited;
mod notify;

pub use inherited::{InheritError, Inherited};
pub use notify::{attend, ready, stopping};
