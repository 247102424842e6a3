//! One reply line against the message it answers.
//!
//! A right reply has the same length and the same commas each time, so it is looked for at the
//! place where it must be: message, five characters, digest, newline, all compared. Only what fails
//! there is searched for its newline and taken apart to find out what it is. Both ways hash with
//! the `sha2` crate.

use crate::protocol::{ErrorLine, Fault, Reply};
use powd_core::Difficulty;

use super::message::{Position, Shape};

/// The usual seed. Others are right as well, and take the long way.
const SEED: usize = 5;

/// What is shown of an error line's code.
const LONGEST_CODE: usize = 40;

/// What stands at the start of some bytes received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The right reply, with its newline so many bytes.
    Right(usize),
    /// Anything else that is a line, with its newline so many bytes, and what is wrong with it.
    Wrong(usize, Flaw),
    /// No whole line yet.
    Unfinished,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    /// An error line of the server, which is an error, not a wrong reply.
    #[error("ERR {0}")]
    ErrorLine(String),
    /// A right reply to something else.
    #[error("not the message that was asked")]
    Message,
    /// Not a right reply to anything.
    #[error(transparent)]
    Reply(Fault),
}

impl Flaw {
    /// The kind of flaw, without what differs from one to the next.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Flaw::ErrorLine(_) => "error line",
            Flaw::Message => "wrong message",
            Flaw::Reply(Fault::Hash(_)) => "wrong hash",
            Flaw::Reply(Fault::HashForm(_)) => "bad hash",
            Flaw::Reply(Fault::Seed(_)) => "bad seed",
            Flaw::Reply(Fault::Difficulty { .. }) => "too few zeros",
            Flaw::Reply(_) => "not a reply",
        }
    }
}

/// Looks at the line that `bytes` starts with, which must answer the message at `position`.
#[inline]
pub(super) fn first_line(
    bytes: &[u8],
    shape: &Shape,
    position: &Position,
    difficulty: Difficulty,
) -> Line {
    let length = Reply::line_length(shape.bytes(), SEED);
    match bytes.get(..length) {
        Some(line) if is_right(line, shape, position, difficulty) => Line::Right(length),
        _ => take_apart(bytes, shape, position, difficulty),
    }
}

/// Whether `line` is the right reply with a seed of five characters.
#[inline]
fn is_right(line: &[u8], shape: &Shape, position: &Position, difficulty: Difficulty) -> bool {
    Reply::at(line, shape.bytes(), SEED)
        .is_some_and(|reply| shape.is(position, reply.message) && reply.check(difficulty).is_ok())
}

/// The long way: finds the line, and names what is wrong with it.
#[cold]
fn take_apart(bytes: &[u8], shape: &Shape, position: &Position, difficulty: Difficulty) -> Line {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return Line::Unfinished;
    };
    let checked = Reply::parse(&bytes[..end]).and_then(|reply| {
        reply.check(difficulty)?;
        Ok(shape.is(position, reply.message))
    });
    let flaw = match checked {
        Ok(true) => return Line::Right(end + 1),
        Ok(false) => Flaw::Message,
        Err(fault @ Fault::ErrorLine(_)) => error_line(&bytes[..end]).unwrap_or(Flaw::Reply(fault)),
        Err(fault) => Flaw::Reply(fault),
    };
    Line::Wrong(end + 1, flaw)
}

/// What an error line says, if `line` is one. Its code is shown to a person, so it is cut and
/// escaped: it could hold the controls of a terminal.
pub(super) fn error_line(line: &[u8]) -> Option<Flaw> {
    let code = ErrorLine::code_in(line)?;
    let code = &code[..code.len().min(LONGEST_CODE)];
    Some(Flaw::ErrorLine(code.escape_ascii().to_string()))
}

#[cfg(test)]
mod tests {
    use powd_core::Seed;
    use powd_core::unstable::digest;

    use super::*;
    use crate::load::Messages;

    fn line(seed: &str, message: &str) -> String {
        let characters = Seed::from_bytes(seed.as_bytes())
            .unwrap_or_else(|_| Seed::from_bytes(b"a").expect("a letter"));
        let digest = digest(&characters, message.as_bytes());
        format!("{message},{seed},{}\n", hex::encode(digest))
    }

    fn look(bytes: &[u8], difficulty: u8) -> Line {
        let shape = Shape::new(&Messages::Fixed(b"hello".to_vec()), 1);
        let difficulty = Difficulty::new(difficulty).expect("0 to 64");
        first_line(bytes, &shape, &shape.first(0), difficulty)
    }

    #[test]
    fn right_lines_of_any_seed_length_and_what_follows() {
        for seed in ["aaaaa", "9", "abcdefghijklmnop"] {
            let mut bytes = line(seed, "hello").into_bytes();
            let length = bytes.len();
            assert_eq!(look(&bytes, 0), Line::Right(length), "{seed}");
            bytes.extend_from_slice(b"more");
            assert_eq!(look(&bytes, 0), Line::Right(length), "{seed}");
            for part in 0..length {
                assert_eq!(look(&bytes[..part], 0), Line::Unfinished, "{seed} {part}");
            }
        }
    }

    #[test]
    fn a_line_with_any_byte_changed_is_wrong() {
        let right = line("aaaaa", "hello").into_bytes();
        for at in 0..right.len() - 1 {
            let mut bytes = right.clone();
            bytes[at] ^= 1;
            assert!(matches!(look(&bytes, 0), Line::Wrong(77, _)), "byte {at}");
        }
    }

    #[test]
    fn flaws_are_told_apart() {
        let flaw = |bytes: &[u8], difficulty| match look(bytes, difficulty) {
            Line::Wrong(length, flaw) => {
                assert_eq!(length, bytes.len());
                flaw.to_string()
            }
            other => panic!("{other:?}"),
        };
        let right = line("aaaaa", "hello");
        let upper = right.to_uppercase().replace("HELLO,AAAAA", "hello,aaaaa");
        assert_eq!(
            flaw(line("aaaaa", "other").as_bytes(), 0),
            "not the message that was asked"
        );
        assert!(flaw(upper.as_bytes(), 0).starts_with("bad hash"));
        assert!(flaw(right.as_bytes(), 64).contains("difficulty is 64"));
        assert_eq!(flaw(b"ERR busy try later\n", 0), "ERR busy");
        assert_eq!(flaw(b"ERR \x1b[2J\xff now\n", 0), "ERR \\x1b[2J\\xff");
        let long = [b"ERR ".as_slice(), &[b'x'; 1000], b"\n"].concat();
        assert_eq!(flaw(&long, 0), format!("ERR {}", "x".repeat(40)));
        assert_eq!(flaw(b"\n", 0), "not message,seed,hash");
    }
}
