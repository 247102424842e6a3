//! Where to listen, as typed and as bound.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use powd_core::Difficulty;

use crate::cli::Error;
use crate::cli::endpoint::Endpoint;
use crate::line;
use crate::sockets::{Address, ListenError, Listener, Proxies};

/// The flag of listeners.
const LISTEN: &str = "--listen";

/// A listener as typed: an endpoint, with or without `@N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listen {
    endpoint: Endpoint,
    difficulty: Option<Difficulty>,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Listen, String> {
        let split = text.rsplit_once('@').filter(|(endpoint, nibbles)| {
            // The path of a socket file may have one, too.
            !endpoint.starts_with("unix:") || nibbles.bytes().all(|byte| byte.is_ascii_digit())
        });
        let (endpoint, nibbles) = match split {
            Some((endpoint, nibbles)) => (endpoint, Some(nibbles)),
            None => (text, None),
        };
        let difficulty = nibbles.map(Difficulty::from_str).transpose();
        Ok(Listen {
            endpoint: endpoint.parse().map_err(|_| {
                "expected ADDR:PORT, NAME:PORT or unix:PATH, each with or without @DIFFICULTY: 127.0.0.1:20000, [::]:20000@6"
                    .to_owned()
            })?,
            difficulty: difficulty.map_err(|error| error.to_string())?,
        })
    }
}

/// The sockets of one endpoint: those handed over for it, or those of its addresses, which are not
/// bound yet.
#[derive(Debug)]
pub(super) enum Sockets {
    HandedOver(Vec<Listener>),
    Unbound(Vec<Address>),
}

/// An address that is not bound yet, and the flag that asks for it.
pub(super) type Asked<'a> = (&'static str, &'a Address);

impl Sockets {
    /// Looks up the name of the endpoint, where it has one and nothing was handed over.
    pub(super) fn resolve(
        handed_over: Vec<Listener>,
        endpoint: Option<&Endpoint>,
    ) -> Result<Sockets, Error> {
        if !handed_over.is_empty() {
            return Ok(Sockets::HandedOver(handed_over));
        }
        let addresses = endpoint.map_or(Ok(Vec::new()), Endpoint::addresses)?;
        let addresses = addresses.into_iter().map(canonical);
        Ok(Sockets::Unbound(addresses.collect()))
    }

    /// The addresses that are not bound yet, which `flag` asks for.
    pub(super) fn asked(&self, flag: &'static str) -> impl Iterator<Item = Asked<'_>> {
        let addresses = match self {
            Sockets::Unbound(addresses) => &addresses[..],
            Sockets::HandedOver(_) => &[],
        };
        addresses.iter().map(move |address| (flag, address))
    }

    /// Binds the addresses, which `flag` has asked for. Where a name has several, one of a kind
    /// that this system does not have is left out: most systems call themselves `localhost` by
    /// IPv6, too, also those without it.
    pub(super) fn bind(self, flag: &'static str) -> Result<Vec<Listener>, Error> {
        let addresses = match self {
            Sockets::HandedOver(listeners) => return Ok(listeners),
            Sockets::Unbound(addresses) => addresses,
        };
        let has_several = addresses.len() > 1;
        let (mut bound, mut absent) = (Vec::new(), Vec::new());
        for address in addresses {
            match Listener::bind(address) {
                Ok(listener) => bound.push(listener),
                Err(error) if has_several && is_absent(&error) => absent.push(error),
                Err(error) => return Err(Error::Listen { error, flag }),
            }
        }
        if bound.is_empty()
            && let Some(error) = absent.pop()
        {
            return Err(Error::Listen { error, flag });
        }
        for error in absent {
            tracing::warn!("{error}; the other addresses of that name are listened on");
        }
        Ok(bound)
    }
}

/// The system does not tell where a socket listens.
pub(super) fn unknown_address(error: io::Error) -> Error {
    Error::Failed(format!("a socket's address is unknown: {error}"))
}

fn is_absent(error: &ListenError) -> bool {
    let number = error.source.raw_os_error();
    matches!(number, Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

/// ::ffff:a.b.c.d is IPv4.
fn canonical(address: Address) -> Address {
    match address {
        Address::Tcp(address) => match address.ip().to_canonical() {
            IpAddr::V4(ip) => SocketAddr::from((ip, address.port())).into(),
            IpAddr::V6(_) => address.into(),
        },
        file => file,
    }
}

/// The listeners of the line protocol, with their difficulties.
#[derive(Debug)]
pub(super) struct LineListeners(Vec<(Sockets, Difficulty)>);

impl LineListeners {
    /// Those that were handed over, or those of `--listen`, which are not bound yet.
    pub(super) fn resolve(
        handed_over: Vec<(Listener, Option<Difficulty>)>,
        listen: &[Listen],
        difficulty: Difficulty,
    ) -> Result<LineListeners, Error> {
        if !handed_over.is_empty() {
            let handed_over = handed_over.into_iter().map(|(listener, own)| {
                let sockets = Sockets::HandedOver(vec![listener]);
                (sockets, own.unwrap_or(difficulty))
            });
            return Ok(LineListeners(handed_over.collect()));
        }
        let mut listeners = Vec::new();
        for listen in listen {
            let sockets = Sockets::resolve(Vec::new(), Some(&listen.endpoint))?;
            listeners.push((sockets, listen.difficulty.unwrap_or(difficulty)));
        }
        Ok(LineListeners(listeners))
    }

    /// The addresses that are not bound yet.
    pub(super) fn asked(&self) -> impl Iterator<Item = Asked<'_>> {
        self.0.iter().flat_map(|(sockets, _)| sockets.asked(LISTEN))
    }

    /// Binds those that are not bound yet.
    pub(super) fn bind(self) -> Result<Vec<line::Listener>, Error> {
        let mut listeners = Vec::new();
        for (sockets, difficulty) in self.0 {
            let bound = sockets.bind(LISTEN)?.into_iter();
            listeners.extend(bound.map(|socket| line::Listener::new(socket, difficulty)));
        }
        Ok(listeners)
    }
}

/// Refuses listeners that would share an address: each can be bound once. Port 0 is another one
/// each time.
pub(super) fn refuse_shared(asked: &[Asked<'_>]) -> Result<(), Error> {
    for (place, one) in asked.iter().enumerate() {
        let before = &asked[..place];
        let (flag, address) = one;
        if before.contains(one) && takes(address, address) {
            return Err(Error::Usage(format!(
                "{flag} {address} is given twice: each address takes one listener"
            )));
        }
        for other in before {
            for [(flag, address), (part_flag, part)] in [[one, other], [other, one]] {
                if takes(address, part) {
                    return Err(Error::Usage(format!(
                        "{flag} {address} takes {part_flag} {part} too: give one of them another port or path, or leave it out"
                    )));
                }
            }
        }
    }
    Ok(())
}

/// Whether who listens on `all` takes what comes to `part`.
fn takes(all: &Address, part: &Address) -> bool {
    let (Address::Tcp(one), Address::Tcp(other)) = (all, part) else {
        return all == part;
    };
    let is_wider = one.ip().is_unspecified() && one.is_ipv4() == other.is_ipv4();
    one.port() != 0 && one.port() == other.port() && (is_wider || one == other)
}

/// A range of addresses, as typed.
pub(super) fn range(text: &str) -> Result<IpNet, String> {
    let single = text.parse::<IpAddr>().map(IpNet::from);
    let range = single.or_else(|_| text.parse()).map_err(|_| {
        "expected an address or a range of them: 192.0.2.7, 10.0.0.0/8, fd00::/8".to_owned()
    })?;
    // ::ffff:a.b.c.d is IPv4, and its clients come as such.
    match (range.addr().to_canonical(), range.prefix_len()) {
        (IpAddr::V4(ip), bits @ 96..) if range.addr().is_ipv6() => {
            IpNet::new(ip.into(), bits - 96).map_err(|error| error.to_string())
        }
        _ => Ok(range),
    }
}

/// Whose connections begin with a header, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proxy {
    At(IpNet),
    /// `unix`
    OverFiles,
}

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Proxy, String> {
        match text {
            "unix" => Ok(Proxy::OverFiles),
            _ => range(text)
                .map(Proxy::At)
                .map_err(|told| format!("{told}; or unix, for socket files")),
        }
    }
}

pub(super) fn proxies(typed: &[Proxy]) -> Proxies {
    let mut proxies = Proxies::default();
    for proxy in typed {
        match proxy {
            Proxy::At(range) => proxies.ranges.push(*range),
            Proxy::OverFiles => proxies.files = true,
        }
    }
    proxies
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(text: &str) -> Option<(String, Option<u8>)> {
        let Listen {
            endpoint,
            difficulty,
        } = text.parse().ok()?;
        let address = match endpoint {
            Endpoint::Name(name) => name,
            endpoint => endpoint.addresses().ok()?[0].to_string(),
        };
        Some((address, difficulty.map(Difficulty::nibbles)))
    }

    #[test]
    fn listeners_are_typed_with_or_without_a_difficulty() {
        for (text, address, difficulty) in [
            ("127.0.0.1:0", "127.0.0.1:0", None),
            ("[::1]:20000@14", "[::1]:20000", Some(14)),
            ("localhost:1@3", "localhost:1", Some(3)),
            ("unix:/run/powd.sock", "unix:/run/powd.sock", None),
            ("unix:/run/powd.sock@6", "unix:/run/powd.sock", Some(6)),
            ("unix:/run/powd@b/sock", "unix:/run/powd@b/sock", None),
        ] {
            assert_eq!(listen(text), Some((address.to_owned(), difficulty)));
        }
        for wrong in [
            "",
            "20000",
            "localhost",
            "1.2.3.4",
            "1.2.3.4:5@",
            "1.2.3.4:5@65",
            "1.2.3.4:5@x",
            "localhost:1@x",
            "1.2.3.4:70000",
            "unix:",
            "unix:@6",
            "unix:/run/sock@65",
        ] {
            assert_eq!(listen(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn ipv4_has_one_form() {
        let endpoint = "[::ffff:127.0.0.1]:1".parse().expect("an address");
        match Sockets::resolve(Vec::new(), Some(&endpoint)) {
            Ok(Sockets::Unbound(addresses)) => assert_eq!(addresses[0].to_string(), "127.0.0.1:1"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_two_listeners_share_an_address() {
        let refused = |texts: &[&str]| {
            let listen = texts.iter().map(|text| text.parse().expect("an endpoint"));
            let listen = listen.collect::<Vec<_>>();
            let listeners = LineListeners::resolve(Vec::new(), &listen, Difficulty::NONE);
            let listeners = listeners.expect("addresses");
            refuse_shared(&listeners.asked().collect::<Vec<_>>()).is_err()
        };
        for shared in [
            ["127.0.0.1:1", "127.0.0.1:1@5"],
            ["0.0.0.0:1", "127.0.0.1:1@5"],
            ["127.0.0.1:1", "0.0.0.0:1"],
            ["[::]:1", "[::1]:1"],
            ["localhost:1", "127.0.0.1:1"],
            ["unix:a", "unix:a@5"],
        ] {
            assert!(refused(&shared), "{shared:?}");
        }
        assert!(!refused(&[
            "0.0.0.0:1",
            "0.0.0.0:2",
            "[::]:1",
            "127.0.0.1:3",
            "unix:a",
            "unix:b"
        ]));
        assert!(!refused(&["0.0.0.0:0", "127.0.0.1:0", "127.0.0.1:0"]));
    }

    #[test]
    fn ranges_are_typed_as_addresses_or_blocks() {
        for (text, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("::1", "::1/128"),
            ("::ffff:127.0.0.1", "127.0.0.1/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(
                range(text).map(|range| range.to_string()),
                Ok(expected.to_owned())
            );
        }
        assert!(range("10.0.0.0/33").is_err());
        assert!(range("unix").is_err() && "unix".parse() == Ok(Proxy::OverFiles));
    }
}
