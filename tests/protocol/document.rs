//! The examples of PROTOCOL.md, asked again: what the page shows is what the server sends.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::Command;

use powd_testkit::oracle::{Reply, check, hash, zeros};
use powd_testkit::{DEADLINE, is_there, program, skip};

use crate::POWD;

const PAGE: &str = include_str!("../../PROTOCOL.md");

/// What a client sends on one connection, and what it receives.
#[derive(Default)]
struct Example {
    sent: Vec<u8>,
    received: Vec<u8>,
}

/// The blocks marked `wire`, in order.
fn examples() -> Vec<Example> {
    let blocks = PAGE.split("```wire\n").skip(1);
    blocks
        .map(|rest| {
            let mut example = Example::default();
            for line in rest.lines().take_while(|line| !line.starts_with("```")) {
                match line.split_at(2) {
                    ("> ", text) => example.sent.extend(unescaped(text)),
                    ("< ", text) => example.received.extend(unescaped(text)),
                    _ => panic!("neither sent nor received: {line}"),
                }
            }
            example
        })
        .collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    text.replace("\\n", "\n")
        .replace("\\r", "\r")
        .replace("\\0", "\0")
        .into_bytes()
}

#[test]
fn the_page_shows_what_the_server_sends() {
    // As the page says that its server was started.
    let powd = POWD.serve(&["--workers", "1", "--rng-seed", "1"]);
    let examples = examples();
    assert!(examples.len() >= 6, "the blocks of the page are found");
    for Example { sent, received } in examples {
        let mut stream = TcpStream::connect(powd.address()).expect("connected");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.write_all(&sent).expect("sent");
        stream.shutdown(Shutdown::Write).expect("half-closed");
        let mut replies = Vec::new();
        stream.read_to_end(&mut replies).expect("answered");
        assert_eq!(
            replies.escape_ascii().to_string(),
            received.escape_ascii().to_string()
        );
        let lines = received.strip_suffix(b"\n").unwrap_or(&received);
        for line in lines.split(|&byte| byte == b'\n') {
            let message = Reply::split(line).expect("three fields").message;
            check(line, message, 3);
        }
    }
}

/// The client in Python that the page shows, as it stands there but for the port.
#[test]
fn the_pages_client_checks_what_it_gets() {
    if !is_there("python3") {
        return skip("python3 is missing");
    }
    let script = PAGE.split("```python\n").nth(1);
    let script = script.and_then(|rest| rest.split("```").next());
    let powd = POWD.serve(&["-d", "2"]);
    let (port, ours) = ("port=20000", format!("port={}", powd.address().port()));
    let script = script.expect("a script");
    assert!(script.contains(port), "{script}");
    let mut python = Command::new("python3");
    python.args(["-c", &script.replace(port, &ours)]);
    let output = program::run(python, b"");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let seed = String::from_utf8_lossy(&output.stdout);
    let seed = seed.trim_end().strip_prefix("b'");
    let seed = seed.and_then(|seed| seed.strip_suffix('\''));
    let hash = hash(seed.expect("a seed, as bytes").as_bytes(), b"hello");
    assert!(zeros(hash.as_bytes()) >= 2, "{hash}");
}
