//! The limits on clients, from outside: each flag keeps its promise, and keeps it to those it
//! concerns.

use std::io::Write;
#[cfg(target_os = "linux")]
use std::net::SocketAddr;
use std::net::TcpStream;
#[cfg(target_os = "linux")]
use std::thread;
#[cfg(target_os = "linux")]
use std::time::{Duration, Instant};

use powd_testkit::needs::connections;
use powd_testkit::oracle::check;
#[cfg(target_os = "linux")]
use powd_testkit::proc;
#[cfg(target_os = "linux")]
use powd_testkit::wait::until_still;
use powd_testkit::{Client, Powd, lines, messages, until};
use socket2::{Domain, Socket, Type};

use crate::POWD;

/// A connection from another address of the loopback.
#[cfg(target_os = "linux")]
pub(crate) fn connect_from(source: &str, address: SocketAddr) -> Client {
    let source: SocketAddr = format!("{source}:0").parse().expect("an address");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is free");
    socket
        .bind(&source.into())
        .expect("all of 127.0.0.0/8 is the loopback");
    socket.connect(&address.into()).expect("powd listens");
    Client::new(TcpStream::from(socket))
}

/// Connects again and again until one gets in; the message that it asked is answered right.
fn until_let_in(powd: &Powd, nibbles: u8) -> Client {
    let mut let_in = None;
    until("room for a connection", || {
        let mut client = powd.connect();
        // Refused at once, the server's end may be closed already.
        let _ = client.stream().write_all(b"is there room?\n");
        let line = client.line();
        if !line.starts_with(b"ERR busy ") {
            check(&line, b"is there room?", nibbles);
            let_in = Some(client);
        }
        let_in.is_some()
    });
    let_in.expect("until it is")
}

#[test]
fn more_connections_than_allowed_are_told_so_and_the_others_stay() {
    let powd = POWD.serve(&["-d", "1", "--max-connections", "2"]);
    let mut open = [powd.connect(), powd.connect()];
    for client in &mut open {
        client.ask(b"before", 1);
    }
    for _ in 0..5 {
        let mut refused = powd.connect();
        refused.error("busy");
        refused.expect_end();
    }
    for client in &mut open {
        client.ask(b"after", 1);
    }
    assert_eq!(powd.counter("/connections/refused/busy"), 5);
    let [stays, goes] = open;
    drop(goes);
    until_let_in(&powd, 1);
    drop(stays);
}

#[cfg(target_os = "linux")]
#[test]
fn connections_are_counted_by_address() {
    let powd = POWD.serve(&["-d", "1", "--max-connections-per-ip", "1"]);
    let mut first = powd.connect();
    first.ask(b"mine", 1);
    let mut second = powd.connect();
    second.error("busy");
    second.expect_end();
    let mut other = connect_from("127.0.0.2", powd.address());
    other.ask(b"another address", 1);
    first.ask(b"still mine", 1);
    assert_eq!(powd.counter("/connections/refused/busy_address"), 1);
    drop(first);
    until_let_in(&powd, 1);
    other.ask(b"untouched", 1);
}

#[cfg(target_os = "linux")]
#[test]
fn only_the_ranges_allowed_get_in() {
    let powd = POWD.serve(&[
        "-d",
        "1",
        "--allow",
        "10.0.0.0/8",
        "--allow",
        "127.0.0.1",
        "--allow",
        "127.1.0.0/16",
    ]);
    powd.connect().ask(b"one address", 1);
    connect_from("127.1.2.3", powd.address()).ask(b"a range", 1);
    for outside in ["127.0.0.2", "127.2.0.1"] {
        let mut denied = connect_from(outside, powd.address());
        denied.error("denied");
        denied.expect_end();
    }
    assert_eq!(powd.counter("/connections/refused/denied"), 2);
    assert_eq!(powd.counter("/connections/total"), 2);
}

#[test]
fn an_ipv4_range_in_ipv6_form_lets_ipv4_clients_in() {
    let powd = POWD.serve(&["-d", "1", "--allow", "::ffff:127.0.0.1"]);
    powd.connect().ask(b"canonical", 1);
}

#[test]
fn an_idle_connection_is_closed() {
    let powd = POWD.serve(&["-d", "1", "--idle-timeout", "500ms"]);
    // However late this test is, for powd they come with all that they say.
    powd.signal("STOP");
    let mut silent = powd.connect();
    let mut asked_once = powd.connect();
    asked_once.send(b"one\n");
    let mut half_a_line = powd.connect();
    half_a_line.send(b"half a li");
    powd.signal("CONT");
    asked_once.reply(b"one", 1);
    for client in [&mut silent, &mut asked_once, &mut half_a_line] {
        client.expect_end();
    }
    powd.until_counter("/connections/open", |open| open == 0);
    assert_eq!(powd.counter("/connections/closed_idle"), 3);
}

#[test]
fn one_that_waits_for_a_search_is_not_idle() {
    // Nothing meets 64 zeros: the search lasts twice the idle timeout, then gets its error line.
    let flags = ["-d", "64", "--idle-timeout", "500ms", "--deadline", "1s"];
    let powd = POWD.serve(&flags);
    // However late this test is, for powd the client comes with what it asks.
    powd.signal("STOP");
    let mut client = powd.connect();
    client.send(b"hard\nhard again\n");
    powd.signal("CONT");
    client.error("deadline");
    client.error("deadline");
    client.expect_end();
    assert_eq!(powd.counter("/connections/closed_idle"), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_looks_after_clients_that_say_nothing() {
    // Not even their end of stream, as when a cable is cut. That cannot be had here; the timer can
    // be seen.
    const KEEPALIVE: u8 = 2;
    let powd = POWD.serve(&["-d", "64"]);
    let client = powd.connect();
    client.send(b"hard\n");
    powd.until_counter("/hashes", |hashes| hashes > 0);
    until("a keepalive timer of a minute", || {
        let socket = proc::socket(&client);
        socket.timer == KEEPALIVE && socket.left <= 6000
    });
}

#[test]
fn a_search_past_its_deadline_gets_an_error_line_and_the_connection_goes_on() {
    let powd = POWD.serve(&["-d", "64", "--deadline", "20ms"]);
    let mut client = powd.connect();
    for round in 1..=3 {
        client.send(&lines(messages(5)));
        for _ in 0..5 {
            client.error("deadline");
        }
        assert_eq!(powd.counter("/errors/deadline"), 5 * round);
    }
    client.end();
    client.expect_end();
}

#[test]
fn an_error_line_stands_in_the_place_of_its_request() {
    let asked = messages(300);
    let mut mixed = false;
    // Each zero more takes 16 times as long: at one of these, at least, some searches are late and
    // some are not, whatever the machine.
    for nibbles in 2..=6 {
        let powd = POWD.serve(&["-d", &nibbles.to_string(), "--deadline", "2ms"]);
        let mut client = powd.connect();
        client.send(&lines(&asked));
        let mut late = 0;
        for message in &asked {
            let line = client.line();
            if line.starts_with(b"ERR deadline ") {
                late += 1;
            } else {
                check(&line, message.as_bytes(), nibbles);
            }
        }
        client.end();
        client.expect_end();
        assert_eq!(powd.counter("/errors/deadline"), late);
        let replies = powd.counter("/replies");
        assert_eq!(replies, asked.len() as u64 - late);
        mixed |= late > 0 && replies > 0;
    }
    assert!(mixed, "only replies or only error lines at each difficulty");
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_that_does_not_read_costs_little_and_loses_nothing() {
    // 60 MB of requests and more of replies: far beyond what the sockets of both sides hold.
    const REQUESTS: usize = 100_000;
    let powd = POWD.serve(&["-d", "0"]);
    let message = |number: usize| format!("{number} {}", "x".repeat(600)).into_bytes();
    let mut client = powd.connect();
    client.ask(b"warm", 0);
    let before = powd.status_kib("VmRSS");
    let mut writer = client.stream().try_clone().expect("a descriptor is free");
    thread::scope(|scope| {
        let writing = scope.spawn(move || {
            for number in 0..REQUESTS {
                let line = lines([message(number)]);
                writer.write_all(&line).expect("powd reads when it can");
            }
        });
        // It answers until its socket is full; then, nothing read, nothing moves.
        let mut last = 0;
        until_still("a standstill", || {
            last = powd.counter("/replies");
            (last > 1000).then_some(last)
        });
        assert!(last < REQUESTS as u64 && !writing.is_finished());
        let after = powd.status_kib("VmRSS");
        assert!(
            after < before + 2048,
            "from {before} to {after} KiB for one client"
        );
        powd.connect().ask_all(&messages(1000), 0);
        for number in 0..REQUESTS {
            client.reply(&message(number), 0);
        }
    });
    client.end();
    client.expect_end();
}

#[cfg(target_os = "linux")]
#[test]
fn it_recovers_by_itself_when_descriptors_run_out() {
    // Each worker takes some descriptors: as many workers as CPUs would leave none to clients on a
    // big machine.
    let serve = r#"ulimit -n 40; exec "$0" serve --listen 127.0.0.1:0 -d 1 --workers 2 --no-pin --drain-timeout 1h"#;
    let mut powd = Powd::start(POWD.in_shell(serve, &[]), 1);

    // More than fit; the kernel completes the others and keeps them until there is room.
    let mut clients: Vec<Client> = (0..50).map(|_| powd.connect()).collect();
    for client in &clients {
        client.send(b"hello\n");
    }
    powd.until_counter("/connections/accept_pauses", |pauses| pauses > 0);
    // The clock starts before the first count and stops behind the last: a slow machine only adds
    // time.
    let (start, ticks) = (Instant::now(), powd.cpu_ticks());
    let pauses = powd.counter("/connections/accept_pauses");
    let later = powd.until_counter("/connections/accept_pauses", |now| {
        // Those that come meanwhile, and leave, do not shorten it.
        drop(powd.connect());
        now >= pauses + 20
    });
    let waited = start.elapsed();
    // Fifty milliseconds each, but for the one that the first count fell into.
    let pause = waited / (later - pauses - 1) as u32;
    assert!(pause >= Duration::from_millis(50), "it spins: {pause:?}");
    // A tick is 10 ms: less than half of the time that passed.
    let ticks = powd.cpu_ticks() - ticks;
    assert!(
        u128::from(ticks) * 20 < waited.as_millis(),
        "{ticks} ticks of CPU for waiting {waited:?}"
    );

    let open = powd.counter("/connections/open") as usize;
    assert!(
        (20..40).contains(&open),
        "{open} connections in 40 descriptors"
    );
    for client in &mut clients[..open] {
        client.reply(b"hello", 1);
    }
    // Those that had theirs go; all others come in.
    for client in clients.drain(..open) {
        drop(client);
    }
    for client in &mut clients {
        client.reply(b"hello", 1);
    }
    powd.connect().ask(b"recovered", 1);

    // A shortage that comes and goes is told once a minute.
    let before = powd.counter("/connections/accept_pauses");
    clients.extend((0..50).map(|_| powd.connect()));
    powd.until_counter("/connections/accept_pauses", |now| now > before);
    let told = powd.log();
    let told = told.iter().filter(|line| line.contains("cannot accept"));
    let minutes = start.elapsed().as_secs() as usize / 60;
    assert!((1..=2 + minutes).contains(&told.count()));
    drop(clients);
    powd.signal("TERM");
    assert!(powd.wait().success());
}

#[cfg(target_os = "linux")]
#[test]
fn too_few_open_files_for_the_connections_promised_are_told_at_the_start() {
    for (max, is_told) in [("50", true), ("20", false)] {
        let serve = r#"ulimit -n 60; exec "$0" serve --listen 127.0.0.1:0 -d 1 --workers 2 --no-pin --max-connections "$1""#;
        let powd = Powd::start(POWD.in_shell(serve, &[max]), 1);
        let log = powd.log();
        let told: Vec<_> = log
            .iter()
            .filter(|line| line.contains("open files"))
            .collect();
        assert_eq!(told.len(), usize::from(is_told), "{told:?}");
        for line in told {
            let room = line.rsplit(' ').next().and_then(|room| room.parse().ok());
            let room: usize = room.expect("the remedy ends with a number");
            assert!(line.contains("60") && (20..50).contains(&room), "{line}");
            // What the line recommends works: whoever comes beyond that hears that powd is busy.
            let powd = Powd::start(POWD.in_shell(serve, &[&room.to_string()]), 1);
            let mut clients: Vec<Client> = (0..room).map(|_| powd.connect()).collect();
            for client in &mut clients {
                client.ask(b"let in", 1);
            }
            powd.connect().error("busy");
            assert!(!powd.log().iter().any(|line| line.contains("open files")));
        }
    }
}

/// The warning counts what else can be open: here the admin address, to which 256 may come.
#[cfg(all(target_os = "linux", feature = "http"))]
#[test]
fn the_open_files_of_other_doors_are_no_room_for_connections() {
    let serve = r#"ulimit -n 500; exec "$0" serve --listen 127.0.0.1:0 --admin 127.0.0.1:0 -d 1 --workers 2 --no-pin --max-connections "$1""#;
    let powd = Powd::start(POWD.in_shell(serve, &["400"]), 1);
    let told = powd.wait_for_log("a warning", |line| line.contains("open files"));
    let room = told.rsplit(' ').next().and_then(|room| room.parse().ok());
    let room: usize = room.expect("the remedy ends with a number");
    let powd = Powd::start(POWD.in_shell(serve, &[&room.to_string()]), 1);
    let admin = powd.door("admin");
    let watchers: Vec<_> = (0..256).map(|_| TcpStream::connect(admin)).collect();
    let mut clients: Vec<Client> = (0..room).map(|_| powd.connect()).collect();
    for client in &mut clients {
        client.ask(b"let in", 1);
    }
    powd.connect().error("busy");
    drop(watchers);
}

#[test]
fn two_thousand_connections_at_once_are_all_answered() {
    let count = connections(2000);
    assert!(count > 0, "the hard limit of open files is too low");
    let powd = POWD.serve(&["-d", "1"]);
    let mut clients: Vec<Client> = (0..count).map(|_| powd.connect()).collect();
    let asked = messages(5);
    for client in &clients {
        client.send(&lines(&asked));
    }
    for client in &mut clients {
        for message in &asked {
            client.reply(message.as_bytes(), 1);
        }
    }
    assert_eq!(powd.counter("/connections/open"), count as u64);
    drop(clients);
    powd.until_counter("/connections/open", |open| open == 0);
    assert_eq!(powd.counter("/replies"), 5 * count as u64);
}

#[test]
fn replies_are_whole_however_small_the_window_they_go_through() {
    let powd = POWD.serve(&["-d", "0"]);
    let mut client = Client::connect_narrow(powd.address(), 4096);
    let asked: Vec<String> = (0..5000)
        .map(|number| format!("{number}").repeat(40))
        .collect();
    client.ask_all(&asked, 0);
    client.end();
    client.expect_end();
}
