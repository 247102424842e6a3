//! `powd` run to its end, and what it said.

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use super::{command, wait};

/// Runs `powd` with these arguments to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    end(command(arguments), b"")
}

/// Runs it with `input` on standard input.
pub(crate) fn run_with_input(arguments: &[&str], input: &[u8]) -> Output {
    end(command(arguments), input)
}

/// Starts `command` with a pipe for each of its streams.
pub(crate) fn start(mut command: Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("powd can be started")
}

/// Runs `command` to its end, which must come in time.
pub(crate) fn end(command: Command, input: &[u8]) -> Output {
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
        // Fails when it ends without having read all, which is its own affair.
        scope.spawn(move || stdin.write_all(input));
        let stdout = scope.spawn(move || read_all(&mut stdout));
        let stderr = scope.spawn(move || read_all(&mut stderr));
        Output {
            status: wait(&mut child),
            stdout: stdout.join().expect("no panic"),
            stderr: stderr.join().expect("no panic"),
        }
    })
}

/// Nothing on standard output, one line on standard error that begins with the program's name.
pub(crate) fn expect_one_line(output: &Output, code: i32, what: &str) -> String {
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
