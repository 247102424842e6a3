//! `powd load` as a command: what it prints, its exit codes, and those flags whose effect a server
//! sees.
//!
//! Runs end after some requests, or by an interrupt: what the clock ends may have got no reply yet
//! on a slow machine.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use powd_testkit::process::signal;
use powd_testkit::program::{expect_one_line, run, start};
use powd_testkit::small_servers::{answering, counting, reply, serve};
use powd_testkit::{DEADLINE, reserved_port, until};
use serde_json::Value;

use crate::POWD;

/// Its exit code, and what it wrote to each output.
fn powd_load(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = POWD.run(&[&["load"], arguments].concat());
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// What it measured, as `--json` tells it.
fn measured(arguments: &[&str]) -> Value {
    let (_, out, err) = powd_load(&[arguments, &["--json"]].concat());
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("no JSON: {out}{err}"))
}

/// Interrupts it; its exit code and what it has measured.
fn interrupted(load: Child) -> (Option<i32>, Value) {
    signal(load.id(), "INT");
    let output = load.wait_with_output().expect("it ends");
    let report = serde_json::from_slice(&output.stdout).expect("JSON");
    (output.status.code(), report)
}

#[test]
fn the_command_prints_json_or_a_table_and_nothing_else_in_a_pipe() {
    let address = answering(|message| reply(message) + "\n").to_string();
    let base = [address.as_str(), "-c", "3", "-P", "2", "-n", "200"];
    let (code, out, err) = powd_load(&[&base[..], &["-d", "0", "--json"]].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let json: Value = serde_json::from_str(&out).expect("JSON");
    for (pointer, value) in [
        ("/connections", 3),
        ("/pipeline", 2),
        ("/message_bytes", 20),
        ("/difficulty", 0),
        ("/wrong/total", 0),
    ] {
        assert_eq!(json.pointer(pointer), Some(&value.into()), "{pointer}");
    }
    for pointer in [
        "/replies_per_s",
        "/hashes_per_s",
        "/latency/p50_ms",
        "/latency/p999_ms",
    ] {
        let value = json.pointer(pointer).and_then(Value::as_f64);
        assert!(value.is_some_and(|value| value > 0.0), "{pointer}");
    }
    assert!(
        json["errors"]
            .as_object()
            .is_some_and(serde_json::Map::is_empty)
    );

    let (code, out, err) = powd_load(&base);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for word in [
        "replies/s",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "errors",
        "wrong",
    ] {
        assert!(
            out.lines().any(|line| line.starts_with(word)),
            "{word}: {out}"
        );
    }
}

#[test]
fn an_interrupt_ends_early_with_what_was_measured() {
    let (answered, count) = mpsc::channel();
    let address = answering(move |message| {
        // Nobody counts any more once the interrupt was sent.
        let _ = answered.send(());
        reply(message) + "\n"
    });
    let load = ["load", &address.to_string(), "-c", "2", "-s", "1000"];
    let child = start(POWD.command(&[&load[..], &["--warmup", "0s", "--json"]].concat()));
    for _ in 0..10_000 {
        count.recv_timeout(DEADLINE).expect("it asks");
    }
    drop(count);
    let (code, report) = interrupted(child);
    assert_eq!(code, Some(0));
    assert!(
        report["replies"]
            .as_u64()
            .is_some_and(|replies| replies > 0)
    );
    assert!(
        report["seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds < 900.0)
    );
}

#[test]
fn one_thread_is_enough_where_one_is_asked_for() {
    let address = answering(|message| reply(message) + "\n").to_string();
    let report = measured(&[&address, "-c", "3", "--threads", "1", "-s", "0.1"]);
    assert_eq!(report["threads"], 1);
}

#[test]
fn with_a_rate_it_asks_when_the_clock_says_so() {
    let (address, asked) = counting();
    // One is due at the start, the next after 1000 s. The closed loop asks again and again.
    let flags = ["-c", "1", "-P", "9", "-s", "0.3", "--rate", "0.001"];
    let report = measured(&[&[&*address.to_string()], &flags[..]].concat());
    assert_eq!(report["rate"], 0.001);
    assert!(asked.load(Ordering::Relaxed) <= 1, "{report}");
}

#[test]
fn a_fixed_message_is_all_that_it_asks() {
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let asked = Arc::clone(&seen);
    let address = answering(move |message| {
        asked.lock().expect("a set").insert(message.to_owned());
        reply(message) + "\n"
    });
    let flags = ["-c", "2", "-n", "20", "--fixed-message", "always, this"];
    let report = measured(&[&[&*address.to_string()], &flags[..]].concat());
    assert_eq!(report["message_bytes"], 12);
    assert_eq!(report["wrong"]["total"], 0);
    let seen = seen.lock().expect("a set");
    assert_eq!(*seen, HashSet::from(["always, this".to_owned()]));
}

#[test]
fn a_connection_without_a_reply_is_given_up_after_the_timeout() {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let address = serve(move |_, mut silent| {
        count.fetch_add(1, Ordering::Relaxed);
        drop(silent.read_to_end(&mut Vec::new()));
    });
    let load = ["load", &address.to_string(), "-c", "1", "-s", "1000"];
    let flags = ["--timeout", "50ms", "--json"];
    let child = start(POWD.command(&[&load[..], &flags].concat()));
    // By default it would give up its third in a minute and a half.
    until("a fourth connection", || {
        opened.load(Ordering::Relaxed) >= 4
    });
    let (code, report) = interrupted(child);
    assert_eq!(code, Some(1), "no replies");
    let timeouts = report["errors"]["timeout"].as_u64();
    assert!(timeouts.is_some_and(|timeouts| timeouts >= 3), "{report}");
}

#[test]
fn what_a_server_says_cannot_move_the_terminal() {
    const CLEAR: &[u8] = b"ERR \x1b[2J now\nno reply \x1b[2J\n";
    let address = serve(|_, mut stream| {
        let mut request = [0; 1000];
        while stream.read(&mut request).is_ok_and(|bytes| bytes > 0) {
            if stream.write_all(CLEAR).is_err() {
                return;
            }
        }
    });
    let flags = ["-c", "1", "-P", "2", "-n", "20"];
    let (_, out, err) = powd_load(&[&[&*address.to_string()], &flags[..]].concat());
    assert!(out.contains("ERR \\x1b[2J"), "{out}");
    assert!(out.contains("no reply \\x1b[2J"), "{out}");
    assert!(!(out + &err).contains('\x1b'));
}

#[cfg(target_os = "linux")]
#[test]
fn threads_that_memory_does_not_suffice_for_are_told_in_one_line() {
    let (_reserved, closed) = reserved_port();
    let closed = closed.to_string();
    // Enough for the memory, with stacks of 2 MiB, and few enough for any limit of open files.
    let load = [
        "load",
        &closed,
        "-c",
        "300",
        "--threads",
        "300",
        "-s",
        "1000",
    ];
    // Where the last of it goes to a small allocation in place of a stack, there is nothing left to
    // say so with, as in any program. So more than one size.
    let told = [200_000, 200_700, 201_400, 202_100].map(|kib| {
        let script = format!(r#"ulimit -v {kib}; exec "$0" "$@""#);
        let mut shell = POWD.in_shell(&script, &load);
        // std reports a failed allocation with a backtrace if one is wanted. That takes memory, and
        // where it does not get it, std can wait for ever on the lock it holds itself.
        shell.env("RUST_BACKTRACE", "0");
        run(shell, b"")
    });
    let told = told.iter().find(|output| output.status.code() == Some(1));
    let told = told.expect("an error, not an abort");
    let told = expect_one_line(told, 1, "300 threads in 200 MB");
    assert!(told.contains("cannot start a thread"), "{told}");
}

#[cfg(feature = "http")]
#[test]
fn the_open_files_that_are_said_to_be_needed_suffice() {
    let silent = serve(|_, mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let server = format!("http://{silent}");
    let load = ["load", &server, "-c", "100", "--threads", "100", "--json"];
    let with = |files: &str| {
        let script = format!(r#"ulimit -n {files}; exec "$0" "$@""#);
        run(
            POWD.in_shell(&script, &[&load[..], &["-s", "0.1"]].concat()),
            b"",
        )
    };
    // Enough for the connections alone.
    let told = expect_one_line(&with("300"), 1, "300 open files");
    let needed = told.split(' ').find(|word| word.parse::<u32>().is_ok());
    let output = with(needed.expect("a number"));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["open_at_end"], 100, "{report}");
    assert_eq!(report["errors"], serde_json::json!({}), "{report}");
}

#[test]
fn exit_codes() {
    let wrong = answering(|_| reply("other") + "\n").to_string();
    let (code, out, _) = powd_load(&[&wrong, "-c", "1", "-n", "20"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("not the message that was asked"), "{out}");

    let (_reserved, closed) = reserved_port();
    let closed = closed.to_string();
    let (code, out, err) = powd_load(&[&closed, "-n", "20"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("Connection refused"), "{err}");

    for arguments in [
        &["nowhere"][..],
        &[&closed, "-s", "0"],
        &[&closed, "-c", "0"],
        &[&closed, "--rate", "-5"],
        &[&closed, "--pin", "4095"],
        &[&closed, "--fixed-message", "a", "--message-bytes", "3"],
    ] {
        let (code, out, err) = powd_load(arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
}

#[test]
fn a_wrong_flag_is_told_with_what_is_allowed() {
    for (flag, value, allowed) in [
        ("--timeout", "0s", "expected a time above 0 with its unit"),
        (
            "--fixed-message",
            "a\nb",
            "a message must not contain a newline",
        ),
        (
            "--pin",
            "",
            "expected CPU numbers and ranges, such as 0,2-3",
        ),
        ("--pin", "0-70000", "a range has up to 65536 CPUs"),
        ("--rate", "0.0001", "0.001 to 1000000000"),
    ] {
        let output = POWD.run(&["load", "127.0.0.1:1", flag, value]);
        let told = expect_one_line(&output, 2, flag);
        assert!(told.contains(allowed), "{told}");
    }
}
