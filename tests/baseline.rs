//! The Python baseline of the benchmarks and powd speak the same protocol: what one is measured against the
//! other for.

#[path = "../benches/support/server.rs"]
#[allow(dead_code, reason = "shared with the benchmarks")]
mod server;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use powd::load::{self, Options};
use powd::protocol::Reply;
use powd_core::Difficulty;

use server::Server;

const DEADLINE: Duration = Duration::from_secs(60);

/// Both servers at `difficulty`; without python3 only powd, and the test says so.
fn both(difficulty: u8) -> Vec<Server> {
    let python = Server::python(difficulty);
    if python.is_none() {
        server::process::skip("python3 is missing, the baseline was not tested");
    }
    let powd = Server::powd(difficulty, &[], None);
    python.into_iter().chain([powd]).collect()
}

/// The reply line to each message, asked for one at a time, which is all that the baseline understands.
fn ask(address: SocketAddr, messages: &[String]) -> Vec<String> {
    let mut stream = TcpStream::connect(address).expect("a server listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
    let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
    let mut next = |message: &String| {
        let request = format!("{message}\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        lines.next().expect("a line").expect("text")
    };
    messages.iter().map(&mut next).collect()
}

fn verify(difficulty: u8, lines: &[String]) -> (bool, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_powd"))
        .args(["verify", "-d", &difficulty.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("powd verify");
    let text = lines.join("\n") + "\n";
    let mut input = child.stdin.take().expect("piped");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), said)
}

#[test]
fn both_answer_the_same_requests_in_the_same_form() {
    let mut messages: Vec<String> = ["", "hello", "a,b,,c", "grün", " ", "ERR x"]
        .map(str::to_owned)
        .to_vec();
    messages.extend([49, 50, 51, 64, 119, 1000].map(|bytes| "m".repeat(bytes)));
    for nibbles in [0, 2] {
        let difficulty = Difficulty::new(nibbles).expect("0 to 64");
        for server in both(nibbles) {
            let lines = ask(server.address, &messages);
            for (line, message) in lines.iter().zip(&messages) {
                let reply = Reply::parse(line.as_bytes()).expect("a reply");
                assert_eq!(reply.message, message.as_bytes(), "{}", server.name);
                assert_eq!((reply.seed.len(), reply.hash.len()), (5, 64), "{line}");
                assert_eq!(reply.check(difficulty), Ok(()), "{}: {line}", server.name);
            }
            let (good, said) = verify(nibbles, &lines);
            assert!(good, "{}: {said}", server.name);
            let (good, _) = verify(64, &lines);
            assert!(!good, "no line has 64 zeros");
        }
    }
}

#[test]
fn equal_requests_get_different_seeds_from_both() {
    let messages = vec!["again".to_owned(); 20];
    for server in both(1) {
        let mut lines = ask(server.address, &messages);
        lines.sort();
        lines.dedup();
        assert!(lines.len() > 1, "{}", server.name);
    }
}

#[test]
fn the_load_client_finds_no_fault_in_either() {
    for server in both(1) {
        let options = Options {
            connections: 20,
            duration: DEADLINE,
            difficulty: Some(Difficulty::new(1).expect("0 to 64")),
            ..Options::new(server.address)
        };
        let stop = AtomicBool::new(false);
        let report = load::run(
            &options,
            &mut |progress| stop.store(progress.replies >= 1000, Ordering::Relaxed),
            &stop,
        );
        let report = report.expect("it runs");
        assert_eq!(report.wrong.total, 0, "{}: {:?}", server.name, report.wrong);
        assert!(report.replies >= 1000, "{}", server.name);
    }
}
