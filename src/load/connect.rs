//! A connection to a server, over TCP or over a socket file.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

use crate::sockets::Address;

/// How long a server has to answer whether it is there.
const PATIENCE: Duration = Duration::from_secs(1);

/// Connects once, to see whether somebody listens: over TCP it waits for up to a second, at a
/// socket file not at all, since somebody does where the queue is full.
pub(crate) fn probe(server: &Address) -> io::Result<()> {
    match server {
        Address::Tcp(address) => std::net::TcpStream::connect_timeout(address, PATIENCE).map(drop),
        Address::Unix(path) => match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            connected => connected.map(drop),
        },
    }
}

/// Begins to connect, and has the poller tell what comes of it. `WouldBlock`: a socket file whose
/// queue is full, where TCP would try again by itself.
pub(super) fn connect(server: &Address, registry: &Registry, token: Token) -> io::Result<Stream> {
    let interest = Interest::READABLE | Interest::WRITABLE;
    Ok(match server {
        Address::Tcp(address) => {
            let mut stream = TcpStream::connect(*address)?;
            registry.register(&mut stream, token, interest)?;
            Stream::Tcp(stream)
        }
        Address::Unix(path) => {
            let mut stream = UnixStream::connect(path)?;
            registry.register(&mut stream, token, interest)?;
            Stream::Unix(stream)
        }
    })
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
