//! Connections of proxies, until it is known whom they are for.

use std::time::Instant;

use tokio::time::timeout_at;

use super::socket::Socket;
use crate::sockets::{Look, Origin, PATIENCE, has_spoken, look};

/// What becomes of a connection of a proxy.
#[derive(Clone, Copy, Debug)]
pub(super) enum Introduction {
    /// It has a client, who is there, and comes from here.
    Known(Origin),
    /// It has ended: its proxy wanted to know whether powd is well.
    Gone,
    /// It is to be closed: no header has come.
    Broken,
}

/// Waits for the header of a connection from `proxy`; where that names no client, for the first
/// byte as well.
pub(super) async fn introduce(socket: &Socket, proxy: Origin) -> Introduction {
    let until = Instant::now() + PATIENCE;
    let mut client = None;
    loop {
        let Ok(came) = timeout_at(until.into(), socket.readable()).await else {
            return client.map_or(Introduction::Broken, Introduction::Known);
        };
        let Ok(is_all) = came else {
            return Introduction::Gone;
        };
        // What is not enough stays in the socket; only more of it is told of.
        let known = match client {
            Some(client) => Some(Look::Unknown(client)),
            None => socket.when_enough(|socket| match look(socket, proxy) {
                Look::Incomplete => None,
                known => Some(known),
            }),
        };
        match known {
            None | Some(Look::Incomplete) if is_all => return Introduction::Broken,
            None | Some(Look::Incomplete) => continue,
            Some(Look::Gone) => return Introduction::Gone,
            Some(Look::Broken) => return Introduction::Broken,
            Some(Look::Client(client)) => return Introduction::Known(client),
            Some(Look::Unknown(unknown)) => client = Some(unknown),
        }
        let spoken = socket.when_enough(|socket| match has_spoken(socket) {
            Some(false) => None,
            spoken => Some(spoken.is_some()),
        });
        match (spoken, client) {
            (Some(true), Some(client)) => return Introduction::Known(client),
            (Some(_), _) => return Introduction::Gone,
            (None, _) => {}
        }
    }
}
