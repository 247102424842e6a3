//! The built `powd`: run to its end, or started as a service.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use crate::process::without_variables;
use crate::{Powd, wait};

/// The program under test.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    path: &'static str,
}

impl Program {
    /// The program in this file: `env!("CARGO_BIN_EXE_powd")`.
    pub const fn at(path: &'static str) -> Program {
        Program { path }
    }

    /// Its file.
    pub fn path(self) -> &'static str {
        self.path
    }

    /// The directory that cargo builds into, two above the program: `target`.
    pub(crate) fn target_directory(self) -> PathBuf {
        let directory = Path::new(self.path).ancestors().nth(2);
        directory.expect("cargo built it").to_owned()
    }

    /// A command with these arguments, none of the caller's `POWD_...` variables, and closed
    /// standard input.
    pub fn command(self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path);
        command.args(arguments).stdin(Stdio::null());
        without_variables(command)
    }

    /// A shell that runs `script`, in which the program is `$0` and the arguments are `$1`, `$2`,
    /// ...
    pub fn in_shell(self, script: &str, arguments: &[&str]) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script, self.path]).args(arguments);
        without_variables(shell)
    }

    /// Runs it with these arguments to its end.
    pub fn run(self, arguments: &[&str]) -> Output {
        run(self.command(arguments), b"")
    }

    /// Runs it with `input` on standard input.
    pub fn run_with_input(self, arguments: &[&str], input: &[u8]) -> Output {
        run(self.command(arguments), input)
    }

    /// Serves with these flags; on one free port, unless they say `--listen`.
    pub fn serve(self, flags: &[&str]) -> Powd {
        let mut command = self.command(&["serve"]);
        let listeners = flags.iter().filter(|flag| **flag == "--listen").count();
        if listeners == 0 {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        // Tests run side by side, on the same CPUs.
        command.args(["--no-pin"]).args(flags);
        Powd::start(command, listeners.max(1))
    }
}

/// Starts `command` with a pipe for each of its streams.
pub fn start(mut command: Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started")
}

/// Runs `command` to its end, which must come before the deadline.
pub fn run(command: Command, input: &[u8]) -> Output {
    let mut child = start(command);
    let mut stdin = child.stdin.take().expect("it was piped");
    let mut stdout = child.stdout.take().expect("it was piped");
    let mut stderr = child.stderr.take().expect("it was piped");
    let read_all = |stream: &mut dyn Read| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("a pipe");
        bytes
    };
    thread::scope(|scope| {
        // A program may end before it has read all of it.
        scope.spawn(move || stdin.write_all(input));
        let stdout = scope.spawn(move || read_all(&mut stdout));
        let stderr = scope.spawn(move || read_all(&mut stderr));
        Output {
            status: wait::for_end(&mut child),
            stdout: stdout.join().expect("no panic"),
            stderr: stderr.join().expect("no panic"),
        }
    })
}

/// What powd prints for every error: nothing on standard output, one line on standard error that
/// begins with the program's name. Returns the line.
pub fn expect_one_line(output: &Output, code: i32, what: &str) -> String {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{what}: {told}");
    assert!(output.stdout.is_empty(), "{what}");
    assert_eq!(told.matches('\n').count(), 1, "{what}: {told:?}");
    assert!(
        told.starts_with("powd: ") && told.ends_with('\n'),
        "{what}: {told:?}"
    );
    told
}
