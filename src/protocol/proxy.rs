//! The header that a proxy puts before the bytes of its client: the PROXY protocol, version 1 and
//! 2.
//!
//! The crate `proxy-header` reads it. Here is what that leaves open: where a stream begins
//! otherwise, which is known from the first wrong byte on; how long a header may be; and who the
//! connection is for.
//!
//! See <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>.

use std::net::SocketAddr;

use proxy_header::{Error, ParseConfig};

/// What version 1 begins with.
const FIRST: &[u8] = b"PROXY ";

/// The longest header of version 1, its end included (section 2.1).
const FIRST_MAX: usize = 107;

/// What version 2 begins with.
const SECOND: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The part of version 2 that says how long the rest is.
const SECOND_LEAST: usize = 16;

/// Version 2, a connection of the proxy itself.
const LOCAL: u8 = 0x20;

/// What the first bytes of a connection from a proxy are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// The beginning of a header, or nothing yet.
    Incomplete,
    /// No header, or one that is too long; and no further byte makes it one.
    Broken,
    /// A header.
    Whole {
        /// Its bytes. The client's begin behind it.
        length: usize,
        /// Whom the connection is for.
        client: ProxiedFor,
    },
}

/// Whom a proxy has opened a connection for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxiedFor {
    /// The client at this address.
    Client(SocketAddr),
    /// A client of which it tells no address.
    Unknown,
    /// Nobody else: it checks whether the server is well.
    Itself,
}

impl ProxyHeader {
    /// The longest header that is taken. The addresses are 52 bytes at most, or 232 of socket
    /// files; the rest is for what proxies tell of TLS connections, which is not looked at.
    pub const MAX: usize = 4096;

    /// What these bytes, the first of a connection, are.
    pub fn of(bytes: &[u8]) -> ProxyHeader {
        let begins = |mark: &[u8]| {
            let both = mark.len().min(bytes.len());
            bytes[..both] == mark[..both]
        };
        if begins(FIRST) {
            read(&bytes[..bytes.len().min(FIRST_MAX)])
        } else if begins(SECOND) {
            second(bytes)
        } else {
            ProxyHeader::Broken
        }
    }
}

fn second(bytes: &[u8]) -> ProxyHeader {
    let Some((head, rest)) = bytes.split_at_checked(SECOND_LEAST) else {
        return ProxyHeader::Incomplete;
    };
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if SECOND_LEAST + length > ProxyHeader::MAX {
        return ProxyHeader::Broken;
    }
    if rest.len() < length {
        return ProxyHeader::Incomplete;
    }
    let whole = SECOND_LEAST + length;
    if head[12] == LOCAL {
        // Whatever addresses it has are to be ignored (section 2.2).
        return ProxyHeader::Whole {
            length: whole,
            client: ProxiedFor::Itself,
        };
    }
    match read(&bytes[..whole]) {
        // Shorter than its addresses.
        ProxyHeader::Incomplete => ProxyHeader::Broken,
        header => header,
    }
}

fn read(bytes: &[u8]) -> ProxyHeader {
    let config = ParseConfig {
        include_tlvs: false,
        ..ParseConfig::default()
    };
    match proxy_header::ProxyHeader::parse(bytes, config) {
        Ok((header, length)) => ProxyHeader::Whole {
            length,
            client: match header.proxied_address() {
                Some(address) => ProxiedFor::Client(address.source),
                None => ProxiedFor::Unknown,
            },
        },
        Err(Error::BufferTooShort) => ProxyHeader::Incomplete,
        Err(_) => ProxyHeader::Broken,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn whole(length: usize, client: &str) -> ProxyHeader {
        let client = ProxiedFor::Client(client.parse().expect("an address"));
        ProxyHeader::Whole { length, client }
    }

    /// Version 2, by the specification.
    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short");
        [SECOND, &[command, family], &length.to_be_bytes(), rest].concat()
    }

    #[test]
    fn version_1_is_a_line() {
        let line = b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n";
        assert_eq!(ProxyHeader::of(line), whole(line.len(), "192.0.2.7:56324"));
        let line = b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\nhello\n";
        assert_eq!(ProxyHeader::of(line), whole(36, "[2001:db8::7]:1"));
        for unknown in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"] {
            let expected = ProxyHeader::Whole {
                length: unknown.len(),
                client: ProxiedFor::Unknown,
            };
            assert_eq!(ProxyHeader::of(unknown.as_bytes()), expected);
        }
    }

    #[test]
    fn version_2_is_binary() {
        let addresses = [192, 0, 2, 7, 10, 0, 0, 1, 0xdc, 4, 1, 0xbb];
        let header = binary(0x21, 0x11, &addresses);
        let expected = whole(28, "192.0.2.7:56324");
        assert_eq!(ProxyHeader::of(&header), expected);
        assert_eq!(
            ProxyHeader::of(&[&header[..], b"hello\n"].concat()),
            expected
        );
        // A check of the proxy, with whatever it says beside.
        for family in [0, 0x11, 0xff] {
            let local = binary(LOCAL, family, &[7; 5]);
            let expected = ProxyHeader::Whole {
                length: local.len(),
                client: ProxiedFor::Itself,
            };
            assert_eq!(ProxyHeader::of(&local), expected);
        }
        let of_a_file = binary(0x21, 0x31, &[b'/'; 216]);
        let expected = ProxyHeader::Whole {
            length: 232,
            client: ProxiedFor::Unknown,
        };
        assert_eq!(ProxyHeader::of(&of_a_file), expected);
    }

    #[test]
    fn what_is_no_header_is_known_from_the_first_wrong_byte_on() {
        let long = format!("PROXY UNKNOWN {}", "x".repeat(FIRST_MAX));
        let too_long = binary(0x21, 0x11, &[0; ProxyHeader::MAX - SECOND_LEAST + 1]);
        for wrong in [
            &b"h"[..],
            b"PROXy",
            b"PROXY_",
            b"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n",
            b"PROXY TCP4 ::1 ::1 1 1\r\n",
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n",
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\rx",
            b"\r\n\r\n\0\r\nQUIT\r",
            &binary(0x22, 0x11, &[0; 12]),
            &binary(0x31, 0x11, &[0; 12]),
            &binary(0x21, 0x41, &[0; 36]),
            &binary(0x21, 0x11, &[0; 11]),
            long.as_bytes(),
            // Its length alone tells.
            &too_long[..SECOND_LEAST],
        ] {
            assert_eq!(
                ProxyHeader::of(wrong),
                ProxyHeader::Broken,
                "{}",
                wrong.escape_ascii()
            );
        }
        assert_eq!(ProxyHeader::of(b""), ProxyHeader::Incomplete);
    }

    proptest! {
        /// However it is split, a header is incomplete up to its last byte, and whole from there
        /// on.
        #[test]
        fn a_header_is_whole_at_its_last_byte(
            source: (IpAddr, u16),
            tlvs in prop::collection::vec(any::<u8>(), 0..300),
            behind in prop::collection::vec(any::<u8>(), 0..20),
            is_binary: bool,
        ) {
            let (ip, port) = source;
            let header = match (is_binary, ip) {
                (false, IpAddr::V4(ip)) => format!("PROXY TCP4 {ip} {ip} {port} 1\r\n").into_bytes(),
                (false, IpAddr::V6(ip)) => format!("PROXY TCP6 {ip} {ip} {port} 1\r\n").into_bytes(),
                (true, IpAddr::V4(ip)) => {
                    let ports = [port.to_be_bytes(), [0, 1]].concat();
                    binary(0x21, 0x11, &[&ip.octets()[..], &ip.octets(), &ports, &tlvs].concat())
                }
                (true, IpAddr::V6(ip)) => {
                    let ports = [port.to_be_bytes(), [0, 1]].concat();
                    binary(0x21, 0x21, &[&ip.octets()[..], &ip.octets(), &ports, &tlvs].concat())
                }
            };
            let stream = [&header[..], &behind].concat();
            let expected = ProxyHeader::Whole {
                length: header.len(),
                client: ProxiedFor::Client(SocketAddr::from((ip, port))),
            };
            for count in 0..=stream.len() {
                let found = ProxyHeader::of(&stream[..count]);
                if count < header.len() {
                    prop_assert_eq!(found, ProxyHeader::Incomplete);
                } else {
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }
}
