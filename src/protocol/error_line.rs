//! What stands in place of a reply that cannot be given: `ERR`, a code, and a text for people.

use std::fmt;

use powd_core::SeedLength;

/// Why there is an error line where a reply would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorLine {
    /// The message is longer than allowed; the connection is closed.
    TooLong {
        /// Bytes of the longest message.
        max: usize,
    },
    /// The search took longer than allowed; the connection goes on.
    Deadline,
    /// No seed of any length is a solution; the connection goes on.
    Exhausted,
    /// The server ends before the search does; the connection is closed.
    Draining,
    /// Too many connections; closed.
    Busy,
    /// Too many connections from one address; closed.
    BusyAddress,
    /// An address that is not served; closed.
    Denied,
}

/// What an error line begins with.
const PREFIX: &str = "ERR ";

impl ErrorLine {
    /// No error line is longer, its `\n` included.
    pub const MAX_BYTES: usize = 128;

    /// The word that clients can rely on.
    pub fn code(&self) -> &'static str {
        match self {
            ErrorLine::TooLong { .. } => "too-long",
            ErrorLine::Deadline => "deadline",
            ErrorLine::Exhausted => "exhausted",
            ErrorLine::Draining => "draining",
            ErrorLine::Busy | ErrorLine::BusyAddress => "busy",
            ErrorLine::Denied => "denied",
        }
    }

    /// The code in a line without its `\n`, if that begins like an error line. A reply can begin so
    /// too, but contains commas.
    pub fn code_in(line: &[u8]) -> Option<&[u8]> {
        let rest = line.strip_prefix(PREFIX.as_bytes())?;
        rest.split(u8::is_ascii_whitespace).next()
    }
}

impl fmt::Display for ErrorLine {
    /// The line, with its `\n`. Never a comma: that is how clients tell it from a reply.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{} ", self.code())?;
        match self {
            ErrorLine::TooLong { max } => write!(f, "a message has at most {max} bytes here"),
            ErrorLine::Deadline => f.write_str("no seed found in the time allowed here"),
            ErrorLine::Exhausted => {
                write!(
                    f,
                    "no seed of up to {} characters is a solution",
                    SeedLength::MAX
                )
            }
            ErrorLine::Draining => f.write_str("this server is ending: ask again later"),
            ErrorLine::Busy => f.write_str("too many connections: try again later"),
            ErrorLine::BusyAddress => f.write_str("too many connections from your address"),
            ErrorLine::Denied => f.write_str("your address is not served here"),
        }?;
        f.write_str("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_lines_are_lines_without_commas() {
        for line in [
            ErrorLine::TooLong { max: usize::MAX },
            ErrorLine::Deadline,
            ErrorLine::Exhausted,
            ErrorLine::Draining,
            ErrorLine::Busy,
            ErrorLine::BusyAddress,
            ErrorLine::Denied,
        ] {
            let text = line.to_string();
            assert!(!text.contains(','), "{text:?}");
            assert_eq!(text.find('\n'), Some(text.len() - 1), "{text:?}");
            assert!(text.len() <= ErrorLine::MAX_BYTES, "{text:?}");
            assert_eq!(
                ErrorLine::code_in(text.as_bytes()),
                Some(line.code().as_bytes())
            );
        }
    }

    #[test]
    fn a_code_is_the_word_behind_the_prefix() {
        for (line, code) in [
            (&b"ERR busy try later"[..], Some(&b"busy"[..])),
            (b"ERR busy", Some(b"busy")),
            (b"ERR ", Some(b"")),
            (b"ERR", None),
            (b"err busy", None),
            (b"", None),
        ] {
            assert_eq!(ErrorLine::code_in(line), code);
        }
    }
}
