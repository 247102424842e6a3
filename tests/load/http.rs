//! The load client over HTTP: against a real service, and against small servers that are wrong.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use powd::load::{Exchange, Options};
use powd::tokens::Token;
use powd_core::Difficulty;
use powd_testkit::small_servers::{reply, serve};
use powd_testkit::{Powd, TestPath};
use tokio::sync::watch;

use crate::POWD;
use crate::runs::{options, run_to_end, run_until};

fn service(flags: &[&str]) -> (Powd, SocketAddr) {
    let powd = POWD.serve(&[&["--http", "127.0.0.1:0"], flags].concat());
    let address = powd.door("http");
    (powd, address)
}

fn over_http(address: SocketAddr) -> Options {
    Options {
        exchange: Exchange::Solve {
            authority: address.to_string(),
        },
        difficulty: Some(Difficulty::of::<1>()),
        ..options(address)
    }
}

fn in_batches(address: SocketAddr) -> Options {
    Options {
        exchange: Exchange::Batch {
            authority: address.to_string(),
        },
        ..over_http(address)
    }
}

#[test]
fn each_way_of_asking_is_answered_rightly_and_counted_once() {
    const REQUESTS: u64 = 500;
    let (_powd, address) = service(&["-d", "4", "--max-message-bytes", "300"]);
    let ways = [
        over_http(address),
        Options {
            connections: 7,
            threads: 2,
            ..over_http(address)
        },
        // Several in flight: HTTP/2.
        Options {
            connections: 3,
            pipeline: 5,
            ..over_http(address)
        },
        Options {
            connections: 4,
            reconnect: true,
            ..over_http(address)
        },
        Options {
            connections: 3,
            rate: Some(5000.0),
            ..over_http(address)
        },
        Options {
            connections: 3,
            threads: 3,
            pipeline: 50,
            messages: powd::load::Messages::Unique(300),
            ..in_batches(address)
        },
        Options {
            rate: Some(5000.0),
            pipeline: 9,
            ..in_batches(address)
        },
    ];
    for way in ways {
        let way = Options {
            requests: Some(REQUESTS),
            ..way
        };
        let report = run_to_end(&way, |_| {});
        assert_eq!(report.replies, REQUESTS, "{way:?} {report:?}");
        assert_eq!(
            (report.wrong.total, report.errors.len()),
            (0, 0),
            "{report:?}"
        );
        assert_eq!(report.unanswered, 0, "{report:?}");
    }
}

/// Lanes that are idle wait for the same moment, and one of them has it.
#[test]
fn several_in_flight_leave_as_often_as_the_timetable_says() {
    let (_powd, address) = service(&[]);
    let way = Options {
        pipeline: 8,
        rate: Some(10.0),
        requests: Some(500),
        ..over_http(address)
    };
    let report = run_until(&way, |progress| progress.replies >= 5);
    // A slow machine has fewer.
    let due = 1.0 + report.seconds * 10.0;
    assert!(report.replies as f64 <= due, "{report:?}");
    let way = Options {
        rate: Some(5000.0),
        ..way
    };
    let report = run_to_end(&way, |_| {});
    assert_eq!((report.replies, report.unanswered), (500, 0), "{report:?}");
}

#[test]
fn a_fixed_number_of_requests_is_not_tried_for_ever_when_the_server_is_gone() {
    const REQUESTS: u64 = 1_000_000_000;
    for way in [over_http, in_batches] {
        let (powd, address) = service(&["-d", "0"]);
        let mut powd = Some(powd);
        let way = Options {
            requests: Some(REQUESTS),
            connections: 2,
            pipeline: 3,
            timeout: Duration::from_millis(500),
            ..way(address)
        };
        let report = run_to_end(&way, |progress| {
            if progress.replies > 0 {
                powd = None;
            }
        });
        let rest = REQUESTS - report.replies - report.lost;
        assert_eq!(report.unanswered, rest, "{report:?}");
    }
}

#[test]
fn a_service_that_asks_for_a_token_is_shown_it() {
    const REQUESTS: u64 = 20;
    let file = TestPath::with_text("tokens-of-load", "first\nsecond\n");
    let (_powd, address) = service(&["-d", "1", "--http-token-file", file.text()]);
    let token = Token::new("second");
    let deep = Options {
        pipeline: 4,
        ..over_http(address)
    };
    for way in [over_http(address), deep, in_batches(address)] {
        let unknown = run_until(&way, |progress| progress.errors >= 1);
        let names: Vec<&String> = unknown.errors.keys().collect();
        assert_eq!(names, ["HTTP 401 token"], "{way:?}");
        let way = Options {
            token: token.clone(),
            requests: Some(REQUESTS),
            ..way
        };
        let report = run_to_end(&way, |_| {});
        assert_eq!(report.replies, REQUESTS, "{way:?} {report:?}");
        assert!(report.errors.is_empty(), "{report:?}");
    }
}

#[test]
fn errors_are_counted_by_status_and_code() {
    let (_powd, address) = service(&["--max-difficulty", "3"]);
    for way in [over_http(address), in_batches(address)] {
        let way = Options {
            difficulty: Some(Difficulty::of::<4>()),
            ..way
        };
        let report = run_until(&way, |progress| progress.errors >= 3);
        let names: Vec<&String> = report.errors.keys().collect();
        assert_eq!(names, ["HTTP 422 difficulty"], "{report:?}");
        assert_eq!(report.replies, 0);
    }
}

#[test]
fn a_server_that_ends_is_an_error_and_not_waited_for() {
    let (powd, address) = service(&["-d", "1"]);
    for way in [over_http(address), in_batches(address)] {
        let mut replies = 0;
        let way = Options {
            connections: 2,
            ..way
        };
        let report = run_until(&way, |progress| {
            replies = progress.replies;
            replies > 10
        });
        assert!(report.errors.is_empty(), "{report:?}");
    }
    drop(powd);
    let silent = serve(|_, mut stream| {
        let _ = stream.read(&mut [0; 1000]);
    });
    for way in [over_http(silent), in_batches(silent)] {
        let report = run_until(&way, |progress| progress.errors >= 3);
        let names: Vec<&String> = report.errors.keys().collect();
        assert_eq!(names, ["early close"], "{report:?}");
    }
    let deaf = serve(|_, stream| {
        std::io::copy(&mut &stream, &mut std::io::sink()).ok();
    });
    for way in [over_http(deaf), in_batches(deaf)] {
        let way = Options {
            timeout: Duration::from_millis(50),
            ..way
        };
        let report = run_until(&way, |progress| progress.errors >= 3);
        let names: Vec<&String> = report.errors.keys().collect();
        assert_eq!(names, ["timeout"], "{report:?}");
    }
}

/// A server that holds its first request back until it is let go, and answers all others at once;
/// several in flight.
fn holding_the_first(let_go: watch::Receiver<bool>) -> SocketAddr {
    let asked = Arc::new(AtomicUsize::new(0));
    serve(move |_, stream| {
        let answer = service_fn(|request: Request<Incoming>| {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            let mut let_go = let_go.clone();
            async move {
                let message = request.into_body().collect().await?.to_bytes();
                if number == 0 {
                    // An error means that the test is over, which is as good.
                    let _ = let_go.wait_for(|&let_go| let_go).await;
                }
                let line = reply(&String::from_utf8_lossy(&message)) + "\n";
                Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(line))))
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            stream.set_nonblocking(true).expect("a socket");
            let stream = tokio::net::TcpStream::from_std(stream).expect("a socket");
            let server = http2::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), answer).await;
        });
    })
}

#[test]
fn one_slow_request_is_not_a_timeout_while_others_are_answered() {
    const REQUESTS: u64 = 2000;
    let (let_go, held) = watch::channel(false);
    let way = Options {
        pipeline: 8,
        // The last is due a second after the slow one was let go.
        rate: Some(500.0),
        requests: Some(REQUESTS),
        timeout: Duration::from_secs(2),
        difficulty: None,
        ..over_http(holding_the_first(held))
    };
    let report = run_until(&way, |progress| {
        if progress.measured > Duration::from_secs(3) {
            let_go.send_replace(true);
        }
        progress.replies == REQUESTS
    });
    assert_eq!((report.replies, report.lost), (REQUESTS, 0), "{report:?}");
    assert!(report.errors.is_empty(), "{report:?}");
    assert!(report.latency.max_ms > 2000.0, "{report:?}");
}

/// Answers each request with what `answer` makes of its message.
fn answer_each(stream: TcpStream, answer: &impl Fn(&str) -> String) {
    let mut out = stream.try_clone().expect("a second handle");
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a number");
            }
        }
        let mut message = vec![0; length];
        if reader.read_exact(&mut message).is_err() {
            return;
        }
        let body = answer(&String::from_utf8(message).expect("text"));
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        if out.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn wrong_answers_are_found_out() {
    type Answer = fn(&str) -> String;
    let wrong: [(Answer, &str); 4] = [
        (|_| reply("another") + "\n", "wrong message"),
        (
            |message| reply(message).replace('a', "b") + "\n",
            "wrong hash",
        ),
        (|_| "what?\n".to_owned(), "not a reply"),
        (
            |message| format!("{0}\n{0}\n", reply(message)),
            "a reply that nobody asked for",
        ),
    ];
    for (answer, kind) in wrong {
        let liar = serve(move |_, stream| answer_each(stream, &answer));
        let way = Options {
            difficulty: Some(Difficulty::NONE),
            ..over_http(liar)
        };
        let report = run_until(&way, |progress| progress.wrong >= 2);
        assert!(report.wrong.kinds.contains_key(kind), "{kind}: {report:?}");
    }
    let cut = serve(move |_, stream| answer_each(stream, &|message| reply(message)));
    let report = run_until(&over_http(cut), |progress| progress.errors >= 2);
    let names: Vec<&String> = report.errors.keys().collect();
    assert_eq!(names, ["an answer that is no line"], "{report:?}");
}
