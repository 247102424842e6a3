//! The load client against small servers that answer rightly, wrongly, late or not at all.
//!
//! No run in this process ends by the clock: each ends when the counts it waits for are there, and
//! `DEADLINE` only keeps a broken one from lasting for ever. Those of the command are short.

#[path = "../benches/support/server.rs"]
#[allow(dead_code, reason = "shared with the benchmarks")]
mod server;

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use powd::load::{self, Messages, Options, Progress, Report};
use powd::pow::{Difficulty, Seed, digest};
use socket2::{Domain, Socket, Type};

const DEADLINE: Duration = Duration::from_secs(60);

/// A server with one thread per connection; `behaviour` gets the connection's number and its stream.
fn serve(behaviour: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let behaviour = Arc::new(behaviour);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let behaviour = Arc::clone(&behaviour);
            thread::spawn(move || behaviour(number, stream));
        }
    });
    address
}

/// A server that answers each line with what `answer` makes of it.
fn answering(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> SocketAddr {
    serve(move |_, stream| {
        let mut out = stream.try_clone().expect("a second handle");
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if out.write_all(answer(&line).as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// The right reply at difficulty 0, without its newline.
fn reply(message: &str) -> String {
    let seed = Seed::from_bytes(b"abcde").expect("letters");
    let digest = digest(&seed, message.as_bytes());
    format!("{message},abcde,{}", hex::encode(digest))
}

fn options(address: SocketAddr) -> Options {
    Options {
        duration: DEADLINE,
        warmup: Duration::ZERO,
        ..Options::new(address)
    }
}

/// Runs until `enough`.
fn run_until(options: &Options, mut enough: impl FnMut(&Progress) -> bool) -> Report {
    let stop = AtomicBool::new(false);
    let mut hook = |progress: &Progress| {
        if enough(progress) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    load::run(options, &mut hook, &stop).expect("it runs")
}

/// Runs until the first wrong reply; returns the one kind there is.
fn kind_of_wrong(options: &Options) -> (String, Report) {
    let report = run_until(options, |progress| progress.wrong > 0);
    let kinds: Vec<&String> = report.wrong.kinds.keys().collect();
    assert_eq!(kinds.len(), 1, "{:?}", report.wrong);
    (kinds[0].clone(), report)
}

#[test]
fn right_replies_are_counted_and_messages_are_unique() {
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let asked = Arc::clone(&seen);
    let repeated = Arc::new(AtomicUsize::new(0));
    let repeats = Arc::clone(&repeated);
    let address = answering(move |message| {
        assert_eq!(message.len(), 20);
        if !asked.lock().expect("a set").insert(message.to_owned()) {
            repeats.fetch_add(1, Ordering::Relaxed);
        }
        reply(message) + "\n"
    });
    let options = Options {
        connections: 8,
        pipeline: 16,
        threads: 2,
        difficulty: Some(Difficulty::NONE),
        ..options(address)
    };
    let report = run_until(&options, |progress| progress.replies >= 2000);
    assert!(report.replies >= 2000);
    assert_eq!((report.wrong.total, report.errors.len()), (0, 0));
    assert_eq!(report.open_at_end, 8);
    assert_eq!(repeated.load(Ordering::Relaxed), 0);
    assert!(seen.lock().expect("a set").len() as u64 >= report.replies);
    let latency = report.latency;
    assert!(0.0 < latency.p50_ms && latency.p50_ms <= latency.p99_ms);
    assert!(latency.p99_ms <= latency.max_ms);
}

#[test]
fn replies_in_pieces_are_put_together() {
    let address = serve(|_, stream| {
        let mut out = stream.try_clone().expect("a second handle");
        out.set_nodelay(true).expect("a socket");
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            for piece in (reply(&line) + "\n").as_bytes().chunks(7) {
                if out.write_all(piece).is_err() {
                    return;
                }
            }
        }
    });
    let options = Options {
        pipeline: 5,
        messages: Messages::Unique(100),
        ..options(address)
    };
    let report = run_until(&options, |progress| progress.replies >= 200);
    assert_eq!((report.wrong.total, report.errors.len()), (0, 0));
}

#[test]
fn wrong_replies_are_caught_and_named() {
    type Answer = fn(&str) -> String;
    let cases: [(&str, Answer); 5] = [
        ("wrong hash", |m| reply(m).replace("abcde", "abcdf")),
        ("wrong message", |_| reply("something else")),
        ("bad seed", |m| reply(m).replace("abcde", "ab-de")),
        ("not a reply", |m| m.to_owned()),
        ("bad hash", |m| reply(m) + "0"),
    ];
    for (kind, answer) in cases {
        let address = answering(move |message| answer(message) + "\n");
        let (found, report) = kind_of_wrong(&options(address));
        assert_eq!(found, kind);
        assert_eq!(report.replies, 0);
        assert!(!report.wrong.samples.is_empty() && report.wrong.samples.len() <= 5);
    }
}

#[test]
fn too_few_zeros_are_caught_only_where_zeros_are_asked_for() {
    let address = answering(|message| reply(message) + "\n");
    let hard = Options {
        difficulty: Some(Difficulty::MAX),
        ..options(address)
    };
    assert_eq!(kind_of_wrong(&hard).0, "too few zeros");
    let report = run_until(&options(address), |progress| progress.replies >= 10);
    assert_eq!(report.wrong.total, 0);
    assert_eq!(report.hashes_per_s, None);
}

#[test]
fn a_reply_too_many_is_caught() {
    let address = answering(|message| format!("{0}\n{0}\n", reply(message)));
    let (kind, _) = kind_of_wrong(&options(address));
    assert_eq!(kind, "a reply that nobody asked for");
}

#[test]
fn a_reply_out_of_order_is_caught() {
    // Holds every first message back until the second was answered.
    let address = serve(|_, stream| {
        let mut out = stream.try_clone().expect("a second handle");
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        while let (Some(first), Some(second)) = (lines.next(), lines.next()) {
            let swapped = format!("{}\n{}\n", reply(&second), reply(&first));
            if out.write_all(swapped.as_bytes()).is_err() {
                return;
            }
        }
    });
    let options = Options {
        pipeline: 2,
        ..options(address)
    };
    assert_eq!(kind_of_wrong(&options).0, "wrong message");
}

#[test]
fn a_line_without_end_is_given_up() {
    let address = serve(|_, mut stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});
    let (kind, _) = kind_of_wrong(&options(address));
    assert_eq!(kind, "a line without end");
}

#[test]
fn a_close_without_reply_is_an_early_close_and_the_client_comes_back() {
    let address = serve(|number, stream| {
        let mut out = stream.try_clone().expect("a second handle");
        let mut line = String::new();
        let mut lines = BufReader::new(stream);
        while lines.read_line(&mut line).is_ok_and(|bytes| bytes > 0) && number >= 3 {
            let answer = reply(line.trim_end()) + "\n";
            if out.write_all(answer.as_bytes()).is_err() {
                return;
            }
            line.clear();
        }
    });
    let report = run_until(&options(address), |progress| progress.replies >= 10);
    assert_eq!(report.errors.get("early close"), Some(&3), "{report:?}");
    assert_eq!((report.errors.len(), report.wrong.total), (1, 0));
}

#[test]
fn a_reset_is_error_104_by_name() {
    // A socket closed with unread bytes in it resets its connection.
    let address = serve(|_, mut stream| drop(stream.read(&mut [0])));
    let report = run_until(&options(address), |progress| progress.errors >= 3);
    let resets = report.errors.get("ECONNRESET").copied().unwrap_or(0);
    assert!(resets > 0, "{:?}", report.errors);
}

/// A port that refuses connections, and the socket that keeps it from others: bound, but not listening.
fn closed_port() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is free");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).expect("a free port");
    let bound = socket.local_addr().expect("bound");
    (socket, bound.as_socket().expect("an IP address"))
}

#[test]
fn a_closed_port_refuses() {
    let (_reserved, address) = closed_port();
    let report = run_until(&options(address), |progress| progress.errors >= 2);
    let names: Vec<&String> = report.errors.keys().collect();
    assert_eq!(names, ["ECONNREFUSED"]);
    assert_eq!(report.replies, 0);
}

#[test]
fn silence_is_a_timeout() {
    let address = serve(|_, mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let options = Options {
        timeout: Duration::from_millis(50),
        ..options(address)
    };
    let report = run_until(&options, |progress| progress.errors >= 2);
    let names: Vec<&String> = report.errors.keys().collect();
    assert_eq!(names, ["timeout"]);
}

#[test]
fn error_lines_are_counted_by_their_code() {
    let answered = AtomicUsize::new(0);
    let address = answering(move |message| {
        if answered.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            "ERR deadline this one took too long\n".to_owned()
        } else {
            reply(message) + "\n"
        }
    });
    let report = run_until(&options(address), |progress| progress.replies >= 10);
    assert!(report.errors["ERR deadline"] >= 10);
    assert_eq!((report.errors.len(), report.wrong.total), (1, 0));

    let busy = serve(|_, mut stream| drop(stream.write_all(b"ERR busy try later\n")));
    let report = run_until(&options(busy), |progress| progress.errors >= 4);
    assert!(report.errors["ERR busy"] >= 1, "{:?}", report.errors);
    assert_eq!(report.wrong.total, 0);
}

/// A server that holds one reply back until it is let go, and the run over it. The run lets go after more
/// than a second of the window, and ends once as many replies came as were due in that time.
fn over_a_stall(rate: Option<f64>) -> Report {
    let (let_go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let answered = AtomicUsize::new(0);
    let address = answering(move |message| {
        if answered.fetch_add(1, Ordering::Relaxed) == 100 {
            // An error means that the run is over, which is as good.
            let _ = wait.lock().expect("one waits").recv();
        }
        reply(message) + "\n"
    });
    let options = Options {
        rate,
        ..options(address)
    };
    let mut held = Some(let_go);
    run_until(&options, |progress| {
        if progress.measured > Duration::from_secs(1) {
            held = None;
        }
        progress.replies >= 1000
    })
}

#[test]
fn the_open_loop_shows_a_stall_that_the_closed_loop_hides() {
    let closed = over_a_stall(None);
    let open = over_a_stall(Some(1000.0));
    // About 900 requests were due during the stall; their users waited half a second on average. In the
    // closed loop one of at least 1000 waited.
    assert!(open.latency.p50_ms > 50.0, "{:?}", open.latency);
    assert!(closed.latency.max_ms > 500.0, "{:?}", closed.latency);
    assert!(closed.latency.p99_ms < open.latency.p50_ms);
    assert_eq!((open.wrong.total, open.errors.len()), (0, 0));
}

#[test]
fn the_bare_loop_of_the_benchmarks_gives_the_right_reply() {
    let bare = server::Server::bare(None);
    let options = Options {
        connections: 10,
        pipeline: 16,
        difficulty: Some(Difficulty::NONE),
        messages: Messages::Fixed(b"bench0".to_vec()),
        ..options(bare.address)
    };
    let report = run_until(&options, |progress| progress.replies >= 10_000);
    assert_eq!((report.wrong.total, report.errors.len()), (0, 0));
}

#[test]
fn a_thousand_connections_and_the_client_in_c_against_powd() {
    let powd = server::Server::powd(0, &[], None);
    let options = Options {
        connections: 1000,
        threads: 2,
        difficulty: Some(Difficulty::NONE),
        ..options(powd.address)
    };
    let report = run_until(&options, |p| p.replies >= 20_000 && p.open == 1000);
    assert_eq!((report.wrong.total, report.errors.len()), (0, 0));

    let port = powd.address.port().to_string();
    let output = Command::new(server::compile("client"))
        .args(["-p", &port, "-c", "10", "-P", "8", "-s", "0.2"])
        .output()
        .expect("the client in C");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(!said.starts_with("replies=0 "), "{said}");
}

fn powd_load(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_powd"))
        .arg("load")
        .args(arguments)
        .output()
        .expect("powd load");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn the_command_prints_json_or_a_table_and_nothing_else_in_a_pipe() {
    let address = answering(|message| reply(message) + "\n").to_string();
    let base = [address.as_str(), "-c", "3", "-P", "2", "-s", "0.2"];
    let (code, out, err) = powd_load(&[&base[..], &["-d", "0", "--json"]].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    for (pointer, value) in [
        ("/connections", 3),
        ("/pipeline", 2),
        ("/message_bytes", 20),
        ("/difficulty", 0),
        ("/wrong/total", 0),
    ] {
        assert_eq!(json.pointer(pointer), Some(&value.into()), "{pointer}");
    }
    for pointer in [
        "/replies_per_s",
        "/hashes_per_s",
        "/latency/p50_ms",
        "/latency/p999_ms",
    ] {
        let value = json.pointer(pointer).and_then(serde_json::Value::as_f64);
        assert!(value.is_some_and(|value| value > 0.0), "{pointer}");
    }
    assert!(
        json["errors"]
            .as_object()
            .is_some_and(serde_json::Map::is_empty)
    );

    let (code, out, err) = powd_load(&base);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for word in [
        "replies/s",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "errors",
        "wrong",
    ] {
        assert!(
            out.lines().any(|line| line.starts_with(word)),
            "{word}: {out}"
        );
    }
}

#[test]
fn an_interrupt_ends_early_with_what_was_measured() {
    let (answered, count) = mpsc::channel();
    let address = answering(move |message| {
        // Nobody counts any more once the interrupt was sent.
        let _ = answered.send(());
        reply(message) + "\n"
    });
    let child = Command::new(env!("CARGO_BIN_EXE_powd"))
        .args(["load", &address.to_string(), "-c", "2", "-s", "1000"])
        .args(["--warmup", "0s", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("powd load");
    for _ in 0..10_000 {
        count.recv_timeout(DEADLINE).expect("it asks");
    }
    drop(count);
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
    let output = child.wait_with_output().expect("it ends");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output.status.code(), Some(0));
    assert!(
        report["replies"]
            .as_u64()
            .is_some_and(|replies| replies > 0)
    );
    assert!(
        report["seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds < 900.0)
    );
}

#[test]
fn exit_codes() {
    let wrong = answering(|_| reply("other") + "\n").to_string();
    let (code, out, _) = powd_load(&[&wrong, "-c", "1", "-s", "0.2"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("not the message that was asked"), "{out}");

    let (_reserved, closed) = closed_port();
    let closed = closed.to_string();
    let (code, out, _) = powd_load(&[&closed, "-s", "0.1", "--warmup", "0s"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("ECONNREFUSED"), "{out}");

    for arguments in [
        &["nowhere"][..],
        &[&closed, "-s", "0"],
        &[&closed, "-c", "0"],
        &[&closed, "--rate", "-5"],
        &[&closed, "--pin", "4095"],
        &[&closed, "--fixed-message", "a", "--message-bytes", "3"],
    ] {
        let (code, out, err) = powd_load(arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
}
