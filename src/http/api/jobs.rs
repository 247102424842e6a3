//! `/v1/jobs`: searches that outlive their requests, kept in memory.
//!
//! Open jobs are bounded, and so are those that are kept after their end: the oldest goes when
//! there is no room, or when its time is over.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION};
use axum::http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};
use utoipa::{IntoParams, ToSchema};

use super::answer::{Solved, json};
use super::ask::{Ask, Parameters, SolveRequest, read_parameters};
use super::{Api, Client};
use crate::engine::{Answer, Effort, Solve};
use crate::http::options;
use crate::http::problem::{Code, Problem, ProblemDetails};

/// What makes that asking twice begins one job.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A longer key is not one.
const KEY_MAX: usize = 255;

/// The longest that a request for a job waits.
const WAIT_MAX: Duration = Duration::from_secs(60 * 60);

/// All jobs.
#[derive(Debug)]
pub(super) struct Jobs {
    bounds: options::Jobs,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    jobs: HashMap<String, Arc<Job>>,
    /// By the digest of the client's token and its key: whatever length these have.
    by_key: HashMap<[u8; 32], String>,
    /// Jobs whose state is not final.
    open: usize,
    /// The others, in the order of their ends.
    ended: VecDeque<(Instant, String)>,
}

#[derive(Debug)]
struct Job {
    id: String,
    key: Option<[u8; 32]>,
    ask: Ask,
    asked: Instant,
    effort: Arc<Effort>,
    state: watch::Sender<Stage>,
    /// Ends the search.
    cancel: Notify,
}

/// What has become of a job.
#[derive(Clone, Debug)]
enum Stage {
    Open,
    Found(Answer),
    Cancelled(Duration),
    Failed(Problem, Duration),
}

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

impl Stage {
    fn is_final(&self) -> bool {
        !matches!(self, Stage::Open)
    }
}

impl Job {
    fn status(&self) -> JobStatus {
        let state = self.state.borrow().clone();
        let name = match &state {
            Stage::Open if self.effort.has_begun() => StateName::Searching,
            Stage::Open => StateName::Waiting,
            Stage::Found(_) => StateName::Found,
            Stage::Cancelled(_) => StateName::Cancelled,
            Stage::Failed(..) => StateName::Failed,
        };
        let time = match &state {
            Stage::Open => self.asked.elapsed(),
            Stage::Found(answer) => answer.time,
            Stage::Cancelled(time) | Stage::Failed(_, time) => *time,
        };
        let (solution, error) = match state {
            Stage::Found(answer) => {
                let solved = Solved::new(&self.ask.message, self.ask.difficulty, &answer);
                (Some(solved), None)
            }
            Stage::Failed(problem, _) => (None, Some(problem)),
            Stage::Open | Stage::Cancelled(_) => (None, None),
        };
        JobStatus {
            id: self.id.clone(),
            state: name,
            difficulty: self.ask.difficulty.nibbles(),
            hashes: self.effort.hashes(),
            expected_hashes: self.ask.difficulty.expected_hashes(),
            seconds: time.as_secs_f64(),
            solution,
            error,
        }
    }
}

impl Table {
    /// Forgets what has ended too long ago, and what there is no room for.
    fn forget(&mut self, bounds: &options::Jobs) {
        while let Some((ended, id)) = self.ended.front() {
            if self.ended.len() <= bounds.max.get() && ended.elapsed() < bounds.ttl {
                return;
            }
            if let Some(key) = self.jobs.remove(id).and_then(|job| job.key) {
                self.by_key.remove(&key);
            }
            self.ended.pop_front();
        }
    }
}

impl Jobs {
    pub(super) fn new(bounds: options::Jobs) -> Jobs {
        Jobs {
            bounds,
            table: Mutex::default(),
        }
    }

    /// The table, without what is to be forgotten.
    fn table(&self) -> MutexGuard<'_, Table> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.forget(&self.bounds);
        table
    }

    fn find(&self, id: &str) -> Result<Arc<Job>, Problem> {
        let job = self.table().jobs.get(id).cloned();
        job.ok_or_else(|| Problem::new(Code::NotFound, "there is no such job, or no longer"))
    }

    /// A new job with its search, or the one that was begun with the same key.
    fn begin(
        &self,
        api: &Api,
        key: Option<[u8; 32]>,
        ask: Ask,
    ) -> Result<(Arc<Job>, Option<Solve>), Problem> {
        let mut table = self.table();
        let known = key.and_then(|key| table.by_key.get(&key));
        if let Some(job) = known.and_then(|id| table.jobs.get(id)) {
            return match job.ask == ask {
                true => Ok((Arc::clone(job), None)),
                false => Err(Problem::new(
                    Code::Idempotency,
                    "this Idempotency-Key was used for another job",
                )),
            };
        }
        if table.open >= self.bounds.max.get() {
            return Err(Problem::new(Code::Busy, "too many jobs: try again later"));
        }
        let id = new_id()?;
        let solve = api.engine().ask(ask.query());
        let job = Arc::new(Job {
            id: id.clone(),
            key,
            ask,
            asked: Instant::now(),
            effort: Arc::clone(solve.effort()),
            state: watch::Sender::new(Stage::Open),
            cancel: Notify::new(),
        });
        if let Some(key) = key {
            table.by_key.insert(key, id.clone());
        }
        table.jobs.insert(id, Arc::clone(&job));
        table.open += 1;
        Ok((job, Some(solve)))
    }

    /// Sets the final state, unless there is one.
    fn end(&self, job: &Job, state: Stage) {
        let mut table = self.table();
        let has_ended = job.state.send_if_modified(|now| {
            let is_open = !now.is_final();
            if is_open {
                *now = state;
            }
            is_open
        });
        if has_ended {
            table.open -= 1;
            table.ended.push_back((Instant::now(), job.id.clone()));
            table.forget(&self.bounds);
        }
    }
}

/// An id that nobody guesses: who knows it can read and cancel the job.
fn new_id() -> Result<String, Problem> {
    let mut bytes = [0; 16];
    let made = getrandom::fill(&mut bytes);
    made.map_err(|error| Problem::new(Code::Failed, format!("no entropy: {error}")))?;
    Ok(hex::encode(bytes))
}

/// The key that a request has: whoever has another token has other keys.
fn key_of(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Problem> {
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
    params(Parameters, ("idempotency-key" = Option<String>, Header, description = "Asking twice with one key begins one job", max_length = 255)),
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
        (status = 503, description = "Too many jobs, or the service ends", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let (parts, body) = request.into_parts();
    let key = key_of(&parts.headers)?;
    let ask = Ask::read(&api, &parts.headers, query.as_deref(), body).await?;
    let (job, solve) = api.jobs().begin(&api, key, ask)?;
    if let Some(solve) = solve {
        api.counters().requests.add(1);
        tokio::spawn(run(api.clone(), Arc::clone(&job), solve));
    }
    let mut response = json(StatusCode::ACCEPTED, &job.status());
    if let Ok(path) = HeaderValue::try_from(format!("/v1/jobs/{}", job.id)) {
        response.headers_mut().insert(LOCATION, path);
    }
    Ok(response)
}

/// A job from its beginning to its end.
async fn run(api: Api, job: Arc<Job>, solve: Solve) {
    let outcome = tokio::select! {
        outcome = solve => outcome.map_err(Problem::from),
        () = job.cancel.notified() => return,
        // It would be lost with the process: the drain does not wait for it.
        () = api.draining() => Err(Problem::draining()),
    };
    let state = match outcome {
        Ok(answer) => {
            api.count(job.ask.difficulty, &answer);
            Stage::Found(answer)
        }
        Err(problem) => {
            api.counters().count_error(problem.code);
            Stage::Failed(problem, job.asked.elapsed())
        }
    };
    api.jobs().end(&job, state);
}

/// How to ask for a job, behind the `?`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct JobParameters {
    /// How long to wait for its end, with its unit, up to an hour; by default not at all.
    #[param(example = "25s")]
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
    )
)]
pub(super) async fn read(
    State(api): State<Api>,
    Client(peer): Client,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Problem> {
    let parameters: JobParameters = read_parameters(query.as_deref())?;
    let wait = match &parameters.wait {
        None => Duration::ZERO,
        Some(text) => humantime::parse_duration(text)
            .ok()
            .filter(|wait| *wait <= WAIT_MAX)
            .ok_or_else(|| Problem::malformed("wait is a time with its unit, up to 1h: 25s"))?,
    };
    let job = api.jobs().find(&id)?;
    if !wait.is_zero() {
        let _busy = peer.wait();
        let mut state = job.state.subscribe();
        let _ = tokio::time::timeout(wait, state.wait_for(Stage::is_final)).await;
    }
    Ok(json(StatusCode::OK, &job.status()))
}

/// Ends a job: its search stops on every core.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{id}",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 204, description = "It has ended, now or before"),
        (status = 404, description = "There is no such job, or no longer", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(super) async fn cancel(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let job = api.jobs().find(&id)?;
    api.jobs().end(&job, Stage::Cancelled(job.asked.elapsed()));
    job.cancel.notify_one();
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
