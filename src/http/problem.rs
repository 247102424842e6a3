//! What is answered in place of a result: problem details (RFC 9457), with a `code` that clients
//! can rely on.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use powd_core::Difficulty;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::admission::Refusal;
use crate::engine::SolveError;

/// When to ask again what was too much now. A second: connections end and jobs are done at any
/// moment.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Defines the codes, with the status and the word of each: one list, of which the counters are
/// made too.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident $word:literal,)+) => {
        /// What kind of problem it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            $($(#[$doc])* $name,)+
        }

        impl Code {
            /// All of them, in the order of their numbers.
            pub(crate) const ALL: &[Code] = &[$(Code::$name,)+];

            pub(crate) fn status(self) -> StatusCode {
                match self {
                    $(Code::$name => StatusCode::$status,)+
                }
            }

            /// The word that clients can rely on.
            pub(crate) fn word(self) -> &'static str {
                match self {
                    $(Code::$name => $word,)+
                }
            }
        }
    };
}

codes! {
    /// The request cannot be understood.
    Malformed = BAD_REQUEST "malformed",
    /// The client has ended its half of the connection; who asks by HTTP has gone then.
    Gone = BAD_REQUEST "gone",
    /// No token, or one that is not known.
    Token = UNAUTHORIZED "token",
    /// An address that is not served.
    Denied = FORBIDDEN "denied",
    /// No such path, or no such job.
    NotFound = NOT_FOUND "not-found",
    /// A path that takes other methods.
    Method = METHOD_NOT_ALLOWED "method",
    /// A message longer than allowed.
    TooLong = PAYLOAD_TOO_LARGE "too-long",
    /// A body of a type that is not taken.
    MediaType = UNSUPPORTED_MEDIA_TYPE "media-type",
    /// No difficulty, or a higher one than allowed.
    Difficulty = UNPROCESSABLE_ENTITY "difficulty",
    /// An idempotency key that was used for another job.
    Idempotency = UNPROCESSABLE_ENTITY "idempotency",
    /// No seed of any length is a solution.
    Exhausted = UNPROCESSABLE_ENTITY "exhausted",
    /// Too many connections from one address.
    BusyAddress = TOO_MANY_REQUESTS "busy",
    /// Too many connections or jobs.
    Busy = SERVICE_UNAVAILABLE "busy",
    /// The broker, which keeps the jobs, does not answer.
    Broker = SERVICE_UNAVAILABLE "broker",
    /// The service ends.
    Draining = SERVICE_UNAVAILABLE "draining",
    /// The search took longer than allowed.
    Deadline = GATEWAY_TIMEOUT "deadline",
    /// A bug.
    Failed = INTERNAL_SERVER_ERROR "failed",
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// A code, and what is said to people. As JSON it is what stands in place of a single answer among
/// others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// What kind of problem it is: a word that clients can rely on.
    #[schema(value_type = String, example = "difficulty")]
    pub(crate) code: Code,
    /// What is wrong here, for people.
    #[schema(value_type = String)]
    pub(crate) detail: Cow<'static, str>,
}

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
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem {
            code,
            detail: detail.into(),
        }
    }

    pub(crate) fn malformed(detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(Code::Malformed, detail)
    }

    pub(crate) fn too_long(max: usize) -> Problem {
        Problem::new(
            Code::TooLong,
            format!("a message has at most {max} bytes here"),
        )
    }

    pub(crate) fn draining() -> Problem {
        SolveError::Draining.into()
    }

    pub(crate) fn difficulty(max: Difficulty) -> Problem {
        Problem::new(
            Code::Difficulty,
            format!("a difficulty is a whole number, here from 0 to {max}"),
        )
    }
}

impl From<SolveError> for Problem {
    fn from(error: SolveError) -> Problem {
        let code = match error {
            SolveError::TooLong { max } => return Problem::too_long(max),
            SolveError::Deadline => Code::Deadline,
            SolveError::Exhausted => Code::Exhausted,
            SolveError::Draining => {
                return Problem::new(Code::Draining, "this server is ending: ask again later");
            }
            SolveError::Failed => Code::Failed,
        };
        Problem::new(code, error.to_string())
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
        let status = code.status();
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
