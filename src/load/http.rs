//! The same over HTTP: one thread's connections, as tasks of a runtime of its own.
//!
//! A request is `POST /v1/solve` and asks for the reply line as text, so that what comes back is
//! checked as over the line protocol. A connection with one request in flight speaks HTTP/1.1; with
//! several, HTTP/2, each on a *lane* of its own: its own messages, one request after the other.
//! With `--batch` a connection is one endless `POST /v1/batch` ([`batch`]). Times are durations
//! since the run began.

mod batch;
mod solve;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::io;
use std::pin::pin;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use hyper::{Response, Uri};
use powd_core::Difficulty;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::flight::{Flight, LONGEST_LINE, Lost};
use super::lock;
use super::message::Shape;
use super::options::{Exchange, Options};
use super::pace::Pace;
use super::part::{Part, Standing};
use super::stats::{Stats, error_name};
use crate::sockets::Address;
use crate::tokens::Token;

/// The runtime's timers count in milliseconds: what is due sooner is waited for by asking again and
/// again.
const SPIN: Duration = Duration::from_millis(1);

/// How often it is looked whether the window has closed.
const LOOK: Duration = Duration::from_millis(5);

/// The reply line as text, please.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

/// What is read of an answer that is an error.
const PROBLEM: usize = 64 * 1024;

/// One thread's part of a run over HTTP.
#[derive(Debug)]
pub(super) struct Client<'a> {
    part: Part<'a>,
    /// Where requests go, whole and without the server's name.
    uri: Uri,
    path: Uri,
    host: HeaderValue,
    authorization: Option<HeaderValue>,
    shape: Shape,
    connections: Vec<Connection>,
    /// Requests of one connection that wait for an answer of their own.
    lanes: usize,
    pace: Option<RefCell<Pace>>,
    connecting: Semaphore,
}

/// A connection: its place among those of its thread, and what it is known to be.
#[derive(Debug)]
struct Connection {
    place: usize,
    /// By lane.
    flights: Vec<RefCell<Flight>>,
    standing: Standing,
    /// Requests without an answer, on all lanes.
    in_flight: Cell<usize>,
    /// Held by the lane whose request is the next to leave.
    next: AsyncMutex<()>,
}

impl<'a> Client<'a> {
    pub(super) fn new(part: Part<'a>) -> Client<'a> {
        let options = part.options;
        let lanes = match options.exchange {
            Exchange::Batch { .. } => 1,
            Exchange::Lines | Exchange::Solve { .. } => options.pipeline,
        };
        let shape = Shape::new(&options.messages, options.connections * lanes);
        let connections = part.numbers().enumerate().map(|(place, number)| {
            let lanes = number * lanes..(number + 1) * lanes;
            Connection::new(place, lanes.map(|lane| Flight::new(shape.first(lane))))
        });
        let uri = uri(options);
        let path = uri.path_and_query().cloned().map(Uri::from);
        let host = uri.authority().map(|authority| authority.as_str());
        Client {
            path: path.unwrap_or_default(),
            host: host
                .and_then(|host| HeaderValue::from_str(host).ok())
                .unwrap_or(HeaderValue::from_static("localhost")),
            uri,
            authorization: options.token.as_ref().map(authorization),
            connections: connections.collect(),
            pace: part.pace().map(RefCell::new),
            connecting: Semaphore::new(part.connecting_at_most()),
            shape,
            lanes,
            part,
        }
    }

    fn authorize(&self, headers: &mut HeaderMap) {
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
    }

    /// Keeps the connections busy until the window closes.
    pub(super) fn run(self, stats: &Mutex<Stats>) {
        self.part.pin(stats);
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(async {
                let connections = self.connections.iter();
                let mut connections: FuturesUnordered<_> = connections
                    .map(|connection| self.keep(connection, stats))
                    .collect();
                tokio::select! {
                    _ = connections.next() => {}
                    () = self.end_of_window() => {}
                }
            }),
            Err(error) => lock(stats).error(error_name(&error)),
        }
        self.count_unanswered(&mut lock(stats));
    }

    async fn end_of_window(&self) {
        loop {
            let now = self.part.window.now();
            if self.part.window.is_over(now) {
                return;
            }
            let left = self.part.window.end().saturating_sub(now);
            sleep(left.min(LOOK)).await;
        }
    }

    /// Opens a connection again and again. It does not return.
    async fn keep(&self, connection: &Connection, stats: &Mutex<Stats>) {
        loop {
            if self.part.options.reconnect && !connection.standing.reserved.get() {
                if self.pace.is_some() {
                    // As good as open: nothing is to be waited for.
                    connection.standing.settle(true, &mut lock(stats));
                    self.join_timetable(connection.place);
                }
                self.turn(connection, stats).await;
                connection.standing.reserved.set(true);
            }
            if let Err(name) = self.use_once(connection, stats).await {
                self.lost(connection, name, stats).await;
            }
        }
    }

    /// Opens a connection, and uses it to its end.
    async fn use_once(&self, connection: &Connection, stats: &Mutex<Stats>) -> Result<(), Lost> {
        let stream = self.open(connection, stats).await?;
        self.join_timetable(connection.place);
        lock(stats).open += 1;
        let used = async {
            match self.part.options.exchange {
                Exchange::Batch { .. } => self.batch(stream, connection, stats).await,
                Exchange::Lines | Exchange::Solve { .. } => {
                    self.solve(stream, connection, stats).await
                }
            }
        };
        let used = tokio::select! {
            biased;
            used = used => used,
            () = self.silence(connection) => Err("timeout".into()),
        };
        lock(stats).open -= 1;
        used
    }

    /// Opens a connection, when few enough others wait for the answer to `connect`.
    async fn open(&self, connection: &Connection, stats: &Mutex<Stats>) -> Result<TcpStream, Lost> {
        let _permit = self.connecting.acquire().await;
        connection.standing.begin(self.part.window.now());
        let opened = timeout(self.part.options.timeout, open(&self.part.options.target)).await;
        // One that was never answered is not refused: it may be that the queue is full.
        let refused = matches!(opened, Ok(Err(_)));
        connection.standing.settle(!refused, &mut lock(stats));
        let opened = opened.map_err(|_| "connect timeout")?;
        opened.map_err(|error| error_name(&error))
    }

    /// Ends when the server has answered nothing on a connection for too long. One request may wait
    /// longer while others are answered.
    async fn silence(&self, connection: &Connection) {
        let mut is_late = false;
        loop {
            let waited = match connection.in_flight.get() {
                0 => Duration::ZERO,
                _ => connection.standing.silence(self.part.window.now()),
            };
            let left = self.part.options.timeout.saturating_sub(waited);
            if !left.is_zero() {
                is_late = false;
                sleep(left).await;
            } else if !is_late {
                // It may be this program that stood still: what has come meanwhile is read first.
                is_late = true;
                sleep(LOOK).await;
            } else {
                return;
            }
        }
    }

    /// Counts an error and what was in flight with it, and waits: longer and longer while no right
    /// reply comes.
    async fn lost(&self, connection: &Connection, name: Lost, stats: &Mutex<Stats>) {
        let now = self.part.window.now();
        {
            let stats = &mut *lock(stats);
            stats.error(name);
            for flight in &connection.flights {
                let mut flight = flight.borrow_mut();
                if self.part.window.counts(now) {
                    flight.count(now, &mut stats.lost);
                }
                flight.skip(&self.shape);
            }
        }
        self.finish(connection, connection.in_flight.get());
        connection.pause().await;
    }

    fn join_timetable(&self, place: usize) {
        if let Some(pace) = &self.pace {
            self.part.join(&mut pace.borrow_mut(), place);
        }
    }

    /// Makes the next request of `lane` when it may leave: with `reconnect` it was waited for before
    /// the connection was opened, which is part of its latency.
    async fn ask_next(&self, connection: &Connection, lane: usize, stats: &Mutex<Stats>) {
        // One lane at a time looks at the timetable: a request on it leaves once.
        let _next = connection.next.lock().await;
        if !connection.standing.reserved.take() {
            self.turn(connection, stats).await;
        }
        let now = self.part.window.now();
        let since = match &self.pace {
            Some(pace) => pace.borrow_mut().take(connection.place, now),
            None if self.part.options.reconnect => connection.standing.began.take(),
            None => None,
        };
        self.ask(connection, lane, 1, since.unwrap_or(now));
    }

    /// Waits until a request may leave.
    async fn turn(&self, connection: &Connection, stats: &Mutex<Stats>) {
        if let Some(pace) = &self.pace {
            let due = pace.borrow().next_due(connection.place);
            match due {
                Some(due) => self.until(due).await,
                None => pending().await,
            }
        }
        if self.part.granted(1) == 0 {
            // Nothing is left to ask for, so it may never be opened.
            connection.standing.settle(false, &mut lock(stats));
            pending::<()>().await;
        }
    }

    async fn until(&self, due: Duration) {
        loop {
            let left = due.saturating_sub(self.part.window.now());
            match left {
                Duration::ZERO => return,
                left if left <= SPIN => yield_now().await,
                left => sleep(left - SPIN).await,
            }
        }
    }

    /// Makes `requests` requests on `lane`; their latency begins at `since`.
    fn ask(&self, connection: &Connection, lane: usize, requests: usize, since: Duration) {
        let in_flight = connection.in_flight.get();
        if in_flight == 0 {
            connection.standing.moved(self.part.window.now());
        }
        connection.in_flight.set(in_flight + requests);
        connection.flights[lane].borrow_mut().add(requests, since);
    }

    /// Notes that so many requests of a connection have come to their end. With the last of all the
    /// window closes.
    fn finish(&self, connection: &Connection, requests: usize) {
        connection
            .in_flight
            .update(|in_flight| in_flight - requests);
        self.part.finish(requests);
    }

    /// Checks what came for the requests of `lane`; returns how many of its bytes were lines.
    fn land(
        &self,
        connection: &Connection,
        lane: usize,
        bytes: &[u8],
        stats: &Mutex<Stats>,
    ) -> Result<usize, Lost> {
        let now = self.part.window.now();
        connection.standing.moved(now);
        let counts = self.part.window.counts(now);
        let difficulty = self.part.options.difficulty.unwrap_or(Difficulty::NONE);
        let mut flight = connection.flights[lane].borrow_mut();
        let before = flight.requests();
        let landed = flight.land(
            bytes,
            &self.shape,
            difficulty,
            &mut lock(stats),
            now,
            counts,
        );
        self.finish(connection, before - flight.requests());
        let landed = landed?;
        connection.standing.answered(landed.right);
        Ok(bytes.len() - landed.rest.len())
    }

    /// The name of an answer that is an error: its status and the code in it.
    async fn refusal(response: Response<Incoming>) -> Lost {
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), PROBLEM).collect();
        let problem = body.await.ok().map(|body| body.to_bytes());
        let problem: Option<Value> = problem.and_then(|body| serde_json::from_slice(&body).ok());
        let code = problem
            .as_ref()
            .and_then(|problem| problem["code"].as_str());
        // Shown to a person: it could hold the controls of a terminal.
        let code: String = code.unwrap_or_default().chars().take(40).collect();
        let name = format!("HTTP {status} {}", code.escape_default());
        Cow::Owned(name.trim_end().to_owned())
    }

    fn count_unanswered(&self, stats: &mut Stats) {
        let (end, waits) = (self.part.window.now(), &mut stats.unanswered);
        let pace = self.pace.as_ref().map(RefCell::borrow);
        for connection in &self.connections {
            for flight in &connection.flights {
                flight.borrow().count(end, waits);
            }
            let (place, standing) = (connection.place, &connection.standing);
            self.part
                .count_unmade(place, standing, pace.as_deref(), end, waits);
        }
    }
}

impl Connection {
    fn new(place: usize, flights: impl Iterator<Item = Flight>) -> Connection {
        Connection {
            place,
            flights: flights.map(RefCell::new).collect(),
            standing: Standing::default(),
            in_flight: Cell::new(0),
            next: AsyncMutex::new(()),
        }
    }

    /// Waits before the next attempt after a failure.
    async fn pause(&self) {
        let pause = self.standing.fail();
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
}

/// Where the requests of a run go.
fn uri(options: &Options) -> Uri {
    let (authority, path) = match &options.exchange {
        Exchange::Lines => return Uri::default(),
        Exchange::Solve { authority } => (authority, "/v1/solve"),
        Exchange::Batch { authority } => (authority, "/v1/batch"),
    };
    let query = options
        .difficulty
        .map(|difficulty| format!("?difficulty={difficulty}"))
        .unwrap_or_default();
    Uri::builder()
        .scheme("http")
        .authority(authority.as_str())
        .path_and_query(format!("{path}{query}"))
        .build()
        .unwrap_or_default()
}

fn authorization(token: &Token) -> HeaderValue {
    let bearer = HeaderValue::try_from(format!("Bearer {}", token.as_str()));
    let mut bearer = bearer.expect("a token is visible ASCII");
    bearer.set_sensitive(true);
    bearer
}

/// Runs `used` to its end, and with it `driver`, which moves the bytes of its connection.
async fn drive(
    driver: impl Future<Output = hyper::Result<()>>,
    used: impl Future<Output = Result<(), Lost>>,
) -> Result<(), Lost> {
    let mut used = pin!(used);
    tokio::select! {
        // What was answered before the connection ended is looked at first.
        biased;
        ended = &mut used => ended,
        ended = driver => match (ended, used.as_mut().now_or_never()) {
            (_, Some(ended)) => ended,
            (Err(error), None) => Err(hyper_name(&error)),
            (Ok(()), None) => used.await,
        },
    }
}

/// The most bytes of an answer: one line.
fn longest_answer(shape: &Shape) -> usize {
    shape.bytes() + LONGEST_LINE
}

/// What hyper says of a connection that went wrong, by the name of what the system said.
fn hyper_name(error: &hyper::Error) -> Lost {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error_name(error);
        }
        source = error.source();
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Cow::Borrowed("early close");
    }
    Cow::Owned(error.to_string())
}

async fn open(target: &Address) -> io::Result<TcpStream> {
    let Address::Tcp(address) = target else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
