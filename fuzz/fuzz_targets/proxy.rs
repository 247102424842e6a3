//! Headers of proxies against the specification of the PROXY protocol: what is taken for a header
//! is one, whatever a proxy may write is taken, and what a header is does not depend on how much
//! has come behind it.

#![no_main]

use std::net::{IpAddr, SocketAddr};

use libfuzzer_sys::arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use powd::protocol::{ProxiedFor, ProxyHeader};

/// What version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fuzz_target!(|bytes: &[u8]| {
    // A fuzzer finds the first bytes of version 1 by itself, of 12 it has to be told.
    let binary = [SIGNATURE, bytes].concat();
    for stream in [bytes, &binary] {
        let header = byte_by_byte(stream);
        if let ProxyHeader::Whole { length, client } = header {
            assert_eq!(client, specified(&stream[..length]), "{header:?}");
        }
    }
    written(Unstructured::new(bytes));
});

/// First it is incomplete, then it is what it stays.
fn byte_by_byte(stream: &[u8]) -> ProxyHeader {
    let mut known = ProxyHeader::Incomplete;
    for count in 0..=stream.len().min(2 * ProxyHeader::MAX) {
        let found = ProxyHeader::of(&stream[..count]);
        if known != ProxyHeader::Incomplete {
            assert_eq!(found, known);
        } else if let ProxyHeader::Whole { length, .. } = found {
            assert_eq!(
                length, count,
                "whole at its last byte, not before and not later"
            );
        }
        known = found;
    }
    if stream.len() >= ProxyHeader::MAX {
        assert_ne!(known, ProxyHeader::Incomplete);
    }
    known
}

/// Whom these bytes, a whole header, are for.
fn specified(header: &[u8]) -> ProxiedFor {
    match header.strip_prefix(SIGNATURE) {
        Some(rest) => second(rest),
        None => first(header),
    }
}

/// Section 2.1: words in a line.
fn first(header: &[u8]) -> ProxiedFor {
    assert!(header.len() <= 107);
    let line = header.strip_suffix(b"\r\n").expect("an end");
    if line.starts_with(b"PROXY UNKNOWN") {
        return ProxiedFor::Unknown;
    }
    let line = str::from_utf8(line).expect("text");
    let words: Vec<&str> = line.split(' ').collect();
    let &["PROXY", family, source, destination, port, other] = &words[..] else {
        panic!("{words:?}");
    };
    let address = |text: &str| -> IpAddr { text.parse().expect("an address") };
    for ip in [address(source), address(destination)] {
        assert_eq!(family, if ip.is_ipv4() { "TCP4" } else { "TCP6" });
    }
    other.parse::<u16>().expect("a port");
    let port = port.parse().expect("a port");
    ProxiedFor::Client(SocketAddr::new(address(source), port))
}

/// Section 2.2: command, family, length, addresses, ports, and what else a proxy has to say.
fn second(rest: &[u8]) -> ProxiedFor {
    let [command, family, high, low, rest @ ..] = rest else {
        panic!("no length");
    };
    assert_eq!(rest.len(), usize::from(u16::from_be_bytes([*high, *low])));
    let (ip, ports) = match (*command, *family) {
        (0x20, _) => return ProxiedFor::Itself,
        (0x21, 0x11 | 0x12) => (IpAddr::from(array::<4>(rest)), &rest[8..]),
        (0x21, 0x21 | 0x22) => (IpAddr::from(array::<16>(rest)), &rest[32..]),
        (0x21, 0x00) => return ProxiedFor::Unknown,
        (0x21, 0x31 | 0x32) => {
            assert!(rest.len() >= 216, "two paths");
            return ProxiedFor::Unknown;
        }
        other => panic!("{other:?}"),
    };
    assert!(ports.len() >= 4, "two ports");
    ProxiedFor::Client(SocketAddr::new(ip, u16::from_be_bytes(array(ports))))
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().expect("long enough")
}

/// What a proxy writes is read as what it is.
fn written(mut choices: Unstructured<'_>) {
    let Ok((source, destination)) = <(SocketAddr, SocketAddr)>::arbitrary(&mut choices) else {
        return;
    };
    let tlvs = choices.take_rest();
    let (ip, port) = (source.ip(), source.port());
    let other = destination.port();
    let (words, family) = match ip {
        IpAddr::V4(ip) => (format!("TCP4 {ip} {ip}"), 0x11),
        IpAddr::V6(ip) => (format!("TCP6 {ip} {ip}"), 0x21),
    };
    let line = format!("PROXY {words} {port} {other}\r\n").into_bytes();
    let octets = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let ports = [port.to_be_bytes(), other.to_be_bytes()].concat();
    let body = [&octets[..], &octets, &ports, tlvs].concat();
    let Ok(length) = u16::try_from(body.len()) else {
        return;
    };
    let binary = [SIGNATURE, &[0x21, family], &length.to_be_bytes(), &body].concat();
    for header in [line, binary] {
        let expected = if header.len() <= ProxyHeader::MAX {
            ProxyHeader::Whole {
                length: header.len(),
                client: ProxiedFor::Client(SocketAddr::new(ip, port)),
            }
        } else {
            ProxyHeader::Broken
        };
        let behind = [&header[..], b"PROXY"].concat();
        assert_eq!(ProxyHeader::of(&header), expected);
        assert_eq!(ProxyHeader::of(&behind), expected);
    }
}
