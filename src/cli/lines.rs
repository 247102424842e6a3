//! Lines of bytes: from the arguments, or streamed from standard input.

use std::ffi::OsString;
use std::io::{self, BufRead as _, ErrorKind, Write};

use super::Error;

/// Bytes of standard input taken in at once: thousands of lines, enough to keep many threads busy.
const BATCH_BYTES: usize = 256 * 1024;

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

/// Calls `each` with the arguments or, without arguments, again and again with the whole lines of standard
/// input that are at hand, each without its `\n`, and passes on what it has written.
pub(super) fn for_each_batch(
    arguments: Vec<OsString>,
    mut each: impl FnMut(&[&[u8]], &mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut output = io::BufWriter::new(io::stdout().lock());
    if !arguments.is_empty() {
        let lines = arguments.iter().map(|argument| argument.as_encoded_bytes());
        each(&lines.collect::<Vec<_>>(), &mut output)?;
        return Ok(output.flush()?);
    }
    let mut input = io::BufReader::with_capacity(BATCH_BYTES, io::stdin().lock());
    let mut bytes = Vec::new();
    loop {
        let read = match input.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        let ended = read.is_empty();
        // Half a line is not at hand, unless nothing follows: its rest may be long in coming.
        let whole = match memchr::memrchr(b'\n', read) {
            Some(last) => bytes.len() + last + 1,
            None if ended => bytes.len(),
            None => 0,
        };
        bytes.extend_from_slice(read);
        let read = read.len();
        input.consume(read);
        let lines = bytes[..whole]
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\n").unwrap_or(line));
        each(&lines.collect::<Vec<_>>(), &mut output)?;
        output.flush()?;
        bytes.drain(..whole);
        if ended {
            return Ok(());
        }
    }
}
