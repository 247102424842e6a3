//! Where a program can listen: ports that nothing listens on yet, addresses of a name.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _};

use socket2::{Domain, Socket, Type};

/// A port that refuses connections until a program listens on it, and the socket that keeps it from
/// others: bound, but not listening.
///
/// For programs that cannot choose a port themselves, or not say which. A port that was free a
/// moment ago may be another's by the time they start: tests take many, and so do the connections
/// of their clients. Where both sockets have SO_REUSEADDR, as every server sets it, Linux lets one
/// of them listen on what the other has bound; it gives neither away.
pub fn reserved_port() -> (Socket, SocketAddr) {
    reserve(Domain::IPV4, (Ipv4Addr::LOCALHOST, 0).into())
}

/// The same for every address of this machine, of IPv4 and of IPv6.
pub fn reserved_port_of_all() -> (Socket, SocketAddr) {
    reserve(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, 0).into())
}

/// The addresses of a name that this machine has: one at least.
pub fn addresses_of(name: &str) -> BTreeSet<IpAddr> {
    let known = (name, 0).to_socket_addrs().expect("a name that is known");
    let bound = known.filter_map(|address| TcpListener::bind(address).ok());
    let bound = bound.map(|listener| listener.local_addr().expect("bound").ip());
    let bound: BTreeSet<IpAddr> = bound.collect();
    assert!(!bound.is_empty(), "no address of {name} is this machine's");
    bound
}

fn reserve(domain: Domain, any: SocketAddr) -> (Socket, SocketAddr) {
    let socket = Socket::new(domain, Type::STREAM, None).expect("a descriptor is free");
    socket.set_reuse_address(true).expect("a TCP socket");
    if domain == Domain::IPV6 {
        socket.set_only_v6(false).expect("not bound yet");
    }
    socket.bind(&any.into()).expect("a free port");
    let bound = socket.local_addr().expect("bound");
    // Elsewhere nobody could listen beside it: there the port is free again, and may stay so.
    #[cfg(not(target_os = "linux"))]
    let socket = Socket::new(domain, Type::STREAM, None).expect("a descriptor is free");
    (socket, bound.as_socket().expect("an IP address"))
}
