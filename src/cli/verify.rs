//! `powd verify`: reply lines in, the bad ones out.

use std::ffi::OsString;
use std::process::ExitCode;

use super::{Error, lines};
use crate::pow::{Difficulty, Reply};

/// Checks reply lines: the hash, the seed's characters, the zeros. Prints each bad line with its reason;
/// exit code 0 if all are good, 1 if some are bad.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Zeros that each hash must start with at least, 0 to 64.
    #[arg(short, long, value_name = "N", default_value = "3")]
    difficulty: Difficulty,

    /// The reply lines, message,seed,hash; without any, the lines of standard input.
    #[arg(value_name = "LINE")]
    lines: Vec<OsString>,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Error> {
    let mut number = 0u64;
    let mut all_good = true;
    let checked = lines::for_each(args.lines, |line, output| {
        number += 1;
        let checked = Reply::parse(line).and_then(|reply| reply.check(args.difficulty));
        if let Err(fault) = checked {
            all_good = false;
            write!(output, "line {number}: {fault}: ")?;
            output.write_all(line)?;
            output.write_all(b"\n")?;
        }
        Ok::<(), Error>(())
    });
    match checked {
        // Only bad lines are printed: whoever closed the pipe has missed some, but what was found stands.
        Err(error) if error.is_closed_pipe() => {}
        checked => checked?,
    }
    Ok(if all_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
