//! Listeners of the line protocol.

use crate::sockets;
use powd_core::Difficulty;

/// A bound, listening socket and the difficulty of its clients.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: sockets::Listener,
    pub(crate) difficulty: Difficulty,
}

impl Listener {
    /// A listener whose clients have this difficulty.
    pub fn new(socket: sockets::Listener, difficulty: Difficulty) -> Listener {
        Listener { socket, difficulty }
    }

    /// The address it is bound to, with its real port.
    ///
    /// # Errors
    ///
    /// When the system does not tell it.
    pub fn address(&self) -> std::io::Result<sockets::Address> {
        self.socket.address()
    }

    /// The difficulty of its clients.
    pub fn difficulty(&self) -> Difficulty {
        self.difficulty
    }
}
