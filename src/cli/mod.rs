//! The command line: flags, environment, exit codes, what a person sees.
//!
//! The only user of `clap`. It knows what can be asked for, not how any of it works. Results go to
//! standard output, everything else to standard error. Exit codes: 0 done, 1 it did not work out, 2 asked
//! wrongly.

mod error;
mod kernel;
mod lines;
mod load;
mod log;
mod serve;
mod solve;
mod speed;
mod values;
mod verify;
mod version;

use std::process::ExitCode;

use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use error::Error;

/// Finds and serves proofs of work: a short seed such that SHA-256(seed || message) starts with N zeros.
#[derive(Debug, Parser)]
#[command(name = "powd", max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Solve(solve::Args),
    Verify(verify::Args),
    Speed(speed::Args),
    Load(load::Args),
}

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let command = Cli::command()
        .version(version::text())
        .mut_subcommands(|command| {
            // `-d -1` is a wrong difficulty, not a flag that does not exist.
            command
                .allow_negative_numbers(true)
                .mut_args(without_empty_variable)
        });
    let parsed = command
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let outcome = match parsed {
        Ok(cli) => match cli.command {
            Command::Serve(args) => serve::run(args),
            Command::Solve(args) => solve::run(args),
            Command::Verify(args) => verify::run(args),
            Command::Speed(args) => speed::run(args),
            Command::Load(args) => load::run(args),
        },
        Err(error) => Err(Error::from(error)),
    };
    outcome.unwrap_or_else(|error| error.report(&mut std::io::stderr()))
}

/// An environment variable that is set to nothing counts as not set, as unit and compose files mean it.
fn without_empty_variable(argument: Arg) -> Arg {
    let value = argument.get_env().and_then(std::env::var_os);
    if value.is_some_and(|value| value.is_empty()) {
        argument.env(None::<&str>)
    } else {
        argument
    }
}
