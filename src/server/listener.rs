//! Listening sockets.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::ServerError;
use crate::pow::Difficulty;

/// Connections that the kernel completes before the acceptor gets to them. The most that Linux grants by
/// default (`net.core.somaxconn`); std fixes it at 128, which a burst of clients overruns.
pub(super) const BACKLOG: i32 = 4096;

/// A bound, listening socket and the difficulty of its clients.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: TcpListener,
    pub(super) difficulty: Difficulty,
}

impl Listener {
    /// Binds `address` (port 0: one that is free) and listens.
    pub fn bind(address: SocketAddr, difficulty: Difficulty) -> Result<Listener, ServerError> {
        let listen = || {
            let socket = Socket::new(
                Domain::for_address(address),
                Type::STREAM,
                Some(Protocol::TCP),
            )?;
            // A restart must not wait for the old connections to time out (socket(7)).
            #[cfg(unix)]
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Ok(TcpListener::from(socket))
        };
        listen()
            .map(|socket| Listener { socket, difficulty })
            .map_err(|source| ServerError::Listen { address, source })
    }

    /// The address it is bound to, with its real port.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The difficulty of its clients.
    pub fn difficulty(&self) -> Difficulty {
        self.difficulty
    }
}
