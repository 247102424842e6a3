//! Lines of bytes: from the arguments, or streamed from standard input into bounded memory.

use std::ffi::OsString;
use std::io::{self, BufRead as _, ErrorKind, Write};

use super::Error;
use crate::protocol::{Cut, Cutter, Framing};

/// Bytes of standard input taken in at once: thousands of lines, enough to keep many threads busy.
const BATCH_BYTES: usize = 256 * 1024;

/// Refuses an argument that is no line, which what reads lines would take for several, and one that
/// is longer than `longest` bytes.
pub(super) fn expect_lines(arguments: &[OsString], longest: usize) -> Result<(), Error> {
    for (argument, number) in arguments.iter().zip(1..) {
        let argument = argument.as_encoded_bytes();
        if argument.contains(&b'\n') {
            return Err(Error::Usage(
                "an argument has a newline in it: each is to be one line".to_owned(),
            ));
        }
        if argument.len() > longest {
            return Err(Error::Usage(format!(
                "argument {number} is longer than {longest} bytes, which is the most there can be"
            )));
        }
    }
    Ok(())
}

/// Calls `each` with the arguments or, without arguments, again and again with the whole lines of
/// standard input that are at hand, each without its `\n`, and passes on what it has written. A
/// line of more than `longest` bytes ends it, when those before it have been dealt with.
pub(super) fn for_each_batch(
    arguments: Vec<OsString>,
    longest: usize,
    mut each: impl FnMut(&[&[u8]], &mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut output = io::BufWriter::new(io::stdout().lock());
    if !arguments.is_empty() {
        let lines = arguments.iter().map(|argument| argument.as_encoded_bytes());
        each(&lines.collect::<Vec<_>>(), &mut output)?;
        return output.flush().map_err(Error::Stream);
    }
    let mut input = io::BufReader::with_capacity(BATCH_BYTES, io::stdin().lock());
    let mut cutter = Cutter::new(Framing::Lines, longest);
    // The beginning of a line, whose rest may be long in coming, and what was read behind it.
    let mut bytes = Vec::new();
    let mut number = 0u64;
    loop {
        let read = match input.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.map_err(Error::Stream)?,
        };
        let ended = read.is_empty();
        bytes.extend_from_slice(read);
        let read = read.len();
        input.consume(read);
        let (mut lines, mut taken) = (Vec::new(), 0);
        let next = loop {
            let rest = &bytes[taken..];
            match cutter.cut(rest, ended) {
                Cut::Message {
                    length,
                    taken: line,
                } => {
                    lines.push(&rest[..length]);
                    taken += line;
                }
                next => break next,
            }
        };
        number += lines.len() as u64;
        each(&lines, &mut output)?;
        output.flush().map_err(Error::Stream)?;
        if next == Cut::TooLong {
            return Err(Error::Failed(format!(
                "line {} of standard input is longer than {longest} bytes, which is the most there can be",
                number + 1
            )));
        }
        bytes.drain(..taken);
        if ended {
            return Ok(());
        }
    }
}
