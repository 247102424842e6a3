//! `GET /openapi.json`: the description of the API, made from its own types.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::Response;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use utoipa::OpenApi;

use super::answer::JSON;
use super::{batch, jobs, solve, verify};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "powd",
        description = "Finds a short seed such that SHA-256(seed || message) starts with so many zeros as asked.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        solve::solve,
        verify::verify,
        batch::batch,
        jobs::create,
        jobs::read,
        jobs::cancel
    )
)]
struct Document;

static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| Document::openapi().to_json().unwrap_or_default());

pub(super) async fn document() -> Response<Body> {
    ([(CONTENT_TYPE, JSON)], DOCUMENT.as_str()).into_response()
}
