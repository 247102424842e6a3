//! A listener and its connections: who gets in, how long a client may do nothing, how it ends.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::http::{Request, Response, Version};
use axum::response::IntoResponse as _;
use futures_util::future::join_all;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::unconstrained;
use tokio::time::{sleep, sleep_until, timeout, timeout_at};

use super::HttpError;
use super::api::Api;
use super::counters::Counters;
use super::gate::{Gate, REQUEST_ID};
use super::held::holding;
use super::introduction::introduce;
use super::listening::Listening;
use super::peer::Peer;
use super::remainder::Remainder;
use super::socket::Socket;
use crate::admission::{Admission, Permit, Refusal};
use crate::engine::{Engine, EngineError, FOR_EVER};
use crate::problem::Problem;
use crate::sockets::{
    AcceptFailure, Accepting, BACKLOG, Introduced, Listener, Origin, PAUSE, Proxies, Seldom,
    WAITING, missing_header,
};

/// How long clients may take to hear that it is over. Those that kill who does not end wait for ten
/// seconds, and a drain is given eight: all ends within this.
const FAREWELL: Duration = Duration::from_secs(1);

/// Parts of such a time, none of which is lost with another.
const PARTS: u32 = 10;

/// Clients that are being told why they do not get in; more are closed without a word.
pub(super) const REFUSALS: usize = 64;

/// Bytes of one connection that wait to be read or written.
const BUFFER: usize = 64 * 1024;

/// Between two reads of what is only read so that it is not left unread.
const LINGER_PAUSE: Duration = Duration::from_millis(10);

/// Requests of one HTTP/2 connection at once.
const STREAMS: u32 = 256;

/// Bytes of the answer to one of them that wait to be written: a piece of a batch.
const STREAM_ANSWER: usize = 16 * 1024;

/// How often an HTTP/2 client that is silent is asked whether it is there, and how long it may take
/// to answer.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// One listener's side of all its connections.
#[derive(Debug)]
pub(super) struct Door {
    gate: Gate,
    admission: Arc<Admission>,
    counters: Arc<Counters>,
    idle_timeout: Duration,
    /// True when connections are to end.
    is_closing: watch::Sender<bool>,
    refusals: Arc<Semaphore>,
    /// Who begins its connections with a PROXY header.
    proxies: Proxies,
    /// Room for those that wait for their headers.
    introductions: Arc<Semaphore>,
    /// That a header is missing, in the log.
    told_of_header: Seldom,
}

/// Opens the door of the API, on threads that the engine waits for.
pub(super) fn open(
    engine: &mut Engine,
    listeners: Vec<Listener>,
    admission: Arc<Admission>,
    api: Api,
    runtime: Runtime,
) -> Result<(), HttpError> {
    let listeners = Listening::on(&runtime, listeners).map_err(EngineError::Start)?;
    let drain = Arc::new(Notify::new());
    let begin = Arc::clone(&drain);
    let pass = engine.open_door(move || begin.notify_one());
    if pass.is_draining() {
        drain.notify_one();
    }
    let gate = Gate::new(super::api::router(api.clone()), Arc::clone(api.counters()))
        .with_tokens(api.options().tokens.clone())
        .while_serving(engine.handle());
    let idle_timeout = api.options().limits.idle_timeout.min(FOR_EVER);
    let proxies = api.options().proxies.clone();
    let counters = Arc::clone(api.counters());
    let door = Door::new(gate, admission, counters, idle_timeout, proxies);
    let handle = engine.handle();
    engine.spawn("http-door".to_owned(), move || {
        runtime.block_on(async {
            let has_drained = async {
                drain.notified().await;
                let is_over = handle.drain_until().unwrap_or_else(Instant::now);
                api.begin_drain();
                let none_left = || door.gate.flight().none_left();
                if timeout_at(is_over.into(), none_left()).await.is_err() {
                    api.expire_drain();
                    // Whoever has not been answered then does not read.
                    within(FAREWELL / 2, none_left()).await;
                }
                // What was answered last is still to leave, however late it is.
                (is_over + FAREWELL).max(Instant::now() + FAREWELL / 2)
            };
            door.serve(listeners, has_drained).await;
        });
        runtime.shutdown_background();
        drop(pass);
        Ok(())
    })?;
    Ok(())
}

impl Door {
    pub(super) fn new(
        gate: Gate,
        admission: Arc<Admission>,
        counters: Arc<Counters>,
        idle_timeout: Duration,
        proxies: Proxies,
    ) -> Arc<Door> {
        Arc::new(Door {
            gate,
            admission,
            counters,
            idle_timeout,
            is_closing: watch::Sender::new(false),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            proxies,
            introductions: Arc::new(Semaphore::new(WAITING)),
            told_of_header: Seldom::default(),
        })
    }

    /// Accepts connections until `end`, then ends them, by the time that it says.
    pub(super) async fn serve(
        self: &Arc<Self>,
        listeners: Vec<Listening>,
        end: impl Future<Output = Instant>,
    ) {
        let accepting = join_all(listeners.iter().map(|listener| self.accept(listener)));
        let until = tokio::select! {
            _ = accepting => return,
            until = end => until,
        };
        // What the kernel has taken already would be reset, but where another process gets it.
        for listener in listeners.iter().filter(|listener| !listener.is_inherited()) {
            self.accept_waiting(listener);
        }
        drop(listeners);
        self.is_closing.send_replace(true);
        let left = until.saturating_duration_since(Instant::now());
        within(left, self.is_closing.closed()).await;
    }

    /// Accepts those who wait, and no more than can have waited.
    fn accept_waiting(self: &Arc<Self>, listener: &Listening) {
        let mut accepting = Accepting::default();
        for _ in 0..BACKLOG {
            match listener.accept_waiting() {
                Ok((socket, origin)) => {
                    accepting.succeeded();
                    self.take(socket, origin);
                }
                Err(error) => match accepting.failed(&error) {
                    AcceptFailure::OneConnection => {}
                    AcceptFailure::NoneWaiting | AcceptFailure::All => return,
                },
            }
        }
    }

    /// Accepts from one listener, without end.
    async fn accept(self: &Arc<Self>, listener: &Listening) -> Infallible {
        let mut accepting = Accepting::default();
        let told = Seldom::default();
        loop {
            let error = match listener.accept().await {
                Ok((socket, origin)) => {
                    accepting.succeeded();
                    self.take(socket, origin);
                    continue;
                }
                Err(error) => error,
            };
            if accepting.failed(&error) == AcceptFailure::All {
                if told.is_due() {
                    tracing::warn!(%error, "cannot accept HTTP connections, trying until it works");
                }
                sleep(PAUSE).await;
            }
        }
    }

    fn take(self: &Arc<Self>, socket: Socket, origin: Origin) {
        if !self.proxies.include(origin) {
            return self.admit(socket, origin);
        }
        let Ok(slot) = Arc::clone(&self.introductions).try_acquire_owned() else {
            return self.counters.refused_header.add(1);
        };
        let door = Arc::clone(self);
        let mut closing = self.is_closing.subscribe();
        tokio::spawn(async move {
            let introduced = tokio::select! {
                introduced = introduce(&socket, origin) => introduced,
                () = over(&mut closing) => return,
            };
            match introduced {
                Introduced::Known(client) => door.admit(socket, client),
                Introduced::Gone => {}
                Introduced::Broken => {
                    door.counters.refused_header.add(1);
                    if door.told_of_header.is_due() {
                        tracing::warn!("{}", missing_header(origin));
                    }
                }
            }
            drop(slot);
        });
    }

    fn admit(self: &Arc<Self>, socket: Socket, origin: Origin) {
        match self.admission.admit(origin) {
            Ok(permit) => {
                let closing = self.is_closing.subscribe();
                tokio::spawn(Arc::clone(self).run(socket, permit, closing));
            }
            Err(refusal) => self.refuse(socket, refusal),
        }
    }

    /// One connection, to its end.
    async fn run(
        self: Arc<Self>,
        socket: Socket,
        permit: Permit,
        mut closing: watch::Receiver<bool>,
    ) {
        self.counters.opened.add(1);
        let _closed = OnDrop(|| self.counters.closed.add(1));
        let peer = Peer::new(socket.clone());
        let answer = |request| {
            let (door, peer) = (Arc::clone(&self), Arc::clone(&peer));
            async move { door.gate.answer(peer, request).await }
        };
        let builder = builder(self.idle_timeout);
        let mut connection =
            pin!(builder.serve_connection(TokioIo::new(socket.clone()), service_fn(answer)));
        loop {
            let idle_at = peer.idle_at(self.idle_timeout);
            tokio::select! {
                // An error is the client's: it has gone, or does not speak HTTP.
                _ = &mut connection => break,
                _ = closing.wait_for(|is_closing| *is_closing) => {}
                () = sleep_until(idle_at.into()) => {
                    if peer.idle_at(self.idle_timeout) > Instant::now() {
                        continue;
                    }
                }
            }
            end(connection.as_mut(), &socket).await;
            break;
        }
        linger(socket).await;
        drop(permit);
    }

    /// Says why in an answer to the first request, and closes.
    fn refuse(self: &Arc<Self>, socket: Socket, refusal: Refusal) {
        self.counters.count_refusal(refusal);
        let Ok(slot) = Arc::clone(&self.refusals).try_acquire_owned() else {
            return;
        };
        let door = Arc::clone(self);
        let mut closing = self.is_closing.subscribe();
        tokio::spawn(async move {
            let answered = Arc::new(Notify::new());
            let peer = Peer::new(socket.clone());
            let answer = |request: Request<Incoming>| {
                let (answered, peer) = (Arc::clone(&answered), Arc::clone(&peer));
                let id = door.gate.id_of(request.headers());
                // In HTTP/2 connections have no headers.
                let is_told_in_head = request.version() < Version::HTTP_2;
                async move {
                    let (_, remainder) = Remainder::of(request, &peer);
                    remainder.read(false).await;
                    let mut refused = Problem::from(refusal).into_response();
                    refused.headers_mut().insert(REQUEST_ID, id);
                    if is_told_in_head {
                        let close = HeaderValue::from_static("close");
                        refused.headers_mut().insert(CONNECTION, close);
                    }
                    let told = OnDrop(move || answered.notify_one());
                    Ok::<_, Infallible>(holding(refused, told))
                }
            };
            let builder = builder(FAREWELL);
            let mut connection =
                pin!(builder.serve_connection(TokioIo::new(socket.clone()), service_fn(answer)));
            tokio::select! {
                _ = &mut connection => {}
                () = over(&mut closing) => {}
                // As long for its head, and for what follows that.
                told = timeout(2 * FAREWELL, answered.notified()) => {
                    if told.is_ok() {
                        end(connection, &socket).await;
                    }
                }
            }
            drop(slot);
        });
    }
}

/// Waits for `event`, but no longer than `patience`; whether it came. Where the process stands
/// still, as with its machine, only a part of that is lost: what had no time to happen is waited
/// for.
async fn within(patience: Duration, event: impl Future<Output = ()>) -> bool {
    let mut event = pin!(event);
    for _ in 0..PARTS {
        if timeout(patience / PARTS, &mut event).await.is_ok() {
            return true;
        }
    }
    false
}

/// Ends when connections have been ending for long enough.
async fn over(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|is_closing| *is_closing).await;
    sleep(FAREWELL).await;
}

/// Tells the client of a connection that it ends, and waits for that.
async fn end<S>(
    mut connection: Pin<&mut auto::Connection<'_, TokioIo<Socket>, S, TokioExecutor>>,
    socket: &Socket,
) where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    // What has arrived is read first: of a new connection nothing may have been yet, and it would
    // be reset. And answers that are ready leave: there are clients of HTTP/2, curl 7.88 among
    // them, that expect none after the word of the end (GOAWAY).
    let up_to_date = poll_fn(|task| match connection.as_mut().poll(task) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending if socket.has_unread() => Poll::Pending,
        Poll::Pending => Poll::Ready(false),
    });
    let has_ended = timeout(FAREWELL, unconstrained(up_to_date)).await;
    if has_ended != Ok(true) {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(FAREWELL, connection).await;
    }
}

/// Reads on for a while where a client still sends on a connection that has ended, and forgets it:
/// to close with bytes unread would reset the connection, and what is on its way to the client
/// would be lost.
async fn linger(mut socket: Socket) {
    if !socket.has_unread() {
        return;
    }
    let mut piece = vec![0; BUFFER];
    let reading = async {
        while matches!(socket.read(&mut piece).await, Ok(1..)) {
            // It is time that the client needs: not all that it can send in that has to be read.
            sleep(LINGER_PAUSE).await;
        }
    };
    let _ = timeout(FAREWELL, reading).await;
}

/// Both versions of HTTP, each with bounds on what one client can make it hold.
fn builder(idle_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(idle_timeout)
        // No `pipeline_flush`: it keeps back what was answered, for good where something follows
        // that is no request.
        .max_buf_size(BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(STREAM_ANSWER)
        .max_header_list_size(BUFFER as u32)
        .initial_stream_window_size(BUFFER as u32)
        // Enough for all streams: one whose request is not read on, since it has enough under way,
        // must not keep the others from sending.
        .initial_connection_window_size(STREAMS * BUFFER as u32)
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1);
    builder
}

/// Runs when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_had_no_time_to_happen_is_waited_for() {
        const PATIENCE: Duration = Duration::from_millis(20);
        let mut looks = 0;
        let event = poll_fn(|_| {
            looks += 1;
            if looks == 1 {
                // So the process stands still. Then others have to do something first.
                thread::sleep(2 * PATIENCE);
            }
            match looks {
                0..3 => Poll::Pending,
                _ => Poll::Ready(()),
            }
        });
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().expect("a runtime");
        assert!(runtime.block_on(within(PATIENCE, event)));
        assert!(!runtime.block_on(within(PATIENCE, std::future::pending())));
    }
}
