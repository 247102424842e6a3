//! A connection's socket, of which others than its reader can ask whether the client is still
//! there.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// One socket, shared by the connection that reads and writes and by the requests on it.
#[derive(Clone, Debug)]
pub(super) struct Socket(Arc<Kind>);

/// The runtime has a type for each kind.
#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The same of either kind.
macro_rules! either {
    ($socket:expr, $stream:ident => $what:expr) => {
        match &*$socket.0 {
            Kind::Tcp($stream) => $what,
            Kind::Unix($stream) => $what,
        }
    };
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Socket {
        Socket(Arc::new(Kind::Tcp(stream)))
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Socket {
        Socket(Arc::new(Kind::Unix(stream)))
    }
}

impl Socket {
    /// Waits until bytes may have come; says whether the client has ended its stream, even where
    /// bytes that it sent before are not read yet.
    pub(super) async fn readable(&self) -> io::Result<bool> {
        let ready = either!(self, stream => stream.ready(Interest::READABLE).await)?;
        Ok(ready.is_read_closed())
    }

    /// Tries something with the socket; as long as it comes to nothing,
    /// [`readable`](Socket::readable) waits for more bytes than there are.
    pub(super) fn when_enough<T>(
        &self,
        attempt: impl FnOnce(BorrowedFd<'_>) -> Option<T>,
    ) -> Option<T> {
        let not_enough = || io::Error::from(io::ErrorKind::WouldBlock);
        let outcome = either!(self, stream => {
            let attempt = || attempt(stream.as_fd()).ok_or_else(not_enough);
            stream.try_io(Interest::READABLE, attempt)
        });
        outcome.ok()
    }

    /// Whether bytes have arrived that are not read, whatever the runtime has heard of them.
    pub(super) fn has_unread(&self) -> bool {
        let unread = either!(self, stream => rustix::io::ioctl_fionread(stream));
        unread.is_ok_and(|bytes| bytes > 0)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(either!(self, stream => stream.poll_read_ready(task)))?;
            match either!(self, stream => stream.try_read_buf(buffer)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl Socket {
    fn poll_written(
        &self,
        task: &mut Context<'_>,
        mut write: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(either!(self, stream => stream.poll_write_ready(task)))?;
            match write() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_written(task, || either!(self, stream => stream.try_write(bytes)))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_written(
            task,
            || either!(self, stream => stream.try_write_vectored(pieces)),
        )
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let end = |socket: SockRef<'_>| socket.shutdown(Shutdown::Write);
        Poll::Ready(either!(self, stream => end(SockRef::from(stream))))
    }
}
