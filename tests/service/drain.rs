//! The end of the service: SIGTERM and SIGINT answer what was received, then end.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use powd_testkit::oracle::check;
#[cfg(target_os = "linux")]
use powd_testkit::proc;
use powd_testkit::process::signal;
use powd_testkit::{Client, DEADLINE, Powd, lines, messages, until, wait};
#[cfg(target_os = "linux")]
use socket2::SockRef;

use crate::POWD;

/// Serves with these flags, and with all the time that a drain could want. By default it ends after
/// less than the tests wait: one whose end nobody noticed would pass for one that ended.
fn serve(flags: &[&str]) -> Powd {
    POWD.serve(&[&["--drain-timeout", "1h"], flags].concat())
}

fn is_draining(line: &str) -> bool {
    line.contains("a second signal ends at once")
}

/// Everything received is answered after `signal`, in the middle of searches.
fn answers_and_ends(signal: &str) {
    let mut powd = serve(&["-d", "4"]);
    let asked = messages(100);
    let mut clients: Vec<Client> = (0..4).map(|_| powd.connect()).collect();
    for client in &mut clients {
        // An answer shows that a worker has the connection, the bytes behind it are in its socket.
        client.send(&lines(&asked));
        client.reply(asked[0].as_bytes(), 4);
    }
    let mut idle = powd.connect();
    let mut half_a_line = powd.connect();
    half_a_line.send(b"half a li");
    powd.signal(signal);
    for client in &mut clients {
        for message in &asked[1..] {
            client.reply(message.as_bytes(), 4);
        }
        client.expect_end();
    }
    idle.expect_end();
    half_a_line.expect_end();
    drop((clients, idle, half_a_line));
    assert_eq!(powd.wait().code(), Some(0));
}

#[test]
fn sigterm_in_the_middle_of_searches_answers_everything_received() {
    answers_and_ends("TERM");
}

#[test]
fn sigint_in_the_middle_of_searches_answers_everything_received() {
    answers_and_ends("INT");
}

#[test]
fn sighup_in_the_middle_of_searches_answers_everything_received() {
    #[cfg(target_os = "linux")]
    {
        let ignored = proc::status(&proc::process(std::process::id()), "SigIgn");
        let ignored = u64::from_str_radix(&ignored, 16).expect("a mask");
        if ignored & 1 == 1 {
            return powd_testkit::leave_out("the tests run under nohup");
        }
    }
    answers_and_ends("HUP");
}

#[test]
fn an_idle_service_ends_at_once() {
    // Whether its threads sleep already when the last word comes is up to chance.
    for _ in 0..10 {
        let mut powd = serve(&["--kernel", "portable"]);
        powd.signal("TERM");
        assert_eq!(powd.wait().code(), Some(0));
    }
}

#[test]
fn long_searches_are_answered_before_the_end() {
    let mut powd = serve(&["-d", "5", "--workers", "2"]);
    let mut client = powd.connect();
    let asked = messages(5);
    client.send(&lines(&asked));
    powd.until_counter("/hashes", |hashes| hashes > 0);
    powd.signal("TERM");
    for message in &asked {
        client.reply(message.as_bytes(), 5);
    }
    client.expect_end();
    drop(client);
    assert_eq!(powd.wait().code(), Some(0));
}

#[test]
fn the_other_workers_go_on_helping_during_a_drain() {
    let mut powd = serve(&[
        "-d",
        "64",
        "--workers",
        "2",
        // A client that leaves is gone at once.
        "--half-close-timeout",
        "0s",
    ]);
    let client = powd.connect();
    client.send(b"hard\n");
    powd.until_counter("/hashes", |hashes| hashes > 0);
    powd.signal("TERM");
    powd.wait_for_log("word of the drain", is_draining);
    let helped = powd.counter("/help/hashes");
    powd.until_counter("/help/hashes", |hashes| hashes > helped);
    drop(client);
    assert_eq!(powd.wait().code(), Some(0));
}

#[test]
fn a_client_that_always_has_requests_on_their_way_does_not_hold_up_a_drain() {
    let mut powd = POWD.serve(&["-d", "2", "--drain-timeout", "1h"]);
    let client = powd.connect();
    let in_flight = 16;
    client.send(&b"m\n".repeat(in_flight));
    let mut asking = client;
    let asker = thread::spawn(move || {
        let mut replies = 0u64;
        while let Some(line) = asking.next_line() {
            check(&line, b"m", 2);
            replies += 1;
            // Fails when powd has ended; what it has sent is still to be read.
            let _ = asking.stream().write_all(b"m\n");
        }
        replies
    });
    powd.until_counter("/replies", |replies| replies > 100);
    powd.signal("TERM");
    assert_eq!(powd.wait().code(), Some(0));
    assert!(asker.join().expect("whole lines, to the end") > 100);
}

#[test]
fn what_comes_after_the_signal_is_not_answered_though_the_client_half_closes() {
    // By chance, or where this test is late, the search ends before the second request is sent:
    // so more than one try.
    let is_sent_in_time = |_| {
        let mut powd = serve(&["-d", "6", "--workers", "1", "--half-close-timeout", "1h"]);
        let (mut client, mut idle) = (powd.connect(), powd.connect());
        client.send(b"before\n");
        powd.until_counter("/hashes", |hashes| hashes > 0);
        powd.signal("TERM");
        // Their worker has begun to drain.
        idle.expect_end();
        drop(idle);
        // Both fail where powd has answered, and has closed its end.
        let _ = client.stream().write_all(b"late\n");
        let _ = client.stream().shutdown(Shutdown::Write);
        let is_in_time = has_nothing_to_read(&client);
        client.reply(b"before", 6);
        client.expect_end();
        assert_eq!(powd.wait().code(), Some(0));
        is_in_time
    };
    assert!((0..20).any(is_sent_in_time));
}

/// Whether powd has sent nothing yet, nor ended its stream.
fn has_nothing_to_read(client: &Client) -> bool {
    let stream = client.stream();
    stream.set_nonblocking(true).expect("a socket");
    let seen = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("a socket");
    seen.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[cfg(target_os = "linux")]
#[test]
fn what_has_arrived_is_answered_to_its_last_byte() {
    let mut powd = serve(&["-d", "1"]);
    let mut client = powd.connect();
    client.ask(b"before", 1);
    powd.stop();
    client.send(b"one\ntw");
    // Urgent data ends a read, and the end of the stream ends a line.
    let socket = SockRef::from(client.stream());
    socket.send_out_of_band(b"o").expect("room");
    client.send(b"\nthree\nfour");
    client.end();
    until("the end of stream at powd's side", || {
        proc::socket(&client).state == proc::CLOSE_WAIT
    });
    powd.signal("TERM");
    powd.signal("CONT");
    for message in ["one", "two", "three", "four"] {
        client.reply(message.as_bytes(), 1);
    }
    client.expect_end();
    assert_eq!(powd.wait().code(), Some(0));
}

#[test]
fn who_has_just_connected_is_waited_for() {
    // For half a second, which a slow machine may need to get here: so more than one try.
    let is_answered = |_| {
        let mut powd = serve(&["-d", "1"]);
        let mut client = powd.connect();
        powd.until_counter("/connections/open", |open| open == 1);
        powd.signal("TERM");
        powd.wait_for_log("word of the drain", is_draining);
        // Fails if powd has not waited.
        let _ = client.stream().write_all(b"first\nsecond\n");
        let replies = std::iter::from_fn(|| client.next_line()).collect::<Vec<_>>();
        for (reply, message) in replies.iter().zip(["first", "second"]) {
            check(reply, message.as_bytes(), 1);
        }
        drop(client);
        assert_eq!(powd.wait().code(), Some(0));
        replies.len() == 2
    };
    assert!((0..20).any(is_answered));
}

#[test]
fn a_second_signal_ends_at_once() {
    for (signal, number) in [("TERM", 15), ("INT", 2)] {
        let mut powd = serve(&["-d", "64"]);
        let client = powd.connect();
        client.send(b"hard\n");
        powd.until_counter("/hashes", |hashes| hashes > 0);
        powd.signal(signal);
        powd.wait_for_log("word of the drain", is_draining);
        powd.signal(signal);
        assert_eq!(powd.wait().code(), Some(128 + number));
    }
}

#[test]
fn what_is_open_when_the_time_is_over_gets_an_error_line_and_the_log_a_number() {
    let mut powd = POWD.serve(&["-d", "64", "--workers", "2", "--drain-timeout", "100ms"]);
    // One with more requests than one, another that only waits for its turn.
    let mut clients = [powd.connect(), powd.connect(), powd.connect()];
    clients[0].send(b"one\ntwo\nthree\n");
    clients[1].send(b"four\n");
    clients[2].send(b"five\nhalf a li");
    powd.until_counter("/requests", |requests| requests == 3);
    powd.signal("TERM");
    for (client, requests) in clients.iter_mut().zip([3, 1, 1]) {
        for _ in 0..requests {
            client.error("draining");
        }
        client.expect_end();
    }
    drop(clients);
    assert_eq!(powd.wait().code(), Some(0));
    let log = powd.log().join("\n");
    assert!(log.contains("before 5 requests were answered"), "{log}");
}

#[test]
fn a_drain_ends_after_its_timeout() {
    // Two in the middle of a search, told to end one after the other: that the second one ends
    // first is by its flag, not because a drain takes about so long.
    let flags = ["-d", "64", "--workers", "1"];
    let patient = serve(&flags);
    let mut hasty = POWD.serve(&[&flags[..], &["--drain-timeout", "200ms"]].concat());
    let clients = [&patient, &hasty].map(|powd| {
        let client = powd.connect();
        client.send(b"hard\n");
        powd.until_counter("/hashes", |hashes| hashes > 0);
        powd.signal("TERM");
        powd.wait_for_log("word of the drain", is_draining);
        client
    });
    assert_eq!(hasty.wait().code(), Some(0));
    let hashes = patient.counter("/hashes");
    patient.until_counter("/hashes", |now| now > hashes);
    drop(clients);
}

#[test]
fn a_search_for_a_client_that_leaves_does_not_hold_up_a_drain() {
    let mut powd = serve(&["-d", "64"]);
    let client = powd.connect();
    client.send(b"hard\n");
    powd.until_counter("/hashes", |hashes| hashes > 0);
    powd.signal("TERM");
    powd.wait_for_log("word of the drain", is_draining);
    drop(client);
    assert_eq!(powd.wait().code(), Some(0));
}

/// Asks and reads one line at a time until powd ends the stream; counts the replies. Whatever the
/// moment, the stream ends between two lines, and is not reset.
fn ask_until_the_end(address: SocketAddr, replies: &AtomicUsize) {
    let mut writer = TcpStream::connect(address).expect("powd listens");
    writer.set_read_timeout(Some(DEADLINE)).expect("not zero");
    let mut reader = BufReader::new(writer.try_clone().expect("a descriptor is free"));
    for number in 0.. {
        let message = format!("message {number}");
        match writer.write_all(&lines([&message])) {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}"),
        }
        let mut line = Vec::new();
        let read = reader.read_until(b'\n', &mut line);
        read.expect("a line or the end of the stream");
        if line.is_empty() {
            return;
        }
        let whole = line.strip_suffix(b"\n");
        check(
            whole.expect("no reply is cut in half"),
            message.as_bytes(),
            1,
        );
        replies.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn under_load_no_reply_is_cut_and_no_connection_is_reset() {
    const CLIENTS: usize = 50;
    // From difficulty 3 on replies wait to be written together.
    for difficulty in ["1", "1", "1", "3", "3"] {
        let mut powd = serve(&["-d", difficulty]);
        let (address, replies) = (powd.address(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| ask_until_the_end(address, &replies));
            }
            until("load", || replies.load(Ordering::Relaxed) > 20 * CLIENTS);
            powd.until_counter("/connections/open", |open| open == CLIENTS as u64);
            powd.signal("TERM");
        });
        assert_eq!(powd.wait().code(), Some(0));
    }
}

#[test]
fn pipelined_requests_in_the_socket_are_answered_under_load() {
    // More than one read takes in: the rest is in the server's socket when the signal comes.
    let mut powd = serve(&["-d", "2"]);
    let asked: Vec<String> = (0..500)
        .map(|number| format!("{number} {}", "x".repeat(80)))
        .collect();
    let mut clients: Vec<Client> = (0..8).map(|_| powd.connect()).collect();
    for client in &mut clients {
        client.send(&lines(&asked));
        client.reply(asked[0].as_bytes(), 2);
    }
    powd.signal("TERM");
    for client in &mut clients {
        for message in &asked[1..] {
            client.reply(message.as_bytes(), 2);
        }
        client.expect_end();
    }
    drop(clients);
    assert_eq!(powd.wait().code(), Some(0));
}

/// Starts `powd serve`; its process, and the reading end of its standard error.
fn serve_with_stderr_in_hand() -> (Child, BufReader<ChildStderr>) {
    let mut child = POWD
        .command(&["serve", "--listen", "127.0.0.1:0", "--no-pin"])
        .args(["--drain-timeout", "1h"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("powd can be started");
    let stderr = child.stderr.take().expect("it was piped");
    (child, BufReader::new(stderr))
}

/// Reads up to the announcement; the address in it.
fn announced(stderr: &mut impl BufRead) -> SocketAddr {
    let prefix = "powd: listening on ";
    let mut lines = stderr.lines().map(|line| line.expect("text"));
    let line = lines.find(|line| line.starts_with(prefix));
    let line = line.expect("an announcement");
    let address = line[prefix.len()..].split(' ').next();
    address.expect("an address").parse().expect("an address")
}

/// As `nohup` starts it.
#[cfg(target_os = "linux")]
#[test]
fn a_sighup_that_was_ignored_at_the_start_stays_ignored() {
    let serve = r#"trap '' HUP; exec "$0" serve --listen 127.0.0.1:0 --no-pin -d 1"#;
    let mut powd = Powd::start(POWD.in_shell(serve, &[]), 1);
    powd.signal("HUP");
    // When it has heard this signal it would have heard that one.
    powd.counters();
    powd.connect().ask(b"still there", 1);
    powd.signal("TERM");
    assert!(powd.wait().success());
}

#[test]
fn sigterm_is_heard_when_standard_error_is_closed() {
    let (mut child, mut stderr) = serve_with_stderr_in_hand();
    let address = announced(&mut stderr);
    drop(stderr);
    // Counters that nobody can read do no harm either.
    signal(child.id(), "USR1");
    Client::connect(address).ask(b"still there", 3);
    signal(child.id(), "TERM");
    assert_eq!(wait::for_end(&mut child).code(), Some(0));
}

#[test]
fn sigterm_is_heard_when_nobody_reads_standard_error() {
    let (mut child, mut stderr) = serve_with_stderr_in_hand();
    let address = announced(&mut stderr);
    // Twice what a pipe holds, 64 KiB in lines of nearly 300 bytes, because signals that come
    // faster than they are heard are one.
    for _ in 0..450 {
        signal(child.id(), "USR1");
    }
    Client::connect(address).ask(b"still there", 3);
    signal(child.id(), "TERM");
    assert_eq!(wait::for_end(&mut child).code(), Some(0));
    drop(stderr);
}
