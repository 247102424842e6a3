//! Sockets as every door wants them, over TCP and over socket files: where powd listens, who comes,
//! what of a connection a proxy says.
//!
//! Both kinds are one type, so that no door has two of everything. It must not know what is spoken.

mod accepting;
mod address;
mod listener;
mod proxies;
mod seldom;
mod stream;

pub(crate) use accepting::{AcceptFailure, Accepting, PAUSE};
pub use address::Address;
pub(crate) use listener::BACKLOG;
#[cfg(feature = "http")]
pub(crate) use listener::SocketFile;
pub use listener::{ListenError, Listener};
pub use proxies::Proxies;
pub(crate) use proxies::{Introduced, Introduction, PATIENCE, WAITING, missing_header};
pub(crate) use seldom::Seldom;
pub(crate) use stream::{Origin, Stream};
