//! What a connection promises: why it may be closed, when it may wait, and which replies there are.

use powd_core::Difficulty;

use super::{Close, FIRST_REQUEST, LINGER, MAX, Run, World};
use crate::engine::Drain;
use crate::line::session::Shelf;
use crate::protocol::{ErrorLine, Framing, Reply};

impl World<'_, '_> {
    /// The worker closes it: that must have one of the reasons that there are.
    pub(super) fn close(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let now = self.host.now;
        let has_output = connection.has_output();
        let mut shelf = Shelf {
            options: &self.options,
            counters: &self.counters,
            durations: &self.durations,
            pool: &mut self.pool,
            rooms: &mut self.rooms,
        };
        connection.close(&mut self.host, &mut shelf);
        assert_eq!(self.host.open_searches(), 0, "a search for nobody");
        let wire = self.wire.borrow();
        let limits = &self.options.limits;
        let is_given_up = self
            .ended
            .is_some_and(|at| now >= at + limits.half_close_timeout);
        let has_lingered = self.powd_ended.is_some_and(|at| now >= at + LINGER);
        let is_idle = limits.idle_timeout.is_some() && self.counters.closed_idle.read() > 0;
        self.how = if wire.is_reset() {
            Close::Cut
        } else if has_output {
            assert!(is_given_up || is_idle, "closed with replies to write");
            // It has had every chance to take them.
            assert!(!wire.is_writable(), "closed as slow before one more try");
            Close::Cut
        } else if self.powd_ended.is_some() {
            assert!(wire.is_ended() || has_lingered, "did not linger");
            assert!(
                !wire.has_bytes() || has_lingered,
                "closed with bytes unread"
            );
            Close::Orderly
        } else if is_idle {
            assert!(!wire.is_readable(), "closed as idle with bytes unread");
            Close::Cut
        } else if wire.is_ended() && !wire.has_bytes() {
            if is_given_up {
                Close::Cut
            } else {
                Close::Orderly
            }
        } else {
            assert!(is_given_up, "closed without a reason");
            Close::Cut
        };
    }

    /// What always holds.
    pub(super) fn check(&mut self) {
        let now = self.host.now;
        let wire = self.wire.borrow();
        let read = self.sent.len() - wire.unread();
        let is_asked = self.host.drain != Drain::Serving && self.powd_ended.is_none();
        if is_asked && self.counted.is_none() && read > 0 {
            self.counted = Some(read);
        }
        if wire.is_ended_by_powd {
            self.powd_ended.get_or_insert(now);
        }
        let Some(connection) = &self.connection else {
            return;
        };
        if self.run != Run::Idle || wire.has_event() {
            return;
        }
        // It waits for an event, and none is on its way.
        assert_eq!(self.host.offered(), 0, "help for who waits for the client");
        if connection.has_output() {
            assert!(wire.is_full(), "waits for room that there is");
        } else {
            assert!(!wire.is_readable(), "waits for bytes that are there");
            assert_eq!(self.host.open_searches(), 0, "waits beside a search");
            let may_wait = match self.host.drain {
                Drain::Serving => true,
                Drain::Draining => self.counted.is_none() && now < self.came + FIRST_REQUEST,
                Drain::Expired => false,
            };
            assert!(may_wait || self.powd_ended.is_some(), "waits in a drain");
        }
    }

    /// Replies are in the order of the requests, whole, right, and none is lost.
    pub(super) fn check_replies(&self) {
        let counted = self.counted.unwrap_or(match self.host.drain {
            Drain::Serving => self.sent.len(),
            Drain::Draining | Drain::Expired => 0,
        });
        let requests = self.requests(counted);
        let lines: Vec<&[u8]> = self
            .received
            .split_inclusive(|&byte| byte == b'\n')
            .collect();
        assert!(lines.len() <= requests.len(), "more replies than requests");
        for (number, (line, request)) in lines.iter().zip(&requests).enumerate() {
            let Some(line) = line.strip_suffix(b"\n") else {
                assert_eq!(self.how, Close::Cut, "half a reply");
                assert_eq!(number + 1, lines.len());
                break;
            };
            if let Some(code) = ErrorLine::code_in(line).filter(|_| !line.contains(&b',')) {
                let is_due = match code {
                    b"too-long" => request.len() > MAX && number + 1 == lines.len(),
                    b"deadline" => self.options.limits.deadline.is_some(),
                    b"draining" => self.host.drain == Drain::Expired,
                    _ => false,
                };
                assert!(is_due, "{} for {request:?}", line.escape_ascii());
                continue;
            }
            let reply = Reply::parse(line).expect("a reply");
            assert_eq!(reply.message, *request, "in order");
            assert_eq!(reply.check(Difficulty::NONE), Ok(()));
        }
        if self.how == Close::Orderly {
            let answered = requests.iter().position(|request| request.len() > MAX);
            let answered = answered.map_or(requests.len(), |too_long| too_long + 1);
            assert_eq!(lines.len(), answered, "a reply is lost");
        }
    }

    /// The requests in the first `counted` bytes of what was sent, by the definition of the
    /// framing.
    fn requests(&self, counted: usize) -> Vec<&[u8]> {
        let lines = self.sent[..counted].split_inclusive(|&byte| byte == b'\n');
        // A last line without its end counts if powd was still reading when the stream ended behind
        // it.
        let is_whole = self.ended_first && counted == self.sent.len();
        let returns = self.options.framing == Framing::Crlf;
        let without_return =
            |line: &[u8]| line.len() - usize::from(returns && line.ends_with(b"\r"));
        let message = |line: &[u8]| match line.strip_suffix(b"\n") {
            Some(line) => Some(without_return(line)),
            // Too long already, however it goes on.
            None if without_return(line) > MAX => Some(line.len()),
            None => is_whole.then_some(line.len()),
        };
        lines
            .filter_map(|line| Some(&line[..message(line)?]))
            .collect()
    }
}
