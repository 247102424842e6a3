//! `GET /`: the page for people, one document without any outside part.

use axum::body::Body;
use axum::http::Response;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, X_FRAME_OPTIONS,
};
use axum::response::IntoResponse as _;

static PAGE: &str = include_str!("page.html");

pub(super) async fn page() -> Response<Body> {
    let value = HeaderValue::from_static;
    let headers = [
        (CONTENT_TYPE, value("text/html; charset=utf-8")),
        (CACHE_CONTROL, value("no-cache")),
        // Nothing is loaded from elsewhere, and nobody puts the page into one of his own.
        (
            CONTENT_SECURITY_POLICY,
            value(
                "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'",
            ),
        ),
        (X_FRAME_OPTIONS, value("DENY")),
    ];
    (headers, PAGE).into_response()
}
