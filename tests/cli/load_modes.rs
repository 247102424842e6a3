//! `powd load` as a command: a fixed number of requests, a connection for each, other addresses
//! than numbers, and servers that are not there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;

use powd_testkit::program::expect_one_line;
use powd_testkit::small_servers::{counting, reply, serve};
use powd_testkit::{TestPath, reserved_port};
use serde_json::{Value, json};
#[cfg(target_os = "linux")]
use socket2::{Domain, SockAddr, Socket, Type};

use crate::POWD;

/// What it measured, as `--json` tells it, and its exit code.
fn measured(server: &str, flags: &[&str]) -> (Option<i32>, Value) {
    let output = POWD.run(&[&["load", server, "--json"], flags].concat());
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

/// What a server has seen so far. Both numbers change together: who reads them while it serves must
/// not see a request without its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seen {
    /// Connections on which something was asked.
    connections: usize,
    requests: usize,
}

/// A server that answers `each` requests of a connection and then closes it, and what it has seen.
fn closing_after(each: usize) -> (String, Arc<Mutex<Seen>>) {
    let seen = Arc::<Mutex<Seen>>::default();
    let count = Arc::clone(&seen);
    let address = serve(move |_, stream: TcpStream| {
        let mut out = stream.try_clone().expect("a second handle");
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        for (number, line) in lines.by_ref().take(each).enumerate() {
            let mut seen = count.lock().expect("two numbers");
            seen.requests += 1;
            seen.connections += usize::from(number == 0);
            drop(seen);
            if out.write_all((reply(&line) + "\n").as_bytes()).is_err() {
                return;
            }
        }
    });
    (address.to_string(), seen)
}

/// One request of each of so many connections.
fn one_of_each(connections: usize) -> Seen {
    Seen {
        connections,
        requests: connections,
    }
}

#[test]
fn it_asks_as_often_as_it_is_told_and_ends() {
    for (flags, requests) in [
        (&["-n", "1000", "-c", "7", "-P", "3"][..], 1000),
        (&["-n", "5", "-c", "20"], 5),
        (&["-n", "1", "-c", "1"], 1),
        (&["-n", "30", "-c", "3", "--rate", "1000"], 30),
    ] {
        let (address, asked) = counting();
        let (code, report) = measured(&address.to_string(), flags);
        assert_eq!(code, Some(0), "{flags:?}: {report}");
        assert_eq!(report["requests"], requests, "{flags:?}");
        assert_eq!(report["replies"], requests, "{flags:?}: {report}");
        assert_eq!(
            (&report["unanswered"], &report["lost"]),
            (&0.into(), &0.into())
        );
        assert_eq!(asked.load(Ordering::Relaxed), requests, "{flags:?}");
        assert!(
            report["seconds"]
                .as_f64()
                .is_some_and(|seconds| seconds > 0.0)
        );
    }
}

#[test]
fn what_is_lost_is_not_asked_again_for_ever() {
    let address = serve(|_, stream| {
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line);
    });
    let (code, report) = measured(&address.to_string(), &["-n", "3", "-c", "1"]);
    assert_eq!(code, Some(1), "no replies");
    assert_eq!(
        (&report["replies"], &report["lost"]),
        (&0.into(), &3.into())
    );
}

#[test]
fn the_clock_ends_it_too_if_it_is_told_so() {
    let silent = serve(|_, stream| BufReader::new(stream).lines().for_each(drop));
    // The clock runs before there are threads and connections, and both are to have asked by then.
    let (code, report) = measured(&silent.to_string(), &["-n", "3", "-c", "2", "-s", "3"]);
    assert_eq!(code, Some(1), "no replies");
    assert_eq!(report["unanswered"], 2);
}

#[test]
fn each_request_has_a_connection_of_its_own_where_that_is_asked_for() {
    // Whoever closes first, nothing of it is an error.
    for each in [1, usize::MAX] {
        let (address, seen) = closing_after(each);
        let (code, report) = measured(&address, &["-n", "50", "-c", "4", "--reconnect"]);
        assert_eq!(code, Some(0), "{report}");
        assert_eq!(
            (&report["reconnect"], &report["replies"]),
            (&true.into(), &50.into())
        );
        assert!(
            report["errors"]
                .as_object()
                .is_some_and(serde_json::Map::is_empty),
            "{report}"
        );
        assert_eq!(*seen.lock().expect("two numbers"), one_of_each(50));
    }
    // The same by the clock.
    let (address, seen) = closing_after(usize::MAX);
    let flags = ["-n", "20", "-c", "2", "--reconnect", "--rate", "500"];
    let (code, report) = measured(&address, &flags);
    assert_eq!(
        (code, &report["replies"]),
        (Some(0), &20.into()),
        "{report}"
    );
    assert_eq!(*seen.lock().expect("two numbers"), one_of_each(20));
    // Without it the connections are kept.
    let (address, seen) = closing_after(usize::MAX);
    measured(&address, &["-n", "50", "-c", "4"]);
    assert!(seen.lock().expect("two numbers").connections <= 4);
}

#[test]
fn reconnecting_goes_on_until_the_time_is_over() {
    let (address, seen) = closing_after(1);
    let flags = ["-c", "2", "-s", "2", "--warmup", "0s", "--reconnect"];
    let (code, report) = measured(&address, &flags);
    assert_eq!(code, Some(0), "{report}");
    let seen = *seen.lock().expect("two numbers");
    assert_eq!(seen, one_of_each(seen.connections));
    assert!(seen.connections > 2, "{report}");
}

#[test]
fn a_socket_file_and_a_name_are_addresses() {
    let path = TestPath::new("load");
    let listener = UnixListener::bind(path.path()).expect("a socket file");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut out = stream.try_clone().expect("a second handle");
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = out.write_all((reply(&line) + "\n").as_bytes());
                }
            });
        }
    });
    let file = path.address();
    for more in [&[][..], &["--reconnect"]] {
        let flags = [&["-n", "300", "-c", "200"], more].concat();
        let (code, report) = measured(&file, &flags);
        assert_eq!(
            (code, &report["replies"]),
            (Some(0), &300.into()),
            "{report}"
        );
        assert_eq!(report["address"], file.as_str());
    }

    // It is 127.0.0.1 and, on most systems, ::1, where nobody listens.
    let (address, _) = counting();
    let name = format!("localhost:{}", address.port());
    let (code, report) = measured(&name, &["-n", "10"]);
    assert_eq!(
        (code, &report["replies"]),
        (Some(0), &10.into()),
        "{report}"
    );
    assert_eq!(report["address"], address.to_string());
}

/// A socket file of which the other end is closed takes no request any more.
#[test]
fn what_was_said_at_a_socket_file_before_it_closed_is_heard() {
    let path = TestPath::new("busy");
    let listener = UnixListener::bind(path.path()).expect("a socket file");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"ERR busy try later\n");
        }
    });
    let flags = ["-n", "100", "-c", "2", "--reconnect"];
    let (code, report) = measured(&path.address(), &flags);
    assert_eq!(code, Some(1), "no replies");
    assert_eq!(report["errors"], json!({ "ERR busy": 100 }), "{report}");
}

#[test]
fn a_server_that_goes_before_the_last_request_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("it connects");
        let mut out = stream.try_clone().expect("a second handle");
        for line in BufReader::new(stream).lines().map_while(Result::ok).take(3) {
            let answer = reply(&line) + "\n";
            out.write_all(answer.as_bytes()).expect("it reads");
        }
    });
    let flags = ["-n", "10", "-c", "1", "--timeout", "2s"];
    let (code, report) = measured(&address, &flags);
    assert_eq!((code, &report["gone"]), (Some(1), &true.into()), "{report}");
    assert_eq!(report["replies"], 3, "{report}");
}

#[test]
fn a_server_that_is_not_there_is_told_at_once_in_one_line() {
    let (_reserved, closed) = reserved_port();
    let name = format!("localhost:{}", closed.port());
    // A year: who waits for its end fails.
    let year = ["-s", "31536000"];
    for (server, flags, said) in [
        (&*closed.to_string(), &[][..], "nothing listens there"),
        (
            &*closed.to_string(),
            &["--reconnect"],
            "nothing listens there",
        ),
        (
            &*closed.to_string(),
            &["--rate", "0.1"],
            "nothing listens there",
        ),
        (
            &*closed.to_string(),
            &["--rate", "0.1", "--reconnect"],
            "nothing listens there",
        ),
        (&*closed.to_string(), &["-n", "7"], "nothing listens there"),
        // Most connections have nothing to ask.
        (
            &*closed.to_string(),
            &["-n", "7", "--reconnect"],
            "nothing listens there",
        ),
        #[cfg(feature = "http")]
        (
            &*format!("http://{closed}"),
            &["-n", "7", "--reconnect"],
            "nothing listens there",
        ),
        (&*name, &[], "nothing listens there"),
        ("unix:/no/such/file", &[], "no such socket file"),
        (
            "no-such-host.invalid:20000",
            &[],
            "no address of no-such-host.invalid:20000",
        ),
    ] {
        let output = POWD.run(&[&["load", server], flags, &year].concat());
        let told = expect_one_line(&output, 1, server);
        assert!(told.contains(said), "{server} {flags:?}: {told}");
    }
}

#[test]
fn what_contradicts_itself_is_told_in_one_line() {
    for flags in [
        &["-n", "0"][..],
        &["-n", "many"],
        &["--reconnect", "-P", "2"],
        &["-n", "5", "--warmup", "1s"],
        &["--batch"],
        &["--http-token-file", file!()],
    ] {
        let arguments = [&["load", "127.0.0.1:1"], flags].concat();
        expect_one_line(&POWD.run(&arguments), 2, &format!("{flags:?}"));
    }
}

/// A file with a listen queue that is full, and who fills it.
#[cfg(target_os = "linux")]
fn full(path: &std::path::Path) -> Vec<Socket> {
    let address = SockAddr::unix(path).expect("a short path");
    let new = || Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let listener = new();
    listener.bind(&address).expect("nothing is there");
    listener.listen(0).expect("bound");
    let mut sockets = vec![listener];
    loop {
        let client = new();
        client.set_nonblocking(true).expect("a socket");
        if client.connect(&address).is_err() {
            return sockets;
        }
        sockets.push(client);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_waits_for_ever_at_a_socket_file_whose_queue_is_full() {
    let path = TestPath::new("full");
    let _sockets = full(path.path());
    let server = path.address();
    let (code, report) = measured(&server, &["--reconnect", "--rate", "10", "-s", "0.1"]);
    assert_eq!(code, Some(1), "no replies");
    assert_eq!(report["replies"], 0);
    #[cfg(feature = "http")]
    expect_one_line(&POWD.run(&["health", &server]), 1, "no answer");
}
