//! `powd man`: the manual pages of all commands.
//!
//! Options, defaults and variables come from the definition of the command line, which `--help`
//! shows too; what is only in the pages is in `notes`.

// The file has the flags of all doors.
#[cfg(all(test, feature = "http", feature = "nats"))]
mod defaults;
mod notes;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Error;
use notes::{Entry, Notes};

/// Writes the manual pages of all commands: powd.1, powd-serve.1 and so on.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory to write them to; it is made if it is not there. `man -l DIR/powd.1` shows
    /// one.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(args: &Args, command: Command) -> Result<ExitCode, Error> {
    let directory = &args.directory;
    write_pages(directory, command).map_err(|error| {
        Error::Failed(format!(
            "manual pages cannot be written to {}: {error}",
            directory.display()
        ))
    })?;
    Ok(ExitCode::SUCCESS)
}

fn write_pages(directory: &Path, command: Command) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    // A page of `powd help` would say nothing.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let all: Vec<String> = command.get_subcommands().map(page_name).collect();
    for command in command.get_subcommands().chain([&command]) {
        let path = directory.join(format!("{}.1", page_name(command)));
        fs::write(path, page(command, &all)?)?;
    }
    Ok(())
}

/// `powd-serve`, for the command `powd serve`.
fn page_name(command: &Command) -> String {
    let name = command.get_display_name();
    name.unwrap_or_else(|| command.get_name()).to_owned()
}

/// The page of a command; `all` are those of the commands of powd.
fn page(command: &Command, all: &[String]) -> io::Result<Vec<u8>> {
    let name = page_name(command);
    let notes = notes::of(command.get_name());
    let mut page = Vec::new();
    let man = Man::new(for_a_page(command.clone()))
        .title(name.to_uppercase())
        .source(concat!("powd ", env!("CARGO_PKG_VERSION")))
        .manual("Proofs of work");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut roff = Roff::new();
    environment(&mut roff, command);
    listed(&mut roff, "EXIT STATUS", notes.exit_status);
    listed(&mut roff, "SIGNALS", notes.signals);
    listed(&mut roff, "FILES", notes.files);
    examples(&mut roff, &notes);
    see_also(&mut roff, &name, all, &notes);
    page.write_all(roff.to_roff().as_bytes())?;
    Ok(page)
}

/// As pages have it: `powd serve [OPTIONS]`, since the options follow; and whole sentences, whose
/// last full stop clap takes away.
fn for_a_page(mut command: Command) -> Command {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(|about| with_full_stop(&about.to_string()));
    command
        .override_usage(usage)
        .long_about(about.unwrap_or_default())
        .mut_args(|argument| {
            let help = argument.get_long_help().or(argument.get_help());
            let mut help = help
                .map(|help| with_full_stop(&help.to_string()))
                .unwrap_or_default();
            if let Some(variable) = argument.get_env() {
                help += &format!(" Variable: {}.", variable.to_string_lossy());
            }
            argument.long_help(help)
        })
}

fn with_full_stop(text: &str) -> String {
    let text = text.trim_end();
    match text.ends_with(['.', ':']) {
        true => text.to_owned(),
        false => format!("{text}."),
    }
}

fn environment(roff: &mut Roff, command: &Command) {
    let variables: Vec<(&Arg, String)> = variables(command).collect();
    if variables.is_empty() {
        return;
    }
    roff.control("SH", ["ENVIRONMENT"]);
    roff.text([roman(
        "What is typed counts more than a variable, and a variable that is set to nothing counts as not set.",
    )]);
    for (argument, variable) in variables {
        roff.control("TP", []);
        roff.text([bold(variable)]);
        let flag = match argument.get_long() {
            Some(long) => bold(format!("--{long}")),
            None => bold(argument.get_id().as_str().to_uppercase()),
        };
        let default = match default(argument) {
            Some(default) => format!(", by default {default}"),
            None => String::new(),
        };
        roff.text([roman("stands for "), flag, roman(default)]);
    }
}

/// The arguments that a variable can set, each with its variable.
fn variables(command: &Command) -> impl Iterator<Item = (&Arg, String)> {
    command.get_arguments().filter_map(|argument| {
        let variable = argument.get_env()?;
        Some((argument, variable.to_string_lossy().into_owned()))
    })
}

/// The value of an argument that nobody sets, as it would be typed.
fn default(argument: &Arg) -> Option<String> {
    let values = argument.get_default_values();
    let values: Vec<_> = values.iter().map(|value| value.to_string_lossy()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn listed(roff: &mut Roff, heading: &str, entries: &[Entry]) {
    if entries.is_empty() {
        return;
    }
    roff.control("SH", [heading]);
    for (name, meaning) in entries {
        roff.control("TP", []);
        roff.text([bold(*name)]);
        roff.text([roman(*meaning)]);
    }
}

fn examples(roff: &mut Roff, notes: &Notes) {
    roff.control("SH", ["EXAMPLES"]);
    for (what, commands) in notes.examples {
        roff.control("PP", []);
        roff.text([roman(*what)]);
        roff.control("PP", []);
        roff.control("RS", ["4"]);
        roff.control("EX", []);
        for line in commands.lines() {
            roff.text([roman(line)]);
        }
        roff.control("EE", []);
        roff.control("RE", []);
    }
}

fn see_also(roff: &mut Roff, name: &str, all: &[String], notes: &Notes) {
    let pages = all.iter().map(String::as_str).chain(["powd"]);
    let others = pages.filter(|page| *page != name);
    let pages = others
        .map(|page| (page, "1"))
        .chain(notes.see_also.iter().copied());
    roff.control("SH", ["SEE ALSO"]);
    let mut line = Vec::new();
    for (number, (page, section)) in pages.enumerate() {
        let before = if number == 0 { "" } else { ", " };
        line.push(roman(before));
        line.push(bold(page));
        line.push(roman(format!("({section})")));
    }
    roff.text(line);
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn every_example_can_be_typed() {
        let command = Cli::command();
        let names = command.get_subcommands().map(|command| command.get_name());
        for name in names.chain(["powd"]) {
            let examples = notes::of(name).examples;
            assert!(!examples.is_empty(), "{name} has no example");
            for line in examples.iter().flat_map(|(_, commands)| commands.lines()) {
                for typed in calls_of_powd(line) {
                    let parsed = Cli::command().try_get_matches_from(&typed);
                    assert!(parsed.is_ok(), "{typed:?}: {parsed:?}");
                }
            }
        }
    }

    /// Each `powd ...` of a line of shell, up to what ends a command.
    fn calls_of_powd(line: &str) -> Vec<Vec<&str>> {
        let commands = line.split(['|', ';', '&', '<', '>', '(', ')']);
        let words = commands.map(|command| command.split_whitespace().collect::<Vec<_>>());
        words
            .filter(|words| words.first() == Some(&"powd"))
            .collect()
    }

    #[test]
    fn every_command_says_what_its_exit_codes_mean() {
        for command in Cli::command().get_subcommands() {
            let codes = notes::of(command.get_name()).exit_status;
            for code in ["0", "1", "2"] {
                let is_told = codes.iter().any(|(told, _)| *told == code);
                assert!(is_told, "{}: {code}", command.get_name());
            }
        }
    }
}
