//! A connection's socket.

use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Shutdown};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::net::{RecvFlags, recv};
use socket2::Socket;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This address.
    Address(IpAddr),
    /// This machine, over a socket file, whose permissions have judged; or a proxy that asks for
    /// itself.
    Local,
}

/// A stream socket that never waits.
#[derive(Debug)]
pub(crate) struct Stream(Socket);

impl From<Socket> for Stream {
    fn from(socket: Socket) -> Stream {
        Stream(socket)
    }
}

impl Stream {
    /// Ends our direction; the peer's goes on.
    pub(crate) fn end(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    /// The CPU that took in what has come last (`SO_INCOMING_CPU`, socket(7)); none where the
    /// system does not tell.
    pub(crate) fn incoming_cpu(&self) -> Option<usize> {
        #[cfg(target_os = "linux")]
        return self.0.cpu_affinity().ok();
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// Reads without taking the bytes.
    pub(crate) fn peek(&self, bytes: &mut [u8]) -> io::Result<usize> {
        peek(self.as_fd(), bytes)
    }

    /// The bytes that have arrived and are not read.
    pub(crate) fn arrived(&self) -> io::Result<usize> {
        let bytes = rustix::io::ioctl_fionread(&self.0)?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }
}

/// Reads from a socket without taking the bytes.
pub(super) fn peek(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<usize> {
    let (_, count) = recv(socket, bytes, RecvFlags::PEEK)?;
    Ok(count)
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Source for Stream {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        SourceFd(&self.as_raw_fd()).register(registry, token, interest)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        SourceFd(&self.as_raw_fd()).reregister(registry, token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.as_raw_fd()).deregister(registry)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use super::*;
    use crate::cpus;

    #[test]
    fn a_client_on_this_machine_comes_in_on_its_own_cpu() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let comes_in_on = |cpu| {
            let client = thread::spawn(move || {
                cpus::pin(cpu).expect("a usable CPU");
                TcpStream::connect(address).expect("somebody listens")
            });
            let (accepted, _) = listener.accept().expect("a client comes");
            // Open until then: its end would be the last that comes in, and from here.
            let client = client.join().expect("no panic");
            let cpu = Stream::from(Socket::from(accepted)).incoming_cpu();
            drop(client);
            cpu
        };
        let cpus = cpus::usable();
        let last = *cpus.last().expect("this runs on one");
        if comes_in_on(last) != Some(last) {
            // The kernel can be told to spread packets otherwise, and a sandbox need not tell.
            eprintln!("skipped: what a client sends comes in on another CPU than its own");
            return;
        }
        for cpu in cpus {
            assert_eq!(comes_in_on(cpu), Some(cpu));
        }
    }
}
