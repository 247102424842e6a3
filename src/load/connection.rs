//! One connection: what is in flight on it, what is half read, what is still to be written.
//!
//! It owns no buffer that is in use only during a wake-up: those are the thread's, lent for one
//! call. Nor does it keep requests that the socket does not take: they are made from their place in
//! the sequence when it does, so that a deep pipeline of long messages costs no memory, and is
//! copied once. It does not know the poller; times come to it as durations since the run began.

use std::borrow::Cow;
use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use super::connect::Stream;
use super::flight::{Flight, Lost};
use super::message::{Position, Shape};
use super::part::Standing;
use super::stats::{Stats, error_name};
use powd_core::Difficulty;

/// What one write offers at most, beside one request.
const OUTPUT: usize = 64 * 1024;

/// No time that comes.
pub(super) const NEVER: Duration = Duration::MAX;

/// Where a connection stands.
#[derive(Debug)]
pub(super) enum State {
    /// No socket; to be opened at this time, or, with [`NEVER`], when there is a reason to.
    Down { retry_at: Duration },
    /// `connect` has not been answered.
    Connecting(Stream),
    /// Open.
    Open(Stream),
}

/// What all connections of a thread share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) shape: Shape,
    pub(super) difficulty: Difficulty,
    /// Bytes as they come in. As long as the longest batch of replies that one read should take.
    pub(super) input: Vec<u8>,
    /// Requests as they go out, for one write.
    pub(super) output: Vec<u8>,
}

/// One connection and its place in its sequence of messages.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) state: State,
    pub(super) standing: Standing,
    /// Requests without a reply.
    pub(super) flight: Flight,
    /// Of these, the ones whose last byte has not left.
    unwritten: usize,
    /// The first of these, or the next request.
    write: Position,
    /// How many bytes of it have left.
    written: usize,
    /// The socket takes no more, until the poller says that it does.
    pub(super) full: bool,
    half_read: Vec<u8>,
}

impl Connection {
    pub(super) fn new(shape: &Shape, number: usize) -> Connection {
        Connection {
            state: State::Down {
                retry_at: Duration::ZERO,
            },
            standing: Standing::default(),
            flight: Flight::new(shape.first(number)),
            unwritten: 0,
            write: shape.first(number),
            written: 0,
            full: false,
            half_read: Vec::new(),
        }
    }

    /// Forgets what was in flight. The next request has the first message that has not left whole.
    pub(super) fn forget(&mut self) {
        self.flight.forget(self.write);
        self.unwritten = 0;
        self.written = 0;
        self.full = false;
        self.half_read.clear();
    }

    /// Makes `requests` requests, to be written by [`Connection::send`]; their latency begins at
    /// `since`.
    pub(super) fn ask(&mut self, requests: usize, since: Duration, now: Duration) {
        if requests == 0 {
            return;
        }
        if self.flight.requests() == 0 {
            self.standing.moved(now);
        }
        self.flight.add(requests, since);
        self.unwritten += requests;
    }

    /// The poller says that the full socket takes bytes again: the server has taken some.
    pub(super) fn drained(&mut self, now: Duration) {
        self.full = false;
        self.standing.moved(now);
    }

    /// Writes what was asked for, as far as the socket takes it. One write, unless there is much.
    pub(super) fn send(&mut self, shared: &mut Shared) -> Result<(), Lost> {
        let State::Open(stream) = &mut self.state else {
            return Ok(());
        };
        let (shape, output) = (&shared.shape, &mut shared.output);
        while self.unwritten > 0 && !self.full {
            output.clear();
            let (mut end, mut requests) = (self.write, 0);
            while requests < self.unwritten && output.len() < OUTPUT {
                shape.ask(&mut end, output);
                requests += 1;
            }
            let taken = self.written + write(stream, &output[self.written..])?;
            if taken == output.len() {
                self.write = end;
                self.written = 0;
            } else {
                let line = shape.bytes() + 1;
                requests = taken / line;
                for _ in 0..requests {
                    shape.advance(&mut self.write);
                }
                self.written = taken % line;
                self.full = true;
            }
            self.unwritten -= requests;
        }
        Ok(())
    }

    /// Reads until nothing more is there, checks each line, and counts it if `counts`. `clock` is
    /// asked once per read. `to_the_end`: the poller said that the stream ended, so a short read
    /// does not mean that all was read.
    pub(super) fn receive(
        &mut self,
        shared: &mut Shared,
        stats: &mut Stats,
        to_the_end: bool,
        clock: impl Fn() -> (Duration, bool),
    ) -> Result<(), Lost> {
        loop {
            let State::Open(stream) = &mut self.state else {
                return Ok(());
            };
            let kept = self.half_read.len();
            shared.input[..kept].copy_from_slice(&self.half_read);
            let got = match stream.read(&mut shared.input[kept..]) {
                Ok(0) => return Err(Cow::Borrowed("early close")),
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error_name(&error)),
            };
            let end = kept + got;
            let full = end == shared.input.len();
            let (now, counts) = clock();
            self.standing.moved(now);
            self.half_read.clear();
            let (shape, difficulty) = (&shared.shape, shared.difficulty);
            let received = &shared.input[..end];
            let lines = self
                .flight
                .land(received, shape, difficulty, stats, now, counts)?;
            self.standing.answered(lines.right);
            let rest = lines.rest;
            self.half_read.extend_from_slice(rest);
            if !full && !to_the_end {
                return Ok(());
            }
        }
    }
}

fn write(stream: &mut Stream, bytes: &[u8]) -> Result<usize, Lost> {
    loop {
        match stream.write(bytes) {
            Ok(sent) => return Ok(sent),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error_name(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::load::Messages;

    /// A connection, the server's end of it, and what its thread shares, for messages of so many
    /// bytes.
    fn connected(bytes: usize) -> (Connection, std::net::TcpStream, Shared) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let ours = std::net::TcpStream::connect(address).expect("it listens");
        ours.set_nonblocking(true).expect("a socket");
        let (theirs, _) = listener.accept().expect("it connected");
        let shape = Shape::new(&Messages::Unique(bytes), 1);
        let mut connection = Connection::new(&shape, 0);
        connection.state = State::Open(Stream::Tcp(mio::net::TcpStream::from_std(ours)));
        let shared = Shared {
            difficulty: Difficulty::NONE,
            input: vec![0; 4096],
            output: Vec::new(),
            shape,
        };
        (connection, theirs, shared)
    }

    #[test]
    fn what_a_full_socket_does_not_take_is_written_when_it_does() {
        const REQUESTS: usize = 10_000;
        for bytes in [0, 1, 3999] {
            let (mut connection, mut theirs, mut shared) = connected(bytes);
            connection.ask(REQUESTS, Duration::ZERO, Duration::ZERO);
            let mut expected = Vec::new();
            let mut position = shared.shape.first(0);
            for _ in 0..REQUESTS {
                shared.shape.ask(&mut position, &mut expected);
            }
            let mut received = Vec::new();
            let mut some = [0; 12_345];
            let mut was_full = false;
            while received.len() < expected.len() {
                connection.send(&mut shared).expect("open");
                was_full |= connection.full;
                let got = theirs.read(&mut some).expect("open");
                assert!(got > 0);
                received.extend_from_slice(&some[..got]);
                connection.full = false;
            }
            assert!(received == expected, "{bytes} bytes");
            assert_eq!(was_full, bytes > 1000);
            assert!(shared.output.capacity() < 4 * OUTPUT);
        }
    }

    #[test]
    fn a_full_socket_that_takes_more_is_progress() {
        let (mut connection, _theirs, mut shared) = connected(65_536);
        let (asked, drained) = (Duration::from_nanos(5), Duration::from_nanos(7));
        connection.ask(10_000, Duration::ZERO, asked);
        connection.send(&mut shared).expect("open");
        assert!(connection.full);
        assert_eq!(connection.standing.silence(drained), drained - asked);
        connection.drained(drained);
        assert!(!connection.full);
        assert_eq!(connection.standing.silence(drained), Duration::ZERO);
    }
}
