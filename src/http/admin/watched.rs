//! What can be watched, gathered from where it is counted.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use powd_core::Difficulty;
use serde::Serialize;

use crate::admission::Refusal;
#[cfg(feature = "nats")]
use crate::cluster::{self, Cluster};
use crate::engine::{Durations, Histogram, LongSearch, Totals};
use crate::http::api::Api;
use crate::line::{Control, Errors as LineErrors, Snapshot};
use crate::problem::Code;

/// The service, for who watches it.
#[derive(Clone, Debug)]
pub(in crate::http) struct Watched(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: Control,
    api: Api,
    #[cfg(feature = "nats")]
    cluster: Option<Cluster>,
    started: Instant,
    start_time: SystemTime,
}

/// What one kind of door counts.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Door {
    /// `line`, `http` or `nats`.
    pub(super) door: &'static str,
    pub(super) requests: u64,
    pub(super) replies: u64,
    /// Connections open now.
    pub(super) connections: u64,
    pub(super) connections_opened: u64,
    /// By code. Those that clients have got so far, and the usual ones.
    pub(super) errors: Vec<Errors>,
    /// How long the requests took that were answered.
    pub(super) durations: Vec<Latencies>,
}

/// How often one error was answered.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Errors {
    pub(super) code: &'static str,
    pub(super) count: u64,
}

/// How long the requests of one difficulty took.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Latencies {
    pub(super) difficulty: u8,
    pub(super) seconds: f64,
    /// How many there are in each bucket of [`Histogram::bounds`]; the last one is of those beyond.
    pub(super) counts: Vec<u64>,
}

impl Watched {
    pub(in crate::http) fn new(
        service: Control,
        api: Api,
        #[cfg(feature = "nats")] cluster: Option<Cluster>,
    ) -> Watched {
        Watched(Arc::new(Inner {
            service,
            api,
            #[cfg(feature = "nats")]
            cluster,
            started: Instant::now(),
            start_time: SystemTime::now(),
        }))
    }

    pub(super) fn api(&self) -> &Api {
        &self.0.api
    }

    pub(super) fn is_ready(&self) -> bool {
        self.0.service.engine().is_ready()
    }

    pub(super) fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// When the service started, in seconds since 1970.
    pub(super) fn start_time(&self) -> f64 {
        let start = self.0.start_time.duration_since(UNIX_EPOCH);
        start.unwrap_or_default().as_secs_f64()
    }

    pub(super) fn kernel(&self) -> &'static str {
        self.0.service.engine().options().kernel.name()
    }

    /// How long each worker has not been waiting.
    pub(super) fn busy(&self) -> Vec<Duration> {
        self.0.service.engine().busy().collect()
    }

    pub(super) fn engine(&self) -> Totals {
        self.0.service.engine().totals()
    }

    /// Searches under way; what is read at two moments is never less than none.
    pub(super) fn searches_in_progress(&self) -> u64 {
        let totals = self.engine();
        totals.searches_begun.saturating_sub(totals.searches_ended)
    }

    /// The longest first.
    pub(super) fn long_searches(&self) -> Vec<LongSearch> {
        let mut searches = self.0.service.engine().long_searches();
        searches.sort_by_key(|search| std::cmp::Reverse(search.time));
        searches
    }

    /// Connections refused, by reason, over all doors.
    pub(super) fn refused(&self) -> [(&'static str, u64); 4] {
        let line = self.0.service.snapshot().connections.refused;
        let http = self.0.api.counters();
        [
            ("busy", line.busy + http.refused(Refusal::Busy)),
            (
                "busy-address",
                line.busy_address + http.refused(Refusal::BusyAddress),
            ),
            ("denied", line.denied + http.refused(Refusal::Denied)),
            ("header", line.header + http.refused_header.read()),
        ]
    }

    /// One for each kind that there is.
    pub(super) fn doors(&self) -> Vec<Door> {
        let doors = vec![self.line(), self.http()];
        #[cfg(feature = "nats")]
        let doors = doors.into_iter().chain(self.nats()).collect();
        doors
    }

    /// The cluster, as this member sees it.
    #[cfg(feature = "nats")]
    pub(super) fn cluster(&self) -> Option<cluster::Status> {
        self.0.cluster.as_ref().map(Cluster::status)
    }

    #[cfg(feature = "nats")]
    fn nats(&self) -> Option<Door> {
        let cluster = self.0.cluster.as_ref()?;
        let (requests, replies) = cluster.requests();
        let errors = cluster.errors();
        Some(Door {
            door: "nats",
            requests,
            replies,
            // One to the broker, which is nobody's in particular.
            connections: u64::from(cluster.status().is_connected),
            connections_opened: cluster.connections_opened(),
            errors: errors.map(|(code, count)| Errors { code, count }).collect(),
            durations: latencies(std::iter::once(cluster.durations())),
        })
    }

    fn line(&self) -> Door {
        let Snapshot {
            connections,
            requests,
            replies,
            errors,
            ..
        } = self.0.service.snapshot();
        // Whole: none can be forgotten here.
        let LineErrors {
            too_long,
            deadline,
            exhausted,
            draining,
        } = errors;
        Door {
            door: "line",
            requests,
            replies,
            connections: connections.open,
            connections_opened: connections.total,
            errors: [
                ("too-long", too_long),
                ("deadline", deadline),
                ("exhausted", exhausted),
                ("draining", draining),
            ]
            .map(|(code, count)| Errors { code, count })
            .into(),
            durations: latencies(self.0.service.durations()),
        }
    }

    fn http(&self) -> Door {
        let counters = self.0.api.counters();
        let opened = counters.opened.read();
        let mut errors: Vec<Errors> = Vec::new();
        for &code in Code::ALL {
            let count = counters.errors(code);
            // Two statuses can have one code.
            match errors.iter_mut().find(|errors| errors.code == code.word()) {
                Some(errors) => errors.count += count,
                None => errors.push(Errors {
                    code: code.word(),
                    count,
                }),
            }
        }
        Door {
            door: "http",
            requests: counters.requests.read(),
            replies: counters.replies.read(),
            connections: opened.saturating_sub(counters.closed.read()),
            connections_opened: opened,
            errors,
            durations: latencies(std::iter::once(&counters.durations)),
        }
    }
}

fn latencies<'a>(sets: impl Iterator<Item = &'a Durations> + Clone) -> Vec<Latencies> {
    let histograms = Durations::histograms(sets);
    let latencies = histograms.map(|histogram: Histogram| Latencies {
        difficulty: Difficulty::nibbles(histogram.difficulty),
        seconds: histogram.sum.as_secs_f64(),
        counts: histogram.counts.to_vec(),
    });
    latencies.collect()
}
