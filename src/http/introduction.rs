//! Connections of proxies, until it is known whom they are for.

use std::time::Instant;

use tokio::time::timeout_at;

use super::socket::Socket;
use crate::sockets::{Introduced, Introduction, Origin, PATIENCE};

/// Waits for the header of a connection from `proxy`; where that names no client, for the first
/// byte as well.
pub(super) async fn introduce(socket: &Socket, proxy: Origin) -> Introduced {
    let until = Instant::now() + PATIENCE;
    let mut introduction = Introduction::by(proxy);
    loop {
        let Ok(came) = timeout_at(until.into(), socket.readable()).await else {
            return introduction.late();
        };
        let Ok(has_ended) = came else {
            return Introduced::Gone;
        };
        // What is not enough stays in the socket; only more of it is told of.
        let end = socket.when_enough(|socket| introduction.look(socket, has_ended));
        if let Some(end) = end {
            return end;
        }
    }
}
