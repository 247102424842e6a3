//! The API: what can be asked, and what is answered.
//!
//! One file for each call. It must not know connections, except that a client can be gone.

mod answer;
mod ask;
mod batch;
mod jobs;
mod lines;
mod openapi;
mod solve;
mod verify;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::routing::{get, post};
use powd_core::Difficulty;
use tokio::sync::watch;
use tokio::task::yield_now;

use super::counters::Counters;
use super::options::Options;
use super::peer::Peer;
use crate::engine::{Answer, Drain, Handle, Query};
use crate::jobs::Jobs;
use crate::problem::{Code, Problem};

/// What all requests share; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Api {
    inner: Arc<Inner>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Inner {
    engine: Handle,
    options: Options,
    jobs: Jobs,
    drain: watch::Sender<Drain>,
}

impl Api {
    pub(super) fn new(
        engine: Handle,
        options: Options,
        counters: Arc<Counters>,
        jobs: Jobs,
    ) -> Api {
        let inner = Inner {
            engine,
            options,
            jobs,
            drain: watch::Sender::new(Drain::Serving),
        };
        Api {
            inner: Arc::new(inner),
            counters,
        }
    }

    /// The same, but what is asked of it is counted there.
    pub(super) fn counted_in(self, counters: Arc<Counters>) -> Api {
        Api { counters, ..self }
    }

    pub(super) fn engine(&self) -> &Handle {
        &self.inner.engine
    }

    pub(super) fn options(&self) -> &Options {
        &self.inner.options
    }

    pub(super) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    fn jobs(&self) -> &Jobs {
        &self.inner.jobs
    }

    /// Takes in that a drain has begun: jobs end, batches read no further.
    pub(super) fn begin_drain(&self) {
        self.inner.drain.send_replace(Drain::Draining);
        self.jobs().begin_drain();
    }

    /// Takes in that its time is over: requests that have not come whole are refused.
    pub(super) fn expire_drain(&self) {
        self.inner.drain.send_replace(Drain::Expired);
    }

    /// Ends when a drain begins.
    fn draining(&self) -> impl Future<Output = ()> + Send + 'static {
        self.until(|drain| *drain != Drain::Serving)
    }

    /// Ends when the time of a drain is over.
    fn expired(&self) -> impl Future<Output = ()> + Send + 'static {
        self.until(|drain| *drain == Drain::Expired)
    }

    fn until(&self, is_reached: fn(&Drain) -> bool) -> impl Future<Output = ()> + Send + 'static {
        let mut drain = self.inner.drain.subscribe();
        async move {
            // An error would mean that the API is gone.
            let _ = drain.wait_for(is_reached).await;
        }
    }

    /// The longest message, in bytes.
    fn max_message_bytes(&self) -> usize {
        self.engine().options().max_message_bytes.get()
    }

    /// Asks the engine, until it has answered or the client has gone. To drop this cancels the
    /// search.
    async fn solve(&self, peer: &Arc<Peer>, query: Query) -> Result<Answer, Problem> {
        let difficulty = query.difficulty;
        let solve = self.engine().of(peer.flow()).ask_together(query);
        // The other requests that have come by now are asked before the first is waited for (64
        // connections at difficulty 0, all on one CPU: 120,000 replies/s, 80,000 without; Xeon, 2
        // CPUs, 2026-11). Most have their answer then, and need no timer that looks for the client.
        yield_now().await;
        let answer = peer.waits_for(solve).await??;
        self.count(difficulty, &answer);
        Ok(answer)
    }

    fn count(&self, difficulty: Difficulty, answer: &Answer) {
        self.counters().count_reply(difficulty, answer);
    }
}

/// All calls.
pub(super) fn router(api: Api) -> Router {
    let document = openapi::document(api.options());
    Router::new()
        .route("/v1/solve", post(solve::solve))
        .route("/v1/verify", post(verify::verify))
        .route("/v1/batch", post(batch::batch))
        .route("/v1/jobs", post(jobs::create))
        .route("/v1/jobs/{id}", get(jobs::read).delete(jobs::cancel))
        .route("/openapi.json", get(document))
        .fallback(|| async { Problem::new(Code::NotFound, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::Method, "this path takes another method: see Allow")
        })
        .with_state(api)
}

/// The one call that the admin address has of these, for its page.
pub(super) fn solving(api: Api) -> Router {
    Router::new()
        .route("/v1/solve", post(solve::solve_json))
        .with_state(api)
}

/// The client of a request, as the gate noted it.
struct Client(Arc<Peer>);

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Client, Problem> {
        let peer = parts.extensions.get::<Arc<Peer>>().cloned();
        // Only a request that came past the gate would have none.
        let failed = || Problem::new(Code::Failed, "the request has no connection");
        peer.map(Client).ok_or_else(failed)
    }
}
