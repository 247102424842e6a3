//! One message, one request.

use std::sync::Mutex;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::super::flight::Lost;
use super::super::lock;
use super::super::stats::Stats;
use super::{Client, Connection, drive, hyper_name, longest_answer};

/// Sends the requests of one lane.
#[derive(Debug)]
enum Sender {
    /// HTTP/1.1: the only lane.
    One(http1::SendRequest<Full<Bytes>>),
    /// HTTP/2: one of several.
    Many(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Sender::One(sender) => sender.send_request(request).await,
            Sender::Many(sender) => sender.send_request(request).await,
        }
    }
}

impl Client<'_> {
    /// Asks on every lane of a connection until one of them fails.
    pub(super) async fn solve(
        &self,
        stream: TcpStream,
        connection: &Connection,
        stats: &Mutex<Stats>,
    ) -> Result<(), Lost> {
        let stream = TokioIo::new(stream);
        if self.lanes == 1 {
            let opened = http1::handshake(stream).await;
            let (sender, driver) = opened.map_err(|error| hyper_name(&error))?;
            self.use_lanes(driver, vec![Sender::One(sender)], connection, stats)
                .await
        } else {
            let opened = http2::handshake(TokioExecutor::new(), stream).await;
            let (sender, driver) = opened.map_err(|error| hyper_name(&error))?;
            let senders = std::iter::repeat_with(|| Sender::Many(sender.clone()));
            let senders = senders.take(self.lanes).collect();
            self.use_lanes(driver, senders, connection, stats).await
        }
    }

    async fn use_lanes(
        &self,
        driver: impl Future<Output = hyper::Result<()>>,
        senders: Vec<Sender>,
        connection: &Connection,
        stats: &Mutex<Stats>,
    ) -> Result<(), Lost> {
        let lanes = senders.into_iter().enumerate();
        let mut lanes: FuturesUnordered<_> = lanes
            .map(|(lane, sender)| self.ask_again_and_again(lane, sender, connection, stats))
            .collect();
        drive(driver, async { lanes.next().await.unwrap_or(Ok(())) }).await
    }

    async fn ask_again_and_again(
        &self,
        lane: usize,
        mut sender: Sender,
        connection: &Connection,
        stats: &Mutex<Stats>,
    ) -> Result<(), Lost> {
        let flight = &connection.flights[lane];
        loop {
            self.ask_next(connection, lane, stats).await;
            let message = self.shape.message(&flight.borrow().expected());
            let response = sender.send(self.request(message)).await;
            let response = response.map_err(|error| hyper_name(&error))?;
            connection.standing.moved(self.part.window.now());
            if response.status() == StatusCode::OK {
                let body = Limited::new(response.into_body(), longest_answer(&self.shape));
                let body = body.collect().await;
                let body = body.map_err(|error| error.to_string())?.to_bytes();
                self.land(connection, lane, &body, stats)?;
                if flight.borrow().requests() > 0 {
                    return Err("an answer that is no line".into());
                }
            } else {
                let name = Self::refusal(response).await;
                lock(stats).error(name);
                flight.borrow_mut().skip(&self.shape);
                self.finish(connection, 1);
                connection.pause().await;
            }
            if self.part.options.reconnect {
                return Ok(());
            }
        }
    }

    fn request(&self, message: Vec<u8>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::from(message));
        *request.method_mut() = hyper::Method::POST;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, super::TEXT);
        self.authorize(headers);
        if self.lanes == 1 {
            headers.insert(HOST, self.host.clone());
        }
        *request.uri_mut() = match self.lanes {
            // The form that a server is asked in (RFC 9112, section 3.2.1).
            1 => self.path.clone(),
            _ => self.uri.clone(),
        };
        request
    }
}
