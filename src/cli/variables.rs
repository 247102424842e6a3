//! What is set by environment variables in place of flags.

use std::env;

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
