//! The body of a response, with something that lives until the last of it was taken.
//!
//! A handler returns before its answer is on its way: in HTTP/2 another task hands it over, piece
//! by piece. Who waits for the end of an answer waits for the end of its body.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Error;
use axum::body::{Body, Bytes};
use axum::http::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

struct Held<G> {
    body: Body,
    _guard: G,
}

/// The same response; `guard` is dropped with its body.
pub(super) fn holding<G>(response: Response<Body>, guard: G) -> Response<Body>
where
    G: Send + Unpin + 'static,
{
    response.map(|body| {
        Body::new(Held {
            body,
            _guard: guard,
        })
    })
}

impl<G: Unpin> HttpBody for Held<G> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(task)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
