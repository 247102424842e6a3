//! The messages that are asked for: unique, of a given length, and made by adding one to the text
//! of the message before.
//!
//! A connection counts twice over the same sequence, once for what it asks and once for what must
//! come back. So nothing is remembered per request, however many are in flight.

use super::Messages;

/// The digits of a counter: 36 of them, so that short messages stay unique for long.
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// The part of a message that differs; what is longer is the same filler for all.
const TAIL: usize = 16;

/// What all messages of a run have in common.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    filler: Vec<u8>,
    tail: usize,
    /// Digits at the start of the tail that hold the connection's number.
    name: usize,
}

/// A position in a connection's sequence of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    tail: [u8; TAIL],
}

impl Shape {
    /// The shape of `messages` for so many connections.
    pub(super) fn new(messages: &Messages, connections: usize) -> Shape {
        match messages {
            Messages::Fixed(bytes) => Shape {
                filler: bytes.clone(),
                tail: 0,
                name: 0,
            },
            Messages::Unique(bytes) => {
                let tail = TAIL.min(*bytes);
                let mut name = 0;
                while name < tail && DIGITS.len().pow(name as u32) < connections {
                    name += 1;
                }
                Shape {
                    filler: b"load".iter().copied().cycle().take(bytes - tail).collect(),
                    tail,
                    name,
                }
            }
        }
    }

    /// The length of every message, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.filler.len() + self.tail
    }

    /// The first message of a connection.
    pub(super) fn first(&self, connection: usize) -> Position {
        let mut tail = [DIGITS[0]; TAIL];
        let mut rest = connection;
        for digit in tail[..self.name].iter_mut().rev() {
            *digit = DIGITS[rest % DIGITS.len()];
            rest /= DIGITS.len();
        }
        Position { tail }
    }

    /// Appends the message at `position` and its newline to `out`, and moves on to the next.
    pub(super) fn ask(&self, position: &mut Position, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.filler);
        out.extend_from_slice(&position.tail[..self.tail]);
        out.push(b'\n');
        self.advance(position);
    }

    /// Whether `message` is the one at `position`.
    #[inline]
    pub(super) fn is(&self, position: &Position, message: &[u8]) -> bool {
        message
            .strip_prefix(self.filler.as_slice())
            .is_some_and(|rest| rest == &position.tail[..self.tail])
    }

    /// The message at `position`, to be shown.
    pub(super) fn message(&self, position: &Position) -> Vec<u8> {
        let mut message = self.filler.clone();
        message.extend_from_slice(&position.tail[..self.tail]);
        message
    }

    /// Adds one to the counter, from the last digit up; after the last number comes the first
    /// again.
    #[inline]
    pub(super) fn advance(&self, position: &mut Position) {
        for digit in position.tail[self.name..self.tail].iter_mut().rev() {
            match *digit {
                b'9' => *digit = b'a',
                b'z' => {
                    *digit = b'0';
                    continue;
                }
                _ => *digit += 1,
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn messages_are_unique_over_connections_and_requests() {
        for bytes in [5, 6, 15, 16, 17, 20, 300] {
            let shape = Shape::new(&Messages::Unique(bytes), 100);
            let mut seen = HashSet::new();
            for connection in 0..100 {
                let mut position = shape.first(connection);
                for _ in 0..1000 {
                    let message = shape.message(&position);
                    assert_eq!(message.len(), bytes);
                    assert!(shape.is(&position, &message));
                    assert!(seen.insert(message), "{bytes} bytes");
                    shape.advance(&mut position);
                }
            }
        }
    }

    #[test]
    fn short_messages_repeat_and_none_has_a_newline() {
        for bytes in 0..4 {
            let shape = Shape::new(&Messages::Unique(bytes), 10_000);
            let mut position = shape.first(9_999);
            let mut out = Vec::new();
            for request in 1..=100 {
                shape.ask(&mut position, &mut out);
                assert_eq!(out.len(), request * (bytes + 1));
            }
            assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 100);
        }
    }

    #[test]
    fn a_fixed_message_stays_as_it_is() {
        let shape = Shape::new(&Messages::Fixed(b"bench0".to_vec()), 100);
        let mut position = shape.first(42);
        let mut out = Vec::new();
        shape.ask(&mut position, &mut out);
        shape.ask(&mut position, &mut out);
        assert_eq!(out, b"bench0\nbench0\n");
        assert!(shape.is(&position, b"bench0") && !shape.is(&position, b"bench"));
    }
}
