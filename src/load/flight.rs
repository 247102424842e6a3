//! Requests without a reply: when they left, and what must come back for each.
//!
//! Replies come in the order of the requests. It does not know what carries either of them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use powd_core::Difficulty;

use super::check::{Flaw, Line, error_line, first_line};
use super::message::{Position, Shape};
use super::stats::{Stats, Waits, WrongSample};

/// The longest line read to its end, beyond the message's own length: no reply and no error line is
/// longer.
pub(super) const LONGEST_LINE: usize = 4096;
/// What is shown of a wrong line.
const LONGEST_SAMPLE: usize = 200;

/// Why a connection was given up, by name.
pub(super) type Lost = Cow<'static, str>;

/// The requests in flight on one connection.
#[derive(Debug)]
pub(super) struct Flight {
    requests: usize,
    /// When they left (or were due), and how many at a time.
    sent: VecDeque<(Duration, usize)>,
    /// The message that the next reply must answer.
    expect: Position,
    /// The last line that came was an error line.
    told: bool,
}

/// What some bytes were.
#[derive(Debug)]
pub(super) struct Landed<'a> {
    /// Right replies.
    pub(super) right: usize,
    /// What follows the last line.
    pub(super) rest: &'a [u8],
}

impl Flight {
    /// None yet; the first will be for the message at `first`.
    pub(super) fn new(first: Position) -> Flight {
        Flight {
            requests: 0,
            sent: VecDeque::new(),
            expect: first,
            told: false,
        }
    }

    /// How many there are.
    pub(super) fn requests(&self) -> usize {
        self.requests
    }

    /// Counts them as not answered at `now`.
    pub(super) fn count(&self, now: Duration, waits: &mut Waits) {
        if let Some(&(sent, _)) = self.sent.front() {
            waits.add(self.requests as u64, now.saturating_sub(sent));
        }
    }

    /// Adds `requests`, whose latency begins at `since`.
    pub(super) fn add(&mut self, requests: usize, since: Duration) {
        self.requests += requests;
        self.sent.push_back((since, requests));
    }

    /// Forgets them. The next one will be for the message at `next`.
    pub(super) fn forget(&mut self, next: Position) {
        self.requests = 0;
        self.sent.clear();
        self.expect = next;
        self.told = false;
    }

    /// Whether all was answered, and the last line was an error line: a stream that ends then needs
    /// no further reason.
    pub(super) fn was_told(&self) -> bool {
        self.requests == 0 && self.told
    }

    /// The message that the next reply must answer.
    #[cfg(feature = "http")]
    pub(super) fn expected(&self) -> Position {
        self.expect
    }

    /// Forgets them; their messages are not asked for again.
    #[cfg(feature = "http")]
    pub(super) fn skip(&mut self, shape: &Shape) {
        for _ in 0..self.requests {
            shape.advance(&mut self.expect);
        }
        self.forget(self.expect);
    }

    /// Checks the lines that `bytes` starts with, and counts the right ones if `counts`.
    ///
    /// # Errors
    ///
    /// When what follows the last line is longer than any line.
    pub(super) fn land<'a>(
        &mut self,
        mut bytes: &'a [u8],
        shape: &Shape,
        difficulty: Difficulty,
        stats: &mut Stats,
        now: Duration,
        counts: bool,
    ) -> Result<Landed<'a>, Lost> {
        let (mut right, mut uncounted) = (0, 0);
        while !bytes.is_empty() && self.requests > 0 {
            let length = match first_line(bytes, shape, &self.expect, difficulty) {
                Line::Right(length) => {
                    self.told = false;
                    right += 1;
                    uncounted += 1;
                    length
                }
                Line::Wrong(length, flaw) => {
                    self.answered(std::mem::take(&mut uncounted), stats, now, counts);
                    self.answered(1, stats, now, false);
                    self.told = matches!(flaw, Flaw::ErrorLine(_));
                    match flaw {
                        Flaw::ErrorLine(_) => stats.error(Cow::Owned(flaw.to_string())),
                        flaw => stats.wrong_reply(flaw.kind(), || {
                            let asked = shape.message(&self.expect);
                            sample(asked, &bytes[..length - 1], &flaw.to_string())
                        }),
                    }
                    length
                }
                Line::Unfinished => break,
            };
            shape.advance(&mut self.expect);
            self.requests -= 1;
            bytes = &bytes[length..];
        }
        self.answered(uncounted, stats, now, counts);
        if self.requests == 0 {
            bytes = self.unasked(bytes, stats);
        }
        if bytes.len() > shape.bytes() + LONGEST_LINE {
            let flaw = "a line without end";
            stats.wrong_reply(flaw, || sample(Vec::new(), bytes, flaw));
            return Err(Cow::Borrowed("gave up on a line without end"));
        }
        Ok(Landed { right, rest: bytes })
    }

    /// Lines that came without a request. An error line (`ERR busy`) may; a reply may not.
    fn unasked<'a>(&mut self, mut bytes: &'a [u8], stats: &mut Stats) -> &'a [u8] {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let line = &bytes[..end];
            let flaw = error_line(line);
            self.told = flaw.is_some();
            match flaw {
                Some(flaw) => stats.error(Cow::Owned(flaw.to_string())),
                None => {
                    let flaw = "a reply that nobody asked for";
                    stats.wrong_reply(flaw, || sample(Vec::new(), line, flaw));
                }
            }
            bytes = &bytes[end + 1..];
        }
        bytes
    }

    /// Takes the oldest `replies` requests off the list of those in flight.
    fn answered(&mut self, mut replies: usize, stats: &mut Stats, now: Duration, counts: bool) {
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
