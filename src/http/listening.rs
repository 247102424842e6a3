//! A listener on the runtime of its door.

use std::io;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Runtime;

use super::socket::Socket;
use crate::sockets::{Listener, Origin, SocketFile};

/// A listener in the runtime's poll.
#[derive(Debug)]
pub(super) struct Listening {
    /// Removed before the socket is closed.
    _file: Option<SocketFile>,
    is_inherited: bool,
    socket: Kind,
}

/// The runtime has a type for each kind.
#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    /// Has this runtime poll them.
    pub(super) fn on(runtime: &Runtime, listeners: Vec<Listener>) -> io::Result<Vec<Listening>> {
        let _on_it = runtime.enter();
        listeners.into_iter().map(Listening::new).collect()
    }

    fn new(listener: Listener) -> io::Result<Listening> {
        let (is_unix, is_inherited) = (listener.is_unix()?, listener.is_inherited());
        let (socket, file) = listener.into_parts();
        Ok(Listening {
            _file: file,
            is_inherited,
            socket: match is_unix {
                true => Kind::Unix(UnixListener::from_std(socket.into())?),
                false => Kind::Tcp(TcpListener::from_std(socket.into())?),
            },
        })
    }

    /// Whether another process listens on it, too.
    pub(super) fn is_inherited(&self) -> bool {
        self.is_inherited
    }

    /// The next connection, and where it comes from.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Origin)> {
        match &self.socket {
            Kind::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((prompt(stream), Origin::Address(address.ip())))
            }
            Kind::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((stream.into(), Origin::Local))
            }
        }
    }

    /// The next of those that wait, if one does. Not by way of the runtime, which may not have
    /// heard of them yet, and lets a task have 128 of them at a time (`tokio::task::coop`).
    pub(super) fn accept_waiting(&self) -> io::Result<(Socket, Origin)> {
        let listener = match &self.socket {
            Kind::Tcp(listener) => SockRef::from(listener),
            Kind::Unix(listener) => SockRef::from(listener),
        };
        let (socket, peer) = listener.accept()?;
        socket.set_nonblocking(true)?;
        Ok(match peer.as_socket() {
            Some(address) => {
                let stream = TcpStream::from_std(socket.into())?;
                (prompt(stream), Origin::Address(address.ip()))
            }
            None => (UnixStream::from_std(socket.into())?.into(), Origin::Local),
        })
    }
}

/// Answers are complete: waiting for more to send would only delay them.
fn prompt(stream: TcpStream) -> Socket {
    let _ = stream.set_nodelay(true);
    stream.into()
}
