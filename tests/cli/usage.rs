//! What is asked for wrongly, or cannot be had: one line that says so and what is allowed, exit
//! code 2 or 1.

use std::net::TcpListener;
#[cfg(unix)]
use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use powd_testkit::program::{expect_one_line, run};

use crate::POWD;

#[test]
fn wrong_values_are_told_in_one_line_before_anything_is_bound() {
    // A port that is taken: had anything been bound first, the exit code would be 1.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listen = taken.local_addr().expect("bound").to_string();
    for wrong in [
        &["--listen", "localhost"][..],
        &["--listen", "127.0.0.1"],
        &["--listen", "127.0.0.1:70000"],
        &["--listen", "127.0.0.1:1@65"],
        &["--listen", "127.0.0.1:1@"],
        &["--listen", "unix:"],
        &["--listen", "unix:@3"],
        &["--proxy-protocol", "everyone"],
        &["--proxy-protocol", "unix:/run/powd.sock"],
        &["-d", "65"],
        &["-d", "-1"],
        &["--difficulty", "three"],
        &["--difficulty", ""],
        &["--workers", "0"],
        &["--workers", "many"],
        &["--kernel", "fastest"],
        &["--kernel", ""],
        &["--kernel", "PORTABLE"],
        &["--seed-length", "0"],
        &["--seed-length", "17"],
        &["--framing", "words"],
        &["--max-message-bytes", "0"],
        &["--max-message-bytes", "65537"],
        &["--max-message-bytes", "8k"],
        &["--max-connections", "0"],
        &["--max-connections-per-ip", "0"],
        &["--idle-timeout", "5"],
        &["--idle-timeout", "soon"],
        &["--idle-timeout", "0s"],
        &["--half-close-timeout", "-1s"],
        &["--deadline", "5 parsecs"],
        &["--deadline", "0s"],
        &["--drain-timeout", ""],
        &["--allow", "10.0.0.0/33"],
        &["--allow", "everyone"],
        &["--rng-seed", "-1"],
        &["--rng-seed", "0x10"],
        &["--listen", &listen],
        #[cfg(feature = "http")]
        &["--http", &listen],
        #[cfg(feature = "http")]
        &["--http", "127.0.0.1:0", "-d", "3", "--max-difficulty", "2"],
        #[cfg(feature = "nats")]
        &["--nats", "nats://127.0.0.1:1", "-d", "11"],
        &["--no-such-flag"],
        &["no-such-argument"],
    ] {
        let arguments = [&["serve", "--listen", &listen][..], wrong].concat();
        let told = expect_one_line(&POWD.run(&arguments), 2, &format!("{wrong:?}"));
        assert!(told.len() > "powd: ".len() + 10, "{told}");
    }
}

#[cfg(unix)]
#[test]
fn a_wrong_value_is_told_with_the_flag_or_the_variable_that_set_it() {
    let told = |arguments: &[&str], variable: &str, value: &[u8]| {
        let mut command = POWD.command(&[&["serve"], arguments].concat());
        command.env(variable, OsStr::from_bytes(value));
        expect_one_line(&run(command, b""), 2, &format!("{variable} {arguments:?}"))
    };
    let mut health = POWD.command(&["health"]);
    health.env("POWD_ADMIN", "9100");
    let of_health = expect_one_line(&run(health, b""), 2, "health");
    assert!(of_health.starts_with("powd: POWD_ADMIN: "), "{of_health}");
    for (variable, value) in [
        ("POWD_DIFFICULTY", &b"three"[..]),
        ("POWD_LISTEN", b"127.0.0.1:0,here"),
        ("POWD_NO_PIN", b"maybe"),
        ("POWD_ALLOW", b"\xff"),
    ] {
        let told = told(&[], variable, value);
        assert!(told.starts_with(&format!("powd: {variable}: ")), "{told}");
    }
    // What is typed counts; and a wrong value that looks like a flag is a wrong value.
    for typed in ["-1", "--no-pin"] {
        let told = told(&["--workers", typed], "POWD_WORKERS", b"0");
        let expected = format!("powd: invalid value '{typed}' for '--workers <N>': ");
        assert!(told.starts_with(&expected), "{told}");
    }
}

/// Where a service is configured by variables, people ask for help and versions too.
#[test]
fn variables_change_nothing_for_commands_that_do_not_read_them() {
    for arguments in [
        &[][..],
        &["--help"],
        &["--version"],
        &["help", "solve"],
        &["bogus"],
        &["serve", "--bogus"],
        &["solve", "--help"],
        &["solve", "-d", "65"],
        &["verify", "--bogus"],
        &["speed", "--threads", "0"],
        &["load"],
        &["health", "--help"],
        &["health", "nonsense"],
        &["completions"],
        &["man"],
    ] {
        let plain = POWD.run(arguments);
        let mut command = POWD.command(arguments);
        // Right and wrong ones, one of them the same as what is typed.
        command
            .env("POWD_DIFFICULTY", "65")
            .env("POWD_WORKERS", "2")
            .env("POWD_NO_PIN", "true");
        assert_eq!(run(command, b""), plain, "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn help_that_cannot_be_written_is_an_error() {
    for argument in ["--help", "--version"] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut command = POWD.command(&[argument]);
        let output = command
            .stdout(full.expect("Linux has it"))
            .output()
            .expect("powd can be started");
        expect_one_line(&output, 1, argument);
    }
}

#[test]
fn extreme_values_are_told_in_one_line() {
    const HUGE: &str = "18446744073709551615";
    const HUGE_TIME: &str = "18446744073709551615s";
    let years = "366d";
    for (arguments, allowed) in [
        (&["serve", "--drain-timeout", HUGE_TIME][..], "365d"),
        (&["serve", "--drain-timeout", years], "365d"),
        (&["serve", "--idle-timeout", HUGE_TIME], "365d"),
        (&["serve", "--half-close-timeout", HUGE_TIME], "365d"),
        (&["serve", "--deadline", HUGE_TIME], "365d"),
        (&["serve", "--workers", HUGE], "1 to 10000"),
        (&["serve", "--max-connections", "abc"], "1 or more"),
        (&["serve", "--max-connections", "0"], "1 or more"),
        (&["solve", "--threads", HUGE, "x"], "1 to 10000"),
        (&["speed", "--threads", HUGE], "1 to 10000, or all"),
        (&["speed", "--seconds", "1000000000000"], "3600"),
        (&["speed", "--message-bytes", HUGE], "0 to 65536"),
        (&["load", "127.0.0.1:1", "-c", HUGE], "1 to 1000000"),
        (&["load", "127.0.0.1:1", "-P", HUGE], "1 to 1000000"),
        (&["load", "127.0.0.1:1", "-s", HUGE], "31536000"),
        (&["load", "127.0.0.1:1", "--threads", HUGE], "1 to 10000"),
        (&["load", "127.0.0.1:1", "--warmup", HUGE_TIME], "365d"),
        (&["load", "127.0.0.1:1", "--timeout", HUGE_TIME], "365d"),
        (
            &["load", "127.0.0.1:1", "--message-bytes", HUGE],
            "0 to 65536",
        ),
        (
            &["load", "127.0.0.1:1", "--message-bytes", "x"],
            "0 to 65536",
        ),
        (
            &["load", "127.0.0.1:1", "--rate", "x"],
            "0.001 to 1000000000",
        ),
        (
            &["load", "127.0.0.1:1", "--rate", "1e300"],
            "0.001 to 1000000000",
        ),
        (
            &["load", "127.0.0.1:1", "--rate", "nan"],
            "0.001 to 1000000000",
        ),
    ] {
        let told = expect_one_line(&POWD.run(arguments), 2, &format!("{arguments:?}"));
        assert!(told.contains(allowed), "{arguments:?}: {told}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn threads_that_the_system_does_not_give_are_told_in_one_line() {
    for arguments in [
        &["solve", "--threads", "3", "--kernel", "portable", "x"][..],
        &[
            "speed",
            "--threads",
            "1",
            "--kernel",
            "portable",
            "--seconds",
            "0.1",
        ],
        &["load", "127.0.0.1:1", "--threads", "3"],
        &["serve", "--listen", "127.0.0.1:0", "--kernel", "portable"],
    ] {
        let mut command = POWD.command(arguments);
        // A stack that fills the address space: no thread can be had. A number beyond `usize` would
        // be ignored.
        let stack: u64 = if cfg!(target_pointer_width = "64") {
            1 << 47
        } else {
            3 << 30
        };
        command.env("RUST_MIN_STACK", stack.to_string());
        let told = expect_one_line(&run(command, b""), 1, &format!("{arguments:?}"));
        assert!(told.contains("cannot start a thread"), "{told}");
        // It has no such flag.
        let is_of_others = arguments[0] == "serve" && told.contains("--threads");
        assert!(!is_of_others, "{told}");
    }
}

#[test]
fn a_wrong_line_says_what_is_wrong_and_what_is_allowed() {
    for (arguments, said) in [
        (&["serve", "-d", "65"][..], &["65", "0 to 64"][..]),
        (&["serve", "--kernel", "quantum"], &["quantum", "portable"]),
        (
            &["serve", "--framing", "words"],
            &["words", "lines", "reads"],
        ),
        (&["serve", "--deadline", "5"], &["5", "300ms"]),
        (&["serve", "--allow", "x"], &["x", "10.0.0.0/8"]),
        (&["serve", "--seed-length", "99"], &["99", "1 to 16"]),
        (
            &["solve", "--kernel", "quantum", "x"],
            &["quantum", "portable"],
        ),
        (&["solve", "a\nb"], &["newline"]),
        (&["verify", "a\nb"], &["newline"]),
        (&["solve", "-d", "-1", "x"], &["-1", "0 to 64"]),
        (&["serve", "--workers", "-2"], &["-2", "1 to 10000"]),
        (
            &["speed", "--threads", "9999"],
            &["9999", "CPUs that this process may use"],
        ),
        (&["verify", "-d", "x"], &["x", "0 to 64"]),
        (&["load"], &["not provided: <ADDR:PORT>"]),
    ] {
        let told = expect_one_line(&POWD.run(arguments), 2, &format!("{arguments:?}"));
        for words in said {
            assert!(
                told.contains(words),
                "{arguments:?}: no {words:?} in {told:?}"
            );
        }
    }
}

#[test]
fn a_port_in_use_is_told_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listen = taken.local_addr().expect("bound").to_string();
    let output = POWD.run(&["serve", "--kernel", "portable", "--listen", &listen]);
    let told = expect_one_line(&output, 1, "a port in use");
    assert!(told.contains(&listen), "{told}");
}

#[test]
fn an_address_given_twice_is_told_before_anything_is_bound() {
    // Taken: had anything been bound first, the exit code would be 1.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listen = taken.local_addr().expect("bound").to_string();
    let again = format!("{listen}@5");
    let output = POWD.run(&["serve", "--listen", &listen, "--listen", &again]);
    let told = expect_one_line(&output, 2, "an address twice");
    assert!(told.contains(&listen) && told.contains("twice"), "{told}");
}

#[test]
fn an_address_beside_all_addresses_is_told_before_anything_is_bound() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listen = taken.local_addr().expect("bound").to_string();
    let all = listen.replace("127.0.0.1", "0.0.0.0");
    for [first, second] in [[&listen, &all], [&all, &listen]] {
        let output = POWD.run(&["serve", "--listen", first, "--listen", second]);
        let told = expect_one_line(&output, 2, "an address beside all");
        let expected = format!("--listen {all} takes --listen {listen} too");
        assert!(told.contains(&expected), "{told}");
    }
}

#[test]
fn an_address_of_no_interface_is_told_in_one_line() {
    // TEST-NET-1 (RFC 5737): nobody's.
    let output = POWD.run(&["serve", "--kernel", "portable", "--listen", "192.0.2.1:0"]);
    expect_one_line(&output, 1, "a foreign address");
}

#[test]
fn without_a_command_it_tells_what_there_is() {
    let output = POWD.run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).expect("text");
    for name in ["serve", "solve", "verify", "speed", "load"] {
        assert!(help.contains(name));
        assert_eq!(POWD.run(&[name, "--help"]).status.code(), Some(0));
    }
    assert_eq!(POWD.run(&[]).status.code(), Some(2));
    expect_one_line(&POWD.run(&["no-such-command"]), 2, "an unknown command");
}
