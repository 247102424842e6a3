//! The line protocol as bytes: where a request ends, what a reply and an error line look like; and
//! the header that a proxy puts before.
//!
//! Pure functions, used by the server, the load client, the commands and the fuzz targets. Nothing
//! here knows a socket, a clock or a buffer.

mod error_line;
mod framing;
mod proxy;
mod reply;

pub use error_line::ErrorLine;
#[cfg(any(test, feature = "simulation"))]
pub use framing::definition;
pub use framing::{Cut, Cutter, Framing};
pub use proxy::{ProxiedFor, ProxyHeader};
pub use reply::{Fault, Reply};
