//! `powd verify`: reply lines in, the bad ones out.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use super::values::MAX_MESSAGE_BYTES;
use super::{Error, lines};
use crate::protocol::{Fault, Reply};
use powd_core::Difficulty;

/// Checks reply lines and prints the bad ones.
///
/// A good line is message,seed,hash with the right hash, a seed of letters and digits, and enough
/// zeros; a bad one is printed with its reason. A carriage return behind the hash belongs to the
/// line's end. Exit code 0: all are good; 1: some are bad, also when nobody reads the output to its
/// end, or there was no line at all.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Zeros that each hash must start with at least, 0 to 64.
    #[arg(short, long, value_name = "N", default_value = "3")]
    difficulty: Difficulty,

    /// The reply lines, message,seed,hash; without any, the lines of standard input.
    #[arg(value_name = "LINE")]
    lines: Vec<OsString>,
}

/// A reply to the longest message; its `\n` is no part of the line, a `\r` in its place may be.
const LONGEST: usize = MAX_MESSAGE_BYTES + Reply::OVERHEAD;

pub(super) fn run(args: Args) -> Result<ExitCode, Error> {
    lines::expect_lines(&args.lines, LONGEST)?;
    let mut number = 0u64;
    let mut all_good = true;
    let is_seen = io::stdout().is_terminal();
    let checked = lines::for_each_batch(args.lines, LONGEST, |batch, output| {
        for line in batch {
            number += 1;
            let line = Reply::without_end(line);
            let checked = Reply::parse(line).and_then(|reply| reply.check(args.difficulty));
            if let Err(fault) = checked {
                all_good = false;
                match fault {
                    // The line itself follows, and says it.
                    Fault::ErrorLine(_) => write!(output, "line {number}: an error line: "),
                    fault => write!(output, "line {number}: {fault}: "),
                }
                .and_then(|()| match is_seen {
                    true => writeln!(output, "{}", without_controls(line)),
                    false => output
                        .write_all(line)
                        .and_then(|()| output.write_all(b"\n")),
                })
                .map_err(Error::Stream)?;
            }
        }
        Ok(())
    });
    // Only bad lines are printed: whoever closed the pipe has missed some, but what was found
    // stands.
    Error::unless_closed_pipe(checked)?;
    if number == 0 {
        return Err(Error::Failed(
            "nothing to check: no line came on standard input".to_owned(),
        ));
    }
    Ok(if all_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// `line` for a terminal, to which whoever wrote it must not speak.
fn without_controls(line: &[u8]) -> String {
    let mut shown = String::new();
    for character in String::from_utf8_lossy(line).chars() {
        match character.is_control() {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_shown_letters_alone() {
        let line = "a\u{1b}]0;title\u{7}\tü,\u{9b}2J".as_bytes();
        let shown = r"a\u{1b}]0;title\u{7}\tü,\u{9b}2J";
        assert_eq!(without_controls(line), shown);
    }
}
