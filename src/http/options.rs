//! What the doors by HTTP are told at their start.

use std::fmt;
use std::time::Duration;

use powd_core::Difficulty;

use crate::jobs::Bounds;
use crate::sockets::Proxies;

/// Everything that the doors are told, apart from their listeners.
#[derive(Clone, Debug)]
pub struct Options {
    /// That of requests which do not say one.
    pub difficulty: Difficulty,
    /// What clients may ask for.
    pub limits: Limits,
    /// What a request has to show, if anything.
    pub tokens: Option<Tokens>,
    /// Bounds on jobs.
    pub jobs: Bounds,
    /// Who begins its connections with a PROXY header.
    pub proxies: Proxies,
}

/// Bounds on requests. A duration of `None` is no bound.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The highest difficulty that can be asked for.
    pub max_difficulty: Difficulty,
    /// The longest search.
    pub deadline: Option<Duration>,
    /// A connection on which nothing moves for so long is closed, unless it waits for a search.
    pub idle_timeout: Duration,
}

/// The tokens of which each request has to show one.
#[derive(Clone)]
pub struct Tokens(Vec<Box<[u8]>>);

/// Why a text is no list of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nobody could get in.
    #[error("no token in it: write one on each line")]
    None,
    /// A header cannot carry it.
    #[error("the token on line {0} has characters other than visible ASCII")]
    Invisible(usize),
}

impl Tokens {
    /// The tokens of a text, one on each line; empty lines do not count.
    ///
    /// # Errors
    ///
    /// When there is none, or one that no header can carry.
    pub fn parse(text: &[u8]) -> Result<Tokens, TokenError> {
        let mut tokens = Vec::new();
        for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let token = line.trim_ascii();
            if !token.iter().all(u8::is_ascii_graphic) {
                return Err(TokenError::Invisible(number + 1));
            }
            if !token.is_empty() {
                tokens.push(token.into());
            }
        }
        match tokens.is_empty() {
            true => Err(TokenError::None),
            false => Ok(Tokens(tokens)),
        }
    }

    /// Whether `token` is one of them. Takes the same time whichever bytes are wrong, so that
    /// nobody can guess a token byte by byte.
    pub(crate) fn contain(&self, token: &[u8]) -> bool {
        let is_same = |known: &[u8]| {
            let differences = known.iter().zip(token).fold(0, |all, (a, b)| all | (a ^ b));
            known.len() == token.len() && std::hint::black_box(differences) == 0
        };
        self.0
            .iter()
            .fold(false, |found, known| found | is_same(known))
    }
}

/// Tokens are secrets: a log must not show them.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stand_one_on_a_line() {
        let tokens = Tokens::parse(b"first\n\n second \r\n").expect("two tokens");
        for token in ["first", "second"] {
            assert!(tokens.contain(token.as_bytes()), "{token}");
        }
        for wrong in ["", "firs", "first2", "First", "third"] {
            assert!(!tokens.contain(wrong.as_bytes()), "{wrong}");
        }
        assert_eq!(Tokens::parse(b"\n \n").err(), Some(TokenError::None));
        assert_eq!(
            Tokens::parse(b"a\nb c").err(),
            Some(TokenError::Invisible(2))
        );
    }

    #[test]
    fn tokens_are_not_shown() {
        let tokens = Tokens::parse(b"secret").expect("a token");
        assert_eq!(format!("{tokens:?}"), "1 tokens");
    }
}
