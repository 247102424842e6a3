//! Errors that only some systems have: one line that says what can be done.

use std::process::Command;

use powd_testkit::process::without_variables;
use powd_testkit::program::{expect_one_line, run};
use powd_testkit::{is_there, leave_out, skip};

use crate::POWD;

#[test]
fn without_ipv6_powd_says_so_and_what_to_listen_on() {
    if !is_there("python3") {
        return skip("python3 is missing");
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/refused_call.py");
    let mut command = Command::new("python3");
    command.arg(script);
    for number in [
        libc::SYS_socket,
        libc::AF_INET6.into(),
        libc::EAFNOSUPPORT.into(),
    ] {
        command.arg(number.to_string());
    }
    command.args([
        POWD.path(),
        "serve",
        "--kernel",
        "portable",
        "--listen",
        "[::]:0",
    ]);
    let output = run(without_variables(command), b"");
    if output.status.code() == Some(77) {
        return leave_out("the system allows no seccomp filter");
    }
    let told = expect_one_line(&output, 1, "no IPv6");
    assert!(
        told.contains("no IPv6") && told.contains("--listen 0.0.0.0:PORT"),
        "{told}"
    );
}
