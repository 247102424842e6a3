//! What one thread counted. Knows nothing of sockets; errors come to it as names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Wrong replies kept to be shown; the rest are counted.
const MOST_SAMPLES: usize = 5;
/// Names of errors kept apart. A server chooses the codes of its error lines; it must not fill
/// memory.
const MOST_NAMES: usize = 32;

/// One wrong reply. Bytes that are not printable are escaped.
#[derive(Clone, Debug, Serialize)]
pub struct WrongSample {
    /// The message asked for; empty when nothing was.
    pub asked: String,
    /// The line that came.
    pub received: String,
    /// What is wrong with it.
    pub flaw: String,
}

/// Counts of a run, or of one thread's part in it.
#[derive(Debug)]
pub(super) struct Stats {
    /// Right replies in the window.
    pub(super) replies: u64,
    /// Their latencies in nanoseconds, to three digits. It begins with 16 KiB and grows with the
    /// longest.
    pub(super) latency: Histogram<u64>,
    /// Errors since the start, by name.
    pub(super) by_name: BTreeMap<Cow<'static, str>, u64>,
    /// Wrong replies since the start, by what is wrong.
    pub(super) wrong_by_name: BTreeMap<&'static str, u64>,
    /// The first wrong replies.
    pub(super) samples: Vec<WrongSample>,
    /// Connections that were opened or refused at least once, or have nothing to ask.
    pub(super) settled: usize,
    /// Those of them that a server may be behind: not the refused, nor those that did not try.
    pub(super) reached: usize,
    /// Connections that are open.
    pub(super) open: u64,
    /// Requests that went down with their connection in the window.
    pub(super) lost: Waits,
    /// Requests without a reply when the window closed.
    pub(super) unanswered: Waits,
}

/// Requests that nobody answered.
///
/// They have no latency, so the histogram does not hold them: a wait that ended with a quick reset
/// would make the percentiles better the worse the server is, and one cut short says only that the
/// reply would have taken longer. They are shown beside it, with the longest wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waits {
    /// How many.
    pub(super) requests: u64,
    /// The longest that one of them waited.
    pub(super) longest: Duration,
}

impl Waits {
    /// Counts requests, of which the oldest waited so long.
    pub(super) fn add(&mut self, requests: u64, longest: Duration) {
        self.requests += requests;
        self.longest = self.longest.max(longest);
    }
}

impl Stats {
    pub(super) fn new() -> Stats {
        Stats {
            replies: 0,
            latency: Histogram::new(3).expect("three digits are possible"),
            by_name: BTreeMap::new(),
            wrong_by_name: BTreeMap::new(),
            samples: Vec::new(),
            settled: 0,
            reached: 0,
            open: 0,
            lost: Waits::default(),
            unanswered: Waits::default(),
        }
    }

    /// Counts `replies` right replies, each after `latency`.
    pub(super) fn right(&mut self, replies: u64, latency: Duration) {
        self.replies += replies;
        self.latency
            .record_n(latency.as_nanos() as u64, replies)
            .expect("it grows for any time");
    }

    /// Counts an error.
    pub(super) fn error(&mut self, name: Cow<'static, str>) {
        let names = &mut self.by_name;
        let full = names.len() >= MOST_NAMES && !names.contains_key(&name);
        let name = if full { Cow::Borrowed("other") } else { name };
        *names.entry(name).or_default() += 1;
    }

    /// Counts a wrong reply; the sample is made only when it is kept.
    pub(super) fn wrong_reply(&mut self, name: &'static str, sample: impl FnOnce() -> WrongSample) {
        *self.wrong_by_name.entry(name).or_default() += 1;
        if self.samples.len() < MOST_SAMPLES {
            self.samples.push(sample());
        }
    }

    /// All errors.
    pub(super) fn errors(&self) -> u64 {
        self.by_name.values().sum()
    }

    /// All wrong replies.
    pub(super) fn wrong(&self) -> u64 {
        self.wrong_by_name.values().sum()
    }

    /// Adds what another thread counted.
    pub(super) fn merge(&mut self, other: &Stats) {
        self.replies += other.replies;
        self.latency
            .add(&other.latency)
            .expect("it grows for any time");
        add(&mut self.by_name, &other.by_name);
        add(&mut self.wrong_by_name, &other.wrong_by_name);
        let room = MOST_SAMPLES.saturating_sub(self.samples.len());
        self.samples
            .extend(other.samples.iter().take(room).cloned());
        self.settled += other.settled;
        self.reached += other.reached;
        self.open += other.open;
        for (waits, more) in [
            (&mut self.lost, other.lost),
            (&mut self.unanswered, other.unanswered),
        ] {
            waits.add(more.requests, more.longest);
        }
    }
}

fn add<N: Clone + Ord>(names: &mut BTreeMap<N, u64>, more: &BTreeMap<N, u64>) {
    for (name, number) in more {
        *names.entry(name.clone()).or_default() += number;
    }
}

/// The name of a failed system call, as `errno` has it.
pub(super) fn error_name(error: &io::Error) -> Cow<'static, str> {
    use io::ErrorKind as Kind;
    let name = match error.kind() {
        Kind::ConnectionReset => "ECONNRESET",
        Kind::ConnectionRefused => "ECONNREFUSED",
        Kind::ConnectionAborted => "ECONNABORTED",
        Kind::BrokenPipe => "EPIPE",
        Kind::TimedOut => "ETIMEDOUT",
        Kind::AddrNotAvailable => "EADDRNOTAVAIL",
        Kind::HostUnreachable => "EHOSTUNREACH",
        Kind::NetworkUnreachable => "ENETUNREACH",
        Kind::NotConnected => "ENOTCONN",
        _ => return Cow::Owned(error.to_string()),
    };
    Cow::Borrowed(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded() {
        let mut stats = Stats::new();
        for code in 0..1000 {
            stats.error(Cow::Owned(format!("ERR {code}")));
        }
        assert_eq!(stats.by_name.len(), MOST_NAMES + 1);
        assert_eq!(stats.errors(), 1000);
    }

    #[test]
    fn merging_adds_up() {
        let mut all = Stats::new();
        for thread in 1..=3u64 {
            let mut one = Stats::new();
            one.right(thread, Duration::from_micros(thread));
            one.error(Cow::Borrowed("EPIPE"));
            for _ in 0..4 {
                one.wrong_reply("bad", || WrongSample {
                    asked: String::new(),
                    received: String::new(),
                    flaw: String::new(),
                });
            }
            one.lost.add(10, Duration::from_nanos(4 - thread));
            one.unanswered.add(thread, Duration::from_nanos(thread));
            all.merge(&one);
        }
        assert_eq!((all.replies, all.errors(), all.wrong()), (6, 3, 12));
        assert_eq!(all.samples.len(), MOST_SAMPLES);
        assert_eq!(all.latency.len(), 6);
        let longest = Duration::from_nanos(3);
        for (waits, requests) in [(all.lost, 30), (all.unanswered, 6)] {
            assert_eq!(waits, Waits { requests, longest });
        }
    }
}
