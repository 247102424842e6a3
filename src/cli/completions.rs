//! `powd completions`: what a shell needs to complete powd's commands and flags.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap_complete::Shell;

use super::Error;

/// Prints the completions for a shell. Its documentation says where to put them.
///
/// For the shell at hand: source <(powd completions bash). For all shells to come:
/// powd completions bash > /etc/bash_completion.d/powd, or
/// powd completions zsh > a directory of $fpath/_powd, or
/// powd completions fish > ~/.config/fish/completions/powd.fish.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(args: &Args, mut command: clap::Command) -> Result<ExitCode, Error> {
    // Into memory first: the crate panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "powd", &mut script);
    io::stdout().write_all(&script).map_err(Error::Stream)?;
    Ok(ExitCode::SUCCESS)
}
