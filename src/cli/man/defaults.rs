//! `/etc/default/powd`, as the definition of the command line has it: a test keeps the file of the
//! package the same.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::{Arg, ArgAction, CommandFactory as _};

use super::super::Cli;
use super::{default, variables, with_full_stop};

/// Lines of the file are at most so long.
const WIDTH: usize = 100;

const HEADING: &str = "\
# What powd.service serves with: the variables of `powd serve`, each with its default. To change
# one, take the # before its name away, and restart the service. One that is set to nothing counts
# as not set.
";

fn text() -> String {
    let mut command = Cli::command();
    command.build();
    let serve = command.find_subcommand("serve").expect("a command");
    let mut text = HEADING.to_owned();
    for (argument, variable) in variables(serve) {
        text += "\n";
        text += &comment(argument);
        let default = match argument.get_action() {
            ArgAction::SetTrue => Some("false".to_owned()),
            _ => default(argument),
        };
        let _ = writeln!(text, "#{variable}={}", default.unwrap_or_default());
    }
    text
}

/// The help of an argument, in lines.
fn comment(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help());
    let help = help.map(|help| with_full_stop(&help.to_string()));
    let help = help.unwrap_or_default();
    let mut lines = String::new();
    for paragraph in help.lines() {
        let mut line = "#".to_owned();
        for word in paragraph.split_whitespace() {
            if line.len() + 1 + word.len() > WIDTH {
                let _ = writeln!(lines, "{line}");
                line = "#".to_owned();
            }
            line += " ";
            line += word;
        }
        let _ = writeln!(lines, "{line}");
    }
    lines
}

#[test]
fn the_file_of_the_package_has_every_variable_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/debian/powd.default");
    let expected = text();
    if std::env::var_os("POWD_WRITE_DEFAULTS").is_some() {
        fs::write(&path, &expected).expect("a file of the source tree");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == expected,
        "{} is not what the flags of `powd serve` say: `make defaults` writes it anew",
        path.display()
    );
}
