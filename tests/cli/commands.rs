//! The command line, from outside: what is printed where, and the exit codes that scripts rely on.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;

use powd_testkit::oracle::{check, hash, zeros};
use powd_testkit::ports::reserved_port_of_all;
use powd_testkit::program::{expect_one_line, run, start};
use powd_testkit::{Client, DEADLINE, Powd, leave_out, lines, messages, reserved_port, wait};
use serde_json::Value;

use crate::POWD;

fn kernels() -> Vec<String> {
    let output = POWD.run(&["--version"]);
    let text = String::from_utf8(output.stdout).expect("text");
    let kernels = text
        .lines()
        .find_map(|line| line.strip_prefix("kernels of this CPU: "));
    let kernels = kernels.unwrap_or_else(|| panic!("no kernels in {text:?}"));
    kernels.split(' ').map(str::to_owned).collect()
}

#[test]
fn version_tells_revision_compiler_and_kernels() {
    let output = POWD.run(&["--version"]);
    assert!(output.status.success() && output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    let [version, rustc, kernels] = lines[..] else {
        panic!("three lines, not {text:?}")
    };
    let (name, revision) = version.split_once(" (").expect("a revision in parentheses");
    assert_eq!(name, concat!("powd ", env!("CARGO_PKG_VERSION")));
    let revision = revision.strip_suffix(')').expect("closed");
    assert!(revision == "unknown" || revision.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert!(rustc.starts_with("rustc "), "{rustc}");
    assert!(
        kernels.ends_with("portable") || kernels.contains("portable "),
        "{kernels}"
    );
}

#[test]
fn every_kernel_of_this_cpu_serves() {
    for kernel in kernels() {
        let powd = POWD.serve(&["-d", "2", "--kernel", &kernel]);
        let announced = powd.wait_for_log("announcement", |line| line.contains("listening"));
        assert!(
            announced.ends_with(&format!(" kernel={kernel}")),
            "{announced}"
        );
        powd.connect().ask_all(&messages(200), 2);
    }
}

/// One that is less than half as fast as another by `powd speed`: no busy machine evens that out.
#[test]
fn the_log_names_a_faster_kernel_than_the_one_asked_for() {
    let output = POWD.run(&["speed", "--seconds", "0.1", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut rates = Vec::new();
    for row in report["rows"].as_array().expect("rows") {
        let kernel = row["kernel"].as_str().expect("a name");
        if kernel != "sha2" {
            rates.push((row["hashes_per_s"].as_f64().expect("a rate"), kernel));
        }
    }
    rates.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let [(slowest, kernel), .., (fastest, _)] = rates[..] else {
        return leave_out("this CPU has one kernel only");
    };
    if slowest * 2.0 > fastest {
        return leave_out("all kernels of this CPU are about as fast");
    }
    let powd = POWD.serve(&["--kernel", kernel]);
    let told = powd.wait_for_log("warning", |line| line.contains("is not the fastest here"));
    assert!(
        told.contains(&format!("kernel {kernel}, as asked for")),
        "{told}"
    );

    let powd = POWD.serve(&[]);
    let told = powd.wait_for_log("choice", |line| line.contains("fastest here"));
    assert!(told.contains(" is the fastest here: "), "{told}");
}

#[test]
fn the_announcement_names_address_difficulty_workers_and_kernel() {
    let other = if has_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
    let flags = ["--listen", "127.0.0.1:0@7", "--listen", other, "-d", "1"];
    let powd = POWD.serve(&[&flags[..], &["--workers", "3", "--kernel", "portable"]].concat());
    let [first, second] = powd.addresses() else {
        panic!("two listeners")
    };
    for (address, difficulty) in [(first, 7), (second, 1)] {
        assert_ne!(address.port(), 0);
        let line = format!(
            "powd: listening on {address} difficulty={difficulty} workers=3 kernel=portable"
        );
        powd.wait_for_log("announcement", |told| told == line);
    }
    Client::connect(*second).ask(b"over the other one", 1);
}

/// Some containers have none.
fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

#[test]
fn ipv4_and_ipv6_are_served_side_by_side_on_one_port() {
    if !has_ipv6() {
        return leave_out("the system has no IPv6");
    }
    let (_reserved, all) = reserved_port_of_all();
    let port = all.port();
    let [v4, v6] = ["0.0.0.0", "[::]"].map(|ip| format!("{ip}:{port}"));
    let _powd = POWD.serve(&["-d", "1", "--listen", &v4, "--listen", &v6]);
    for address in ["127.0.0.1", "[::1]"] {
        let address = format!("{address}:{port}").parse().expect("an address");
        Client::connect(address).ask(b"both", 1);
    }
}

#[test]
fn free_ports_are_another_each_time() {
    // So two of them are no address twice.
    POWD.serve(&["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]);
}

#[test]
fn every_flag_of_serve_has_its_variable() {
    let help = POWD.run(&["serve", "--help"]);
    let help = String::from_utf8(help.stdout).expect("text");
    let flags = help.lines().filter_map(|line| {
        let flag = line.split_whitespace().find(|word| word.starts_with("--"));
        let is_option = line.starts_with("  -") || line.starts_with("      --");
        flag.filter(|_| is_option)
            .map(|flag| flag.trim_start_matches("--").to_owned())
    });
    let flags: Vec<String> = flags.filter(|flag| flag != "help").collect();
    assert!(flags.len() >= 16, "{flags:?}");
    for flag in flags {
        let variable = format!("POWD_{}", flag.to_uppercase().replace('-', "_"));
        // What may have a password in it is not shown.
        let end = if variable == "POWD_NATS" { "]" } else { "=" };
        let shown = format!("[env: {variable}{end}");
        assert!(help.contains(&shown), "{variable}");
        // None of them takes this: that it is refused shows that it is read.
        let mut serve = POWD.command(&["serve"]);
        serve.env(&variable, "no such value");
        expect_one_line(&run(serve, b""), 2, &variable);
    }
}

#[test]
fn variables_are_heeded_and_flags_win() {
    let mut serve = POWD.command(&["serve", "-d", "1"]);
    serve
        .env("POWD_LISTEN", "127.0.0.1:0,127.0.0.1:0@2")
        .env("POWD_DIFFICULTY", "9")
        .env("POWD_WORKERS", "2")
        .env("POWD_NO_PIN", "true")
        .env("POWD_KERNEL", "portable")
        .env("POWD_SEED_LENGTH", "7")
        .env("POWD_MAX_MESSAGE_BYTES", "20")
        .env("POWD_MAX_CONNECTIONS", "10")
        .env("POWD_ALLOW", "127.0.0.0/8,::1")
        .env("POWD_RNG_SEED", "1")
        // Set to nothing is not set.
        .env("POWD_DEADLINE", "")
        .env("POWD_IDLE_TIMEOUT", "");
    let powd = Powd::start(serve, 2);
    let [first, second] = powd.addresses() else {
        panic!("two listeners")
    };
    powd.wait_for_log("announcement", |line| {
        line.ends_with("difficulty=1 workers=2 kernel=portable")
    });
    powd.wait_for_log("announcement", |line| {
        line.ends_with("difficulty=2 workers=2 kernel=portable")
    });
    let mut client = Client::connect(*first);
    client.send(b"seven\n");
    assert_eq!(client.reply(b"seven", 1).len(), 7);
    Client::connect(*second).ask(b"two zeros", 2);
    client.send(&[b'x'; 21]);
    client.error("too-long");
}

/// What a service says first counts, however long it keeps the connection.
#[cfg(feature = "http")]
#[test]
fn health_waits_for_a_status_line_alone() {
    let silent = powd_testkit::small_servers::serve(|_, mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let talkative = powd_testkit::small_servers::serve(|_, mut stream| {
        for part in [&b"HTTP/1.1 "[..], b"200 OK\r\nContent-Length: 2\r\n\r\nok"] {
            stream.write_all(part).expect("it listens");
        }
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let output = POWD.run(&["health", &talkative.to_string()]);
    assert!(output.status.success(), "{output:?}");
    let told = expect_one_line(&POWD.run(&["health", &silent.to_string()]), 1, "silence");
    assert!(told.ends_with(": it says nothing for 5 s\n"), "{told}");
}

#[test]
fn what_solve_prints_verify_accepts() {
    for nibbles in 0..=4 {
        let difficulty = nibbles.to_string();
        let asked = messages(20);
        let arguments: Vec<&str> = asked.iter().map(String::as_str).collect();
        let solved = POWD.run(&[&["solve", "-d", &difficulty][..], &arguments].concat());
        assert!(solved.status.success());
        let mut replies = solved.stdout.split(|byte| *byte == b'\n');
        for message in &asked {
            check(replies.next().expect("a line"), message.as_bytes(), nibbles);
        }
        assert_eq!(replies.next(), Some(&b""[..]));
        let verified = POWD.run_with_input(&["verify", "-d", &difficulty], &solved.stdout);
        assert_eq!(verified.status.code(), Some(0));
        assert!(verified.stdout.is_empty());
    }
}

#[test]
fn solve_takes_messages_from_standard_input_byte_for_byte() {
    let asked: [&[u8]; 5] = [b"one", b"", b"with,comma\r", b"\xff\0", b"last, no newline"];
    let mut input = lines(asked);
    input.pop();
    let solved = POWD.run_with_input(&["solve", "-d", "2", "--threads", "2"], &input);
    assert!(solved.status.success());
    let mut replies = solved.stdout.split(|byte| *byte == b'\n');
    for message in asked {
        check(replies.next().expect("a line"), message, 2);
    }
}

#[test]
fn solve_answers_each_line_before_the_next_is_there() {
    let mut child = start(POWD.command(&["solve", "-d", "1"]));
    let mut stdin = child.stdin.take().expect("it was piped");
    let stdout = BufReader::new(child.stdout.take().expect("it was piped"));
    // Read on a thread of its own: a reply that is held back must fail the test, not hang it.
    let (read, replies) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.split(b'\n') {
            // Nobody waits for more once the test has failed.
            let _ = read.send(line.expect("a pipe"));
        }
    });
    // Nothing of the next line is there, or no more than its beginning.
    for (written, message) in [("one\n", "one"), ("two\nthr", "two"), ("ee\n", "three")] {
        stdin.write_all(written.as_bytes()).expect("it reads");
        let line = replies.recv_timeout(DEADLINE).expect("a reply");
        check(&line, message.as_bytes(), 1);
    }
    drop(stdin);
    assert!(wait::for_end(&mut child).success());
}

#[test]
fn a_closed_output_ends_it_quietly() {
    // What `verify` prints are bad lines: that nobody reads all of them makes none of them good.
    for (name, code) in [("solve", 0), ("verify", 1)] {
        let mut child = start(POWD.command(&[name, "-d", "0"]));
        let mut stdin = child.stdin.take().expect("it was piped");
        // Lines without end, as from `yes`; writing fails when powd has ended.
        let writing = thread::spawn(move || while stdin.write_all(b"line\n").is_ok() {});
        let mut stdout = BufReader::new(child.stdout.take().expect("it was piped"));
        let mut first = String::new();
        stdout.read_line(&mut first).expect("a line");
        assert!(first.contains("line"));
        drop(stdout);
        let status = wait::for_end(&mut child);
        let mut told = String::new();
        let mut stderr = child.stderr.take().expect("it was piped");
        stderr.read_to_string(&mut told).expect("text");
        assert_eq!(told, "", "{name}");
        assert_eq!(status.code(), Some(code), "{name}");
        writing.join().expect("no panic");
    }
}

#[test]
fn load_tells_its_verdict_to_who_does_not_read_its_result() {
    let (_reserved, closed) = reserved_port();
    let load = |address: SocketAddr| {
        // A number of requests, and not a time in which none may be answered.
        start(POWD.command(&["load", &address.to_string(), "-c", "1", "-n", "20"]))
    };
    let mut child = load(closed);
    drop(child.stdout.take());
    assert_eq!(wait::for_end(&mut child).code(), Some(1), "no replies");
    let powd = POWD.serve(&["-d", "0"]);
    let mut child = load(powd.address());
    drop(child.stdout.take());
    assert_eq!(wait::for_end(&mut child).code(), Some(0), "right replies");
}

#[test]
fn verify_tells_each_bad_line_with_its_reason() {
    let solved = POWD.run(&["solve", "-d", "2", "hello"]);
    let good = String::from_utf8(solved.stdout).expect("text");
    let good = good.trim_end();
    let [_, seed, hash] = good.split(',').collect::<Vec<_>>()[..] else {
        panic!("three fields in {good:?}")
    };
    for (bad, reason) in [
        ("hello".to_owned(), "not message,seed,hash"),
        (format!("hello,{hash}"), "not message,seed,hash"),
        (format!("hullo,{seed},{hash}"), "wrong hash"),
        (format!("hello,{seed},{}", hash.to_uppercase()), "bad hash"),
        (format!("hello,{seed},{}", &hash[1..]), "bad hash"),
        (
            format!("{good}\rx"),
            "\\rx\" is not 64 lowercase hex digits",
        ),
        (format!("hello,ab-de,{hash}"), "bad seed"),
        (format!("hello,,{hash}"), "bad seed"),
        ("ERR busy too many connections".to_owned(), "an error line"),
    ] {
        let input = format!("{good}\n{bad}\n{good}\n");
        let output = POWD.run_with_input(&["verify", "-d", "2"], input.as_bytes());
        assert_eq!(output.status.code(), Some(1), "{bad}");
        let told = String::from_utf8(output.stdout).expect("text");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains(reason) && told.contains("line 2"), "{told}");
        assert!(told.ends_with(&format!(": {bad}\n")), "{told}");
        // The same as an argument.
        let output = POWD.run(&["verify", "-d", "2", good, &bad]);
        assert_eq!(output.status.code(), Some(1));
    }
    assert_eq!(
        POWD.run(&["verify", "-d", "2", good]).status.code(),
        Some(0)
    );
    let harder = POWD.run(&["verify", "-d", "64", good]);
    assert_eq!(harder.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&harder.stdout).contains("difficulty is 64"));
    assert_eq!(
        POWD.run(&["verify", "-d", "65", good]).status.code(),
        Some(2)
    );
}

#[test]
fn a_run_can_be_repeated_with_its_seed() {
    let solve = |seed: &str| {
        let flags = ["solve", "-d", "3", "--threads", "1", "--rng-seed", seed];
        POWD.run(&[&flags[..], &["one", "two", "three"]].concat())
            .stdout
    };
    assert_eq!(solve("7"), solve("7"));
    assert_ne!(solve("7"), solve("8"));
    let serve = |seed: &str| {
        let powd = POWD.serve(&["-d", "3", "--workers", "1", "--rng-seed", seed]);
        let mut client = powd.connect();
        client.send(b"one\ntwo\n");
        [client.reply(b"one", 3), client.reply(b"two", 3)]
    };
    assert_eq!(serve("7"), serve("7"));
    assert_ne!(serve("7"), serve("8"));
}

/// The shortest length, up to 3, of which a seed is a solution: by trying all of them.
fn shortest(message: &[u8], difficulty: usize) -> usize {
    let alphabet: Vec<u8> = (b'a'..=b'z')
        .chain(b'A'..=b'Z')
        .chain(b'0'..=b'9')
        .collect();
    let is_solution = |seed: &[u8]| zeros(hash(seed, message).as_bytes()) >= difficulty;
    let mut seeds: Vec<Vec<u8>> = vec![Vec::new()];
    for length in 1..=3 {
        seeds = seeds
            .iter()
            .flat_map(|seed| alphabet.iter().map(|last| [&seed[..], &[*last]].concat()))
            .collect();
        if seeds.iter().any(|seed| is_solution(seed)) {
            return length;
        }
    }
    panic!("238,328 seeds of three characters, one in 256 of them a solution")
}

#[test]
fn a_message_gets_a_longer_seed_only_when_no_shorter_one_is_a_solution() {
    let powd = POWD.serve(&["-d", "2", "--seed-length", "1"]);
    let mut client = powd.connect();
    let asked = messages(300);
    client.send(&lines(&asked));
    let flags = ["solve", "-d", "2", "--seed-length", "1"];
    let solved = POWD.run_with_input(&flags, &lines(&asked)).stdout;
    let mut solved = solved.split(|byte| *byte == b'\n');
    let mut lengths = HashSet::new();
    for message in &asked {
        let message = message.as_bytes();
        let length = shortest(message, 2);
        assert_eq!(client.reply(message, 2).len(), length);
        let line = solved.next().expect("a line for each");
        assert_eq!(check(line, message, 2).seed.len(), length);
        lengths.insert(length);
    }
    // 22 % have a seed of one character; nearly all others one of two.
    assert!(lengths.contains(&1) && lengths.contains(&2));
}

#[test]
fn speed_shows_a_row_for_each_kernel_beside_the_sha2_crate() {
    let flags = [
        "--seconds",
        "0.02",
        "--threads",
        "2",
        "--message-bytes",
        "60",
    ];
    let output = POWD.run(&[&["speed"][..], &flags].concat());
    assert!(output.status.success() && output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).expect("text");
    let mut rows = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let header = rows.next().expect("a header");
    assert_eq!(
        header,
        ["kernel", "threads", "bytes", "hashes/s", "x", "sha2"]
    );
    let mut names = Vec::new();
    for row in rows {
        let [name, "2", "60", rate, "M", ratio] = row[..] else {
            panic!("no row: {row:?} in {text}")
        };
        let [rate, ratio] = [rate, ratio].map(|number| number.parse::<f64>().expect("a number"));
        assert!(rate > 0.0 && ratio > 0.0, "{text}");
        assert!(name != "sha2" || ratio == 1.0, "{text}");
        names.push(name.to_owned());
    }
    assert_eq!(names, [vec!["sha2".to_owned()], kernels()].concat());
}
