//! The limit of open files: every connection is one, and not each is one of those that
//! `--max-connections` counts.

use std::num::NonZeroUsize;

use crate::sockets::Proxies;

/// The standard streams, what hears signals, what tells the supervisor, and a few to spare; one
/// more, to accept those who are refused.
const OF_THE_PROCESS: usize = 10;

/// Files of the line protocol and of the process, beside its clients: the listeners, a poll and a
/// waker each for the workers and the acceptor, and connections whose PROXY headers are waited for.
pub(super) fn of_lines(listeners: usize, workers: NonZeroUsize, proxies: &Proxies) -> usize {
    OF_THE_PROCESS + listeners + 2 * (workers.get() + 1) + proxies.waiting()
}

/// As many open files as the system lets us have. Tells when that is too few for the connections
/// promised, beside `others`: those beyond would wait in silence, where they should hear that powd
/// is busy.
pub(super) fn raise_limit(others: usize, max_connections: usize) {
    let granted = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(granted) => granted,
        Err(error) => {
            return tracing::warn!(%error, "the limit of open files could not be raised");
        }
    };
    let room = granted.saturating_sub(others as u64);
    if room < max_connections as u64 {
        let or_fewer = if room > 0 {
            format!(", or give --max-connections {room}")
        } else {
            String::new()
        };
        tracing::warn!(
            "{granted} open files are allowed: enough for {room} connections, fewer than --max-connections {max_connections}. \
             Those beyond would wait unheard; raise the hard limit (ulimit -Hn, LimitNOFILE=){or_fewer}"
        );
    }
}
