//! How a command can fail, and what its user sees of it: one line, and the exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};

use crate::cpus::RestrictError;
use crate::engine::EngineError;
#[cfg(feature = "http")]
use crate::http::HttpError;
use crate::line::ServerError;
use crate::sockets::{Address, ListenError};

/// Why a command ended without a result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Asked wrongly: says what is wrong and what is allowed. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Not an error: `--help` or `--version`, or no command at all.
    #[error(transparent)]
    Help(clap::Error),
    /// The address of this flag cannot be listened on.
    #[error("{error}{}", remedy_of_address(error, flag))]
    Listen {
        error: ListenError,
        flag: &'static str,
    },
    /// The server could not start or did not end well.
    #[error("{}{}", .0, remedy(.0))]
    Server(#[from] ServerError),
    /// A door by HTTP could not be opened.
    #[cfg(feature = "http")]
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Standard input or output failed.
    #[error("standard input or output: {0}")]
    Stream(#[source] io::Error),
    /// The system gives no further thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// The same, to a command with `--threads`.
    #[error("cannot start a thread: {0}: ask for fewer with --threads")]
    Threads(#[source] io::Error),
    /// The same, to the service.
    #[error("cannot start a thread: {0}{NO_MORE_THREADS}")]
    ServiceThread(#[source] io::Error),
    /// Whatever else went wrong.
    #[error("{0}")]
    Failed(String),
}

/// What the user of `powd serve` can do where it gets too few threads.
const NO_MORE_THREADS: &str =
    ": the system gives no more threads (ulimit -u, TasksMax=, pids.max), --workers asks for fewer";

impl Error {
    /// What the parser of the command line says, about the value of an environment variable if one
    /// is at fault.
    pub(super) fn of_parser(mut error: clap::Error, variable: Option<&str>) -> Error {
        if !error.use_stderr()
            || error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        {
            return Error::Help(error);
        }
        hide_secret(&mut error);
        let told = one_line(&error.to_string());
        Error::Usage(match variable {
            Some(variable) => format!("{variable}: {told}"),
            None => told,
        })
    }

    /// Whoever read our output has seen enough: `powd solve ... | head -1`.
    fn is_closed_pipe(&self) -> bool {
        matches!(self, Error::Stream(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// For commands whose exit code is a verdict: it stands, whether or not somebody read the
    /// output.
    pub(super) fn unless_closed_pipe(outcome: Result<(), Error>) -> Result<(), Error> {
        match outcome {
            Err(error) if error.is_closed_pipe() => Ok(()),
            outcome => outcome,
        }
    }

    /// Tells the user on standard error, and gives the exit code.
    pub(super) fn report(self, stderr: &mut impl Write) -> ExitCode {
        match self {
            Error::Help(help) => match help.print() {
                Ok(()) => ExitCode::from(help.exit_code() as u8),
                Err(error) => Error::Stream(error).report(stderr),
            },
            error if error.is_closed_pipe() => ExitCode::SUCCESS,
            Error::Usage(_) => {
                self.tell(stderr);
                ExitCode::from(2)
            }
            _ => {
                self.tell(stderr);
                ExitCode::FAILURE
            }
        }
    }

    fn tell(&self, stderr: &mut impl Write) {
        // Not `eprintln!`, which panics when nobody is left to read it. In one write: the line
        // stays whole.
        let _ = stderr.write_all(format!("powd: {self}\n").as_bytes());
    }
}

/// What the user of `powd serve` can do about it: the server knows no flags.
fn remedy(error: &ServerError) -> &'static str {
    match error {
        ServerError::Engine(EngineError::Start(source))
            if source.kind() == io::ErrorKind::WouldBlock =>
        {
            NO_MORE_THREADS
        }
        ServerError::Engine(EngineError::Start(_) | EngineError::Failed) => "",
    }
}

fn remedy_of_address(error: &ListenError, flag: &str) -> String {
    let ListenError { address, source } = error;
    let told = match (address, source.kind()) {
        (Address::Tcp(address), _) if source.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            return match address.is_ipv6() {
                true => format!(": this system has no IPv6, listen on IPv4: {flag} 0.0.0.0:PORT"),
                false => format!(": this system has no IPv4, listen on IPv6: {flag} [::]:PORT"),
            };
        }
        (Address::Tcp(_), io::ErrorKind::AddrInUse) => {
            return format!(": something listens there already, choose another port with {flag}");
        }
        (Address::Tcp(_), io::ErrorKind::PermissionDenied) => {
            "ports below 1024 need a privilege: choose a higher one, or have a supervisor hand over the socket (powd.socket)"
        }
        (Address::Tcp(_), io::ErrorKind::AddrNotAvailable) => {
            "no interface of this machine has that address; 0.0.0.0 stands for all that there are"
        }
        (Address::Unix(_), io::ErrorKind::AddrInUse) => {
            return format!(": something listens there already, choose another path with {flag}");
        }
        (Address::Unix(_), io::ErrorKind::AlreadyExists) => {
            return format!(": it is left alone, choose another path with {flag}");
        }
        (Address::Unix(_), io::ErrorKind::NotFound) => {
            "there is no such directory, make it, or choose another path"
        }
        (Address::Unix(_), io::ErrorKind::PermissionDenied) => {
            "this user may not write to that directory, choose another path"
        }
        _ => return String::new(),
    };
    format!(": {told}")
}

impl From<RestrictError> for Error {
    fn from(error: RestrictError) -> Error {
        let told = format!("--cpus: {error}");
        match error {
            RestrictError::Unusable { .. } | RestrictError::TooHigh(_) => Error::Usage(told),
            RestrictError::Refused(_) => Error::Failed(told),
        }
    }
}

/// The address of a broker may have a password in it, and this line may be kept in a log. No part of
/// the value is shown: clap splits it at commas, so it may be a piece of a password.
fn hide_secret(error: &mut clap::Error) {
    let is_secret = matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(flag)) if flag.starts_with("--nats <")
    );
    if is_secret && error.get(ContextKind::InvalidValue).is_some() {
        let hidden = ContextValue::String("(not shown)".to_owned());
        error.insert(ContextKind::InvalidValue, hidden);
    }
}

/// What clap has to say, without the usage and the pointer to `--help`, on one line.
fn one_line(text: &str) -> String {
    let told = text.lines().map(str::trim).take_while(|line| {
        !line.starts_with("Usage:") && !line.starts_with("For more information")
    });
    let mut whole = String::new();
    for line in told.filter(|line| !line.is_empty()) {
        whole += match whole.chars().last() {
            None => "",
            Some(':') => " ",
            Some(_) => "; ",
        };
        whole += line;
    }
    whole.strip_prefix("error: ").unwrap_or(&whole).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clap_says_fits_one_line() {
        let text = "error: invalid value 'x' for '--framing <F>'\n  [possible values: lines, reads]\n\nFor more information, try '--help'.\n";
        assert_eq!(
            one_line(text),
            "invalid value 'x' for '--framing <F>'; [possible values: lines, reads]"
        );
    }
}
