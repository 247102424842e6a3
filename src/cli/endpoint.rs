//! Where somebody listens, as typed: an address, a name, or a socket file.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::str::FromStr;

use super::Error;
use crate::sockets::Address;

/// An address, a name that may have several, or a socket file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// `127.0.0.1:20000`
    Address(SocketAddr),
    /// `localhost:20000`
    Name(String),
    /// `unix:/run/powd.sock`
    File(PathBuf),
}

impl FromStr for Endpoint {
    type Err = String;

    /// Reads one; whether there is such a name is found out later.
    fn from_str(text: &str) -> Result<Endpoint, String> {
        let wrong = || {
            let forms = "expected ADDR:PORT, NAME:PORT or unix:PATH, such as 127.0.0.1:20000";
            forms.to_owned()
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return Some(Endpoint::File(path.into()))
                .filter(|_| !path.is_empty())
                .ok_or_else(wrong);
        }
        if let Ok(address) = text.parse() {
            return Ok(Endpoint::Address(address));
        }
        let named = text.rsplit_once(':').is_some_and(|(name, port)| {
            !name.is_empty() && !name.contains([':', '/', '[', '@']) && port.parse::<u16>().is_ok()
        });
        named
            .then(|| Endpoint::Name(text.to_owned()))
            .ok_or_else(wrong)
    }
}

impl Endpoint {
    /// Every address that it has, one at least.
    pub(super) fn addresses(&self) -> Result<Vec<Address>, Error> {
        let name = match self {
            Endpoint::Address(address) => return Ok(vec![Address::Tcp(*address)]),
            Endpoint::File(path) => return Ok(vec![Address::Unix(path.clone())]),
            Endpoint::Name(name) => name,
        };
        let none = |reason: &dyn std::fmt::Display| {
            Error::Failed(format!(
                "no address of {name} can be found: {reason}: check the name, or give the address itself"
            ))
        };
        let found = name.to_socket_addrs().map_err(|error| none(&error))?;
        // A name can be found several times, in several files.
        let mut addresses = Vec::new();
        for address in found.map(Address::Tcp) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        match addresses.is_empty() {
            true => Err(none(&"it has none")),
            false => Ok(addresses),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_have_three_forms() {
        let endpoint = str::parse::<Endpoint>;
        let address = SocketAddr::from(([127, 0, 0, 1], 20_000));
        assert_eq!(endpoint("127.0.0.1:20000"), Ok(Endpoint::Address(address)));
        let v6 = "[::1]:1".parse().expect("an address");
        assert_eq!(endpoint("[::1]:1"), Ok(Endpoint::Address(v6)));
        for name in ["localhost:20000", "a-b.example:1"] {
            assert_eq!(endpoint(name), Ok(Endpoint::Name(name.to_owned())));
        }
        assert_eq!(endpoint("unix:a b"), Ok(Endpoint::File("a b".into())));
        for wrong in [
            "",
            "nowhere",
            ":1",
            "host:",
            "host:port",
            "host:70000",
            "127.0.0.1",
            "::1:1",
            "[::1:1",
            "http://host:1",
            "unix:",
        ] {
            assert!(endpoint(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_name_has_each_of_its_addresses_once() {
        let name = Endpoint::Name("localhost:7".to_owned());
        let addresses = name.addresses().expect("it is in every file of hosts");
        let loopback = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 7)));
        assert_eq!(addresses.iter().filter(|one| **one == loopback).count(), 1);
    }
}
