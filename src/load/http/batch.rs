//! Many messages in one endless request, their replies in one endless answer.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::pending;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::super::flight::Lost;
use super::super::message::{Position, Shape};
use super::super::stats::Stats;
use super::{Client, Connection, drive, hyper_name};

/// What one piece of a request holds at most, beside one message.
const PIECE: usize = 64 * 1024;

/// The messages that may leave. They are made from their places in the sequence when the connection
/// takes them, so that a deep pipeline of long messages costs no memory.
#[derive(Debug)]
struct Outbox {
    shape: Shape,
    next: Position,
    messages: usize,
    waker: Option<Waker>,
}

impl Outbox {
    fn add(&mut self, messages: usize) {
        self.messages += messages;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A request's body: what is in the outbox, whenever something is. It does not end.
#[derive(Debug)]
struct Messages(Rc<RefCell<Outbox>>);

impl Body for Messages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Outbox {
            shape,
            next,
            messages,
            waker,
        } = &mut *self.0.borrow_mut();
        if *messages == 0 {
            *waker = Some(task.waker().clone());
            return Poll::Pending;
        }
        let mut piece = Vec::new();
        while *messages > 0 && piece.len() < PIECE {
            shape.ask(next, &mut piece);
            *messages -= 1;
        }
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }
}

impl Client<'_> {
    /// Asks in one request until that fails.
    pub(super) async fn batch(
        &self,
        stream: TcpStream,
        connection: &Connection,
        stats: &Mutex<Stats>,
    ) -> Result<(), Lost> {
        let opened = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, driver) = opened.map_err(|error| hyper_name(&error))?;
        let outbox = Rc::new(RefCell::new(Outbox {
            shape: self.shape.clone(),
            next: connection.flights[0].borrow().expected(),
            messages: 0,
            waker: None,
        }));
        let mut request = Request::new(Messages(Rc::clone(&outbox)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        self.authorize(headers);
        drive(driver, async {
            let mut response = pin!(sender.send_request(request));
            let response = loop {
                self.fill(connection, &outbox);
                tokio::select! {
                    response = &mut response => break response,
                    () = self.next_due(connection) => {}
                }
            };
            let response = response.map_err(|error| hyper_name(&error))?;
            connection.standing.moved(self.part.window.now());
            if response.status() != StatusCode::OK {
                return Err(Self::refusal(response).await);
            }
            let body = response.into_body();
            self.converse(body, &outbox, connection, stats).await
        })
        .await
    }

    /// Reads replies, and asks for as many more.
    async fn converse(
        &self,
        mut body: Incoming,
        outbox: &RefCell<Outbox>,
        connection: &Connection,
        stats: &Mutex<Stats>,
    ) -> Result<(), Lost> {
        let mut received = Vec::new();
        loop {
            self.fill(connection, outbox);
            let frame = tokio::select! {
                frame = body.frame() => frame,
                () = self.next_due(connection) => continue,
            };
            let frame = frame.ok_or("early close")?;
            let frame = frame.map_err(|error| hyper_name(&error))?;
            if let Some(bytes) = frame.data_ref() {
                received.extend_from_slice(bytes);
                let lines = self.land(connection, 0, &received, stats)?;
                received.drain(..lines);
            }
        }
    }

    /// Asks as often as there is room for, and in the open loop as is due.
    fn fill(&self, connection: &Connection, outbox: &RefCell<Outbox>) {
        let place = connection.place;
        let room = self.part.options.pipeline - connection.in_flight.get();
        let now = self.part.window.now();
        let Some(pace) = &self.pace else {
            let granted = self.part.granted(room);
            if granted > 0 {
                self.ask(connection, 0, granted, now);
                outbox.borrow_mut().add(granted);
            }
            return;
        };
        let mut pace = pace.borrow_mut();
        for _ in 0..room {
            if !pace.is_due(place, now) || self.part.granted(1) == 0 {
                return;
            }
            self.ask(connection, 0, 1, pace.take(place, now).unwrap_or(now));
            outbox.borrow_mut().add(1);
        }
    }

    /// Waits until another message is due and there is room for it; for ever in the closed loop.
    async fn next_due(&self, connection: &Connection) {
        let has_room =
            connection.in_flight.get() < self.part.options.pipeline && !self.part.is_spent();
        let due = self
            .pace
            .as_ref()
            .and_then(|pace| pace.borrow().next_due(connection.place));
        match due {
            Some(due) if has_room => self.until(due).await,
            _ => pending().await,
        }
    }
}
