//! `POST /v1/batch`: both kinds, and the stream in both directions.

use std::collections::HashMap;

use powd_testkit::oracle;
use powd_testkit::wait::until_still;
use serde_json::Value;

use crate::client::{HOPELESS, Http, expect_solution, serve, serve_bounded, status};

const NDJSON: &str = "Content-Type: application/x-ndjson";

#[test]
fn lines_are_answered_in_their_order() {
    let powd = serve(&["-d", "2"]);
    let messages: Vec<String> = (0..3000)
        .map(|number| format!("message {number}"))
        .collect();
    // The last line needs no end.
    let answer = Http::to(&powd).post("/v1/batch", messages.join("\n").as_bytes());
    let text = answer.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), messages.len());
    for (line, message) in lines.iter().zip(&messages) {
        oracle::check(line.as_bytes(), message.as_bytes(), 2);
    }
}

#[test]
fn objects_are_answered_with_their_ids_whatever_the_order() {
    let powd = serve_bounded(&["-d", "1"]);
    let body = "\"text\"\n\
        {\"id\": \"hard\", \"message\": \"a\", \"difficulty\": 4}\n\
        \n\
        nonsense\n\
        {\"id\": true, \"message\": \"no id\"}\n\
        {\"id\": 77, \"message\": \"b\", \"difficulty\": 11}\n\
        {\"message_base64\": \"Yw==\"}";
    let answer = Http::to(&powd).ask("POST /v1/batch", &[NDJSON], body.as_bytes());
    let lines = answer.text();
    let by_id: HashMap<String, Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|line| (line["id"].to_string(), line))
        .collect();
    assert_eq!(by_id.len(), 6, "{lines}");
    expect_solution(&by_id["0"], "text", 1);
    expect_solution(&by_id["\"hard\""], "a", 4);
    assert_eq!(by_id["3"]["error"]["code"], "malformed");
    assert_eq!(by_id["4"]["error"]["code"], "malformed");
    assert_eq!(by_id["77"]["error"]["code"], "difficulty");
    expect_solution(&by_id["6"], "c", 1);
}

#[test]
fn what_is_said_of_a_line_does_not_repeat_all_of_it() {
    let powd = serve(&["-d", "0"]);
    let line = format!("{{\"{}\": 1}}\n", "é".repeat(10_000));
    let answer = Http::to(&powd).ask("POST /v1/batch", &[NDJSON], line.as_bytes());
    let error = answer.json()["error"].clone();
    assert_eq!(error["code"], "malformed", "{error}");
    let detail = error["detail"].as_str().expect("text");
    assert!(
        detail.starts_with("JSON: unknown field") && detail.len() < 1000,
        "{detail}"
    );
}

#[test]
fn a_line_that_is_too_long_costs_only_itself() {
    let powd = serve(&["-d", "0", "--max-message-bytes", "10"]);
    let body = [&b"first\n"[..], &[b'x'; 300_000], b"\nlast\n"].concat();
    let answer = Http::to(&powd).post("/v1/batch", &body).text();
    let lines: Vec<&str> = answer.lines().collect();
    assert_eq!(lines.len(), 3, "{answer}");
    oracle::check(lines[0].as_bytes(), b"first", 0);
    assert!(lines[1].starts_with("ERR too-long ") && !lines[1].contains(','));
    assert!(lines[2].starts_with("last,"));
}

#[test]
fn answers_begin_before_the_request_ends() {
    let powd = serve(&["-d", "1"]);
    let mut http = Http::to(&powd);
    http.send(b"POST /v1/batch HTTP/1.1\r\nHost: powd\r\nTransfer-Encoding: chunked\r\n\r\n");
    for message in ["first", "second"] {
        http.send(format!("{:x}\r\n{message}\n\r\n", message.len() + 1).as_bytes());
        if message == "first" {
            assert_eq!(http.head().status, 200);
        }
        let piece = http.piece();
        assert!(piece.starts_with(format!("{message},").as_bytes()));
    }
    http.send(b"0\r\n\r\n");
    assert!(http.piece().is_empty());
}

#[test]
fn what_is_found_does_not_wait_for_what_is_searched_for() {
    let powd = serve(&["-d", "1"]);
    let mut http = Http::to(&powd);
    let hopeless = format!("{{\"message\": \"never\", \"difficulty\": {HOPELESS}}}\n").repeat(9);
    let body = ["\"one\"\n\"two\"\n", &hopeless].concat();
    http.request("POST /v1/batch", &[NDJSON], body.as_bytes());
    assert_eq!(http.head().status, 200);
    let mut lines = Vec::new();
    while lines.iter().filter(|&&byte| byte == b'\n').count() < 2 {
        lines.extend(http.piece());
    }
    for line in lines.split(|&byte| byte == b'\n').take(2) {
        let line: Value = serde_json::from_slice(line).expect("JSON");
        let message = if line["id"] == 0 { "one" } else { "two" };
        expect_solution(&line, message, 1);
    }
}

#[test]
fn who_waits_for_the_word_to_send_gets_it() {
    let powd = serve(&["-d", "1"]);
    let mut http = Http::to(&powd);
    http.send(
        b"POST /v1/batch HTTP/1.1\r\nHost: powd\r\nTransfer-Encoding: chunked\r\n\
        Expect: 100-continue\r\n\r\n",
    );
    assert_eq!(http.line(), "HTTP/1.1 100 Continue");
    assert_eq!(http.line(), "");
    http.send(b"2\r\na\n\r\n0\r\n\r\n");
    let answer = http.answer();
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with(b"a,"), "{answer:?}");
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let powd = serve(&["-d", "0"]);
    let mut http = Http::to(&powd);
    http.send(b"POST /v1/batch HTTP/1.1\r\nHost: powd\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [&b"8000\r\n"[..], &b"abcdefg\n".repeat(4096), b"\r\n"].concat();
    http.set_nonblocking(true);
    // It is stuck when nothing more can be written, and nothing more is answered.
    let mut sent = 0;
    until_still("the end of its reading", || {
        sent += http.try_send(&chunk[sent % chunk.len()..]);
        let answered = status(&powd, "/doors/1/replies");
        (answered > 0).then_some((sent, answered))
    });
    // The sockets' buffers hold some megabytes; far more would have been taken without an end.
    assert!(sent < 64 << 20, "{sent} bytes were taken");
}
