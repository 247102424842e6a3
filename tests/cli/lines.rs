//! The lines that `solve` and `verify` read: bounded, and ended as programs on Windows end them
//! too.

use std::io::{Read as _, Write as _};
use std::thread;

use powd_testkit::oracle::check;
use powd_testkit::program::{expect_one_line, start};
use powd_testkit::wait;

use crate::POWD;

#[test]
fn a_line_without_end_is_told_by_its_number_and_takes_no_memory() {
    for (name, first, longest) in [
        ("solve", "one\ntwo\n", 65_536),
        ("verify", "one\ntwo\n", 65_619),
    ] {
        let mut child = start(POWD.command(&[name, "-d", "0"]));
        let mut stdin = child.stdin.take().expect("it was piped");
        let mut stdout = child.stdout.take().expect("it was piped");
        let mut stderr = child.stderr.take().expect("it was piped");
        // Ends when powd does: what kept all of the line would fill the memory, and never end.
        let writing = thread::spawn(move || {
            stdin.write_all(first.as_bytes()).expect("it reads");
            while stdin.write_all(&[b'x'; 4096]).is_ok() {}
        });
        assert_eq!(wait::for_end(&mut child).code(), Some(1));
        writing.join().expect("no panic");
        let (mut out, mut told) = (String::new(), String::new());
        stdout.read_to_string(&mut out).expect("text");
        stderr.read_to_string(&mut told).expect("text");
        assert_eq!(
            out.lines().count(),
            2,
            "{name}: those before it are dealt with: {out}"
        );
        let expected = format!("powd: line 3 of standard input is longer than {longest} bytes");
        assert!(told.starts_with(&expected), "{name}: {told}");
        assert_eq!(told.lines().count(), 1, "{name}: {told}");
    }
}

#[test]
fn the_longest_message_is_solved_and_its_reply_verified_and_one_byte_more_is_not() {
    let longest = "x".repeat(65_536);
    let solved = POWD.run_with_input(&["solve", "-d", "1"], longest.as_bytes());
    assert_eq!(solved.status.code(), Some(0));
    let reply = solved.stdout.strip_suffix(b"\n").expect("a line");
    check(reply, longest.as_bytes(), 1);
    let verified = POWD.run_with_input(&["verify", "-d", "1"], &solved.stdout);
    assert_eq!(verified.status.code(), Some(0));
    let more = longest + "x";
    for input in [more.clone(), more.clone() + "\n"] {
        let output = POWD.run_with_input(&["solve", "-d", "1"], input.as_bytes());
        let told = expect_one_line(&output, 1, "one byte more");
        assert!(told.contains("line 1 of standard input"), "{told}");
    }
    let told = expect_one_line(&POWD.run(&["solve", "first", &more]), 2, "as an argument");
    assert!(
        told.contains("argument 2 is longer than 65536 bytes"),
        "{told}"
    );
}

#[test]
fn verify_takes_a_carriage_return_for_the_end_of_a_line() {
    let solved = POWD.run(&["solve", "-d", "2", "hello", "with\r"]);
    let replies = String::from_utf8(solved.stdout).expect("text");
    let crlf = replies.replace('\n', "\r\n");
    let unended = crlf.strip_suffix('\n').expect("an end");
    for input in [&*crlf, unended] {
        let verified = POWD.run_with_input(&["verify", "-d", "2"], input.as_bytes());
        assert_eq!(verified.status.code(), Some(0), "{input:?}");
    }
    let arguments: Vec<&str> = crlf.split_terminator('\n').collect();
    let verified = POWD.run(&[&["verify", "-d", "2"], &arguments[..]].concat());
    assert_eq!(verified.status.code(), Some(0));
    // One only.
    let twice = crlf.replace('\r', "\r\r");
    let verified = POWD.run_with_input(&["verify", "-d", "2"], twice.as_bytes());
    assert_eq!(verified.status.code(), Some(1));
}

#[test]
fn a_check_of_nothing_is_no_success() {
    let told = expect_one_line(&POWD.run(&["verify"]), 1, "no input");
    assert!(told.contains("nothing to check"), "{told}");
    // An empty line is a line, and no reply.
    let output = POWD.run_with_input(&["verify"], b"\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.starts_with(b"line 1: not message,seed,hash"));
    // Whoever asks for no solutions has them all.
    assert_eq!(POWD.run_with_input(&["solve"], b"").status.code(), Some(0));
}
