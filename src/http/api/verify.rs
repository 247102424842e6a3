//! `POST /v1/verify`: whether a seed is a solution.

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, Request, State};
use axum::http::{Response, StatusCode};
use powd_core::unstable::digest;
use powd_core::{Difficulty, Seed};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::answer::json;
use super::ask::{
    Kind, bounded, collect, difficulty_in, difficulty_of, json_room, message, parse_object,
    read_parameters, unknown_type,
};
use crate::http::problem::ProblemDetails;
use crate::problem::Problem;
use crate::protocol::{Fault, Reply};

/// What to check against, behind the `?`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct VerifyParameters {
    /// Zeros that the hash must start with; by default those of the service's `--difficulty`.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 64)]
    difficulty: Option<String>,
}

/// A solution to check.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyRequest {
    /// The message as text.
    message: Option<String>,
    /// The message in Base64, in place of `message`.
    message_base64: Option<String>,
    /// What stands before the message in the hash.
    seed: String,
    /// What the hash is said to be.
    hash: Option<String>,
    /// Zeros that the hash must start with.
    #[schema(value_type = Option<u8>, minimum = 0, maximum = 64)]
    difficulty: Option<Value>,
}

/// What became of the check.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Verdict {
    /// It is a solution.
    Valid {
        /// Always true.
        valid: bool,
        /// The zeros that its hash starts with.
        zeros: u8,
    },
    /// It is none.
    Invalid {
        /// Always false.
        valid: bool,
        /// What is wrong with it.
        reason: String,
    },
}

/// Checks a solution.
///
/// The body is a reply line, or an object with `Content-Type: application/json`.
#[utoipa::path(
    post,
    path = "/v1/verify",
    params(VerifyParameters),
    request_body(content((VerifyRequest = "application/json"), (String = "text/plain"))),
    responses(
        (status = 200, description = "The verdict", body = Verdict),
        (status = 400, description = "Not understood", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 413, description = "The message is too long", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 415, description = "The body has a type that is not taken", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, description = "The difficulty is none", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(super) async fn verify(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let parameters: VerifyParameters = read_parameters(query.as_deref())?;
    let difficulty = parameters.difficulty.as_deref().map(difficulty_in);
    let difficulty = difficulty.unwrap_or(Ok(api.options().difficulty))?;
    let (parts, body) = request.into_parts();
    let max = api.max_message_bytes();
    let checked = match Kind::of(&parts.headers)? {
        Kind::Bytes => {
            let line = collect(&api, body, max + Reply::OVERHEAD + 1).await?;
            check_line(&line, difficulty, max)?
        }
        Kind::Json => {
            let body = collect(&api, body, json_room(max)).await?;
            parse_object::<VerifyRequest>(&body)?.check(difficulty, max)?
        }
        Kind::Ndjson => return Err(unknown_type("application/json, or a reply line")),
    };
    let verdict = match checked {
        Ok(zeros) => Verdict::Valid { valid: true, zeros },
        Err(fault) => Verdict::Invalid {
            valid: false,
            reason: fault.to_string(),
        },
    };
    Ok(json(StatusCode::OK, &verdict))
}

/// The zeros of a good reply line, with or without its end.
fn check_line(
    line: &[u8],
    difficulty: Difficulty,
    max: usize,
) -> Result<Result<u8, Fault>, Problem> {
    let reply = match Reply::parse(Reply::without_end(line)) {
        Ok(reply) => reply,
        Err(fault) => return Ok(Err(fault)),
    };
    bounded(reply.message, max)?;
    Ok(reply.check(difficulty).map(|()| zeros(reply.hash)))
}

impl VerifyRequest {
    /// The zeros of a good solution; `difficulty` where it does not say one.
    fn check(self, difficulty: Difficulty, max: usize) -> Result<Result<u8, Fault>, Problem> {
        let message: Bytes = message(self.message, self.message_base64)?;
        bounded(&message, max)?;
        let difficulty = match &self.difficulty {
            Some(value) => difficulty_of(value)?,
            None => difficulty,
        };
        let digits = match (self.hash, Seed::from_bytes(self.seed.as_bytes())) {
            (Some(hash), _) => hash.into_bytes(),
            (None, Ok(seed)) => digest(&seed, &message).to_hex().to_vec(),
            (None, Err(error)) => return Ok(Err(error.into())),
        };
        let reply = Reply {
            message: &message,
            seed: self.seed.as_bytes(),
            hash: &digits,
        };
        Ok(reply.check(difficulty).map(|()| zeros(reply.hash)))
    }
}

/// The zeros that a hash starts with.
fn zeros(digits: &[u8]) -> u8 {
    digits.iter().take_while(|&&digit| digit == b'0').count() as u8
}
