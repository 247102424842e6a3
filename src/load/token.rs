//! The token of a server that asks for one.

use std::fmt;

/// What each request over HTTP shows (`Authorization: Bearer`, RFC 6750): visible ASCII.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The first token of a text that has one on each line, as the file of the server has; empty
    /// lines do not count. `None`: there is none, or no header can carry it.
    pub fn first_of(text: &[u8]) -> Option<Token> {
        let mut lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let token = str::from_utf8(lines.find(|line| !line.is_empty())?).ok()?;
        let is_visible = token.bytes().all(|byte| byte.is_ascii_graphic());
        is_visible.then(|| Token(token.to_owned()))
    }

    #[cfg(feature = "http")]
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A token is a secret: a log must not show it.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_says_something_is_the_token() {
        let first = |text: &str| Token::first_of(text.as_bytes());
        assert_eq!(first("secret"), Some(Token("secret".to_owned())));
        assert_eq!(first("\r\n \n secret\r\nother\n"), first("secret"));
        for none in ["", "\n \n", "se cret", "s\u{e9}cret", "s\0"] {
            assert_eq!(first(none), None, "{none:?}");
        }
        assert_eq!(Token::first_of(&[0xff]), None);
        assert_eq!(format!("{:?}", first("secret")), "Some(Token)");
    }
}
