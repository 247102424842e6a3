//! The admin address: for those who watch the service, people and machines.
//!
//! One thread of its own, which does nothing else: it answers while the API has more than it can
//! do.

mod metrics;
mod page;
mod status;
mod watched;

use std::future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::get;
use tokio::runtime::Builder;

use super::HttpError;
use super::api;
use super::counters::Counters;
use super::door::Door;
use super::gate::Gate;
use super::listening::Listening;
use crate::admission::{Admission, Bounds};
use crate::engine::EngineError;
use crate::sockets::{Listener, Proxies};

pub(super) use watched::Watched;

/// Connections at once: a few balancers, scrapers and people. Bounds of their own, so that the
/// service's clients cannot keep them out.
pub(super) const CONNECTIONS: usize = 256;

/// How long a connection may do nothing: some times as long as a scraper waits between two scrapes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(150);

/// Opens the address. It answers until the process ends.
pub(super) fn open(listeners: Vec<Listener>, watched: Watched) -> Result<(), HttpError> {
    let start = |error| HttpError::Start(EngineError::Start(error));
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(start)?;
    let listeners = Listening::on(&runtime, listeners).map_err(start)?;
    let admission = Admission::new(Bounds {
        allow: Vec::new(),
        max: CONNECTIONS,
        max_per_ip: None,
    });
    // Those of the API do not count what is asked here, not on its page either.
    let counters = Arc::<Counters>::default();
    let gate = Gate::new(router(watched, &counters), Arc::clone(&counters));
    // Nor does it take anybody's word for an address.
    let door = Door::new(gate, admission, counters, IDLE_TIMEOUT, Proxies::default());
    let serve = move || runtime.block_on(door.serve(listeners, future::pending()));
    std::thread::Builder::new()
        .name("admin".to_owned())
        .spawn(serve)
        .map_err(start)?;
    Ok(())
}

fn router(watched: Watched, counters: &Arc<Counters>) -> Router {
    let api = watched.api().clone();
    let page = api::solving(api.counted_in(Arc::clone(counters)));
    Router::new()
        .route("/", get(page::page))
        .route("/metrics", get(metrics::metrics))
        .route("/status", get(status::status))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(watched)
        .merge(page)
}

/// Whether balancers are to send clients.
async fn ready(State(watched): State<Watched>) -> Response<Body> {
    match watched.is_ready() {
        true => "ok\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response(),
    }
}
