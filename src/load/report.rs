//! The result of a run, in the form that `--json` prints and the benchmarks read.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Options;
use super::stats::{Stats, WrongSample};

/// What a run measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The server.
    pub address: String,
    /// Connections asked for; with `reconnect`, at a time.
    pub connections: usize,
    /// Connections that were open when the window closed.
    pub open_at_end: u64,
    /// Requests in flight on each connection.
    pub pipeline: usize,
    /// Threads that the connections were spread over.
    pub threads: usize,
    /// The length of each message.
    pub message_bytes: usize,
    /// The difficulty that each reply was checked against.
    pub difficulty: Option<u8>,
    /// Requests in all, where the run ends with them.
    pub requests: Option<u64>,
    /// Whether each request had a new connection, the time to open it being part of its latency.
    pub reconnect: bool,
    /// Requests per second asked for; `None` in the closed loop.
    pub rate: Option<f64>,
    /// The length of the window.
    pub seconds: f64,
    /// Right replies in the window.
    pub replies: u64,
    /// Right replies per second.
    pub replies_per_s: f64,
    /// The hashes per second that so many replies take on average: replies/s x 16^difficulty.
    pub hashes_per_s: Option<f64>,
    /// The standard error of these two, as a part of them, from luck alone: searches are geometric,
    /// so `sqrt((1 - 16^-difficulty) / replies)`.
    pub luck_error: Option<f64>,
    /// How long the replies took.
    pub latency: Latency,
    /// Requests that went down with their connection in the window.
    pub lost: u64,
    /// The longest that one of them had waited, in milliseconds.
    pub longest_lost_ms: f64,
    /// Requests still without a reply when the window closed; all that were to be made, where the
    /// server was gone.
    pub unanswered: u64,
    /// How long the oldest of them had waited, in milliseconds, or how long the server was gone.
    pub oldest_unanswered_ms: f64,
    /// The run ended because nobody got through to the server any more.
    pub gone: bool,
    /// Errors since the start (connecting and warm-up included), by name.
    pub errors: BTreeMap<String, u64>,
    /// Wrong replies since the start.
    pub wrong: Wrong,
}

/// Latencies of the right replies, in milliseconds. In the open loop they begin at the moment the
/// request was due. What was never answered is in [`Report::lost`] and [`Report::unanswered`].
///
/// Without a reply there is none: each is NaN, which JSON has as `null`. A zero would read as
/// perfect.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// The median.
    pub p50_ms: f64,
    /// 9 of 10 are below.
    pub p90_ms: f64,
    /// 99 of 100 are below.
    pub p99_ms: f64,
    /// 999 of 1000 are below.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// The mean.
    pub mean_ms: f64,
}

/// Replies that were not what they should be.
#[derive(Clone, Debug, Serialize)]
pub struct Wrong {
    /// How many.
    pub total: u64,
    /// How many of each kind.
    pub kinds: BTreeMap<String, u64>,
    /// The first few.
    pub samples: Vec<WrongSample>,
}

impl Report {
    pub(super) fn new(
        options: &Options,
        threads: usize,
        measured: Duration,
        stats: &Stats,
    ) -> Report {
        let seconds = measured.as_secs_f64();
        let replies_per_s = if seconds > 0.0 {
            stats.replies as f64 / seconds
        } else {
            0.0
        };
        let work = options.difficulty.map(|d| d.expected_hashes());
        Report {
            address: options.server(),
            connections: options.connections,
            open_at_end: stats.open,
            pipeline: options.pipeline,
            threads,
            message_bytes: options.messages.bytes(),
            difficulty: options.difficulty.map(|d| d.nibbles()),
            requests: options.requests,
            reconnect: options.reconnect,
            rate: options.rate,
            seconds,
            replies: stats.replies,
            replies_per_s,
            hashes_per_s: work.map(|work| work * replies_per_s),
            luck_error: work
                .filter(|_| stats.replies > 0)
                .map(|work| ((1.0 - 1.0 / work) / stats.replies as f64).sqrt()),
            latency: Latency::new(stats),
            lost: stats.lost.requests,
            longest_lost_ms: milliseconds(stats.lost.longest),
            unanswered: stats.unanswered.requests,
            oldest_unanswered_ms: milliseconds(stats.unanswered.longest),
            gone: false,
            errors: named(&stats.by_name),
            wrong: Wrong {
                total: stats.wrong(),
                kinds: named(&stats.wrong_by_name),
                samples: stats.samples.clone(),
            },
        }
    }
}

impl Latency {
    fn new(stats: &Stats) -> Latency {
        let latency = &stats.latency;
        let milliseconds = |nanoseconds| match latency.is_empty() {
            true => f64::NAN,
            false => nanoseconds / 1e6,
        };
        let at = |quantile| milliseconds(latency.value_at_quantile(quantile) as f64);
        Latency {
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: milliseconds(latency.max() as f64),
            mean_ms: milliseconds(latency.mean()),
        }
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e6
}

fn named<N: ToString>(names: &BTreeMap<N, u64>) -> BTreeMap<String, u64> {
    let owned = names
        .iter()
        .map(|(name, &number)| (name.to_string(), number));
    owned.collect()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use powd_core::Difficulty;

    /// What is reported of `stats` after two seconds at difficulty 3.
    fn report(stats: &Stats) -> Report {
        let options = Options {
            difficulty: Difficulty::new(3).ok(),
            ..Options::new(SocketAddr::from(([127, 0, 0, 1], 1)))
        };
        Report::new(&options, 1, Duration::from_secs(2), stats)
    }

    #[track_caller]
    fn assert_near(found: f64, expected: f64) {
        // Three digits, which the histogram keeps.
        let error = (found / expected - 1.0).abs();
        assert!(error < 1e-3, "{found} for {expected}");
    }

    #[test]
    fn a_thousand_latencies_are_told_to_three_digits() {
        let mut stats = Stats::new();
        for milliseconds in 1..=1000 {
            stats.right(1, Duration::from_millis(milliseconds));
        }
        let report = report(&stats);
        let latency = report.latency;
        assert_near(latency.p50_ms, 500.0);
        assert_near(latency.p90_ms, 900.0);
        assert_near(latency.p99_ms, 990.0);
        assert_near(latency.p999_ms, 999.0);
        assert_near(latency.max_ms, 1000.0);
        assert_near(latency.mean_ms, 500.5);
        assert_eq!((report.replies, report.replies_per_s), (1000, 500.0));
        assert_eq!(report.hashes_per_s, Some(500.0 * 4096.0));
        // One part in the square root of 1000, but for the one search in 4096 that is over at once.
        let luck = report.luck_error.expect("replies");
        assert!((luck - 0.031_618_916).abs() < 1e-9, "{luck}");
    }

    #[test]
    fn what_was_not_answered_is_told_in_milliseconds() {
        let mut stats = Stats::new();
        stats.lost.add(7, Duration::from_micros(1500));
        stats.unanswered.add(9, Duration::from_micros(2500));
        let report = report(&stats);
        assert_eq!((report.lost, report.longest_lost_ms), (7, 1.5));
        assert_eq!((report.unanswered, report.oldest_unanswered_ms), (9, 2.5));
    }

    #[test]
    fn without_a_reply_there_is_no_latency() {
        let report = report(&Stats::new());
        assert_eq!((report.replies_per_s, report.luck_error), (0.0, None));
        let json = serde_json::to_value(report.latency).expect("JSON");
        let values = json.as_object().expect("an object").values();
        assert_eq!(values.filter(|value| value.is_null()).count(), 6);
    }
}
