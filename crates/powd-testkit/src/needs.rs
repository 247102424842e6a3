//! What a test needs and this machine may lack: another program, or something that the system
//! allows. A test that is left out says so where somebody sees it.

use std::fs::OpenOptions;
use std::io::{Write as _, stderr};
use std::process::Command;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Whether there is such a program on this machine.
pub fn is_there(program: &str) -> bool {
    let version = Command::new(program).arg("--version").output();
    // A missing program is an error here, but an emulator makes a failure of its own of it.
    version.is_ok_and(|version| version.status.success())
}

/// For a test that cannot run because a program is missing on this machine: leaves it out. With
/// `POWD_REQUIRE_TOOLS` in the environment, as in CI, the test fails.
pub fn skip(why: &str) {
    assert!(std::env::var_os("POWD_REQUIRE_TOOLS").is_none(), "{why}");
    leave_out(why);
}

/// For a test, or a part of one, that cannot run because this machine does not allow it, which
/// nobody can install: says so on standard error, and in the file that `POWD_LEFT_OUT` names, which
/// CI shows at its end.
pub fn leave_out(why: &str) {
    // The test harness gives the thread of a test its name.
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not by `eprintln!`: what a test prints with that is shown only if the test fails. Nobody to
    // hear it is no reason to fail.
    let _ = stderr().write_all(format!("left out: {test}: {why}\n").as_bytes());
    if let Some(path) = std::env::var_os("POWD_LEFT_OUT") {
        let list = OpenOptions::new().append(true).create(true).open(path);
        let mut list = list.expect("POWD_LEFT_OUT is a file that can be written to");
        let written = list.write_all(format!("    {test}: {why}\n").as_bytes());
        written.expect("there is room for a line");
    }
}

/// How many connections this process may have open, up to `wanted`. The limit of open files is
/// raised for them; where the hard limit does not allow them all, that is said.
pub fn connections(wanted: usize) -> usize {
    // What else is open.
    const OTHERS: u64 = 200;
    let limit = getrlimit(Resource::Nofile);
    let needed = wanted as u64 + OTHERS;
    let granted = limit.maximum.map_or(needed, |most| most.min(needed));
    if limit.current.is_some_and(|now| now < granted) {
        let current = Some(granted);
        let raised = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
        raised.expect("it may be raised so far");
    }
    let count = granted.saturating_sub(OTHERS) as usize;
    if count < wanted {
        leave_out(&format!(
            "all but {count} of {wanted} connections: the hard limit of open files is {granted}"
        ));
    }
    count
}
