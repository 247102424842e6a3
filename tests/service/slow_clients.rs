//! Clients that are slow, or late, or deaf for a while: nothing is lost to them, and nothing is
//! done for them that they do not take.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use powd_testkit::oracle::check;
use powd_testkit::{Client, Powd, lines, messages, until};

use crate::POWD;

/// A client that takes little at a time.
fn connect_narrow(powd: &Powd) -> Client {
    Client::connect_narrow(powd.address(), 2048)
}

/// More of them, with their replies, than a narrow client's window.
fn long_messages() -> Vec<String> {
    messages(60)
        .iter()
        .map(|message| message.repeat(40))
        .collect()
}

#[test]
fn replies_before_a_line_that_is_too_long_arrive_however_much_the_client_still_sends() {
    let powd = POWD.serve(&["-d", "0", "--max-message-bytes", "1000"]);
    let mut client = connect_narrow(&powd);
    let asked = long_messages();
    client.send(&lines(&asked));
    client.send(&[b'x'; 40_000]);
    client.end();
    powd.until_counter("/errors/too_long", |refused| refused == 1);
    for message in &asked {
        client.reply(message.as_bytes(), 0);
    }
    client.error("too-long");
    client.expect_end();
}

#[test]
fn replies_arrive_during_a_drain_however_much_the_client_still_sends() {
    let mut powd = POWD.serve(&["-d", "0", "--drain-timeout", "1h"]);
    let mut client = connect_narrow(&powd);
    let asked = long_messages();
    client.send(&lines(&asked));
    powd.until_counter("/replies", |replies| replies == asked.len() as u64);
    powd.signal("TERM");
    powd.wait_for_log("the beginning of the drain", |line| {
        line.contains("answering what was received")
    });
    // All at once, as far as powd can tell.
    powd.stop();
    client.send(&[b'x'; 70_000]);
    client.end();
    powd.signal("CONT");
    for message in &asked {
        client.reply(message.as_bytes(), 0);
    }
    // What came after the signal may be answered as well, but never cut.
    while client.next_line().is_some() {}
    assert!(powd.wait().success());
}

#[test]
fn a_request_that_powd_was_late_to_read_is_not_idleness() {
    let limit = Duration::from_secs(1);
    let powd = POWD.serve(&["-d", "1", "--idle-timeout", "1s"]);
    // This test itself may be late between its reply and the stop: so more than one try.
    let is_answered = |_| {
        powd.stop();
        let mut client = powd.connect();
        client.send(b"before\n");
        powd.signal("CONT");
        client.reply(b"before", 1);
        powd.stop();
        client.send(b"late\n");
        let sent = Instant::now();
        until("more than the limit", || sent.elapsed() > limit * 3 / 2);
        powd.signal("CONT");
        let reply = client.next_line();
        reply.is_some_and(|line| {
            check(&line, b"late", 1);
            true
        })
    };
    assert!((0..5).any(is_answered));
}

#[test]
fn a_client_that_has_ended_its_stream_and_reads_slowly_gets_all() {
    // Requests that the sockets hold, with the end behind them; more replies than they hold, read
    // at a rate at which the poll would not tell of room within the limit.
    const REQUESTS: usize = 60_000;
    let limit = Duration::from_secs(4);
    let powd = POWD.serve(&["-d", "0", "--half-close-timeout", "4s"]);
    let client = powd.connect();
    thread::scope(|scope| {
        scope.spawn(|| {
            client.send(&b"m\n".repeat(REQUESTS));
            client.end();
        });
        let mut stream = client.stream();
        let mut received = Vec::new();
        let began = Instant::now();
        // Here time itself is what matters.
        while began.elapsed() < 2 * limit {
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).expect("not reset");
            received.extend_from_slice(&piece[..count]);
            thread::sleep(Duration::from_millis(40));
        }
        stream.read_to_end(&mut received).expect("not reset");
        let replies = received.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(replies, REQUESTS);
    });
}

#[test]
fn no_core_searches_for_a_client_that_does_not_read() {
    // Each search is long enough for a helper to be woken in time, and a few replies fill what
    // there is between the two.
    let powd = POWD.serve(&["-d", "3", "--workers", "2", "--max-message-bytes", "65536"]);
    let asked: Vec<String> = (0..100)
        .map(|number| format!("{number:04}").repeat(16_000))
        .collect();
    let mut client = connect_narrow(&powd);
    let mut writer = client.stream().try_clone().expect("a descriptor is free");
    thread::scope(|scope| {
        scope.spawn(|| {
            writer
                .write_all(&lines(&asked))
                .expect("powd reads when it can")
        });
        powd.until_counter("/help/hashes", |hashes| hashes > 0);
        powd.until_quiet();
        assert!(powd.counter("/replies") < asked.len() as u64);
        for message in &asked {
            client.reply(message.as_bytes(), 3);
        }
    });
    client.end();
    client.expect_end();
}
