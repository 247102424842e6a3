//! `GET /status`: all that can be watched, as JSON. The page is made of it.

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::IntoResponse as _;
use serde::Serialize;

use super::watched::{Door, Watched};
#[cfg(feature = "nats")]
use crate::cluster::{self, Peer};
use crate::engine::{Histogram, LongSearch};

/// Searches in progress that are listed; the gauge beside them counts all.
const LISTED: usize = 100;

#[derive(Debug, Serialize)]
struct Status {
    version: &'static str,
    revision: &'static str,
    kernel: &'static str,
    /// False from the first signal on.
    ready: bool,
    /// When it started, since 1970: the counters of another start are others.
    start_time_seconds: f64,
    uptime_seconds: f64,
    workers: Vec<Worker>,
    hashes: u64,
    help_hashes: u64,
    false_hits: u64,
    searches_in_progress: u64,
    searches_cancelled: u64,
    searches_shared: u64,
    connections_refused: Refused,
    /// The upper ends of the buckets of the doors' durations, in seconds.
    duration_bounds: Vec<f64>,
    doors: Vec<Door>,
    /// Those that take more than a turn, the longest first.
    searches: Vec<Search>,
    /// The highest difficulty that can be asked for here and by HTTP.
    max_difficulty: u8,
    /// None where this machine is alone.
    #[cfg(feature = "nats")]
    cluster: Option<Cluster>,
}

/// The cluster, as this member sees it.
#[cfg(feature = "nats")]
#[derive(Debug, Serialize)]
struct Cluster {
    name: String,
    connected: bool,
    /// Seeds per second, of all members together.
    hash_rate: u64,
    /// Searches of other members that workers of this one are at.
    helping: usize,
    /// Seeds that workers of this one tried for others, and others for this one.
    help_hashes_given: u64,
    help_hashes_received: u64,
    hashes_wasted: u64,
    winners: u64,
    wrong_winners: u64,
    messages_refused: u64,
    /// This one first.
    members: Vec<Member>,
}

#[cfg(feature = "nats")]
#[derive(Debug, Serialize)]
struct Member {
    id: String,
    label: String,
    workers: u32,
    hash_rate: u64,
}

#[cfg(feature = "nats")]
impl Cluster {
    fn new(status: cluster::Status, watched: &Watched) -> Cluster {
        let hash_rate = status.hash_rate();
        let member = |peer: Peer| Member {
            id: peer.id,
            label: peer.label,
            workers: peer.workers,
            hash_rate: peer.hash_rate,
        };
        let refused = status.messages_refused.iter();
        Cluster {
            name: status.name,
            connected: status.is_connected,
            hash_rate,
            helping: status.helping,
            help_hashes_given: watched.engine().guest_hashes,
            help_hashes_received: status.help_hashes_received,
            hashes_wasted: status.hashes_wasted,
            winners: status.winners,
            wrong_winners: status.wrong_winners,
            messages_refused: refused.map(|(_, count)| count).sum(),
            members: status.members.into_iter().map(member).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Worker {
    busy_seconds: f64,
}

#[derive(Debug, Serialize)]
struct Refused {
    busy: u64,
    busy_address: u64,
    denied: u64,
    header: u64,
}

/// A search in progress.
#[derive(Debug, Serialize)]
struct Search {
    difficulty: u8,
    seconds: f64,
    hashes: u64,
    /// What such a search takes on average, from its beginning.
    expected_hashes: f64,
}

impl From<LongSearch> for Search {
    fn from(search: LongSearch) -> Search {
        Search {
            difficulty: search.difficulty.nibbles(),
            seconds: search.time.as_secs_f64(),
            hashes: search.hashes,
            expected_hashes: search.difficulty.expected_hashes(),
        }
    }
}

pub(super) async fn status(State(watched): State<Watched>) -> Response<Body> {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
    let engine = watched.engine();
    let [(_, busy), (_, busy_address), (_, denied), (_, header)] = watched.refused();
    let searches = watched.long_searches().into_iter().take(LISTED);
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        revision: env!("POWD_REVISION"),
        kernel: watched.kernel(),
        ready: watched.is_ready(),
        start_time_seconds: watched.start_time(),
        uptime_seconds: watched.uptime().as_secs_f64(),
        workers: watched
            .busy()
            .iter()
            .map(|busy| Worker {
                busy_seconds: busy.as_secs_f64(),
            })
            .collect(),
        hashes: engine.hashes,
        help_hashes: engine.help_hashes,
        false_hits: engine.false_hits,
        searches_in_progress: watched.searches_in_progress(),
        searches_cancelled: engine.cancelled_searches,
        searches_shared: engine.searches_shared,
        connections_refused: Refused {
            busy,
            busy_address,
            denied,
            header,
        },
        duration_bounds: Histogram::bounds().collect(),
        doors: watched.doors(),
        searches: searches.map(Search::from).collect(),
        max_difficulty: watched.api().options().limits.max_difficulty.nibbles(),
        #[cfg(feature = "nats")]
        cluster: watched
            .cluster()
            .map(|status| Cluster::new(status, &watched)),
    };
    let body = serde_json::to_vec(&status).unwrap_or_default();
    ([(CONTENT_TYPE, JSON), (CACHE_CONTROL, NO_STORE)], body).into_response()
}
