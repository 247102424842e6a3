//! The line protocol as bytes: where a request ends, what a reply and an error line look like.
//!
//! Pure functions, used by the server, the load client, the commands and the fuzz targets. Nothing here knows a
//! socket, a clock or a buffer.

mod framing;
mod reply;

pub use framing::{Cut, Framing, LineCutter, without_newlines};
pub use reply::{Fault, Reply};
