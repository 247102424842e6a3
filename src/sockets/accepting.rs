//! What follows when accepting from a listener has failed: the same for every door.

use std::io::{self, ErrorKind};
use std::time::Duration;

/// How long accepting pauses: descriptors and memory come back when connections close.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// So many failures in a row are not of so many connections: an error that lasts must not keep a
/// core busy. A sandbox or a security module forbids to accept, and leaves the connection where it
/// is.
const LASTING: u32 = 64;

/// What a failed accept(2) is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcceptFailure {
    /// No connection is waiting.
    NoneWaiting,
    /// The connection that was to be accepted; the next one may be well.
    OneConnection,
    /// No connection can be had now: to be tried again after a [`PAUSE`].
    All,
}

impl AcceptFailure {
    /// accept(2), "Error handling": Linux returns what has happened to the new connection already,
    /// from ENETDOWN to the EPERM of a firewall, and the caller is to try again. Those errors are
    /// many and depend on the system; the shortages of descriptors and memory are four. So what is
    /// no shortage is of one connection.
    fn of(error: &io::Error) -> AcceptFailure {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => AcceptFailure::All,
            _ if error.kind() == ErrorKind::WouldBlock => AcceptFailure::NoneWaiting,
            _ => AcceptFailure::OneConnection,
        }
    }
}

/// How accepting from one listener goes.
#[derive(Debug, Default)]
pub(crate) struct Accepting {
    /// Connections in a row that could not be accepted.
    failed: u32,
}

impl Accepting {
    /// A connection was accepted.
    pub(crate) fn succeeded(&mut self) {
        self.failed = 0;
    }

    /// Accepting has failed, with this error; says what follows.
    pub(crate) fn failed(&mut self, error: &io::Error) -> AcceptFailure {
        let failure = AcceptFailure::of(error);
        if failure == AcceptFailure::OneConnection {
            self.failed += 1;
            if self.failed < LASTING {
                return failure;
            }
        }
        self.failed = 0;
        match failure {
            AcceptFailure::NoneWaiting => failure,
            AcceptFailure::OneConnection | AcceptFailure::All => AcceptFailure::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    #[test]
    fn only_a_shortage_of_descriptors_or_memory_is_of_all_connections() {
        for (expected, numbers) in [
            (
                AcceptFailure::NoneWaiting,
                &[libc::EAGAIN, libc::EWOULDBLOCK][..],
            ),
            (
                AcceptFailure::All,
                &[libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM],
            ),
            (
                AcceptFailure::OneConnection,
                &[
                    libc::ECONNABORTED,
                    libc::EHOSTDOWN,
                    libc::EHOSTUNREACH,
                    libc::EINTR,
                    libc::ENETDOWN,
                    libc::ENETUNREACH,
                    #[cfg(target_os = "linux")]
                    libc::ENONET,
                    libc::ENOPROTOOPT,
                    libc::EOPNOTSUPP,
                    libc::EPERM,
                    libc::EPROTO,
                    libc::ETIMEDOUT,
                ],
            ),
        ] {
            for &number in numbers {
                let error = error(number);
                let failure = Accepting::default().failed(&error);
                assert_eq!(failure, expected, "{error}");
            }
        }
    }

    #[test]
    fn an_error_that_lasts_is_of_all_connections() {
        let mut accepting = Accepting::default();
        let mut fails = |number| accepting.failed(&error(number));
        for _ in 0..3 {
            for _ in 1..LASTING {
                assert_eq!(fails(libc::EPERM), AcceptFailure::OneConnection);
            }
            assert_eq!(fails(libc::EPERM), AcceptFailure::All);
        }
        // They do not last where none waits, or one is accepted, between them.
        for _ in 0..3 {
            for _ in 1..LASTING {
                assert_eq!(fails(libc::EPROTO), AcceptFailure::OneConnection);
            }
            assert_eq!(fails(libc::EAGAIN), AcceptFailure::NoneWaiting);
        }
        for _ in 0..3 {
            for _ in 1..LASTING {
                let failure = accepting.failed(&error(libc::EPROTO));
                assert_eq!(failure, AcceptFailure::OneConnection);
            }
            accepting.succeeded();
        }
    }
}
