//! Listening sockets.

#[cfg(target_os = "linux")]
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use super::address::Address;
use super::stream::{Origin, Stream};

/// Connections that the kernel completes before the acceptor gets to them. The most that Linux
/// grants by default (`net.core.somaxconn`); std fixes it at 128, which a burst of clients
/// overruns.
pub(crate) const BACKLOG: i32 = 4096;

/// A client whose cable is cut sends nothing more, no end of stream either. After a minute of
/// silence the kernel asks it six times, every 10 s (tcp(7)), and resets the connection when no
/// answer comes: two minutes in all, where the system's own default is two hours, and only for who
/// asks.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(10))
    .with_retries(6);

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    /// The address asked for.
    pub address: Address,
    /// What the system said. `AlreadyExists`: a file that is no socket has the path of a socket
    /// file.
    pub source: io::Error,
}

/// A bound, listening socket that never waits.
#[derive(Debug)]
pub struct Listener {
    /// Removed before the socket is closed: whoever connects then is told that nothing is there.
    _file: Option<SocketFile>,
    is_inherited: bool,
    socket: Socket,
}

impl Listener {
    /// Binds `address` (port 0: one that is free) and listens. A socket file that nobody listens on
    /// is replaced.
    ///
    /// # Errors
    ///
    /// When somebody listens there, or the address is not one of this machine, or not allowed to
    /// this user.
    pub fn bind(address: Address) -> Result<Listener, ListenError> {
        let bound = match &address {
            Address::Tcp(address) => Listener::bind_tcp(*address),
            Address::Unix(path) => Listener::bind_file(path),
        };
        bound.map_err(|source| ListenError { address, source })
    }

    fn bind_tcp(address: SocketAddr) -> io::Result<Listener> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for the old connections to time out (socket(7)).
        socket.set_reuse_address(true)?;
        // [::] takes IPv6 clients only, whatever the system's default: 0.0.0.0 can stand beside it.
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        set_up(&socket)?;
        socket.bind(&address.into())?;
        Listener::listen(socket, None)
    }

    fn bind_file(path: &Path) -> io::Result<Listener> {
        let address = SockAddr::unix(path)?;
        make_way(path, &address)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&address)?;
        let file = SocketFile::at(path)?;
        Listener::listen(socket, Some(file))
    }

    fn listen(socket: Socket, file: Option<SocketFile>) -> io::Result<Listener> {
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(Listener {
            _file: file,
            is_inherited: false,
            socket,
        })
    }

    /// A listening socket that was handed over.
    ///
    /// # Errors
    ///
    /// When it does not listen.
    pub(crate) fn inherit(socket: Socket) -> io::Result<Listener> {
        if !socket.is_listener()? {
            let told = "it does not listen (systemd: Accept=no, and ListenStream=)";
            return Err(io::Error::new(ErrorKind::InvalidInput, told));
        }
        if !socket.local_addr()?.is_unix() {
            set_up(&socket)?;
        }
        socket.set_nonblocking(true)?;
        Ok(Listener {
            _file: None,
            is_inherited: true,
            socket,
        })
    }

    /// Whether another process listens on it, too: who waits there when we end is that one's
    /// client.
    pub(crate) fn is_inherited(&self) -> bool {
        self.is_inherited
    }

    /// One on which every accept fails.
    #[cfg(test)]
    pub(crate) fn deaf() -> Listener {
        Listener {
            _file: None,
            is_inherited: false,
            socket: Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is free"),
        }
    }

    /// The address it is bound to, with its real port.
    ///
    /// # Errors
    ///
    /// When the system does not tell it.
    pub fn address(&self) -> io::Result<Address> {
        let address = self.socket.local_addr()?;
        Ok(match address.as_socket() {
            Some(address) => Address::Tcp(address),
            None => Address::Unix(path_of(&address)),
        })
    }

    /// Whether it is a socket file.
    #[cfg(feature = "http")]
    pub(crate) fn is_unix(&self) -> io::Result<bool> {
        self.socket.local_addr().map(|address| address.is_unix())
    }

    /// Its file, if it is one, to be removed when dropped: for a socket that lives as long as the
    /// process.
    #[cfg(feature = "http")]
    pub(crate) fn take_file(&mut self) -> Option<SocketFile> {
        self._file.take()
    }

    /// The socket, and its file, which is removed when dropped.
    #[cfg(feature = "http")]
    pub(crate) fn into_parts(self) -> (Socket, Option<SocketFile>) {
        (self.socket, self._file)
    }

    /// The next connection, and where it comes from.
    pub(crate) fn accept(&self) -> io::Result<(Stream, Origin)> {
        let (socket, peer) = self.socket.accept()?;
        // Not by `set_nonblocking`, which takes two calls.
        rustix::io::ioctl_fionbio(&socket, true)?;
        let origin = match peer.as_socket() {
            Some(address) => {
                // Replies are small and complete: waiting for more to send would only delay them. A
                // client that is gone already is found out later.
                let _ = socket.set_tcp_nodelay(true);
                Origin::Address(address.ip())
            }
            None => Origin::Local,
        };
        Ok((Stream::from(socket), origin))
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Sets what accepted sockets inherit: no system call for each.
fn set_up(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    // Urgent data is data like any other (RFC 6093, section 4).
    socket.set_out_of_band_inline(true)
}

/// The path of a socket file. Sockets that are handed over may have none: of an abstract one
/// (unix(7)) it is what systemd calls it, `@name`; of one without an address it is empty.
fn path_of(address: &SockAddr) -> PathBuf {
    #[cfg(target_os = "linux")]
    if let Some(name) = address.as_abstract_namespace() {
        return OsString::from_vec([b"@", name].concat()).into();
    }
    address.as_pathname().map(PathBuf::from).unwrap_or_default()
}

/// Removes a socket file that nobody listens on. Anything else at that path stays, and is an error.
fn make_way(path: &Path, address: &SockAddr) -> io::Result<()> {
    let is_socket = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type().is_socket(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !is_socket {
        let told = "there is a file that is no socket";
        return Err(io::Error::new(ErrorKind::AlreadyExists, told));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A queue that is full must not hold up the start: somebody listens there.
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(error),
        Ok(()) | Err(_) => Err(io::Error::from_raw_os_error(libc::EADDRINUSE)),
    }
}

/// A socket file of our own, removed when dropped. One that another process has put in its place
/// stays.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Its device and number there.
    id: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile {
            // The working directory may change.
            path: std::path::absolute(path)?,
            id: id(path)?,
        })
    }
}

fn id(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if id(&self.path).is_ok_and(|id| id == self.id) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path of this test's own, and what it is to be removed with.
    struct SocketFile(PathBuf);

    impl SocketFile {
        fn new(name: &str) -> SocketFile {
            let name = format!("powd-{}-{name}.sock", std::process::id());
            SocketFile(std::env::temp_dir().join(name))
        }

        fn bind(&self) -> Result<Listener, ErrorKind> {
            let bound = Listener::bind(Address::Unix(self.0.clone()));
            bound.map_err(|error| error.source.kind())
        }
    }

    impl Drop for SocketFile {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_socket_file_lives_as_long_as_its_listener() {
        let file = SocketFile::new("lives");
        let listener = file.bind().expect("nothing is there");
        let address = listener.address().expect("it is bound");
        assert_eq!(address, Address::Unix(file.0.clone()));
        assert_eq!(file.bind().err(), Some(ErrorKind::AddrInUse));
        drop(listener);
        assert!(!file.0.exists());
    }

    #[test]
    fn one_that_nobody_listens_on_is_replaced_and_the_new_one_stays() {
        let file = SocketFile::new("replaced");
        let deaf = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        let address = SockAddr::unix(&file.0).expect("a short path");
        deaf.bind(&address).expect("nothing is there");
        let first = file.bind().expect("nobody listens");
        // Another process takes the path over by force.
        fs::remove_file(&file.0).expect("it is there");
        let second = file.bind().expect("nothing is there");
        drop(first);
        assert!(file.0.exists(), "the file of another listener");
        drop(second);
        assert!(!file.0.exists());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let file = SocketFile::new("file");
        fs::write(&file.0, "precious").expect("a directory for files");
        assert_eq!(file.bind().err(), Some(ErrorKind::AlreadyExists));
        assert_eq!(fs::read(&file.0).expect("it is there"), b"precious");
    }
}
