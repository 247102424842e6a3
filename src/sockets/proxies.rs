//! Connections that a proxy opens for its clients: they begin with a header, which is taken off
//! here.
//!
//! The bytes are looked at and left in the socket until the header is whole. So nothing behind it
//! is read, and who serves the connection then finds its first byte.

use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use ipnet::IpNet;
use rustix::net::{RecvFlags, recv};

use super::stream::{Origin, peek};
use crate::protocol::{ProxiedFor, ProxyHeader};

/// How long a proxy may take for its header: it sends it first, before it has anything of its
/// client.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Connections of one door that wait for their headers, at most: each is a descriptor. More are
/// refused.
pub(crate) const WAITING: usize = 1024;

/// Who begins its connections with a header.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Proxies at these addresses.
    pub ranges: Vec<IpNet>,
    /// All who come over a socket file.
    pub files: bool,
}

impl Proxies {
    /// Connections of one door that may wait for their headers.
    pub(crate) fn waiting(&self) -> usize {
        match self.files || !self.ranges.is_empty() {
            true => WAITING,
            false => 0,
        }
    }

    /// Whether a connection from there begins with a header.
    pub(crate) fn include(&self, origin: Origin) -> bool {
        match origin {
            Origin::Address(ip) => {
                let ip = ip.to_canonical();
                self.ranges.iter().any(|range| range.contains(&ip))
            }
            Origin::Local => self.files,
        }
    }
}

/// A connection of a proxy, until it is known whom it is for.
#[derive(Debug)]
pub(crate) struct Introduction {
    /// Where it comes from; with a header, who it is for.
    origin: Origin,
    awaited: Awaited,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Header,
    /// It has a header, and whether somebody will ask is open: the proxy checks whether powd is
    /// well, or has a client without an address.
    FirstByte,
}

/// How that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Introduced {
    /// It has a client, who comes from here. The header was taken off.
    Known(Origin),
    /// It has ended without a word: its proxy wanted to know whether somebody listens.
    Gone,
    /// It is to be closed: no header has come.
    Broken,
}

impl Introduction {
    /// A connection from `proxy`.
    pub(crate) fn by(proxy: Origin) -> Introduction {
        Introduction {
            origin: proxy,
            awaited: Awaited::Header,
        }
    }

    /// Looks whether what it waits for has come. `has_ended`: nothing comes behind what is there.
    pub(crate) fn look(&mut self, socket: BorrowedFd<'_>, has_ended: bool) -> Option<Introduced> {
        if self.awaited == Awaited::Header {
            match take_header(socket) {
                Ok(ProxiedFor::Client(address)) => {
                    return Some(Introduced::Known(Origin::Address(address.ip())));
                }
                Ok(ProxiedFor::Itself) => self.origin = Origin::Local,
                Ok(ProxiedFor::Unknown) => {}
                Err(None) if has_ended => return Some(Introduced::Broken),
                Err(end) => return end,
            }
            self.awaited = Awaited::FirstByte;
        }
        match peek(socket, &mut [0]) {
            Ok(0) => Some(Introduced::Gone),
            Ok(_) => Some(Introduced::Known(self.origin)),
            Err(error) if is_pending(&error) => None,
            Err(_) => Some(Introduced::Gone),
        }
    }

    /// What it is when it has waited for long enough: it is served if it had a header.
    pub(crate) fn late(&self) -> Introduced {
        match self.awaited {
            Awaited::Header => Introduced::Broken,
            Awaited::FirstByte => Introduced::Known(self.origin),
        }
    }
}

/// Takes the header off when it is whole. An error: how that ends without one, if it has ended.
fn take_header(socket: BorrowedFd<'_>) -> Result<ProxiedFor, Option<Introduced>> {
    let mut bytes = [0; ProxyHeader::MAX];
    let count = match peek(socket, &mut bytes) {
        Ok(0) => return Err(Some(Introduced::Gone)),
        Ok(count) => count,
        Err(error) if is_pending(&error) => return Err(None),
        Err(_) => return Err(Some(Introduced::Gone)),
    };
    let (length, client) = match ProxyHeader::of(&bytes[..count]) {
        ProxyHeader::Incomplete => return Err(None),
        ProxyHeader::Broken => return Err(Some(Introduced::Broken)),
        ProxyHeader::Whole { length, client } => (length, client),
    };
    // They are there, in one piece but for urgent data, which is none of a header.
    let taken = recv(socket, &mut bytes[..length], RecvFlags::empty());
    match taken.is_ok_and(|(_, count)| count == length) {
        true => Ok(client),
        false => Err(Some(Introduced::Broken)),
    }
}

/// What the log hears of a connection that was closed because it began without a header.
pub(crate) fn missing_header(proxy: Origin) -> String {
    let from = match proxy {
        Origin::Address(ip) => ip.to_string(),
        Origin::Local => "a socket file".to_owned(),
    };
    format!(
        "a connection from {from} was closed: --proxy-protocol says that it begins with a PROXY header, and it did not"
    )
}

fn is_pending(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
