//! The command line: flags, environment, exit codes, what a person sees.
//!
//! The only user of `clap`. It knows what can be asked for, not how any of it works. Results go to
//! standard output, everything else to standard error. Exit codes: 0 done, 1 it did not work out, 2
//! asked wrongly.

mod closed_output;
mod completions;
mod endpoint;
mod error;
#[cfg(feature = "http")]
mod health;
mod kernel;
mod lines;
mod load;
mod log;
mod man;
mod rng_seed;
mod serve;
mod signals;
mod solve;
mod speed;
mod tokens;
mod values;
mod variables;
mod verify;
mod version;
mod workers;

use std::process::ExitCode;

use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use error::Error;
pub use speed::median;

/// Finds and serves proofs of work: a short seed such that SHA-256(seed || message) starts with N
/// zeros.
#[derive(Debug, Parser)]
#[command(name = "powd", max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Solve(solve::Args),
    Verify(verify::Args),
    Speed(speed::Args),
    Load(load::Args),
    #[cfg(feature = "http")]
    Health(health::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let mut command = Cli::command()
        .version(version::text())
        .mut_subcommands(|command| {
            // A message, too, may be a negative number.
            command
                .allow_negative_numbers(true)
                .mut_args(variables::without_empty)
                .mut_args(with_any_value)
        });
    let parsed = command
        .try_get_matches_from_mut(std::env::args_os())
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let outcome = match parsed {
        Ok(cli) => match cli.command {
            Command::Serve(args) => serve::run(*args),
            Command::Solve(args) => solve::run(args),
            Command::Verify(args) => verify::run(args),
            Command::Speed(args) => speed::run(args),
            Command::Load(args) => load::run(args),
            #[cfg(feature = "http")]
            Command::Health(args) => health::run(&args),
            Command::Completions(args) => completions::run(&args, Cli::command()),
            Command::Man(args) => man::run(&args, Cli::command()),
        },
        Err(error) => {
            // Only the one that was typed has been built, and what is not built panics when its
            // arguments are shown.
            let typed = std::env::args_os().nth(1);
            let typed = typed.and_then(|name| command.find_subcommand(name));
            let variable = typed.and_then(|typed| variables::at_fault(typed, &error));
            Err(Error::of_parser(error, variable))
        }
    };
    outcome.unwrap_or_else(|error| error.report(&mut std::io::stderr()))
}

/// `-d -1` and `--deadline -1s` are wrong values, not flags that do not exist.
fn with_any_value(argument: Arg) -> Arg {
    let is_option_with_value = !argument.is_positional() && argument.get_action().takes_values();
    if is_option_with_value {
        argument.allow_hyphen_values(true)
    } else {
        argument
    }
}
