//! What powd logs, and what it does not.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use powd_testkit::process::Process;
use powd_testkit::{Powd, TestPath, program, until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use socket2::SockRef;

use crate::POWD;

/// All that a service logs in JSON, from its start to the end of its drain's first line.
fn logged() -> Vec<Value> {
    let mut command = POWD.command(&["serve", "--log-format", "json", "--listen", "127.0.0.1:0"]);
    command
        .args(["--kernel", "portable"])
        .stderr(Stdio::piped());
    let powd = Process::new(command.spawn().expect("powd can be started"));
    powd.wait_for("announcement", 0, 0, |line| line.contains("listening on "));
    powd.signal("TERM");
    powd.wait_for("drain", 0, 0, |line| line.contains("answering what was"));
    powd.log().iter().map(|line| object(line)).collect()
}

fn object(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn message(event: &Value) -> &str {
    event["message"].as_str().expect("a message")
}

#[test]
fn as_json_every_line_is_an_object_with_time_level_and_message() {
    let events = logged();
    for event in &events {
        let time = event["timestamp"].as_str();
        assert!(time.is_some_and(|time| time.ends_with('Z')), "{event}");
        let level = event["level"].as_str();
        assert!(
            level.is_some_and(|level| ["INFO", "WARN", "ERROR"].contains(&level)),
            "{event}"
        );
        assert!(!message(event).starts_with("powd: "), "{event}");
    }
    let listens = |event| message(event).starts_with("listening on 127.0.0.1:");
    assert!(events.iter().any(listens), "{events:?}");
}

#[test]
fn as_json_the_reason_of_a_failure_is_an_object_too() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listen = taken.local_addr().expect("bound").to_string();
    let flags = ["serve", "--log-format", "json", "--listen", &listen];
    let output = POWD.run(&flags);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).expect("text");
    let event = object(&told);
    assert_eq!(event["level"], "ERROR");
    assert!(message(&event).contains(&listen), "{told}");
}

#[test]
fn in_the_journal_every_line_begins_with_its_priority() {
    let directory = TestPath::directory("journal");
    let path = directory.file("stderr");
    let journal = File::create(&path).expect("a file");
    let about = journal.metadata().expect("a file");
    let stream = format!("{}:{}", about.dev(), about.ino());
    let in_journal = |flags: &[&str]| {
        let mut command = POWD.command(&[&["serve"], flags].concat());
        let stderr = journal.try_clone().expect("a file");
        command.env("JOURNAL_STREAM", &stream).stderr(stderr);
        Process::new(command.spawn().expect("powd can be started"))
    };
    let told = || fs::read_to_string(&path).expect("text");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("bound").to_string();
    let _failing = in_journal(&["--listen", &taken]);
    until("an error", || told().starts_with("<3>powd: cannot listen "));
    let powd = in_journal(&["--listen", "127.0.0.1:0", "--drain-timeout", "1ms"]);
    until("an announcement", || {
        told().contains("\n<6>powd: listening on ")
    });
    powd.signal("TERM");
    until("a drain", || told().contains("answering what was"));
    assert!(
        told().lines().all(|line| line.starts_with(['<'])),
        "{}",
        told()
    );

    // A variable of whoever started it.
    let mut command = POWD.command(&["serve", "--listen", &taken]);
    command.env("JOURNAL_STREAM", &stream);
    let output = program::run(command, b"");
    assert!(output.stderr.starts_with(b"powd: "), "{output:?}");
}

#[test]
fn settings_that_do_not_exist_are_told() {
    let mut command = POWD.command(&["serve", "--listen", "127.0.0.1:0"]);
    command
        .args(["--kernel", "portable"])
        .envs([("POWD_WORKERS", "1"), ("POWD_MAX_CONECTIONS", "10")])
        .env("POWD_PORT", "20000")
        // What Kubernetes sets where there is a service named powd.
        .envs([
            ("POWD_SERVICE_HOST", "10.0.0.11"),
            ("POWD_SERVICE_PORT", "20000"),
            ("POWD_SERVICE_PORT_LINES", "20000"),
            ("POWD_LINES_PORT", "tcp://10.0.0.11:20000"),
            ("POWD_PORT_20000_TCP_ADDR", "10.0.0.11"),
        ]);
    let powd = Powd::start(command, 1);
    let log = powd.log();
    let told = log
        .iter()
        .filter(|line| line.contains("is set, and no setting"));
    let names: Vec<_> = told
        .map(|line| line.split(' ').find(|word| word.starts_with("POWD_")))
        .collect();
    assert_eq!(
        names,
        [Some("POWD_MAX_CONECTIONS"), Some("POWD_PORT")],
        "{log:?}"
    );
}

#[test]
fn as_json_the_counters_are_in_an_object_like_all_others() {
    let mut command = POWD.command(&["serve", "--log-format", "json", "--listen", "127.0.0.1:0"]);
    command.stderr(Stdio::piped());
    let powd = Process::new(command.spawn().expect("powd can be started"));
    powd.wait_for("announcement", 0, 0, |line| line.contains("listening on "));
    powd.signal("USR1");
    let line = powd.wait_for("counters", 0, 0, |line| line.contains("counters"));
    let event = object(&line);
    let time = event["timestamp"].as_str();
    assert!(time.is_some_and(|time| time.ends_with('Z')), "{event}");
    assert_eq!(
        (&event["level"], message(&event)),
        (&"INFO".into(), "counters")
    );
    assert_eq!(event["counters"]["connections"]["open"], 0, "{event}");
}

#[test]
fn who_reads_late_hears_how_many_lines_were_lost() {
    let (mut log, stderr) = std::io::pipe().expect("a pipe");
    let mut command = POWD.command(&["serve", "--listen", "127.0.0.1:0", "--kernel", "portable"]);
    let powd = Process::new(command.stderr(stderr).spawn().expect("powd can be started"));
    // It would hold the other end of the pipe.
    drop(command);
    let mut read = Vec::new();
    let mut read_all = || {
        let patience = Timespec::try_from(Duration::from_millis(100)).expect("a time");
        let mut piece = vec![0; 1 << 16];
        while poll(&mut [PollFd::new(&log, PollFlags::IN)], Some(&patience)) == Ok(1) {
            let length = log.read(&mut piece).expect("a pipe");
            read.extend_from_slice(&piece[..length]);
        }
        String::from_utf8_lossy(&read).into_owned()
    };
    until("its start", || read_all().contains("listening on "));
    until("a word on what was lost", || {
        // More than the pipe holds and powd keeps. Signals that come together are one.
        for _ in 0..3000 {
            powd.signal("USR1");
            thread::yield_now();
        }
        read_all().contains("lines of the log were lost: nobody read it in time lost=")
    });
}

/// What strangers do to an open port: nothing of it is worth a line each.
#[test]
fn strangers_do_not_fill_the_log() {
    let flags = [
        "--max-message-bytes",
        "64",
        "--max-connections-per-ip",
        "8",
        "--idle-timeout",
        "50ms",
        "--deadline",
        "5ms",
    ];
    let powd = POWD.serve(&flags);
    annoy(powd.address());
    let before = quiet_log(&powd);
    for _ in 0..50 {
        annoy(powd.address());
    }
    // Over --max-connections-per-ip.
    let crowd: Vec<_> = (0..40)
        .map(|_| TcpStream::connect(powd.address()))
        .collect();
    drop(crowd);
    powd.until_counter("/connections/open", |open| open == 0);
    assert_eq!(quiet_log(&powd), before);
}

/// The lines of the log that are not counters, which are asked for.
fn quiet_log(powd: &Powd) -> Vec<String> {
    let lines = powd.log().into_iter();
    lines.filter(|line| !line.starts_with('{')).collect()
}

fn annoy(address: SocketAddr) {
    // A scanner: connects, and is gone.
    drop(TcpStream::connect(address));
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\n",
        b"\xff\0,,,\n\n\n",
        &[b'x'; 200],
    ] {
        let mut stream = TcpStream::connect(address).expect("powd listens");
        let _ = stream.write_all(bytes);
        let mut answer = [0; 1];
        let _ = stream.read(&mut answer);
        // Reset, with an answer unread.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
}

/// Lines whose words are not in the call of `tracing`, and what the table has of them.
const ELSEWHERE: [(&str, &str); 2] = [
    (
        "missing_header(",
        "a connection from `--proxy-protocol` without a header",
    ),
    // What is printed as lines in any case: as JSON it goes this way.
    ("\"{message}\"", "`listening on …`"),
];

/// The words by which the table must have the line of a call of `tracing` that begins there: the
/// first ones of its text, before or between what is filled in.
fn words_of(call: &str) -> &str {
    let (call, _) = call.split_once(");").unwrap_or((call, ""));
    let text = call.rsplit('"').nth(1).unwrap_or_default();
    let pieces = text.split(['{', '}']).step_by(2);
    let mut pieces = pieces.map(|piece| piece.trim_matches([' ', ';', ':', ',']));
    let words = pieces.find(|piece| piece.contains(' '));
    let elsewhere = || ELSEWHERE.iter().find(|(part, _)| call.contains(part));
    let words = words.or_else(|| Some(elsewhere()?.1));
    words.unwrap_or_else(|| panic!("no words to look for: {call}"))
}

#[test]
fn operating_explains_every_line_of_the_log() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = fs::read_to_string(root.join("OPERATING.md")).expect("a guide");
    let chapter = guide
        .split("\n## ")
        .find(|chapter| chapter.starts_with("What the log says\n"));
    let lines = chapter.expect("a chapter on the log").lines();
    let table: String = lines.filter(|line| line.starts_with('|')).collect();
    let mut folders = vec![root.join("src")];
    let mut number = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let code = fs::read_to_string(&path).unwrap_or_default();
            for level in ["info", "warn", "error"] {
                for call in code.split(&format!("tracing::{level}!(")).skip(1) {
                    let words = words_of(call);
                    assert!(table.contains(words), "{}: {words}", path.display());
                    number += 1;
                }
            }
        }
    }
    assert!(number > 30, "{number}");
}
