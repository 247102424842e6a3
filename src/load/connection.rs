//! One connection: what is in flight on it, what is half read, what is half written.
//!
//! It owns no buffer that is in use only during a wake-up: those are the thread's, lent for one call. It
//! does not know the poller; times come to it in nanoseconds since the run began.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Read, Write};

use mio::net::TcpStream;

use super::check::{Flaw, Line, first_line};
use super::message::{Place, Shape};
use super::stats::{Stats, WrongSample, error_name};
use crate::pow::Difficulty;

/// The longest line read to its end, beyond the message's own length: no reply and no error line is longer.
const LONGEST_LINE: usize = 4096;
/// What is shown of a wrong line.
const LONGEST_SAMPLE: usize = 200;

/// Why a connection was given up, by name.
pub(super) type Lost = Cow<'static, str>;

/// Where a connection stands.
#[derive(Debug)]
pub(super) enum State {
    /// No socket; to be opened at this time.
    Down { retry_at: u64 },
    /// `connect` has not been answered.
    Connecting(TcpStream),
    /// Open.
    Open(TcpStream),
}

/// What all connections of a thread share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) shape: Shape,
    pub(super) difficulty: Difficulty,
    /// Bytes as they come in. As long as the longest batch of replies that one read should take.
    pub(super) input: Vec<u8>,
    /// Requests as they go out.
    pub(super) output: Vec<u8>,
}

/// One connection and its place in its sequence of messages.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) state: State,
    /// Opened or refused at least once.
    settled: bool,
    /// Failures in a row without a reply between them.
    pub(super) failures: u32,
    /// The last time that anything moved, or that the first request after silence left.
    pub(super) last_progress: u64,
    /// Requests without a reply.
    pub(super) in_flight: usize,
    /// When these left (or were due), and how many at a time.
    sent: VecDeque<(u64, usize)>,
    ask: Place,
    expect: Place,
    half_read: Vec<u8>,
    half_written: Vec<u8>,
}

impl Connection {
    pub(super) fn new(shape: &Shape, number: usize) -> Connection {
        Connection {
            state: State::Down { retry_at: 0 },
            settled: false,
            failures: 0,
            last_progress: 0,
            in_flight: 0,
            sent: VecDeque::new(),
            ask: shape.first(number),
            expect: shape.first(number),
            half_read: Vec::new(),
            half_written: Vec::new(),
        }
    }

    /// Counts it as opened or refused, if it is so for the first time.
    pub(super) fn settle(&mut self, stats: &mut Stats) {
        stats.settled += usize::from(!std::mem::replace(&mut self.settled, true));
    }

    /// Forgets what was in flight. The next request goes on with the next message.
    pub(super) fn forget(&mut self) {
        self.in_flight = 0;
        self.sent.clear();
        self.expect = self.ask;
        self.half_read.clear();
        self.half_written.clear();
    }

    /// When the oldest request without a reply left.
    pub(super) fn oldest_sent(&self) -> Option<u64> {
        self.sent.front().map(|&(sent, _)| sent)
    }

    /// Writes `requests` requests into the shared output; their latency begins at `since`.
    pub(super) fn ask(&mut self, requests: usize, since: u64, now: u64, shared: &mut Shared) {
        if requests == 0 {
            return;
        }
        if self.in_flight == 0 {
            self.last_progress = now;
        }
        for _ in 0..requests {
            shared.shape.ask(&mut self.ask, &mut shared.output);
        }
        self.in_flight += requests;
        self.sent.push_back((since, requests));
    }

    /// Sends the shared output, after what an earlier write left over. One write when there is room.
    pub(super) fn send(&mut self, shared: &mut Shared) -> Result<(), Lost> {
        let State::Open(stream) = &mut self.state else {
            shared.output.clear();
            return Ok(());
        };
        if !self.half_written.is_empty() {
            self.half_written.append(&mut shared.output);
            let sent = write(stream, &self.half_written)?;
            self.half_written.drain(..sent);
            return Ok(());
        }
        if !shared.output.is_empty() {
            let sent = write(stream, &shared.output)?;
            self.half_written.extend_from_slice(&shared.output[sent..]);
            shared.output.clear();
        }
        Ok(())
    }

    /// Reads until nothing more is there, checks each line, and counts it if `counts`. `clock` is asked
    /// once per read. `to_the_end`: the poller said that the stream ended, so a short read does not mean
    /// that all was read.
    pub(super) fn receive(
        &mut self,
        shared: &mut Shared,
        stats: &mut Stats,
        to_the_end: bool,
        clock: impl Fn() -> (u64, bool),
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
            self.last_progress = now;
            self.half_read.clear();
            let rest = self.lines(&shared.input[..end], shared, stats, now, counts);
            if rest.len() > shared.shape.bytes() + LONGEST_LINE {
                let flaw = "a line without end";
                stats.wrong_reply(flaw, || sample(Vec::new(), rest, flaw));
                return Err(Cow::Borrowed("gave up on a line without end"));
            }
            self.half_read.extend_from_slice(rest);
            if !full && !to_the_end {
                return Ok(());
            }
        }
    }

    /// Checks the lines that `bytes` starts with; returns what follows the last of them.
    fn lines<'a>(
        &mut self,
        mut bytes: &'a [u8],
        shared: &Shared,
        stats: &mut Stats,
        now: u64,
        counts: bool,
    ) -> &'a [u8] {
        let mut right = 0;
        while !bytes.is_empty() && self.in_flight > 0 {
            let length = match first_line(bytes, &shared.shape, &self.expect, shared.difficulty) {
                Line::Right(length) => {
                    right += 1;
                    length
                }
                Line::Wrong(length, flaw) => {
                    self.answered(std::mem::take(&mut right), stats, now, counts);
                    self.answered(1, stats, now, false);
                    match flaw {
                        Flaw::ErrorLine(code) => stats.error(Cow::Owned(format!("ERR {code}"))),
                        flaw => stats.wrong_reply(flaw.kind(), || {
                            let asked = shared.shape.message(&self.expect);
                            sample(asked, &bytes[..length - 1], &flaw.to_string())
                        }),
                    }
                    length
                }
                Line::Unfinished => break,
            };
            shared.shape.advance(&mut self.expect);
            self.in_flight -= 1;
            bytes = &bytes[length..];
        }
        self.answered(right, stats, now, counts);
        if self.in_flight == 0 {
            bytes = unasked(bytes, stats);
        }
        bytes
    }

    /// Takes the oldest `replies` requests off the list of those in flight.
    fn answered(&mut self, mut replies: usize, stats: &mut Stats, now: u64, counts: bool) {
        while replies > 0 {
            let Some((sent, requests)) = self.sent.front_mut() else {
                return;
            };
            let of_these = replies.min(*requests);
            if counts {
                stats.right(of_these as u64, now.saturating_sub(*sent));
            }
            replies -= of_these;
            *requests -= of_these;
            if *requests == 0 {
                self.sent.pop_front();
            }
        }
    }
}

/// Lines that came without a request. An error line (`ERR busy`) may; a reply may not.
fn unasked<'a>(mut bytes: &'a [u8], stats: &mut Stats) -> &'a [u8] {
    while let Some(end) = memchr::memchr(b'\n', bytes) {
        let line = &bytes[..end];
        match line.strip_prefix(b"ERR ") {
            Some(rest) => {
                let code = rest.split(|&byte| byte == b' ').next().unwrap_or_default();
                stats.error(Cow::Owned(format!("ERR {}", code.escape_ascii())));
            }
            None => {
                let flaw = "a reply that nobody asked for";
                stats.wrong_reply(flaw, || sample(Vec::new(), line, flaw));
            }
        }
        bytes = &bytes[end + 1..];
    }
    bytes
}

fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize, Lost> {
    loop {
        match stream.write(bytes) {
            Ok(sent) => return Ok(sent),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error_name(&error)),
        }
    }
}

fn sample(asked: Vec<u8>, received: &[u8], flaw: &str) -> WrongSample {
    let shown = |bytes: &[u8]| {
        let cut = &bytes[..bytes.len().min(LONGEST_SAMPLE)];
        let dots = if cut.len() < bytes.len() { "..." } else { "" };
        format!("{}{dots}", cut.escape_ascii())
    };
    WrongSample {
        asked: shown(&asked),
        received: shown(received),
        flaw: flaw.to_owned(),
    }
}
