//! Reply and error lines, as bytes of an output buffer.

use std::convert::Infallible;
use std::fmt::{self, Write as _};

use super::admission::Refusal;
use super::buffers::Buffer;
use crate::protocol::Reply;
use powd_core::unstable::hex_digits;
use powd_core::{SeedLength, Solution};

/// Bytes of a reply besides its message: two commas, the longest seed, 64 hex digits, `\n`.
pub(super) const REPLY_OVERHEAD: usize = 2 + SeedLength::MAX.get() + 64 + 1;

/// No error line is longer.
pub(super) const ERROR_MAX: usize = 128;

/// Why there is an error line where a reply would be. Each has a code, a word that clients can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorLine {
    /// The message is longer than allowed; the connection is closed.
    TooLong { max: usize },
    /// The search took longer than allowed; the connection goes on.
    Deadline,
    /// No seed of up to 16 characters has the difficulty; the connection goes on.
    Exhausted,
    /// The connection is not wanted; closed.
    Refused(Refusal),
}

impl fmt::Display for ErrorLine {
    /// The line, with its `\n`. Never a comma: that is how clients tell it from a reply.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ERR ")?;
        match self {
            ErrorLine::TooLong { max } => {
                write!(f, "too-long a message has at most {max} bytes here")
            }
            ErrorLine::Deadline => f.write_str("deadline no seed found in the time allowed here"),
            ErrorLine::Exhausted => {
                f.write_str("exhausted no seed of up to 16 characters is a solution")
            }
            ErrorLine::Refused(refusal) => f.write_str(match refusal {
                Refusal::Busy => "busy too many connections: try again later",
                Refusal::BusyAddress => "busy too many connections from your address",
                Refusal::Denied => "denied your address is not served here",
            }),
        }?;
        f.write_str("\n")
    }
}

/// Writes an error line to `output`, which has room for it.
pub(super) fn push_error(output: &mut Buffer, error: ErrorLine) {
    // Cannot fail: the room was asked for, and a buffer takes all that it has room for.
    let _ = write!(output, "{error}");
}

/// Writes `message,seed,hash\n` to `output`, which has room for it.
pub(super) fn push_reply(output: &mut Buffer, message: &[u8], solution: &Solution) {
    let hash = hex_digits(solution.digest());
    let reply = Reply {
        message,
        seed: solution.seed().as_bytes(),
        hash: &hash,
    };
    let Ok(()) = reply.write(|piece| {
        output.push(piece);
        Ok::<(), Infallible>(())
    });
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
            ErrorLine::Refused(Refusal::Busy),
            ErrorLine::Refused(Refusal::BusyAddress),
            ErrorLine::Refused(Refusal::Denied),
        ] {
            let text = line.to_string();
            assert!(text.starts_with("ERR ") && text.ends_with('\n') && !text.contains(','));
            assert!(text.len() <= ERROR_MAX);
            assert_eq!(text.matches('\n').count(), 1);
        }
    }
}
