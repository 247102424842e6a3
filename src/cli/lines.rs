//! Lines of bytes: from the arguments, or streamed from standard input.

use std::ffi::OsString;
use std::io::{self, BufRead as _, Write};
use std::time::{Duration, Instant};

use super::Error;

/// The longest that a result waits for others to be written with: a person does not notice it.
const LATENCY: Duration = Duration::from_millis(50);

/// Refuses an argument that is no line: what reads lines would take it for several.
pub(super) fn expect_lines(arguments: &[OsString]) -> Result<(), Error> {
    let mut arguments = arguments.iter().map(|argument| argument.as_encoded_bytes());
    if arguments.any(|argument| argument.contains(&b'\n')) {
        return Err(Error::Usage(
            "an argument has a newline in it: each is to be one line".to_owned(),
        ));
    }
    Ok(())
}

/// Calls `each` with every argument or, without arguments, with every line of standard input as it comes,
/// without its `\n`. What `each` writes is passed on when no further whole line is at hand, and at least
/// about every [`LATENCY`].
pub(super) fn for_each(
    arguments: Vec<OsString>,
    mut each: impl FnMut(&[u8], &mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut output = io::BufWriter::new(io::stdout().lock());
    if !arguments.is_empty() {
        for argument in arguments {
            each(&argument.into_encoded_bytes(), &mut output)?;
            output.flush()?;
        }
        return Ok(());
    }
    let mut input = io::BufReader::new(io::stdin().lock());
    let mut line = Vec::new();
    let mut flushed = Instant::now();
    while input.read_until(b'\n', &mut line)? > 0 {
        each(line.strip_suffix(b"\n").unwrap_or(&line), &mut output)?;
        line.clear();
        // Half a line is not at hand: its rest may be long in coming.
        let at_hand = memchr::memchr(b'\n', input.buffer()).is_some();
        if !at_hand || flushed.elapsed() >= LATENCY {
            output.flush()?;
            flushed = Instant::now();
        }
    }
    Ok(output.flush()?)
}
