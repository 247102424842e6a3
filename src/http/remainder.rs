//! What a client still sends when its answer is known already: a wrong token, a path that is not
//! there.
//!
//! Whoever is cut off while he sends may lose the answer: HTTP/1.1 resets the connection, and there
//! are clients of HTTP/2, curl 7.88 among them, that take the end of their stream for a fault. So a
//! little of it is read, and forgotten.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::EXPECT;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::peer::Peer;

/// A client that sends more, or for longer, is cut off.
const MOST: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(1);

/// The same where the service ends: it may have no more than a second for all that is left.
const LAST_PATIENCE: Duration = Duration::from_millis(250);

/// The body of a request while a handler has it.
struct Lent {
    /// None once it was given back.
    body: Option<Incoming>,
    owner: Option<oneshot::Sender<Incoming>>,
    /// A client that sends is not idle.
    peer: Arc<Peer>,
}

/// Where a body comes back to.
pub(super) struct Remainder(Option<oneshot::Receiver<Incoming>>);

impl Remainder {
    /// The request for a handler, and what will be left of it.
    pub(super) fn of(request: Request<Incoming>, peer: &Arc<Peer>) -> (Request<Body>, Remainder) {
        // Who waits to be told to send sends nothing, and is not told so here.
        if request.body().is_end_stream() || request.headers().contains_key(EXPECT) {
            return (request.map(Body::new), Remainder(None));
        }
        let (owner, remainder) = oneshot::channel();
        let lend = |body| {
            Body::new(Lent {
                body: Some(body),
                owner: Some(owner),
                peer: Arc::clone(peer),
            })
        };
        (request.map(lend), Remainder(Some(remainder)))
    }

    /// Reads it, if the handler has given it back.
    pub(super) async fn read(self, is_last: bool) {
        let given_back = self.0.and_then(|mut remainder| remainder.try_recv().ok());
        if let Some(body) = given_back.filter(|body| !body.is_end_stream()) {
            let patience = if is_last { LAST_PATIENCE } else { PATIENCE };
            let _ = timeout(patience, Limited::new(body, MOST).collect()).await;
        }
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(task));
        self.peer.touch();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let known = self.body.as_ref().map(HttpBody::size_hint);
        known.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(owner)) = (self.body.take(), self.owner.take()) {
            // An error: nobody wants it.
            let _ = owner.send(body);
        }
    }
}
