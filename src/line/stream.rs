//! The sockets that a connection can have, behind one trait: a simulation has another.

use std::fmt::Debug;
use std::io::{self, Read, Write};

use crate::sockets;

/// A stream socket that never waits.
pub(crate) trait Stream: Debug + Read + Write {
    /// Ends powd's direction; the client's goes on.
    fn end(&mut self) -> io::Result<()>;

    /// Whether the client's direction ends right here: no byte is left to read.
    fn is_at_end(&self) -> bool;

    /// The bytes that have arrived and are not read.
    fn arrived(&self) -> io::Result<usize>;
}

impl Stream for sockets::Stream {
    fn end(&mut self) -> io::Result<()> {
        sockets::Stream::end(self)
    }

    fn is_at_end(&self) -> bool {
        matches!(self.peek(&mut [0]), Ok(0))
    }

    fn arrived(&self) -> io::Result<usize> {
        sockets::Stream::arrived(self)
    }
}
