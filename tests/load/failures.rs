//! The load client where its connections fail or hang: refused, reset, closed, turned away, silent.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use powd::load::{self, Options};
use powd_testkit::reserved_port;
use powd_testkit::small_servers::{answering, reply, serve};

use crate::runs::{options, run_to_end, run_until};

/// A server that takes requests and never answers.
fn silent() -> SocketAddr {
    serve(|_, mut stream| drop(stream.read_to_end(&mut Vec::new())))
}

#[test]
fn a_port_that_is_closed_from_the_start_is_no_measurement() {
    let (_reserved, address) = reserved_port();
    let run = load::run(&options(address), &mut |_| {}, &AtomicBool::new(false));
    let Err(load::Error::Connect { target, source }) = run else {
        panic!("{run:?}");
    };
    assert_eq!(target, address.into());
    assert_eq!(source.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_port_that_closes_later_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || drop(listener.accept()));
    let report = run_until(&options(address), |progress| progress.errors >= 4);
    assert!(report.errors["ECONNREFUSED"] >= 1, "{report:?}");
    assert_eq!(report.replies, 0);
}

#[test]
fn a_fixed_number_of_requests_is_not_tried_for_ever_when_the_server_is_gone() {
    for reconnect in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        thread::spawn(move || {
            let (stream, _) = listener.accept().expect("it connects");
            let mut out = stream.try_clone().expect("a second handle");
            let line = BufReader::new(stream).lines().next();
            let line = line.expect("it asks").expect("text");
            let answer = reply(&line) + "\n";
            out.write_all(answer.as_bytes()).expect("it reads");
        });
        let options = Options {
            requests: Some(1000),
            timeout: Duration::from_millis(50),
            reconnect,
            ..options(address)
        };
        let report = run_to_end(&options, |_| {});
        let ended = report.replies + report.lost;
        assert_eq!(report.unanswered, 1000 - ended, "{report:?}");
        assert!(report.oldest_unanswered_ms >= 50.0, "{report:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_connection_that_is_never_taken_up_is_a_connect_timeout() {
    // Linux drops attempts to connect while the queue is full, which here holds one.
    let (listener, address) = reserved_port();
    listener.listen(0).expect("bound");
    let _first = std::net::TcpStream::connect(address).expect("there is room for one");
    let options = Options {
        timeout: Duration::from_millis(50),
        ..options(address)
    };
    let report = run_until(&options, |progress| progress.errors >= 2);
    assert!(report.errors["connect timeout"] >= 2, "{report:?}");
    assert_eq!((report.open_at_end, report.lost), (0, 0));
}

#[test]
fn a_reset_is_error_104_by_name() {
    // A socket closed with unread bytes in it resets its connection.
    let address = serve(|_, mut stream| drop(stream.read(&mut [0])));
    let report = run_until(&options(address), |progress| progress.errors >= 3);
    let resets = report.errors.get("ECONNRESET").copied().unwrap_or(0);
    assert!(resets > 0, "{:?}", report.errors);
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
fn a_client_that_is_turned_away_comes_back_later_and_later() {
    const CONNECTIONS: usize = 11;
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let address = serve(move |_, mut stream| {
        count.fetch_add(1, Ordering::Relaxed);
        // In answer to a request, as a server does that is busy.
        drop(stream.read(&mut [0; 100]));
        drop(stream.write_all(b"ERR busy try later\n"));
    });
    let begin = Instant::now();
    let report = run_until(&options(address), |_| {
        opened.load(Ordering::Relaxed) >= CONNECTIONS
    });
    // At once after the first, then after 2, 4, 8 ... 512 ms.
    assert!(begin.elapsed() >= Duration::from_millis(1022), "{report:?}");
    assert!(report.errors["ERR busy"] >= CONNECTIONS as u64 - 1);
}

#[test]
fn a_close_behind_an_error_line_is_no_further_error() {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let address = serve(move |number, mut stream| {
        count.fetch_add(1, Ordering::Relaxed);
        drop(stream.read(&mut [0; 100]));
        if number == 0 {
            drop(stream.write_all(b"ERR busy try later\n"));
        } else {
            drop(stream.read_to_end(&mut Vec::new()));
        }
    });
    // One is due at the start, the next after 1000 s: nothing is in flight at the close.
    let options = Options {
        rate: Some(0.001),
        ..options(address)
    };
    let report = run_until(&options, |progress| {
        progress.open == 1 && opened.load(Ordering::Relaxed) == 2
    });
    assert_eq!(report.errors.get("ERR busy"), Some(&1), "{report:?}");
    assert_eq!((report.errors.len(), report.lost), (1, 0), "{report:?}");
}

#[test]
fn silence_is_a_timeout() {
    let options = Options {
        timeout: Duration::from_millis(50),
        ..options(silent())
    };
    let report = run_until(&options, |progress| progress.errors >= 3);
    // With the default of 30 s there would not be so many before the deadline.
    assert!(report.errors["timeout"] >= 3, "{:?}", report.errors);
    assert_eq!(report.errors.len(), 1, "{:?}", report.errors);
}

#[test]
fn requests_that_go_down_with_their_connection_are_counted_with_their_wait() {
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = Arc::clone(&silent);
    let address = answering(move |message| {
        if is_silent.load(Ordering::Relaxed) {
            String::new()
        } else {
            reply(message) + "\n"
        }
    });
    let options = Options {
        connections: 2,
        pipeline: 3,
        timeout: Duration::from_millis(50),
        ..options(address)
    };
    let (mut before, mut timeouts) = (None, 0);
    let report = run_until(&options, |progress| {
        // Only replies of the window count, so it is open when the server falls silent.
        if progress.replies >= 100 {
            silent.store(true, Ordering::Relaxed);
            timeouts = progress.errors - *before.get_or_insert(progress.errors);
        }
        timeouts >= 4
    });
    assert!(report.lost >= 3 * timeouts, "{timeouts}: {report:?}");
    assert_eq!((report.lost % 3, report.wrong.total), (0, 0));
    assert!(report.longest_lost_ms >= 50.0, "{report:?}");
}

#[test]
fn what_is_in_flight_at_the_end_is_unanswered() {
    let options = Options {
        connections: 2,
        pipeline: 3,
        ..options(silent())
    };
    let begin = Instant::now();
    let report = run_until(&options, |progress| {
        progress.open == 2 && progress.measured > Duration::from_millis(300)
    });
    let passed = begin.elapsed().as_secs_f64() * 1e3;
    assert_eq!((report.unanswered, report.lost), (6, 0));
    let oldest = report.oldest_unanswered_ms;
    assert!(300.0 < oldest && oldest < passed, "{oldest} of {passed} ms");
}

/// Both ways to ask `address`.
fn exchanges(address: SocketAddr) -> Vec<Options> {
    let over_lines = options(address);
    #[cfg(feature = "http")]
    let over_http = Options {
        exchange: load::Exchange::Solve {
            authority: address.to_string(),
        },
        ..over_lines.clone()
    };
    Vec::from([
        over_lines,
        #[cfg(feature = "http")]
        over_http,
    ])
}

#[cfg(target_os = "linux")]
#[test]
fn what_waits_for_its_connection_is_unanswered_too() {
    // Linux drops attempts to connect while the queue is full, which here holds one: in the open
    // loop that of the look whether anybody listens.
    let full = || {
        let (listener, address) = reserved_port();
        listener.listen(0).expect("bound");
        (listener, address)
    };
    for way in 0..exchanges(full().1).len() {
        let (_listener, address) = full();
        // One is due at the start, the next after 1000 s.
        let by_the_clock = Options {
            rate: Some(0.001),
            reconnect: true,
            ..exchanges(address).remove(way)
        };
        let report = run_until(&by_the_clock, |progress| {
            progress.measured > Duration::from_millis(300)
        });
        assert_eq!(report.unanswered, 1, "{report:?}");
        assert!(report.oldest_unanswered_ms > 300.0, "{report:?}");

        let (_listener, address) = full();
        let again_and_again = Options {
            connections: 200,
            reconnect: true,
            // No warm-up, and no wait for the connections.
            requests: Some(1000),
            ..exchanges(address).remove(way)
        };
        let report = run_until(&again_and_again, |progress| {
            progress.measured > Duration::from_millis(300)
        });
        // So many connect at a time; the others have not begun.
        let begun = 128 + report.open_at_end;
        assert_eq!(report.unanswered, begun, "{report:?}");
        assert!(report.oldest_unanswered_ms > 200.0, "{report:?}");
    }
}

#[test]
fn what_is_due_and_not_sent_is_unanswered_too() {
    // One request is in flight for ever; each millisecond one more waits behind it.
    let options = Options {
        rate: Some(1000.0),
        ..options(silent())
    };
    let begin = Instant::now();
    let report = run_until(&options, |progress| {
        progress.measured > Duration::from_millis(500)
    });
    let passed = begin.elapsed().as_secs_f64() * 1e3;
    assert!(report.unanswered >= 500, "{report:?}");
    assert!(report.unanswered as f64 <= passed + 1.0, "{report:?}");
    assert!(report.oldest_unanswered_ms >= 500.0, "{report:?}");
}
