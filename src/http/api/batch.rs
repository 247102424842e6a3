//! `POST /v1/batch`: many messages in one request, many seeds in one response, both while they
//! come.
//!
//! The response is what drives it: its stream reads messages only while there is room for more of
//! them under way, and is itself asked only while its client reads. So a client that does not read
//! is not read from, what it can make powd hold is bounded, and dropping the response cancels
//! everything.

mod queue;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, Request, State};
use axum::http::Response;
use axum::http::header::{CONTENT_TYPE, EXPECT, HeaderValue};
use axum::response::IntoResponse as _;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use hyper::body::Body as _;
use powd_core::Difficulty;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::{Sleep, sleep};
use utoipa::ToSchema;

use super::answer::Solved;
use super::ask::{
    Ask, BatchRequest, Kind, Parameters, SolveRequest, cut_off, json_room, parse_json,
    unknown_type, unless_expired,
};
use super::lines::{Line, Lines};
use super::{Api, Client};
use crate::engine::Handle;
use crate::http::peer::{Busy, Peer, Share};
use crate::http::problem::ProblemDetails;
use crate::problem::{Code, Problem};
use crate::protocol::Reply;
use queue::{Ended, Item, ItemState, Queue};

/// Messages under way for each worker, up to [`MOST`] in all: enough that it has the next one at
/// hand while answers are gathered, and messages go to and fro.
const FOR_EACH_WORKER: usize = 128;
const MOST: usize = 1024;

/// Bytes of answers that are gathered into one piece.
const PIECE: usize = 16 * 1024;

/// How long answers that took a search wait for the next ones, while most of what was asked is
/// still under way. To write each by itself takes the workers' time, a twentieth of it at
/// difficulty 3 over 8 connections (Xeon, 2 CPUs, 2026-11). Easy ones come many at a time, and
/// while they waited the workers would have nothing to do (one batch at difficulty 0 with 64
/// messages in flight: 57,000 answers/s with the wait, 300,000 without; 100 batches with 16 each
/// at difficulty 1 lose a twentieth without it).
const GATHERING: Duration = Duration::from_millis(2);

/// What takes so long on average is a search, for that. With the fastest kernels difficulty 2 is
/// well below, 3 above.
const A_SEARCH: Duration = Duration::from_micros(20);

/// Finds seeds for many messages.
///
/// Lines of text, each a message: reply lines in their order. Or NDJSON, each line a string or an
/// object as of `/v1/solve` with an optional `id`: lines in the order of completion, with that `id`
/// or the number of the line. What has no answer has an error in its place. Answers begin before
/// the request ends.
#[utoipa::path(
    post,
    path = "/v1/batch",
    params(Parameters),
    request_body(content((String = "text/plain"), (String = "application/x-ndjson"))),
    responses(
        (status = 200, description = "Answers, one a line", content(
            (String = "text/plain"),
            (BatchLine = "application/x-ndjson"),
        )),
        (status = 400, description = "Not understood", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 415, description = "The body has a type that is not taken", body = ProblemDetails, content_type = "application/problem+json"),
        (status = 422, description = "The difficulty is none, or too high", body = ProblemDetails, content_type = "application/problem+json"),
    )
)]
pub(super) async fn batch(
    State(api): State<Api>,
    Client(peer): Client,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let (parts, body) = request.into_parts();
    let format = match Kind::of(&parts.headers)? {
        Kind::Bytes => Format::Text,
        Kind::Ndjson => Format::Ndjson,
        Kind::Json => return Err(unknown_type("application/x-ndjson, or lines of text")),
    };
    let parameters = Parameters::parse(query.as_deref())?;
    // What is wrong for every message is said once, and before the first.
    parameters.ask(Bytes::new(), &api)?;
    let mut stream = Batch::new(api.clone(), peer, parameters, format, body);
    if parts.headers.contains_key(EXPECT) {
        // The client waits for the word that it may send (100), which it gets when its body is
        // asked for, but not behind the head of an answer.
        unless_expired(&api, stream.read_first()).await??;
    }
    let kind = HeaderValue::from_static(match format {
        Format::Text => "text/plain",
        Format::Ndjson => "application/x-ndjson",
    });
    Ok(([(CONTENT_TYPE, kind)], Body::from_stream(stream)).into_response())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Ndjson,
}

/// A line of an answer in NDJSON: a solution, or an error in its place.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum BatchLine<'a> {
    /// A seed was found.
    Solved {
        /// That of the message, or the number of its line, from 0.
        id: &'a Value,
        #[serde(flatten)]
        solved: Solved,
    },
    /// None was found.
    Failed {
        /// That of the message, or the number of its line, from 0.
        id: &'a Value,
        /// Why there is no answer.
        error: &'a Problem,
    },
}

/// A response that is being made.
struct Batch {
    api: Api,
    /// For what its connection asks.
    engine: Handle,
    peer: Arc<Peer>,
    parameters: Parameters,
    format: Format,
    body: Body,
    lines: Lines,
    /// Lines cut so far.
    count: u64,
    /// A drain has begun before the end of the request, which the client is still to hear.
    is_cut_short: bool,
    queue: Queue,
    /// The most messages under way.
    room: usize,
    /// The most bytes that these take.
    share: Share,
    output: Vec<u8>,
    /// Until when answers are gathered.
    gathering: Option<Pin<Box<Sleep>>>,
    /// Set while the client waits for a search.
    busy: Option<Busy>,
    gone: BoxFuture<'static, ()>,
    draining: BoxFuture<'static, ()>,
}

impl Batch {
    fn new(api: Api, peer: Arc<Peer>, parameters: Parameters, format: Format, body: Body) -> Batch {
        let max = api.max_message_bytes();
        let workers = api.engine().options().workers.get();
        let (max_line, queue) = match format {
            Format::Text => (max, Queue::ordered()),
            Format::Ndjson => (json_room(max), Queue::unordered()),
        };
        let watched = Arc::clone(&peer);
        Batch {
            draining: Box::pin(api.draining()),
            gone: Box::pin(async move { watched.gone().await }),
            share: peer.share(),
            engine: api.engine().of(peer.flow()),
            api,
            peer,
            parameters,
            format,
            body,
            lines: Lines::new(max_line),
            count: 0,
            is_cut_short: false,
            queue,
            room: (FOR_EACH_WORKER * workers).min(MOST),
            output: Vec::new(),
            gathering: None,
            busy: None,
        }
    }

    /// Whether there is room for one more message under way. For one there always is.
    fn has_room(&self) -> bool {
        let count = self.queue.len();
        count == 0 || (count < self.room && self.queue.bytes() < self.share.bytes())
    }

    /// Begins with the messages at hand, as far as there is room; says whether there were any.
    fn ask(&mut self) -> bool {
        let mut has_asked = false;
        while self.has_room() {
            let Some(line) = self.lines.cut() else {
                if std::mem::take(&mut self.is_cut_short) {
                    // In the place of the next line: there is more to ask, elsewhere.
                    let id = Value::from(self.count);
                    self.begin(id, Err(Problem::draining()));
                    has_asked = true;
                }
                break;
            };
            has_asked = true;
            let number = Value::from(self.count);
            self.count += 1;
            let (id, asked) = match (line, self.format) {
                (Line::TooLong, _) => {
                    let max = self.api.max_message_bytes();
                    (None, Err(Problem::too_long(max)))
                }
                (Line::Whole(line), Format::Text) => {
                    (None, self.parameters.ask(line.into(), &self.api))
                }
                // A blank line between others asks for nothing.
                (Line::Whole(line), Format::Ndjson) if line.trim_ascii().is_empty() => continue,
                (Line::Whole(line), Format::Ndjson) => {
                    let (id, request) = item(&line);
                    let asked =
                        request.and_then(|request| request.ask(&self.parameters, &self.api));
                    (id, asked)
                }
            };
            self.begin(id.unwrap_or(number), asked);
        }
        has_asked
    }

    fn begin(&mut self, id: Value, asked: Result<Ask, Problem>) {
        self.api.counters().requests.add(1);
        let item = match asked {
            Ok(ask) => Item {
                id,
                state: ItemState::Asked(self.engine.ask(ask.query())),
                difficulty: ask.difficulty,
                message: ask.message,
            },
            Err(problem) => Item {
                id,
                state: ItemState::Refused(problem),
                difficulty: Difficulty::NONE,
                message: Bytes::new(),
            },
        };
        self.queue.push(item);
    }

    /// Reads a piece of the request, where there is one; says whether there was.
    fn poll_read(&mut self, task: &mut Context<'_>) -> io::Result<bool> {
        if self.lines.is_over() || !self.has_room() {
            return Ok(false);
        }
        match Pin::new(&mut self.body).poll_frame(task) {
            Poll::Pending => return Ok(false),
            Poll::Ready(None) => self.lines.end(),
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    self.lines.receive(data);
                }
            }
            Poll::Ready(Some(Err(error))) => return Err(io::Error::other(error)),
        }
        Ok(true)
    }

    /// Reads the first piece of the request.
    async fn read_first(&mut self) -> Result<(), Problem> {
        let read = poll_fn(|task| match self.poll_read(task) {
            Ok(false) => Poll::Pending,
            Ok(true) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error)),
        });
        read.await.map_err(|_| cut_off())
    }

    /// Takes answers until a piece is full, or for as long as they are gathered; says whether there
    /// were any.
    fn poll_answers(&mut self, task: &mut Context<'_>) -> bool {
        let before = self.queue.len();
        if let Some(gathering) = &mut self.gathering {
            if gathering.as_mut().poll(task).is_pending() {
                return false;
            }
            self.gathering = None;
            self.take_answers(task);
        } else {
            // What comes while others are gathered wakes nobody.
            let hardest = self.take_answers(&mut Context::from_waker(Waker::noop()));
            let took_a_search = self.engine.mean_time(hardest) >= A_SEARCH;
            if took_a_search && 2 * self.queue.len() >= before {
                self.gathering = Some(Box::pin(sleep(GATHERING)));
            } else {
                self.take_answers(task);
            }
        }
        self.queue.len() < before
    }

    /// Takes answers until a piece is full; says the highest difficulty among them.
    fn take_answers(&mut self, task: &mut Context<'_>) -> Difficulty {
        let mut hardest = Difficulty::NONE;
        while self.output.len() < PIECE
            && let Poll::Ready(Some(ended)) = self.queue.poll_next(task)
        {
            match &ended.outcome {
                Ok(answer) => self.api.count(ended.difficulty, answer),
                Err(problem) => self.api.counters().count_error(problem.code),
            }
            hardest = hardest.max(ended.difficulty);
            self.write(&ended);
        }
        hardest
    }

    fn write(&mut self, ended: &Ended) {
        let Ended {
            id,
            message,
            difficulty,
            outcome,
        } = ended;
        match (self.format, outcome) {
            (Format::Text, Ok(answer)) => {
                Reply::push_solution(&mut self.output, message, &answer.solution);
            }
            (Format::Text, Err(problem)) => {
                // An error line has no comma: that is how clients tell it from a reply.
                let line = format!("ERR {} {}\n", problem.code.word(), problem.detail);
                self.output
                    .extend(line.bytes().filter(|&byte| byte != b','));
            }
            (Format::Ndjson, outcome) => {
                let line = match outcome {
                    Ok(answer) => BatchLine::Solved {
                        id,
                        solved: Solved::new(message, *difficulty, answer),
                    },
                    Err(error) => BatchLine::Failed { id, error },
                };
                // Writing to memory does not fail, and all of these are JSON.
                let _ = serde_json::to_writer(&mut self.output, &line);
                self.output.push(b'\n');
            }
        }
    }
}

impl Stream for Batch {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let batch = &mut *self;
        if batch.gone.as_mut().poll(task).is_ready() {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        if !batch.lines.is_over() && batch.draining.as_mut().poll(task).is_ready() {
            // The lines that have come are answered. That they were all may not be seen yet, where
            // there was no room for more.
            if batch.body.is_end_stream() {
                batch.lines.end();
            } else {
                batch.lines.stop();
                batch.is_cut_short = true;
            }
        }
        loop {
            let has_asked = batch.ask();
            let has_read = match batch.poll_read(task) {
                Ok(has_read) => has_read,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            let has_answers = batch.poll_answers(task);
            let has_moved = has_asked || has_read || has_answers;
            let is_gathering = batch.gathering.is_some();
            if batch.output.len() >= PIECE
                || (!has_moved && !is_gathering && !batch.output.is_empty())
            {
                // Now it is the client that is waited for.
                batch.busy = None;
                batch.peer.touch();
                return Poll::Ready(Some(Ok(std::mem::take(&mut batch.output))));
            }
            if has_moved {
                continue;
            }
            let is_searching = batch.queue.len() > 0;
            if batch.lines.is_over() && !is_searching {
                return Poll::Ready(None);
            }
            match is_searching {
                true if batch.busy.is_none() => batch.busy = Some(batch.peer.wait()),
                true => {}
                false => batch.busy = None,
            }
            return Poll::Pending;
        }
    }
}

/// Counts the messages that are still under way as given up: the client has gone.
impl Drop for Batch {
    fn drop(&mut self) {
        let left = self.queue.len() as u64;
        self.api.counters().count_errors(Code::Gone, left);
    }
}

/// A line of NDJSON: its id, if it has one, and what it asks for.
fn item(line: &[u8]) -> (Option<Value>, Result<SolveRequest, Problem>) {
    match line.trim_ascii_start().first() {
        Some(b'"') => return (None, parse_json(line).map(SolveRequest::of_text)),
        Some(b'{') => {}
        // A struct would be read from an array, too.
        _ => {
            let told = "JSON: a line is a string or an object";
            return (None, Err(Problem::malformed(told)));
        }
    }
    let (id, request) = match parse_json::<BatchRequest>(line).map(BatchRequest::split) {
        Ok((id, request)) => (id, Ok(request)),
        // Whoever has sent it wants to know which it was.
        Err(problem) => {
            let fields = parse_json::<Map<String, Value>>(line).ok();
            let id = fields.and_then(|mut fields| fields.remove("id"));
            (id, Err(problem))
        }
    };
    match id {
        None | Some(Value::Null) => (None, request),
        Some(Value::String(_)) => (id, request),
        // What comes back is what was sent, as no other number would.
        Some(Value::Number(number)) if !number.is_f64() => (Some(Value::Number(number)), request),
        Some(_) => {
            let told = "id: a whole number of up to 64 bits, or a string";
            (None, request.and(Err(Problem::malformed(told))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_string_or_an_object_with_an_id() {
        let id = |line: &str| item(line.as_bytes()).0;
        let is_good = |line: &str| item(line.as_bytes()).1.is_ok();
        assert!(is_good("\"hello\"") && id("\"hello\"").is_none());
        assert_eq!(id(r#"{"id": 7, "message": "x"}"#), Some(Value::from(7)));
        assert_eq!(id(r#"{"id": "a", "nonsense": 1}"#), Some(Value::from("a")));
        for id_alone in [u64::MAX.to_string(), i64::MIN.to_string()] {
            let line = format!(r#"{{"nonsense": 1, "id": {id_alone}}}"#);
            assert_eq!(id(&line).map(|id| id.to_string()), Some(id_alone));
        }
        assert!(is_good(r#"{"id": null, "message_base64": "eA=="}"#));
        for wrong in [
            "hello",
            "{",
            "[]",
            "7",
            r#"{"id": 1, "nonsense": 1}"#,
            r#"{"id": {}, "message": "x"}"#,
            r#"{"id": true, "message": "x"}"#,
            r#"{"id": 99999999999999999999999999, "message": "x"}"#,
            r#"{"id": 1.5, "message": "x"}"#,
            r#"{"id": 1, "id": 2, "message": "x"}"#,
            r#"{"message": "a", "message": "b"}"#,
            r#"[1, "x", null, null, null, null]"#,
            r#"{"message": 1}"#,
            "\"a\" \"b\"",
        ] {
            assert!(!is_good(wrong), "{wrong}");
        }
    }
}
