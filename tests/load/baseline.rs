//! The Python baseline of the benchmarks and powd speak the same protocol: what one is measured
//! against the other for.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

use powd::load::Options;
use powd_core::Difficulty;
use powd_testkit::bench::Server;
use powd_testkit::oracle::check;
use powd_testkit::{DEADLINE, skip};

use crate::POWD;
use crate::runs::{options, run_until};

/// Both servers at `difficulty`; without python3 only powd, and the test says so.
fn both(difficulty: u8) -> Vec<Server> {
    let python = Server::python(difficulty);
    if python.is_none() {
        skip("python3 is missing, the baseline was not tested");
    }
    let powd = Server::powd(POWD, difficulty, &[], None);
    python.into_iter().chain([powd]).collect()
}

/// The reply line to each message, asked for one at a time, which is all that the baseline
/// understands.
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

/// Whether `powd verify` finds all of them right, and what it prints.
fn verify(difficulty: u8, lines: &[String]) -> (bool, String) {
    let input = lines.join("\n") + "\n";
    let flags = ["verify", "-d", &difficulty.to_string()];
    let output = POWD.run_with_input(&flags, input.as_bytes());
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
        for server in both(nibbles) {
            let lines = ask(server.address, &messages);
            for (line, message) in lines.iter().zip(&messages) {
                let reply = check(line.as_bytes(), message.as_bytes(), nibbles);
                assert_eq!((reply.seed.len(), reply.hash.len()), (5, 64), "{line}");
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
            difficulty: Some(Difficulty::new(1).expect("0 to 64")),
            ..options(server.address)
        };
        let report = run_until(&options, |progress| progress.replies >= 1000);
        assert_eq!(report.wrong.total, 0, "{}: {:?}", server.name, report.wrong);
        assert!(report.replies >= 1000, "{}", server.name);
    }
}
