//! `/v1/jobs`: searches that outlive their requests. Where they are kept is the business of
//! [`jobs`](crate::jobs).

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, RawQuery, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, LOCATION,
};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use powd_core::Difficulty;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::{IntoParams, ToSchema};

use super::answer::{Solved, json};
use super::ask::{Ask, Parameters, SolveRequest, read_parameters};
use super::{Api, Client};
use crate::engine::{Answer, SolveError};
use crate::http::counters::Counters;
use crate::http::problem::ProblemDetails;
use crate::jobs::{JobError, Key, Report, State as JobState, Tally};
use crate::problem::{Code, Problem};

/// What makes that asking twice begins one job.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A longer key is not one.
const KEY_MAX: usize = 255;

/// The longest that a request for a job waits.
const WAIT_MAX: Duration = Duration::from_secs(60 * 60);

/// A job, for who asks for it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobStatus {
    /// What its path ends with.
    id: String,
    /// Where it is.
    state: StateName,
    /// The zeros asked for.
    difficulty: u8,
    /// Seeds tried so far, on all cores.
    hashes: u64,
    /// What such a search takes on average, from its beginning.
    expected_hashes: f64,
    /// From the request to now, or to the end.
    seconds: f64,
    /// The seed, once it is found.
    solution: Option<Solved>,
    /// Why there is none, once that is known.
    error: Option<Problem>,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum StateName {
    /// Its search has not begun.
    Waiting,
    /// Its search is under way.
    Searching,
    /// A seed was found.
    Found,
    /// A client has ended it.
    Cancelled,
    /// It has ended without a seed.
    Failed,
}

impl From<Report> for JobStatus {
    fn from(report: Report) -> JobStatus {
        let Report {
            id,
            query,
            state,
            hashes,
            time,
        } = report;
        let (state, solution, error) = match state {
            JobState::Waiting => (StateName::Waiting, None, None),
            JobState::Searching => (StateName::Searching, None, None),
            JobState::Cancelled => (StateName::Cancelled, None, None),
            JobState::Failed(error) => (StateName::Failed, None, Some(error.into())),
            JobState::Found(solution) => {
                let answer = Answer {
                    solution,
                    hashes,
                    time,
                };
                let solved = Solved::new(&query.message, query.difficulty, &answer);
                (StateName::Found, Some(solved), None)
            }
        };
        JobStatus {
            id,
            state,
            difficulty: query.difficulty.nibbles(),
            hashes,
            expected_hashes: query.difficulty.expected_hashes(),
            seconds: time.as_secs_f64(),
            solution,
            error,
        }
    }
}

impl From<JobError> for Problem {
    fn from(error: JobError) -> Problem {
        let code = match &error {
            JobError::NotFound => Code::NotFound,
            JobError::KeyUsed => Code::Idempotency,
            JobError::Full => Code::Busy,
            #[cfg(feature = "nats")]
            JobError::TooLong(_) => Code::TooLong,
            #[cfg(feature = "nats")]
            JobError::Broker(_) => Code::Broker,
            JobError::Failed(_) => Code::Failed,
        };
        Problem::new(code, error.to_string())
    }
}

impl Tally for Counters {
    fn begins(&self) {
        self.requests.add(1);
    }

    fn ends(&self, difficulty: Difficulty, outcome: &Result<Answer, SolveError>) {
        match outcome {
            Ok(answer) => self.count_reply(difficulty, answer),
            Err(error) => self.count_error(Problem::from(*error).code),
        }
    }

    fn gives_up(&self) {
        self.count_error(Code::Gone);
    }
}

/// The key that a request has: whoever has another token has other keys.
fn key_of(headers: &HeaderMap) -> Result<Option<Key>, Problem> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = key.as_bytes();
    if !(1..=KEY_MAX).contains(&key.len()) {
        return Err(Problem::malformed(format!(
            "an Idempotency-Key has 1 to {KEY_MAX} bytes"
        )));
    }
    let token = headers
        .get(AUTHORIZATION)
        .map_or(&b""[..], |token| token.as_bytes());
    let digest = Sha256::new()
        .chain_update((token.len() as u64).to_be_bytes())
        .chain_update(token)
        .chain_update(key);
    Ok(Some(digest.finalize().into()))
}

/// Begins a search that outlives this request.
///
/// With `Idempotency-Key`, the same request with the same key is answered with the same job.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    params(Parameters, ("idempotency-key" = Option<String>, Header, description = "Asking twice with one key begins one job", nullable = false, min_length = 1, max_length = 255)),
    request_body(content(
        (SolveRequest = "application/json"),
        (String = "text/plain"),
        (String = "application/octet-stream"),
    )),
    responses(
        (status = 202, description = "The job", body = JobStatus, headers(("location" = String, description = "Its path"))),
        (status = 400, description = "Not understood", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 413, description = "The message is too long", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 415, description = "The body has a type that is not taken", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, description = "The difficulty is none, or too high, or the key was used for another job", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "Too many jobs or connections, the broker does not answer, or the service ends", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let (parts, body) = request.into_parts();
    let create = async {
        let key = key_of(&parts.headers)?;
        let ask = Ask::read(&api, &parts.headers, query.as_deref(), body).await?;
        Ok::<_, Problem>(api.jobs().create(ask.query(), key).await?)
    };
    // A job that is taken counts as a request when its search begins. One that is refused has no
    // search, and its error is counted, so the request is counted here.
    let job = create.await.inspect_err(|_| api.counters().begins())?;
    let path = HeaderValue::try_from(format!("/v1/jobs/{}", job.id));
    let mut response = json(StatusCode::ACCEPTED, &JobStatus::from(job));
    if let Ok(path) = path {
        response.headers_mut().insert(LOCATION, path);
    }
    Ok(response)
}

/// What the path of a job ends with.
pub(super) struct JobId(String);

impl<S: Send + Sync> FromRequestParts<S> for JobId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<JobId, Problem> {
        let id = Path::from_request_parts(parts, state).await;
        // What is not UTF-8 is no id.
        let Path(id) = id.map_err(|_| Problem::from(JobError::NotFound))?;
        Ok(JobId(id))
    }
}

/// How to ask for a job, behind the `?`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct JobParameters {
    /// How long to wait for its end, with its unit, an hour at most; by default not at all.
    #[param(example = "25s", pattern = "^(0|[0-9]{1,6}(ms|s|m|h))$")]
    wait: Option<String>,
}

/// Tells of a job, now or when it has ended.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    params(JobParameters, ("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The job", body = JobStatus),
        (status = 400, description = "Not understood", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 404, description = "There is no such job, or no longer", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "Too many connections, the broker does not answer, or the service ends", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(super) async fn read(
    State(api): State<Api>,
    Client(peer): Client,
    JobId(id): JobId,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Problem> {
    let parameters: JobParameters = read_parameters(query.as_deref())?;
    let wait = match &parameters.wait {
        None => Duration::ZERO,
        Some(text) => humantime::parse_duration(text)
            .map_err(|_| Problem::malformed("wait is a time with its unit: 25s"))?
            .min(WAIT_MAX),
    };
    let job = match wait.is_zero() {
        true => api.jobs().read(&id).await?,
        false => peer.waits_for(api.jobs().wait(&id, wait)).await??,
    };
    let mut response = json(StatusCode::OK, &JobStatus::from(job));
    // A cache on the way would go on saying that it is searched for.
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    Ok(response)
}

/// Ends a job: its search stops on every core.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{id}",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 204, description = "It has ended, now or before"),
        (status = 404, description = "There is no such job, or no longer", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, description = "Too many connections, the broker does not answer, or the service ends", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(super) async fn cancel(
    State(api): State<Api>,
    JobId(id): JobId,
) -> Result<StatusCode, Problem> {
    api.jobs().cancel(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_its_token() {
        let key = |token: &'static str, key: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(token));
            headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static(key));
            key_of(&headers)
        };
        assert_eq!(key("a", "b"), key("a", "b"));
        assert_ne!(key("a", "b"), key("ab", "b"));
        assert_ne!(key("a", "bc"), key("ab", "c"));
        assert!(key("a", "").is_err());
        assert_eq!(key_of(&HeaderMap::new()), Ok(None));
    }
}
