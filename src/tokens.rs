//! The tokens of a service that asks for one over HTTP: what its file says, what it asks for, and
//! what the load client shows.

use std::fmt;

/// What a request shows (`Authorization: Bearer`, RFC 6750): visible ASCII.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

impl Token {
    /// `None`: it is empty, or no header can carry it.
    pub fn new(text: &str) -> Option<Token> {
        let is_visible = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_visible.then(|| Token(text.into()))
    }

    #[cfg(feature = "http")]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The tokens of which each request has to show one: at least one.
#[derive(Clone)]
pub struct Tokens(Vec<Token>);

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
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let token = str::from_utf8(line).ok().and_then(Token::new);
            tokens.push(token.ok_or(TokenError::Invisible(number + 1))?);
        }
        match tokens.is_empty() {
            true => Err(TokenError::None),
            false => Ok(Tokens(tokens)),
        }
    }

    /// The first of them.
    pub fn first(&self) -> &Token {
        &self.0[0]
    }

    /// Whether `token` is one of them. Takes the same time whichever bytes are wrong, so that
    /// nobody can guess a token byte by byte.
    #[cfg(feature = "http")]
    pub(crate) fn contain(&self, token: &[u8]) -> bool {
        let is_same = |known: &[u8]| {
            let differences = known.iter().zip(token).fold(0, |all, (a, b)| all | (a ^ b));
            known.len() == token.len() && std::hint::black_box(differences) == 0
        };
        self.0
            .iter()
            .fold(false, |found, known| found | is_same(known.0.as_bytes()))
    }
}

/// Tokens are secrets: a log must not show them.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "http")]
    #[test]
    fn one_of_them_is_to_be_shown() {
        let tokens = Tokens::parse(b"first\n\n second \r\n").expect("two tokens");
        for token in ["first", "second"] {
            assert!(tokens.contain(token.as_bytes()), "{token}");
        }
        for wrong in ["", "firs", "first2", "First", "third"] {
            assert!(!tokens.contain(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn tokens_stand_one_on_a_line() {
        let tokens = Tokens::parse(b"\r\n \n first\r\nsecond\n").expect("two tokens");
        assert_eq!(Some(tokens.first()), Token::new("first").as_ref());
        assert_eq!(Tokens::parse(b"\n \n").err(), Some(TokenError::None));
        for wrong in [&b"a\nb c"[..], b"a\ns\xc3\xa9cret", b"a\n\xff", b"a\ns\0"] {
            let error = Tokens::parse(wrong).err();
            assert_eq!(error, Some(TokenError::Invisible(2)), "{wrong:?}");
        }
    }

    #[test]
    fn tokens_are_not_shown() {
        let tokens = Tokens::parse(b"secret").expect("a token");
        assert_eq!(format!("{tokens:?}"), "1 tokens");
        assert_eq!(format!("{:?}", tokens.first()), "Token");
    }
}
