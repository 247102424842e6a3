//! Tokens, addresses, numbers of connections, slow clients.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use powd_testkit::program::expect_one_line;
use powd_testkit::{TestPath, until};

use crate::POWD;
use crate::client::{HOPELESS, Http, serve, status};

#[test]
fn each_request_needs_a_token_where_there_are_some() {
    let path = TestPath::with_text("tokens", "first\nsecond\n");
    let powd = serve(&["-d", "1", "--http-token-file", path.text()]);
    let mut http = Http::to(&powd);
    for wrong in [
        &[][..],
        &["Authorization: Bearer third"],
        &["Authorization: Basic first"],
    ] {
        let answer = http.ask("POST /v1/solve", wrong, b"x");
        answer.expect_problem(401, "token");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    for token in ["first", "second"] {
        let header = format!("Authorization: Bearer {token}");
        http.ask("POST /v1/solve", &[&header], b"x")
            .expect_solution("x", 1);
    }
}

/// What is still sent by who is refused is read: neither is the answer lost, nor the connection.
#[test]
fn a_body_behind_its_refusal_costs_no_connection() {
    let path = TestPath::with_text("tokens-of-a-body", "secret\n");
    let token_file = ["--http-token-file", path.text()];
    let powd = serve(&[&["-d", "1"][..], &token_file].concat());
    let mut refused = 0;
    // A body is waited for for a second, which a slow machine may need to get here: so more than
    // one try.
    until("three bodies over one connection", || {
        let mut http = Http::to(&powd);
        (0..3).all(|_| {
            http.send(b"POST /v1/solve HTTP/1.1\r\nHost: powd\r\nContent-Length: 1\r\n\r\n");
            refused += 1;
            until("its refusal", || {
                status(&powd, "/doors/1/errors/2/count") == refused
            });
            http.try_send_all(b"x");
            http.answer().expect_problem(401, "token");
            // Whether the connection is still there.
            let description = http.try_ask("GET /openapi.json", &["Authorization: Bearer secret"]);
            description.is_some_and(|description| description.status == 200)
        })
    });
}

#[test]
fn a_token_file_that_is_none_is_told_before_anything_is_bound() {
    let empty = TestPath::with_text("no-tokens", "\n");
    for path in [empty.text(), "/nonexistent"] {
        let output = POWD.run(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--http-token-file",
            path,
        ]);
        expect_one_line(&output, 2, path);
    }
}

#[test]
fn a_token_file_without_a_door_that_asks_for_tokens_is_wrong() {
    let tokens = TestPath::with_text("tokens-for-nobody", "secret\n");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("bound").to_string();
    for more in [&[][..], &["--admin", "127.0.0.1:0"]] {
        let flags = [
            "serve",
            "--listen",
            &taken,
            "--http-token-file",
            tokens.text(),
        ];
        let output = POWD.run(&[&flags, more].concat());
        let told = expect_one_line(&output, 2, "no --http");
        assert!(told.contains("--http-token-file needs --http"), "{told}");
    }
}

#[test]
fn both_doors_share_the_limit_of_connections() {
    let powd = serve(&["-d", "1", "--max-connections", "2"]);
    let mut line = powd.connect();
    line.ask(b"x", 1);
    let mut http = Http::to(&powd);
    http.post("/v1/solve", b"x").expect_solution("x", 1);
    let mut refused = Http::to(&powd);
    let answer = refused.post("/v1/solve", b"x");
    answer.expect_problem(503, "busy");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("connection"), Some("close"));
    refused.expect_end();
    drop(http);
    until("room", || {
        Http::to(&powd).post("/v1/solve", b"x").status == 200
    });
    assert!(status(&powd, "/connections_refused/busy") >= 1);
    // Those who watch are not kept out: each of these was a connection.
    drop(line);
}

#[test]
fn an_address_has_its_share_and_strangers_none() {
    let powd = serve(&["-d", "1", "--max-connections-per-ip", "1"]);
    let mut http = Http::to(&powd);
    http.post("/v1/solve", b"x").expect_solution("x", 1);
    Http::to(&powd)
        .post("/v1/solve", b"x")
        .expect_problem(429, "busy");

    let powd = serve(&["--allow", "192.0.2.0/24"]);
    let answer = Http::to(&powd).post("/v1/solve", b"x");
    answer.expect_problem(403, "denied");
    assert!(answer.header("x-request-id").is_some());
    let mut named = Http::to(&powd);
    named.request("POST /v1/solve", &["X-Request-Id: my-id/7"], b"x");
    let answer = named.answer();
    answer.expect_problem(403, "denied");
    assert_eq!(answer.header("x-request-id"), Some("my-id/7"));
}

#[test]
fn who_does_nothing_for_too_long_is_closed_and_who_waits_is_not() {
    // Long enough to ask in, on a busy machine too.
    let powd = serve(&["--idle-timeout", "2s"]);
    let mut waits = Http::to(&powd);
    let twice = format!("POST /v1/solve?difficulty={HOPELESS}&deadline=4s");
    waits.request(&twice, &[], b"x");
    let mut silent = Http::to(&powd);
    let mut slow_head = Http::to(&powd);
    slow_head.send(b"POST /v1/solve HTTP/1.1\r\nHost:");
    let mut slow_body = Http::to(&powd);
    slow_body.send(b"POST /v1/solve HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx");
    for http in [&mut silent, &mut slow_head, &mut slow_body] {
        http.expect_end();
    }
    waits.answer().expect_problem(504, "deadline");
}

#[test]
fn who_sends_slowly_is_not_idle() {
    let powd = serve(&["-d", "1", "--idle-timeout", "2s"]);
    // A machine that stands still for as long as that makes anybody idle: so more than one try.
    until("an answer to who sends slowly", || {
        let mut slow = Http::to(&powd);
        slow.send(b"POST /v1/solve HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut message = String::new();
        thread::scope(|scope| {
            // They come one after the other, and do nothing.
            let others = scope.spawn(|| [(); 2].map(|()| Http::to(&powd).expect_end()));
            while !others.is_finished() {
                slow.try_send_all(b"1\r\nx\r\n");
                message.push('x');
                thread::park_timeout(Duration::from_millis(20));
            }
        });
        slow.try_send_all(b"0\r\n\r\n");
        let answer = slow.try_answer();
        answer.is_some_and(|answer| {
            answer.expect_solution(&message, 1);
            true
        })
    });
}

#[test]
fn what_is_no_http_is_closed() {
    let powd = serve(&["-d", "0"]);
    for nonsense in [
        &b"hello\n\n"[..],
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense nonsense nonsense",
        b"POST /v1/solve HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/solve HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let mut http = Http::to(&powd);
        http.send(nonsense);
        http.end();
        http.expect_end();
    }
    // Where it can be told, it is; and what was asked before is answered.
    for (nonsense, status) in [
        (&b"hello\r\n\r\n"[..], 400),
        (b"GET /v1/solve?a b HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/solve?\" HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (
            &[&b"GET / HTTP/1.1\r\n"[..], &b"a: b\r\n".repeat(200)].concat(),
            431,
        ),
    ] {
        let mut http = Http::to(&powd);
        let good = b"POST /v1/solve HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx";
        http.try_send_all(&[good, nonsense].concat());
        http.answer().expect_solution("x", 0);
        assert_eq!(http.answer().status, status);
        http.expect_end();
    }
    let mut endless = Http::to(&powd);
    endless.send(b"GET / HTTP/1.1\r\n");
    endless.send_until_refused(&b"X-Header: value\r\n".repeat(1000));
    Http::to(&powd)
        .post("/v1/solve", b"x")
        .expect_solution("x", 0);
}
