//! The server of `powd load`: what is spoken with it, and which of the addresses of a name.

use std::io;
use std::str::FromStr;

use super::super::Error;
use super::super::endpoint::Endpoint;
use crate::load::probe;
use crate::sockets::Address;

/// A server as typed: an endpoint, with `http://` before it where that is to be spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    endpoint: Endpoint,
    /// Its name and port as typed, for HTTP.
    authority: Option<String>,
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Server, String> {
        if text.starts_with("https://") {
            return Err("TLS is a proxy's, give the http:// address behind it".to_owned());
        }
        let Some(authority) = text.strip_prefix("http://") else {
            let endpoint = text.parse()?;
            return Ok(Server {
                endpoint,
                authority: None,
            });
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        match authority.parse()? {
            Endpoint::File(_) => {
                Err("HTTP is asked over TCP: expected http://ADDR:PORT".to_owned())
            }
            endpoint @ (Endpoint::Address(_) | Endpoint::Name(_)) => Ok(Server {
                endpoint,
                authority: Some(authority.to_owned()),
            }),
        }
    }
}

impl Server {
    /// What to connect to. Of a name with several addresses the first at which somebody listens:
    /// `localhost` is `::1` and `127.0.0.1`, and a server may listen on one of them. Who has no
    /// choice is not asked.
    pub(super) fn address(&self) -> Result<Address, Error> {
        choose(self.endpoint.addresses()?)
    }

    /// Its name and port, where HTTP is to be spoken.
    pub(super) fn http_authority(&self) -> Option<String> {
        self.authority.clone()
    }
}

fn choose(addresses: Vec<Address>) -> Result<Address, Error> {
    if let [only] = &addresses[..] {
        return Ok(only.clone());
    }
    let mut tried = Vec::new();
    let mut last = None;
    for address in addresses {
        match probe(&address) {
            Ok(()) => return Ok(address),
            Err(error) => {
                tried.push(format!("{address}: {error}"));
                last = Some(error);
            }
        }
    }
    let remedy = last.as_ref().map_or("", remedy);
    let tried = tried.join("; ");
    Err(Error::Failed(format!("cannot connect to {tried}{remedy}")))
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
    use std::net::{SocketAddr, TcpListener};

    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn http_is_spoken_where_it_is_asked_for() {
        let server = str::parse::<Server>;
        let line = server("127.0.0.1:1").expect("an endpoint");
        assert_eq!(line.http_authority(), None);
        for text in ["http://127.0.0.1:1", "http://127.0.0.1:1/"] {
            let http = server(text).expect("an endpoint");
            assert_eq!(http.http_authority().as_deref(), Some("127.0.0.1:1"));
            assert_eq!(http.endpoint, line.endpoint);
        }
        for wrong in [
            "http://host",
            "http://host:1/v1/solve",
            "http://http://host:1",
            "http://unix:a",
            "https://host:1",
        ] {
            assert!(server(wrong).is_err(), "{wrong}");
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
            let chosen = choose(found.iter().copied().map(Address::from).collect()).ok();
            assert_eq!(chosen, expected.map(Address::from), "{found:?}");
        }
    }
}
