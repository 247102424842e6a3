//! Listening sockets.

use std::net::{SocketAddr, TcpListener};

use super::ServerError;
use crate::sockets;
use powd_core::Difficulty;

/// A bound, listening socket and the difficulty of its clients.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) difficulty: Difficulty,
}

impl Listener {
    /// Binds `address` (port 0: one that is free) and listens.
    pub fn bind(address: SocketAddr, difficulty: Difficulty) -> Result<Listener, ServerError> {
        sockets::listen(address)
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
