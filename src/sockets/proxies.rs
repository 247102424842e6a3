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

use super::stream::Origin;
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

/// What the first bytes of a connection from a proxy are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Not enough yet.
    Incomplete,
    /// The proxy has gone without a word: it wanted to know whether somebody listens.
    Gone,
    /// No header.
    Broken,
    /// A header, which was taken off: a connection for a client from there.
    Client(Origin),
    /// A header, which was taken off: whether somebody will ask is open. The proxy checks whether
    /// powd is well, or has a client without an address.
    Unknown(Origin),
}

/// Looks at the first bytes of a connection from a proxy at `proxy`, and takes the header off when
/// it is whole.
pub(crate) fn look(socket: BorrowedFd<'_>, proxy: Origin) -> Look {
    let mut bytes = [0; ProxyHeader::MAX];
    let count = match peek(socket, &mut bytes) {
        Ok(0) => return Look::Gone,
        Ok(count) => count,
        Err(error) if is_pending(&error) => return Look::Incomplete,
        Err(_) => return Look::Gone,
    };
    let (length, client) = match ProxyHeader::of(&bytes[..count]) {
        ProxyHeader::Incomplete => return Look::Incomplete,
        ProxyHeader::Broken => return Look::Broken,
        ProxyHeader::Whole { length, client } => (length, client),
    };
    // They are there, in one piece but for urgent data, which is none of a header.
    let taken = recv(socket, &mut bytes[..length], RecvFlags::empty());
    if !taken.is_ok_and(|(_, count)| count == length) {
        return Look::Broken;
    }
    match client {
        ProxiedFor::Client(address) => Look::Client(Origin::Address(address.ip())),
        ProxiedFor::Itself => Look::Unknown(Origin::Local),
        ProxiedFor::Unknown => Look::Unknown(proxy),
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

/// Whether a byte has come; none if the connection has ended without one.
pub(crate) fn has_spoken(socket: BorrowedFd<'_>) -> Option<bool> {
    match peek(socket, &mut [0]) {
        Ok(0) => None,
        Ok(_) => Some(true),
        Err(error) if is_pending(&error) => Some(false),
        Err(_) => None,
    }
}

fn peek(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<usize> {
    let (_, count) = recv(socket, bytes, RecvFlags::PEEK)?;
    Ok(count)
}

fn is_pending(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
