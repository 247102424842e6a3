//! `powd solve`: messages in, reply lines out.

mod display;
#[cfg(feature = "nats")]
mod nats;

use std::ffi::OsString;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;

use super::values::{MAX_MESSAGE_BYTES, number, threads};
use super::{Error, closed_output, kernel, lines, rng_seed};
use crate::cpus;
use crate::protocol::Reply;
use display::Display;
use powd_core::{Difficulty, Kernel, SeedLength, Solution, Solver, SolverOptions};

/// Finds a seed for each message and prints message,seed,hash, one line each, in order.
///
/// On a terminal, what takes longer than a second shows how far it is: the hash rate, the hashes
/// tried for the message at hand beside the 16^N that it takes on average, and how many of 100 such
/// searches are over by now.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Zeros that the hash must start with, 0 to 64; each one more takes 16 times as long.
    #[arg(short, long, value_name = "N", default_value = "3")]
    difficulty: Difficulty,

    /// Threads that search; by default one for each CPU that this process may use. They work on a
    /// hard message together, and on easy ones, of a millisecond or less, each on its own.
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,

    /// Instruction set to search with: auto (the fastest here, measured at start) or a name that
    /// `powd speed` lists.
    #[arg(long, value_name = "NAME", default_value = kernel::AUTO)]
    kernel: String,

    /// Characters of a seed, 1 to 16; longer ones are tried only when no seed of that length is a
    /// solution. From difficulty 7 on many messages have none of 5 characters: 6 skips that search.
    #[arg(long, value_name = "N", default_value_t)]
    seed_length: SeedLength,

    /// Makes the seeds found repeatable (with --threads 1): the number that the searches' starting
    /// points are drawn from.
    #[arg(long, value_name = "N", value_parser = number)]
    rng_seed: Option<u64>,

    #[cfg(feature = "nats")]
    #[command(flatten)]
    nats: nats::Flags,

    /// The messages; without any, the lines of standard input, each answered as it comes.
    #[arg(value_name = "MESSAGE")]
    messages: Vec<OsString>,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Error> {
    lines::expect_lines(&args.messages, MAX_MESSAGE_BYTES)?;
    #[cfg(feature = "nats")]
    if args.nats.is_given() {
        return nats::run(args);
    }
    let kernel = kernel::choose(&args.kernel)?;
    let threads = args.threads.unwrap_or_else(cpus::available);
    let options = SolverOptions {
        difficulty: args.difficulty,
        seed_length: args.seed_length,
        kernel,
        threads: NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN),
        rng_seed: rng_seed::choose(args.rng_seed)?,
    };
    let mut solver = Solver::new(options).map_err(Error::Threads)?;
    let in_all = Some(args.messages.len() as u64).filter(|&number| number > 0);
    let tried = solver.tried();
    let display = Display::new(args.difficulty, in_all, move || tried.hashes())?;
    let shown = display.clone();
    closed_output::end_with_reader(move || shown.clear())?;
    let mut number = 1;
    let solved = lines::for_each_batch(args.messages, MAX_MESSAGE_BYTES, |mut messages, output| {
        while !messages.is_empty() {
            display.search(number);
            let solutions = solver.solve_first(messages);
            let (solved, unsolved) = messages.split_at(solutions.len());
            display.aside(|| {
                for (message, solution) in solved.iter().zip(solutions) {
                    reply(message, solution, output)?;
                }
                // The next one may take long.
                output.flush().map_err(Error::Stream)
            })?;
            number += solved.len() as u64;
            messages = unsolved;
        }
        display.rest();
        Ok(())
    });
    display.clear();
    tell_false_hits(kernel, solver.tally().false_hits, &mut io::stderr());
    solved?;
    Ok(ExitCode::SUCCESS)
}

fn reply(message: &[u8], solution: Solution, output: &mut dyn Write) -> Result<(), Error> {
    Reply::write_solution(message, &solution, |piece| {
        output.write_all(piece).map_err(Error::Stream)
    })
}

/// A false hit is a bug of the kernel, to be told however the rest came out.
fn tell_false_hits(kernel: Kernel, false_hits: u64, stderr: &mut impl Write) {
    if false_hits > 0 {
        let told = format!(
            "powd: false hits: {false_hits}; kernel {kernel} is wrong, none of them was printed\n"
        );
        // In one write, as all that is told; nobody may be left to read it.
        let _ = stderr.write_all(told.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn false_hits_are_told_in_one_line_and_their_absence_is_not() {
        for (false_hits, expected) in [
            (0, ""),
            (
                3,
                "powd: false hits: 3; kernel portable is wrong, none of them was printed\n",
            ),
        ] {
            let mut told = Vec::new();
            tell_false_hits(Kernel::PORTABLE, false_hits, &mut told);
            assert_eq!(told, expected.as_bytes());
        }
    }
}
