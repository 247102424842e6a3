//! The load client against small servers that answer rightly, wrongly or late.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use powd::load::{Messages, Options, Phase, Report};
use powd_core::Difficulty;
use powd_testkit::DEADLINE;
use powd_testkit::bench::{Server, compile};
use powd_testkit::needs::connections;
use powd_testkit::small_servers::{answering, counting, reply, serve};

use crate::POWD;
use crate::runs::{options, run_until};

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
fn a_server_that_reads_slowly_gets_every_request_once_and_in_order() {
    const REQUESTS: u64 = 4000;
    // More than the sockets between them hold, so that the client's socket is full many times.
    let address = serve(|_, stream| {
        let mut out = stream.try_clone().expect("a second handle");
        let mut lines = BufReader::with_capacity(1000, stream)
            .lines()
            .map_while(Result::ok);
        let first: Vec<String> = lines.by_ref().take(REQUESTS as usize).collect();
        for (number, line) in first.iter().enumerate() {
            let counter = u64::from_str_radix(&line[line.len() - 12..], 36);
            assert_eq!((line.len(), counter), (4000, Ok(number as u64)));
            if out.write_all((reply(line) + "\n").as_bytes()).is_err() {
                return;
            }
        }
        lines.for_each(drop);
    });
    let options = Options {
        pipeline: REQUESTS as usize,
        messages: Messages::Unique(4000),
        ..options(address)
    };
    let report = run_until(&options, |progress| {
        progress.replies >= REQUESTS || progress.errors + progress.wrong > 0
    });
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
fn what_is_answered_while_it_warms_up_does_not_count() {
    let (address, answered) = counting();
    let options = Options {
        warmup: DEADLINE,
        ..options(address)
    };
    let report = run_until(&options, |progress| {
        progress.phase == Phase::WarmUp && answered.load(Ordering::Relaxed) >= 100
    });
    assert_eq!((report.replies, report.seconds), (0, 0.0));
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

/// A server that holds one reply back until it is let go, and the run over it. The run lets go
/// after more than a second of the window, and ends once as many replies came as were due in that
/// time.
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
    // About 900 requests were due during the stall; their users waited half a second on average. In
    // the closed loop one of at least 1000 waited.
    assert!(open.latency.p50_ms > 50.0, "{:?}", open.latency);
    assert!(closed.latency.max_ms > 500.0, "{:?}", closed.latency);
    assert!(closed.latency.p99_ms < open.latency.p50_ms);
    assert_eq!((open.wrong.total, open.errors.len()), (0, 0));
}

#[test]
fn the_bare_loop_of_the_benchmarks_gives_the_right_reply() {
    let bare = Server::bare(POWD, None);
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
    // The load client has one end of each in this process.
    let connections = connections(1000);
    let powd = Server::powd(POWD, 0, &[], None);
    let options = Options {
        connections,
        threads: 2,
        difficulty: Some(Difficulty::NONE),
        ..options(powd.address)
    };
    let report = run_until(&options, |p| {
        p.replies >= 20_000 && p.open == connections as u64
    });
    assert_eq!((report.wrong.total, report.errors.len()), (0, 0));

    let port = powd.address.port().to_string();
    let output = Command::new(compile(POWD, "client"))
        .args(["-p", &port, "-c", "10", "-P", "8", "-s", "1"])
        .output()
        .expect("the client in C");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(!said.starts_with("replies=0 "), "{said}");
}
