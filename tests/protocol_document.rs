//! The examples of PROTOCOL.md, asked again: what the page shows is what the server sends.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::num::NonZeroUsize;
use std::time::Duration;

use powd::engine;
use powd::line::{Listener, Options, Server};
use powd::protocol::Reply;
use powd_core::{Difficulty, Kernel};

const PAGE: &str = include_str!("../PROTOCOL.md");

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
    let difficulty = Difficulty::new(3).expect("0 to 64");
    let address = "127.0.0.1:0".parse().expect("an address");
    let listener = Listener::bind(address, difficulty).expect("a free port");
    let address = listener.address().expect("bound");
    let engine = engine::Options {
        workers: NonZeroUsize::MIN,
        pin: false,
        kernel: Kernel::PORTABLE,
        rng_seed: 1,
        ..engine::Options::default()
    };
    let server = Server::start(vec![listener], engine, Options::default()).expect("a server");

    let examples = examples();
    assert!(examples.len() >= 6, "the blocks of the page are found");
    for Example { sent, received } in examples {
        let mut stream = TcpStream::connect(address).expect("connected");
        let limit = Some(Duration::from_secs(60));
        stream.set_read_timeout(limit).expect("a timeout");
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
            let reply = Reply::parse(line).expect("three fields");
            assert_eq!(reply.check(difficulty), Ok(()));
        }
    }
    server.control().drain();
    server.wait().expect("drained");
}
