//! A reply line, `message,seed,hash`: put together, read back and checked.
//!
//! Used by whoever sends replies, the server and `powd solve`, and by whoever receives them: `powd
//! verify`, the load client, the tests.

use std::convert::Infallible;

use powd_core::unstable::digest;
use powd_core::{Difficulty, Seed, SeedError, SeedLength, Solution};

use super::ErrorLine;

/// Hex digits of a hash.
const HASH: usize = 64;

/// The three fields of a reply line. The message may contain commas; seed and hash cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// What was asked, byte for byte.
    pub message: &'a [u8],
    /// The seed as sent.
    pub seed: &'a [u8],
    /// The digest as sent: 64 lowercase hex digits, if it is right.
    pub hash: &'a [u8],
}

/// What is wrong with a reply line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Fewer than two commas.
    #[error("not message,seed,hash")]
    Form,
    /// An error line in place of a reply.
    #[error("an error line: {0}")]
    ErrorLine(String),
    /// The seed is not one.
    #[error("bad seed: {0}")]
    Seed(#[from] SeedError),
    /// The hash is not in the form that all are, whichever it is. Shown escaped: a carriage return
    /// is easily missed.
    #[error("bad hash: \"{0}\" is not 64 lowercase hex digits")]
    HashForm(String),
    /// Another hash than `SHA-256(seed || message)`.
    #[error("wrong hash: sha256(seed || message) is {0}")]
    Hash(String),
    /// The right hash, with too few zeros.
    #[error("hash starts with {found} zeros, difficulty is {asked}")]
    Difficulty {
        /// The zeros it has.
        found: u8,
        /// The zeros it should have at least.
        asked: Difficulty,
    },
}

impl<'a> Reply<'a> {
    /// Bytes of a line besides its message, at most: two commas, the longest seed, the hash, `\n`.
    pub const OVERHEAD: usize = Reply::line_length(0, SeedLength::MAX.bytes());

    /// The length of a line, with its `\n`.
    pub const fn line_length(message: usize, seed: usize) -> usize {
        message + 1 + seed + 1 + HASH + 1
    }

    /// Gives the reply line for a solution to `message` to `put`, as [`Reply::write`] does.
    #[inline(always)]
    pub fn write_solution<E>(
        message: &[u8],
        solution: &Solution,
        put: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let seed = solution.seed();
        let reply = Reply {
            message,
            seed: seed.as_bytes(),
            hash: &solution.digest().to_hex(),
        };
        reply.write(put)
    }

    /// Appends the reply line for a solution to `message`, with its `\n`.
    pub fn push_solution(lines: &mut Vec<u8>, message: &[u8], solution: &Solution) {
        let Ok(()) = Reply::write_solution(message, solution, |piece| {
            lines.extend_from_slice(piece);
            Ok::<(), Infallible>(())
        });
    }

    /// Gives the line with its `\n` to `put`, piece by piece. Inlined, so that pieces of a known
    /// length are plain stores.
    #[inline(always)]
    pub fn write<E>(&self, mut put: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        put(self.message)?;
        put(b",")?;
        put(self.seed)?;
        put(b",")?;
        put(self.hash)?;
        put(b"\n")
    }

    /// Splits a line, with its `\n`, where the lengths of its message and seed put the commas;
    /// `None` if they or the `\n` are elsewhere. For who knows these lengths: nothing is searched
    /// for.
    #[inline]
    pub fn at(line: &'a [u8], message: usize, seed: usize) -> Option<Reply<'a>> {
        if line.len() != Reply::line_length(message, seed) {
            return None;
        }
        let (message, rest) = line.split_at(message);
        let (seed, rest) = rest[1..].split_at(seed);
        let whole = line[message.len()] == b',' && rest[0] == b',' && rest[HASH + 1] == b'\n';
        whole.then_some(Reply {
            message,
            seed,
            hash: &rest[1..=HASH],
        })
    }

    /// A line as it was received, without its end: `\n`, `\r\n`, or none. A message may end with a
    /// `\r`, a hash does not.
    pub fn without_end(line: &[u8]) -> &[u8] {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// Splits a line without its end at its last two commas.
    pub fn parse(line: &'a [u8]) -> Result<Reply<'a>, Fault> {
        let mut fields = line.rsplitn(3, |&byte| byte == b',');
        match (fields.next(), fields.next(), fields.next()) {
            (Some(hash), Some(seed), Some(message)) => Ok(Reply {
                message,
                seed,
                hash,
            }),
            _ if ErrorLine::code_in(line).is_some() => {
                Err(Fault::ErrorLine(String::from_utf8_lossy(line).into_owned()))
            }
            _ => Err(Fault::Form),
        }
    }

    /// Checks seed, hash and zeros against `difficulty`, with the `sha2` crate alone.
    pub fn check(&self, difficulty: Difficulty) -> Result<(), Fault> {
        let seed = Seed::from_bytes(self.seed)?;
        let digest = digest(&seed, self.message);
        let text = digest.to_hex();
        if self.hash != text {
            let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            return Err(
                if self.hash.len() == HASH && self.hash.iter().all(is_digit) {
                    Fault::Hash(hex::encode(digest))
                } else {
                    Fault::HashForm(self.hash.escape_ascii().to_string())
                },
            );
        }
        if !difficulty.is_met_by(&digest) {
            let found = text.iter().take_while(|&&digit| digit == b'0').count() as u8;
            return Err(Fault::Difficulty {
                found,
                asked: difficulty,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, seed: &str) -> String {
        let characters = Seed::from_bytes(seed.as_bytes())
            .unwrap_or_else(|_| Seed::from_bytes(b"a").expect("a letter"));
        let hash = hex::encode(digest(&characters, message.as_bytes()));
        format!("{message},{seed},{hash}")
    }

    fn check(line: &str, nibbles: u8) -> Result<(), Fault> {
        let difficulty = Difficulty::new(nibbles).expect("0 to 64");
        Reply::parse(line.as_bytes())?.check(difficulty)
    }

    #[test]
    fn a_right_line_passes_commas_in_its_message_or_not() {
        for message in ["", "hello", "a,b,,c", ",", "ERR a,b"] {
            assert_eq!(check(&line(message, "abcde"), 0), Ok(()), "{message:?}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_parsed() {
        for message in ["", "hello", "a,b,,c"] {
            let line = line(message, "abcde");
            let reply = Reply::parse(line.as_bytes()).expect("a reply");
            let mut written = Vec::new();
            let Ok(()) = reply.write(|piece| {
                written.extend_from_slice(piece);
                Ok::<(), Infallible>(())
            });
            assert_eq!(written, format!("{line}\n").as_bytes());
        }
    }

    #[test]
    fn a_carriage_return_belongs_to_the_end_of_a_line() {
        for end in ["", "\n", "\r\n", "\r"] {
            let received = format!("a,b,c{end}");
            assert_eq!(Reply::without_end(received.as_bytes()), b"a,b,c", "{end:?}");
        }
        assert_eq!(Reply::without_end(b"a,b,c\n\n"), b"a,b,c\n");
    }

    #[test]
    fn a_solution_is_appended_as_its_line() {
        let seed = Seed::from_bytes(b"abcde").expect("five letters");
        let solution = powd_core::verify(seed, b"hello", Difficulty::NONE).expect("difficulty 0");
        let mut lines = b"before\n".to_vec();
        Reply::push_solution(&mut lines, b"hello", &solution);
        let expected = format!("before\n{}\n", line("hello", "abcde"));
        assert_eq!(lines, expected.as_bytes());
    }

    #[test]
    fn a_line_of_known_lengths_is_found_where_it_must_be_only() {
        let line = line("a,b", "abcde") + "\n";
        assert_eq!(line.len(), Reply::line_length(3, 5));
        let parsed = Reply::parse(&line.as_bytes()[..line.len() - 1]).expect("a reply");
        assert_eq!(Reply::at(line.as_bytes(), 3, 5), Some(parsed));
        assert_eq!(Reply::at(line.as_bytes(), 5, 3), None);
        for at in 0..line.len() {
            let mut changed = line.clone().into_bytes();
            changed[at] = b';';
            let separator = [3, 9, line.len() - 1].contains(&at);
            assert_eq!(Reply::at(&changed, 3, 5).is_none(), separator, "byte {at}");
            assert_eq!(Reply::at(&line.as_bytes()[..at], 3, 5), None);
        }
    }

    #[test]
    fn each_fault_is_told_apart() {
        let good = line("hello", "abcde");
        assert_eq!(check("hello", 0), Err(Fault::Form));
        assert!(matches!(
            check("ERR busy try later", 0),
            Err(Fault::ErrorLine(_))
        ));
        assert_eq!(
            check(&line("hello", "ab-de"), 0),
            Err(Fault::Seed(SeedError::Alphabet))
        );
        assert_eq!(
            check(&line("hello", ""), 0),
            Err(Fault::Seed(SeedError::Length(0)))
        );
        assert!(matches!(
            check(&good.replace("hello", "hallo"), 0),
            Err(Fault::Hash(_))
        ));
        for ill_formed in [good.to_uppercase(), good.clone() + "\r", good.clone() + "0"] {
            let hash = ill_formed.rsplit(',').next().expect("a hash");
            let shown = hash.as_bytes().escape_ascii().to_string();
            assert_eq!(check(&ill_formed, 0), Err(Fault::HashForm(shown)));
        }
        assert!(matches!(check(&good, 64), Err(Fault::Difficulty { .. })));
    }
}
