//! What is answered: a solution as JSON, or as the reply line of the line protocol.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use powd_core::Difficulty;
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::Answer;
use crate::http::accept::{accepted, is};

/// A seed for a message, and what it cost.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Solved {
    /// The message; missing where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<String>,
    /// The message in Base64, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message_base64: Option<String>,
    /// What stands before the message in the hash.
    #[schema(pattern = "^[a-zA-Z0-9]{1,16}$")]
    seed: String,
    /// SHA-256 of seed and message, 64 lowercase hex digits.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
    /// The zeros asked for; there may be more.
    difficulty: u8,
    /// Seeds tried for it, on all cores.
    hashes: u64,
    /// From the request to the find.
    seconds: f64,
}

impl Solved {
    pub(super) fn new(message: &[u8], difficulty: Difficulty, answer: &Answer) -> Solved {
        let text = str::from_utf8(message).ok();
        Solved {
            message: text.map(str::to_owned),
            message_base64: text.is_none().then(|| BASE64_STANDARD.encode(message)),
            seed: answer.solution.seed().to_string(),
            hash: answer.solution.digest().to_string(),
            difficulty: difficulty.nibbles(),
            hashes: answer.hashes,
            seconds: answer.time.as_secs_f64(),
        }
    }
}

/// Whether the client would rather have text than JSON: the one that comes first in its `Accept`.
pub(super) fn prefers_text(headers: &HeaderMap) -> bool {
    let names = |kinds: &[&str], name| kinds.iter().any(|kind| is(name, kind));
    let mut known = accepted(headers).filter_map(|name| {
        let is_text = names(&["text/plain", "text/*"], name);
        let is_json = names(&["application/json", "application/*", "*/*"], name);
        (is_text || is_json).then_some(is_text)
    });
    known.next().unwrap_or(false)
}

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A response in JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let body = serde_json::to_vec(value).unwrap_or_default();
    (status, [(CONTENT_TYPE, JSON)], body).into_response()
}

/// A response of text.
pub(super) fn text(body: Vec<u8>) -> Response<Body> {
    // Not UTF-8, perhaps: a message is any bytes.
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain");
    ([(CONTENT_TYPE, TEXT)], body).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::header::ACCEPT;

    use super::*;

    #[test]
    fn text_is_for_those_who_name_it_first() {
        let prefers = |accept: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            prefers_text(&headers)
        };
        assert!(!prefers_text(&HeaderMap::new()));
        for text in ["Text/Plain", "text/html, text/plain;q=0.5, */*", "text/*"] {
            assert!(prefers(text), "{text}");
        }
        for json in [
            "*/*",
            "application/json, text/plain",
            "text/plain;q=0, application/json",
            "text/html",
            "",
        ] {
            assert!(!prefers(json), "{json}");
        }
    }
}
