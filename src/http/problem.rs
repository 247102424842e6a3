//! Problems as responses: problem details (RFC 9457).

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::admission::Refusal;
use crate::engine::SolveError;
use crate::problem::{Code, Problem};

/// When to ask again what was too much now. A second: connections end and jobs are done at any
/// moment.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// A problem as the body of a response (RFC 9457). Without `type`, which then is `about:blank`.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemDetails {
    /// The status of the response in words.
    #[schema(value_type = String, example = "Unprocessable Entity")]
    title: &'static str,
    /// The status of the response.
    status: u16,
    #[serde(flatten)]
    problem: Problem,
}

impl Problem {
    pub(super) fn too_long(max: usize) -> Problem {
        SolveError::TooLong { max }.into()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        match refusal {
            Refusal::Busy => Problem::new(Code::Busy, "too many connections: try again later"),
            Refusal::BusyAddress => {
                Problem::new(Code::BusyAddress, "too many connections from your address")
            }
            Refusal::Denied => Problem::new(Code::Denied, "your address is not served here"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        const JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
        let code = self.code;
        let status =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let details = ProblemDetails {
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            problem: self,
        };
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let mut set = |name: HeaderName, value| response.headers_mut().insert(name, value);
        set(CONTENT_TYPE, JSON);
        match status {
            // Where it is not the encoding, this would mislead (RFC 9110, section 12.5.3).
            StatusCode::UNSUPPORTED_MEDIA_TYPE if code == Code::Encoding => {
                set(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            StatusCode::UNAUTHORIZED => {
                set(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                set(RETRY_AFTER, RETRY_AFTER_SECONDS);
            }
            _ => {}
        }
        // For who counts.
        response.extensions_mut().insert(code);
        response
    }
}
