//! Where a server is, and a connection to it: over TCP or over a socket file.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream as BlockingUnixStream;
use std::path::PathBuf;
use std::time::Duration;

use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

/// How long a server has to answer whether it is there.
const PATIENCE: Duration = Duration::from_secs(1);

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Of TCP.
    Tcp(SocketAddr),
    /// A socket file.
    Unix(PathBuf),
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Target {
        Target::Tcp(address)
    }
}

impl fmt::Display for Target {
    /// As it is typed: `127.0.0.1:20000`, `unix:/run/powd.sock`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tcp(address) => address.fmt(f),
            Target::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Target {
    /// Connects once, to see whether somebody listens, and waits for up to a second.
    pub fn probe(&self) -> io::Result<()> {
        match self {
            Target::Tcp(address) => {
                std::net::TcpStream::connect_timeout(address, PATIENCE).map(drop)
            }
            Target::Unix(path) => BlockingUnixStream::connect(path).map(drop),
        }
    }

    /// Begins to connect, and has the poller tell what comes of it. `WouldBlock`: a socket file whose queue is full,
    /// where TCP would try again by itself.
    pub(super) fn connect(&self, registry: &Registry, token: Token) -> io::Result<Stream> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        Ok(match self {
            Target::Tcp(address) => {
                let mut stream = TcpStream::connect(*address)?;
                registry.register(&mut stream, token, interest)?;
                Stream::Tcp(stream)
            }
            Target::Unix(path) => {
                let mut stream = UnixStream::connect(path)?;
                registry.register(&mut stream, token, interest)?;
                Stream::Unix(stream)
            }
        })
    }
}

/// A connection, or one to be.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Whether `connect` was answered; its error if that was the answer.
    pub(super) fn is_connected(&self) -> io::Result<bool> {
        let error = match self {
            Stream::Tcp(stream) => stream.take_error(),
            Stream::Unix(stream) => stream.take_error(),
        };
        if let Some(error) = error? {
            return Err(error);
        }
        let connected = match self {
            Stream::Tcp(stream) => stream.peer_addr().and_then(|_| stream.set_nodelay(true)),
            Stream::Unix(stream) => stream.peer_addr().map(drop),
        };
        match connected {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(bytes),
            Stream::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_shown_as_it_is_typed() {
        let address = SocketAddr::from(([127, 0, 0, 1], 20_000));
        assert_eq!(Target::from(address).to_string(), "127.0.0.1:20000");
        let file = Target::Unix("/run/powd.sock".into());
        assert_eq!(file.to_string(), "unix:/run/powd.sock");
    }
}
