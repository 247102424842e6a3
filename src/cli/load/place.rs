//! Where the server of `powd load` is, as typed.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use super::super::Error;
use crate::load::Target;

/// An address, a name that may have several, or a socket file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `127.0.0.1:20000`
    Address(SocketAddr),
    /// `localhost:20000`
    Name(String),
    /// `unix:/run/powd.sock`
    File(PathBuf),
}

/// Reads one; whether there is such a name is found out later.
pub(super) fn place(text: &str) -> Result<Place, String> {
    let wrong = || {
        let forms = "expected ADDR:PORT, NAME:PORT or unix:PATH, such as 127.0.0.1:20000";
        forms.to_owned()
    };
    if let Some(path) = text.strip_prefix("unix:") {
        return Some(Place::File(path.into()))
            .filter(|_| !path.is_empty())
            .ok_or_else(wrong);
    }
    if let Ok(address) = text.parse() {
        return Ok(Place::Address(address));
    }
    let named = text.rsplit_once(':').is_some_and(|(name, port)| {
        !name.is_empty() && !name.contains([':', '/', '[']) && port.parse::<u16>().is_ok()
    });
    named
        .then(|| Place::Name(text.to_owned()))
        .ok_or_else(wrong)
}

impl Place {
    /// What to connect to. Of a name with several addresses the first at which somebody listens: `localhost` is
    /// `::1` and `127.0.0.1`, and a server may listen on one of them. Who has no choice is not asked.
    pub(super) fn target(self) -> Result<Target, Error> {
        match self {
            Place::Address(address) => Ok(address.into()),
            Place::File(path) => Ok(Target::Unix(path)),
            Place::Name(name) => {
                let found = name.to_socket_addrs().map_err(|error| {
                    Error::Failed(format!(
                        "no address of {name} can be found: {error}: check the name, or give the address itself"
                    ))
                })?;
                choose(&name, &found.collect::<Vec<_>>())
            }
        }
    }
}

fn choose(name: &str, addresses: &[SocketAddr]) -> Result<Target, Error> {
    if let [only] = addresses {
        return Ok((*only).into());
    }
    let mut tried = Vec::new();
    let mut last = None;
    for address in addresses {
        let target = Target::from(*address);
        match target.probe() {
            Ok(()) => return Ok(target),
            Err(error) => {
                tried.push(format!("{target}: {error}"));
                last = Some(error);
            }
        }
    }
    let remedy = last.as_ref().map_or("", remedy);
    let tried = tried.join("; ");
    Err(Error::Failed(format!(
        "cannot connect to {name}: {tried}{remedy}"
    )))
}

/// What to do about a server that cannot be reached.
pub(super) fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            ": nothing listens there, start `powd serve` or give the address of a server"
        }
        io::ErrorKind::NotFound => {
            ": there is no such socket file, give the PATH of a server's --listen unix:PATH"
        }
        io::ErrorKind::PermissionDenied => {
            ": only who may write to a socket file can connect to it"
        }
        io::ErrorKind::TimedOut => ": no answer, the host may be down or behind a firewall",
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            ": there is no way from here to that address"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn places_have_three_forms() {
        let address = SocketAddr::from(([127, 0, 0, 1], 20_000));
        assert_eq!(place("127.0.0.1:20000"), Ok(Place::Address(address)));
        let v6 = "[::1]:1".parse().expect("an address");
        assert_eq!(place("[::1]:1"), Ok(Place::Address(v6)));
        for name in ["localhost:20000", "a-b.example:1"] {
            assert_eq!(place(name), Ok(Place::Name(name.to_owned())));
        }
        assert_eq!(place("unix:a b"), Ok(Place::File("a b".into())));
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
            assert!(place(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn of_several_addresses_the_first_that_answers_is_taken() {
        // Bound, so that nobody else gets the port, but not listening: connections are refused.
        let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        deaf.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .expect("a free port");
        let refused = deaf.local_addr().expect("bound").as_socket().expect("IPv4");
        let listening = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let [first, second] = listening
            .each_ref()
            .map(|listener| listener.local_addr().expect("bound"));
        for (found, expected) in [
            (&[refused, first, second][..], Some(first)),
            (&[second, refused], Some(second)),
            (&[refused, refused], None),
            // Whether this one answers is found out by measuring.
            (&[refused], Some(refused)),
        ] {
            let chosen = choose("name", found).ok();
            assert_eq!(chosen, expected.map(Target::from), "{found:?}");
        }
    }
}
