//! Where a server listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// An address of TCP, or a socket file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// Of TCP.
    Tcp(SocketAddr),
    /// A socket file.
    Unix(PathBuf),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address::Tcp(address)
    }
}

impl fmt::Display for Address {
    /// As it is typed: `127.0.0.1:20000`, `unix:/run/powd.sock`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_is_typed() {
        let address = SocketAddr::from(([127, 0, 0, 1], 20_000));
        assert_eq!(Address::from(address).to_string(), "127.0.0.1:20000");
        let file = Address::Unix("/run/powd.sock".into());
        assert_eq!(file.to_string(), "unix:/run/powd.sock");
    }
}
