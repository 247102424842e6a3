//! Clients that mean harm or know no better, and a million requests: nothing of it leaves a trace.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use powd_testkit::{Client, DEADLINE, Powd, lines, messages};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};
use socket2::SockRef;

use crate::POWD;

/// The service answers right, has nobody left inside, does nothing, and has not complained.
fn expect_unharmed(powd: &Powd, nibbles: u8) {
    powd.connect().ask_all(&messages(1000), nibbles);
    powd.until_counter("/connections/open", |open| open == 0);
    powd.until_quiet();
    assert_eq!(powd.counter("/false_hits"), 0);
    let log = powd.log();
    // A low limit of open files is the machine's, and told before any client came.
    let harmless = ["powd: listening", "INFO", "open files are allowed"];
    let complaint = log
        .iter()
        .find(|line| !line.starts_with('{') && !harmless.iter().any(|words| line.contains(words)));
    assert_eq!(complaint, None);
}

fn reset(stream: TcpStream) {
    // Fails when powd has closed already.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("powd listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    stream.set_write_timeout(Some(DEADLINE)).expect("not zero");
    stream
}

/// A number below `bound`, the same in every run.
fn below(random: &mut Xoshiro256PlusPlus, bound: u64) -> usize {
    (random.next_u64() % bound) as usize
}

#[test]
fn connections_without_a_byte_leave_no_trace() {
    let powd = POWD.serve(&["-d", "1"]);
    for round in 0..1000 {
        let stream = connect(powd.address());
        if round % 2 == 0 {
            reset(stream);
        }
    }
    expect_unharmed(&powd, 1);
    assert_eq!(powd.counter("/connections/total"), 1001);
}

#[test]
fn a_storm_of_resets_leaves_no_trace() {
    // Hard enough for resets to fall into searches, own and helped.
    let powd = POWD.serve(&["--listen", "127.0.0.1:0@2", "--listen", "127.0.0.1:0@64"]);
    let addresses = powd.addresses();
    thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                let mut random = Xoshiro256PlusPlus::seed_from_u64(thread);
                let asked = lines(messages(500));
                for _ in 0..100 {
                    let mut stream = connect(addresses[below(&mut random, 2)]);
                    // Cut off anywhere, some replies read or none.
                    let sent = below(&mut random, asked.len() as u64);
                    stream.write_all(&asked[..sent]).expect("it reads so much");
                    if addresses[0] == stream.peer_addr().expect("connected") && sent > 100 {
                        let mut some = vec![0; 1 + below(&mut random, 500)];
                        stream.read_exact(&mut some).expect("replies");
                    }
                    match below(&mut random, 4) {
                        0 => stream.shutdown(Shutdown::Write).expect("it is open"),
                        1 => drop(stream),
                        _ => reset(stream),
                    }
                }
            });
        }
    });
    expect_unharmed(&powd, 2);
    assert!(powd.counter("/cancelled_searches") > 0);
}

#[test]
fn random_bytes_are_answered_or_refused_and_nothing_else() {
    let powd = POWD.serve(&["-d", "0", "--max-message-bytes", "1000"]);
    let address = powd.address();
    thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                let mut random = Xoshiro256PlusPlus::seed_from_u64(100 + thread);
                for _ in 0..50 {
                    let length = below(&mut random, 20_000);
                    // Lines of 256 bytes on average: one in fifty is too long.
                    let sent: Vec<u8> = (0..length).map(|_| random.next_u64() as u8).collect();
                    expect_answers(address, &sent, 1000);
                }
            });
        }
    });
    expect_unharmed(&powd, 0);
}

/// Sends `sent`, ends the stream, and expects exactly what the protocol says.
fn expect_answers(address: SocketAddr, sent: &[u8], max: usize) {
    let mut client = Client::new(connect(address));
    let mut writer = client.stream().try_clone().expect("a descriptor is free");
    thread::scope(|scope| {
        scope.spawn(move || {
            // A line that is too long ends the connection: then the rest cannot be sent.
            let _ = writer.write_all(sent);
            let _ = writer.shutdown(Shutdown::Write);
        });
        let mut asked: Vec<&[u8]> = sent.split(|byte| *byte == b'\n').collect();
        // What follows the last newline is a message only if there is something.
        if asked.last().is_some_and(|last| last.is_empty()) {
            asked.pop();
        }
        for message in asked {
            if message.len() > max {
                client.error("too-long");
                break;
            }
            client.reply(message, 0);
        }
        client.expect_end();
    });
}

#[test]
fn a_soak_of_a_million_requests_finds_no_fault() {
    const CONNECTIONS: u64 = 50;
    const WINDOW: u64 = 200;
    let requests: u64 = match std::env::var("POWD_SOAK_REQUESTS") {
        Ok(count) => count.parse().expect("POWD_SOAK_REQUESTS is a number"),
        Err(_) => 1_000_000,
    };
    let powd = POWD.serve(&["--listen", "127.0.0.1:0@0", "--listen", "127.0.0.1:0@1"]);
    let addresses = powd.addresses();
    let answered = AtomicU64::new(0);
    thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let answered = &answered;
            scope.spawn(move || {
                let nibbles = (number % 2) as usize;
                let mut client = Client::connect(addresses[nibbles]);
                let mut left = requests / CONNECTIONS + u64::from(number < requests % CONNECTIONS);
                while left > 0 {
                    let window = left.min(WINDOW);
                    let asked: Vec<String> = (left - window..left)
                        .map(|request| format!("connection {number} request {request}"))
                        .collect();
                    client.send(&lines(&asked));
                    for message in &asked {
                        client.reply(message.as_bytes(), nibbles as u8);
                    }
                    left -= window;
                    answered.fetch_add(window, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(answered.into_inner(), requests);
    assert_eq!(powd.counter("/replies"), requests);
    expect_unharmed(&powd, 0);
}
