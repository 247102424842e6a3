//! `--proxy-protocol`: connections that a balancer opens for its clients.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use powd_testkit::oracle::check;
use powd_testkit::{Client, DEADLINE, Powd, TestPath};

use crate::POWD;

/// A service that trusts the loopback.
fn serve(flags: &[&str]) -> Powd {
    POWD.serve(&[&["-d", "1", "--proxy-protocol", "127.0.0.0/8"], flags].concat())
}

/// The header of version 1.
fn text(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 10.0.0.1 4000 20000\r\n").into_bytes()
}

/// The header of version 2, with so many bytes of TLVs.
fn binary(client: [u8; 4], tlvs: u16) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    header.extend((12 + tlvs).to_be_bytes());
    header.extend(client);
    header.extend([10, 0, 0, 1, 15, 160, 78, 32]);
    // Padding, which is of no meaning to anybody.
    header.push(4);
    header.extend((tlvs - 3).to_be_bytes());
    header.resize(16 + 12 + usize::from(tlvs), 0);
    header
}

/// A check by the balancer itself.
const CHECK: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

fn connect(powd: &Powd, header: &[u8]) -> Client {
    let client = powd.connect();
    client.send(header);
    client
}

#[test]
fn the_client_in_the_header_is_the_one_that_is_judged() {
    let powd = serve(&["--allow", "192.0.2.0/24", "--max-connections-per-ip", "1"]);
    let mut client = connect(&powd, &text("192.0.2.7"));
    client.ask(b"version 1", 1);
    let mut other = connect(&powd, &binary([192, 0, 2, 8], 3));
    other.ask(b"version 2", 1);
    let mut again = connect(&powd, &binary([192, 0, 2, 7], 3));
    again.error("busy");
    again.expect_end();
    for header in [text("198.51.100.1"), binary([127, 0, 0, 1], 3)] {
        let mut denied = connect(&powd, &header);
        denied.error("denied");
        denied.expect_end();
    }
    client.ask(b"the first one goes on", 1);
    assert_eq!(powd.counter("/connections/refused/denied"), 2);
    assert_eq!(powd.counter("/connections/refused/busy_address"), 1);
}

#[test]
fn a_header_may_come_in_any_pieces_and_with_its_first_requests() {
    let powd = serve(&[]);
    for header in [text("192.0.2.7"), binary([192, 0, 2, 7], 500)] {
        let mut client = powd.connect();
        for byte in &header {
            client.send(&[*byte]);
        }
        client.ask(b"byte by byte", 1);
        let mut client = connect(&powd, &[&header[..], b"one\ntwo\n"].concat());
        client.reply(b"one", 1);
        client.reply(b"two", 1);
    }
    // The client has gone when its replies are found: they go to the balancer all the same.
    let mut client = connect(&powd, &[&text("192.0.2.7")[..], b"half-closed"].concat());
    client.end();
    client.reply(b"half-closed", 1);
    client.expect_end();
}

#[test]
fn who_does_not_begin_with_a_header_is_closed_and_told_of_once() {
    let powd = serve(&[]);
    let too_long = binary([192, 0, 2, 7], 5000);
    let wrong: [&[u8]; 4] = [
        b"hello\n",
        b"PROXY TCP4 me you 1 2\r\n",
        &too_long,
        b"\r\n\r\nhello\n",
    ];
    for bytes in wrong {
        let closed = powd.connect();
        // Closed with unread bytes, it may be reset.
        let _ = closed.stream().write_all(bytes);
        let _ = closed
            .stream()
            .read(&mut [0; 1])
            .map(|count| assert_eq!(count, 0));
    }
    powd.until_counter("/connections/refused/header", |count| count == 4);
    assert_eq!(powd.counter("/connections/total"), 0);
    let told = powd.wait_for_log("warning", |line| line.contains("PROXY header"));
    assert!(told.contains("127.0.0.1"), "{told}");
    let log = powd.log();
    let told = log.iter().filter(|line| line.contains("PROXY header"));
    assert_eq!(told.count(), 1, "{log:?}");
}

#[test]
fn a_balancer_that_sends_no_header_is_not_waited_for_without_end() {
    let powd = serve(&[]);
    let mut silent = powd.connect();
    let halfway = connect(&powd, b"PROXY TCP4 192.");
    silent.expect_end();
    // Reset or ended: bytes of it are unread.
    let _ = halfway
        .stream()
        .read(&mut [0])
        .map(|count| assert_eq!(count, 0));
    powd.until_counter("/connections/refused/header", |count| count == 2);
    connect(&powd, &text("192.0.2.7")).ask(b"well", 1);
}

#[test]
fn half_a_header_whose_sender_has_ended_is_not_waited_for() {
    // One that has come before it is still waited for when it has been closed.
    let is_sooner = || {
        let powd = serve(&[]);
        let waits = connect(&powd, b"PROXY ");
        let ends = connect(&powd, b"PROXY TCP4 192.");
        ends.end();
        // Reset or ended: bytes of it are unread.
        let _ = ends.stream().read(&mut [0]);
        let refused = powd.counter("/connections/refused/header");
        drop(waits);
        refused == 1
    };
    // A machine can stand still for as long as headers are waited for, but not each time.
    assert!((0..5).any(|_| is_sooner()));
}

#[test]
fn elsewhere_a_header_is_a_message() {
    let powd = POWD.serve(&["-d", "1", "--proxy-protocol", "192.0.2.0/24"]);
    let mut client = connect(&powd, &text("192.0.2.7"));
    client.reply(b"PROXY TCP4 192.0.2.7 10.0.0.1 4000 20000\r", 1);
}

#[test]
fn a_health_check_costs_nothing_and_is_not_told_of() {
    let powd = serve(&["--allow", "192.0.2.0/24"]);
    let before = powd.log_length();
    let unknown = &b"PROXY UNKNOWN\r\n"[..];
    for header in [CHECK, unknown, b""] {
        let check = connect(&powd, header);
        check.end();
        drop(check);
    }
    // One that asks something is answered: the balancer itself wants to know.
    let mut asks = connect(&powd, CHECK);
    asks.ask(b"how are you?", 1);
    drop(asks);
    powd.until_counter("/connections/open", |open| open == 0);
    let counters = powd.counters();
    assert_eq!(counters["connections"]["total"], 1, "{counters}");
    let refused = &counters["connections"]["refused"];
    for reason in ["busy", "busy_address", "denied", "header"] {
        assert_eq!(refused[reason], 0, "{counters}");
    }
    let log = powd.log();
    let told: Vec<_> = log[before..]
        .iter()
        .filter(|line| !line.starts_with('{'))
        .collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn a_client_without_an_address_counts_as_its_balancer() {
    let powd = serve(&["--allow", "192.0.2.0/24"]);
    let client = connect(&powd, b"PROXY UNKNOWN\r\nhello\n");
    // Refused with bytes unread, it may be reset.
    let mut told = Vec::new();
    let _ = client.stream().read_to_end(&mut told);
    powd.until_counter("/connections/refused/denied", |count| count == 1);
}

#[test]
fn a_balancer_on_a_socket_file_names_its_clients() {
    let path = TestPath::new("proxy");
    let listen = path.address();
    let flags = [
        "--listen",
        &listen,
        "-d",
        "1",
        "--proxy-protocol",
        "unix",
        "--allow",
        "192.0.2.7",
    ];
    let powd = POWD.serve(&flags);
    let ask = |header: &[u8]| {
        let mut stream = UnixStream::connect(path.path()).expect("powd listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        stream
            .write_all(&[header, b"hello"].concat())
            .expect("powd takes bytes");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("it is open");
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        reply
    };
    check(ask(&text("192.0.2.7")).trim_ascii_end(), b"hello", 1);
    ask(&text("192.0.2.8"));
    powd.until_counter("/connections/refused/denied", |count| count == 1);
}

/// HAProxy itself, with health checks, in both versions.
#[cfg(all(target_os = "linux", feature = "http"))]
#[test]
fn clients_of_haproxy_are_judged_by_their_own_addresses() {
    use powd_testkit::reserved_port;

    use crate::haproxy::HaProxy;
    use crate::limits::connect_from;

    let powd = serve(&["--allow", "127.0.0.2"]);
    let [(_one, first), (_other, second)] = [reserved_port(), reserved_port()];
    let ports = [first, second];
    let server = powd.address();
    let mut text =
        "defaults\n mode tcp\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n"
            .to_owned();
    for (port, send) in ports.iter().zip(["send-proxy", "send-proxy-v2"]) {
        text += &format!(
            "listen {send}\n bind {port}\n server powd {server} {send} check inter 20ms\n"
        );
    }
    let Some(haproxy) = HaProxy::start("versions", &text) else {
        return;
    };
    for port in ports {
        powd_testkit::until("HAProxy", || std::net::TcpStream::connect(port).is_ok());
        let mut client = connect_from("127.0.0.2", port);
        client.ask(b"through a balancer", 1);
        let mut denied = connect_from("127.0.0.3", port);
        denied.error("denied");
        denied.expect_end();
        client.ask(b"still there", 1);
    }
    drop(haproxy);
    powd.until_counter("/connections/open", |open| open == 0);
    // Neither its checks nor those who only looked whether it is there; theirs were denied.
    assert_eq!(powd.counter("/connections/total"), 2);
    assert_eq!(powd.counter("/connections/refused/header"), 0);
}

#[test]
fn a_drain_answers_those_whose_header_has_come() {
    let mut powd = serve(&[]);
    let mut client = connect(&powd, &text("192.0.2.7"));
    client.ask(b"before", 1);
    client.send(b"in the drain\n");
    powd.signal("TERM");
    client.reply(b"in the drain", 1);
    client.end();
    client.expect_end();
    assert!(powd.wait().success());
}

#[test]
fn a_drain_waits_for_no_header() {
    // Another service has waited for one for longer when the first has ended.
    let is_sooner = || {
        let (waits, mut drains) = (serve(&[]), serve(&[]));
        let clients = [&waits, &drains].map(|powd| connect(powd, b"PROXY "));
        drains.signal("TERM");
        assert!(drains.wait().success());
        let refused = waits.counter("/connections/refused/header");
        drop(clients);
        refused == 0
    };
    // A machine can stand still for as long as headers are waited for, but not each time.
    assert!((0..5).any(|_| is_sooner()));
}
