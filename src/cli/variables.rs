//! What is set by environment variables in place of flags.

use std::env;
use std::ffi::OsStr;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

/// A variable that is set to nothing counts as not set, as unit and compose files mean it.
pub(super) fn without_empty(argument: Arg) -> Arg {
    let value = argument.get_env().and_then(env::var_os);
    if value.is_some_and(|value| value.is_empty()) {
        argument.env(None::<&str>)
    } else {
        argument
    }
}

/// The variable that set the value which `error` is about, if one did: clap itself names the flag,
/// which nobody has typed. `command` is the one whose arguments were read, `powd serve` for one.
pub(super) fn at_fault<'c>(command: &'c Command, error: &clap::Error) -> Option<&'c str> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (flag, wrong) = (
        text(ContextKind::InvalidArg),
        text(ContextKind::InvalidValue),
    );
    let mut set = command.get_arguments().filter_map(|argument| {
        let variable = argument.get_env()?;
        Some((argument, variable, env::var_os(variable)?))
    });
    let (_, variable, _) = set.find(|(argument, _, value)| match value.to_str() {
        None => error.kind() == ErrorKind::InvalidUtf8,
        Some(value) => {
            flag == Some(&argument.to_string())
                && wrong
                    .is_some_and(|wrong| value == wrong || value.split(',').any(|one| one == wrong))
        }
    })?;
    variable.to_str()
}

/// The variables that are set and begin as those of powd do, and that no command under `root`
/// reads: misspelt, or of a powd with other features. Not those by which Kubernetes and Docker tell
/// every container what services there are (`POWD_SERVICE_HOST`, `POWD_PORT_20000_TCP`).
pub(super) fn unknown(root: &Command) -> Vec<String> {
    let arguments = root.get_subcommands().flat_map(Command::get_arguments);
    let known: Vec<&OsStr> = arguments.filter_map(Arg::get_env).collect();
    let mut unknown: Vec<String> = env::vars_os()
        .filter(|(name, _)| !known.contains(&name.as_os_str()))
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
        .filter(|(name, value)| name.starts_with("POWD_") && !is_link(name, value))
        .map(|(name, _)| name)
        .collect();
    unknown.sort_unstable();
    unknown
}

/// Whether this is one of the variables of another service, by the rules of Kubernetes
/// ("Discovering services", environment variables) and of Docker ("Legacy container links").
fn is_link(name: &str, value: &OsStr) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"]
        .iter()
        .any(|part| name.contains(part))
        || name.ends_with("_PORT") && value.to_string_lossy().contains("://")
}
