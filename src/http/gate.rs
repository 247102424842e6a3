//! What every request passes, whatever it asks for: it gets an id, shows its token, and is counted.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Request, Response};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::counters::Counters;
use super::held::holding;
use super::peer::Peer;
use super::remainder::Remainder;
use crate::engine::Handle;
use crate::problem::{Code, Problem};
use crate::tokens::Tokens;

/// What a client calls its request, or what powd does where the client says nothing.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A longer id is not one.
const REQUEST_ID_MAX: usize = 128;

/// A door's router, and what stands before it.
#[derive(Debug)]
pub(super) struct Gate {
    router: Router,
    /// What a request has to show, if anything.
    tokens: Option<Tokens>,
    /// Set where nothing is answered any more when this engine drains.
    engine: Option<Handle>,
    counters: Arc<Counters>,
    flight: Arc<Flight>,
    ids: Ids,
}

/// How many requests are under way, for who waits until there are none.
#[derive(Debug, Default)]
pub(super) struct Flight {
    count: AtomicUsize,
    none_left: Notify,
}

/// A request under way, until its answer is.
#[derive(Debug)]
struct InFlight(Arc<Flight>);

impl Flight {
    fn begin(self: &Arc<Self>) -> InFlight {
        self.count.fetch_add(1, SeqCst);
        InFlight(Arc::clone(self))
    }

    /// Ends when no request is under way.
    pub(super) async fn none_left(&self) {
        loop {
            let told = self.none_left.notified();
            if self.count.load(SeqCst) == 0 {
                return;
            }
            told.await;
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, SeqCst) == 1 {
            self.0.none_left.notify_one();
        }
    }
}

/// Counts a request that is dropped before it is answered: its client has gone.
struct Unanswered<'a>(&'a Counters);

impl Unanswered<'_> {
    fn answered(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.count_error(Code::Gone);
    }
}

/// Ids for requests that bring none: unique among those of this process, and hardly ever those of
/// another.
#[derive(Debug)]
struct Ids {
    first: u64,
    made: AtomicU64,
}

impl Ids {
    fn new() -> Ids {
        // Without entropy ids count from a fixed number, which harms nobody.
        Ids {
            first: getrandom::u64().unwrap_or_default(),
            made: AtomicU64::new(0),
        }
    }

    fn make(&self) -> HeaderValue {
        let number = self.first.wrapping_add(self.made.fetch_add(1, Relaxed));
        let digits = hex::encode(number.to_be_bytes());
        HeaderValue::try_from(digits).unwrap_or_else(|_| HeaderValue::from_static("0"))
    }

    fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let brought = headers.get(REQUEST_ID);
        let brought = brought.filter(|id| {
            let bytes = id.as_bytes();
            (1..=REQUEST_ID_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        });
        brought.cloned().unwrap_or_else(|| self.make())
    }
}

impl Gate {
    /// A gate that lets all through, whose problems are counted in `counters`.
    pub(super) fn new(router: Router, counters: Arc<Counters>) -> Gate {
        Gate {
            router,
            tokens: None,
            engine: None,
            counters,
            flight: Arc::default(),
            ids: Ids::new(),
        }
    }

    /// With one of these tokens only.
    pub(super) fn with_tokens(self, tokens: Option<Tokens>) -> Gate {
        Gate { tokens, ..self }
    }

    /// As long as `engine` does not drain.
    pub(super) fn while_serving(self, engine: Handle) -> Gate {
        Gate {
            engine: Some(engine),
            ..self
        }
    }

    pub(super) fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// The id of a request with these headers.
    pub(super) fn id_of(&self, headers: &HeaderMap) -> HeaderValue {
        self.ids.of(headers)
    }

    /// Answers a request.
    pub(super) async fn answer(
        &self,
        peer: Arc<Peer>,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        peer.touch();
        let id = self.id_of(request.headers());
        // First counted, then looked whether it is too late: a drain looks in the other order.
        let in_flight = self.flight.begin();
        let unanswered = Unanswered(&self.counters);
        request.extensions_mut().insert(Arc::clone(&peer));
        let admitted = self.admit(request.headers());
        let (request, remainder) = Remainder::of(request, &peer);
        let mut response = match admitted {
            Ok(()) => {
                let answered = self.router.clone().oneshot(request).await;
                answered.unwrap_or_else(|never| match never {})
            }
            Err(problem) => {
                drop(request);
                problem.into_response()
            }
        };
        unanswered.answered();
        if let Some(code) = response.extensions().get::<Code>().copied() {
            self.counters.count_error(code);
            remainder.read(self.is_ending()).await;
        }
        response.headers_mut().insert(REQUEST_ID, id);
        peer.touch();
        Ok(holding(response, in_flight))
    }

    fn is_ending(&self) -> bool {
        self.engine.as_ref().is_some_and(Handle::is_draining)
    }

    fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if self.is_ending() {
            return Err(Problem::draining());
        }
        match &self.tokens {
            Some(tokens) if !shows_one_of(tokens, headers) => Err(Problem::new(
                Code::Token,
                "each request needs a known token: Authorization: Bearer TOKEN",
            )),
            _ => Ok(()),
        }
    }
}

/// Whether a request shows one of the tokens (RFC 6750, section 2.1).
fn shows_one_of(tokens: &Tokens, headers: &HeaderMap) -> bool {
    let shown = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
        let is_bearer = scheme.eq_ignore_ascii_case(b"Bearer ");
        is_bearer.then(|| token.trim_ascii())
    });
    shown.is_some_and(|token| tokens.contain(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_as_a_bearer() {
        let tokens = Tokens::parse(b"secret").expect("a token");
        let shows = |value: &'static str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
            shows_one_of(&tokens, &headers)
        };
        assert!(shows("Bearer secret") && shows("bearer  secret"));
        for wrong in [
            "",
            "secret",
            "Bearer",
            "Bearer ",
            "Basic secret",
            "Bearer secrets",
        ] {
            assert!(!shows(wrong), "{wrong:?}");
        }
        assert!(!shows_one_of(&tokens, &HeaderMap::new()));
    }

    #[test]
    fn an_id_is_kept_where_it_can_be() {
        let ids = Ids::new();
        let of = |id: &str| {
            let value = HeaderValue::from_str(id).expect("a header");
            ids.of(&HeaderMap::from_iter([(REQUEST_ID, value)]))
        };
        assert_eq!(of("my-id/7"), "my-id/7");
        for wrong in ["", "two words", &"x".repeat(REQUEST_ID_MAX + 1)] {
            assert_eq!(of(wrong).len(), 16, "{wrong:?}");
        }
        assert_ne!(of(""), of(""));
    }
}
