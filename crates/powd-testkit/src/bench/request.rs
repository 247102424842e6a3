//! A request whose reply its benchmark reads in its own way, or never.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use super::fail;
use crate::DEADLINE;

/// A search of this difficulty ends with its client only.
pub const ENDLESS: u8 = 64;

/// Sends `bytes` on a new connection, whose reads have a deadline.
pub fn send(address: SocketAddr, bytes: &str) -> TcpStream {
    let connected = TcpStream::connect(address);
    let mut stream = connected.unwrap_or_else(|error| fail(&format!("powd: {error}")));
    let limited = stream.set_read_timeout(Some(DEADLINE));
    let sent = limited.and_then(|()| stream.write_all(bytes.as_bytes()));
    sent.unwrap_or_else(|error| fail(&format!("powd: {error}")));
    stream
}
