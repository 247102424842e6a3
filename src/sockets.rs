//! Listening sockets, as every door wants them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

/// Connections that the kernel completes before the acceptor gets to them. The most that Linux grants by
/// default (`net.core.somaxconn`); std fixes it at 128, which a burst of clients overruns.
pub(crate) const BACKLOG: i32 = 4096;

/// A client whose cable is cut sends nothing more, no end of stream either. After a minute of silence the
/// kernel asks it six times, every 10 s (tcp(7)), and resets the connection when no answer comes: two minutes
/// in all, where the system's own default is two hours, and only for who asks.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(10))
    .with_retries(6);

/// Binds `address` (port 0: one that is free) and listens.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for the old connections to time out (socket(7)).
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    // [::] takes IPv6 clients only, whatever the system's default: 0.0.0.0 can stand beside it.
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Accepted sockets inherit both: no system call for each.
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    // Urgent data is data like any other (RFC 6093, section 4).
    socket.set_out_of_band_inline(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from(socket))
}
