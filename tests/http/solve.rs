//! `POST /v1/solve` and `/v1/verify`.

use powd_testkit::oracle;
use serde_json::json;

use crate::client::{HOPELESS, Http, curl, has_curl, serve, serve_bounded};

#[test]
fn a_message_gets_a_seed_with_the_difficulty_of_its_request() {
    let powd = serve(&["-d", "1"]);
    let mut http = Http::to(&powd);
    http.post("/v1/solve", b"hello").expect_solution("hello", 1);
    http.post("/v1/solve?difficulty=3", b"hello")
        .expect_solution("hello", 3);
    http.post("/v1/solve?difficulty=0", b"")
        .expect_solution("", 0);
    // The body's own fields come first.
    http.post_json(
        "/v1/solve?difficulty=3",
        r#"{"message": "a\nb", "difficulty": 2}"#,
    )
    .expect_solution("a\nb", 2);
    let long = http.post("/v1/solve?difficulty=1&seed_length=9&deadline=50s", b"x");
    assert_eq!(long.json()["seed"].as_str().map(str::len), Some(9));
}

#[test]
fn bytes_that_are_no_text_come_back_in_base64() {
    let powd = serve(&["-d", "1"]);
    let mut http = Http::to(&powd);
    for answer in [
        http.post("/v1/solve", b"\xff\x00"),
        http.post_json("/v1/solve", r#"{"message_base64": "/wA="}"#),
    ] {
        let solved = answer.json();
        assert_eq!(solved["message_base64"], "/wA=", "{solved}");
        assert!(solved.get("message").is_none(), "{solved}");
        let field = |name: &str| solved[name].as_str().unwrap_or_default().to_owned();
        let end = format!(",{},{}", field("seed"), field("hash"));
        oracle::check(&[b"\xff\x00", end.as_bytes()].concat(), b"\xff\x00", 1);
    }
}

#[test]
fn who_accepts_text_gets_the_reply_line() {
    let powd = serve(&["-d", "2"]);
    let mut http = Http::to(&powd);
    let answer = http.ask("POST /v1/solve", &["Accept: text/plain"], b"a,b\xff");
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    let line = answer.body.strip_suffix(b"\n").expect("a line");
    oracle::check(line, b"a,b\xff", 2);
    // What is answered is what is accepted.
    let verdict = http.post("/v1/verify", &answer.body).json();
    assert_eq!(verdict["valid"], true, "{verdict}");
    assert!(verdict["zeros"].as_u64() >= Some(2), "{verdict}");
    let refuses = ["Accept: text/plain;q=0, application/json"];
    let answer = http.ask("POST /v1/solve", &refuses, b"hello");
    answer.expect_solution("hello", 2);
}

#[test]
fn http_2_by_prior_knowledge_is_answered_too() {
    if !has_curl() {
        return;
    }
    let powd = serve(&["-d", "1"]);
    let url = format!("http://{}/v1/solve", powd.door("http"));
    let arguments = [
        "--http2-prior-knowledge",
        "--write-out",
        "\n%{http_version}",
        "--header",
        "Accept: text/plain",
        "--data-binary",
        "hello",
        &url,
    ];
    let said = curl(&arguments, b"");
    let said = String::from_utf8(said).expect("text");
    let lines: Vec<&str> = said.lines().collect();
    oracle::check(lines[0].as_bytes(), b"hello", 1);
    assert_eq!(lines.last(), Some(&"2"));
}

#[test]
fn what_is_wrong_is_told_with_its_code() {
    let powd = serve_bounded(&["-d", "1", "--max-message-bytes", "100"]);
    let mut http = Http::to(&powd);
    for (path, body, status, code) in [
        ("/v1/solve?difficulty=11", "x", 422, "difficulty"),
        ("/v1/solve?difficulty=65", "x", 422, "difficulty"),
        ("/v1/solve?difficulty=-1", "x", 422, "difficulty"),
        ("/v1/solve?difficulty=", "x", 422, "difficulty"),
        ("/v1/solve?difficulty=three", "x", 422, "difficulty"),
        ("/v1/solve?seed_length=0", "x", 400, "malformed"),
        ("/v1/solve?seed_length=17", "x", 400, "malformed"),
        ("/v1/solve?deadline=5", "x", 400, "malformed"),
        ("/v1/solve?deadline=0s", "x", 400, "malformed"),
        ("/v1/solve?nonsense=1", "x", 400, "malformed"),
        ("/v1/solve?difficulty=1&difficulty=2", "x", 400, "malformed"),
        ("/v1/verify?difficulty=65", "x,y,z", 422, "difficulty"),
        ("/v1/jobs?difficulty=11", "x", 422, "difficulty"),
        ("/v1/batch?difficulty=11", "x", 422, "difficulty"),
        ("/v1/nothing", "x", 404, "not-found"),
        ("/", "x", 404, "not-found"),
        ("/openapi.json", "x", 405, "method"),
    ] {
        let answer = http.post(path, body.as_bytes());
        answer.expect_problem(status, code);
    }
    for body in [
        "",
        "{",
        "null",
        "[]",
        r#"["a", null, null, null, null]"#,
        "\"text\"",
        "{}",
        r#"{"message": 1}"#,
        r#"{"message": "a", "message_base64": "YQ=="}"#,
        r#"{"message_base64": "not base64"}"#,
        r#"{"message": "a", "nonsense": 1}"#,
        r#"{"message": "a", "seed_length": 17}"#,
        r#"{"message": "a", "deadline": "soon"}"#,
        r#"{"message": "\ud800"}"#,
    ] {
        http.post_json("/v1/solve", body)
            .expect_problem(400, "malformed");
    }
    http.post_json("/v1/solve", r#"{"message": "a", "difficulty": "3"}"#)
        .expect_problem(422, "difficulty");
    http.get("/v1/solve").expect_problem(405, "method");
    let answer = http.ask("POST /v1/solve", &["Content-Type: image/png"], b"x");
    answer.expect_problem(415, "media-type");
    assert_eq!(answer.header("accept-encoding"), None);
    let answer = http.ask("POST /v1/solve", &["Content-Encoding: gzip"], b"x");
    answer.expect_problem(415, "encoding");
    assert_eq!(answer.header("accept-encoding"), Some("identity"));
    // A body that is not read to its end can end the connection.
    http.post("/v1/solve", &[b'x'; 101])
        .expect_problem(413, "too-long");
    let whole = Http::to(&powd).post("/v1/solve", &[b'x'; 100]);
    assert_eq!(whole.status, 200);
}

#[test]
fn a_message_to_verify_has_the_bound_of_one_to_solve() {
    let powd = serve(&["-d", "0", "--max-message-bytes", "100"]);
    let mut http = Http::to(&powd);
    for (bytes, is_too_long) in [(100, false), (101, true)] {
        let message = "x".repeat(bytes);
        let hash = oracle::hash(b"abcde", message.as_bytes());
        let line = format!("{message},abcde,{hash}");
        let object = json!({"message": message, "seed": "abcde"});
        let wrong = json!({"message": message, "seed": "?", "hash": hash});
        for answer in [
            http.post("/v1/verify", line.as_bytes()),
            http.post_json("/v1/verify", &object.to_string()),
            http.post_json("/v1/verify", &wrong.to_string()),
        ] {
            match is_too_long {
                true => answer.expect_problem(413, "too-long"),
                false => assert_eq!(answer.status, 200, "{answer:?}"),
            }
        }
    }
}

#[test]
fn a_request_has_an_id() {
    let powd = serve(&["-d", "0"]);
    let mut http = Http::to(&powd);
    let mine = http.ask("POST /v1/solve", &["X-Request-Id: mine-7"], b"x");
    assert_eq!(mine.header("x-request-id"), Some("mine-7"));
    let made = http.post("/v1/nothing", b"");
    assert_eq!(made.header("x-request-id").map(str::len), Some(16));
}

#[test]
fn a_bad_solution_is_told_why() {
    let powd = serve(&["-d", "1"]);
    let mut http = Http::to(&powd);
    // FIPS 180-4 example "abc": the first letter as seed, the rest as message.
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let good = http.post(
        "/v1/verify?difficulty=0",
        format!("bc,a,{hash}\r\n").as_bytes(),
    );
    assert_eq!(good.json(), serde_json::json!({"valid": true, "zeros": 0}));
    for wrong in [
        format!("bc,a,{hash}"),
        "bc".to_owned(),
        format!("x,a,{hash}"),
    ] {
        let verdict = http.post("/v1/verify", wrong.as_bytes()).json();
        assert_eq!(verdict["valid"], false, "{wrong}");
        assert!(verdict["reason"].is_string(), "{verdict}");
    }
    let json = r#"{"message": "bc", "seed": "a", "difficulty": 0}"#;
    assert_eq!(http.post_json("/v1/verify", json).json()["valid"], true);
    let json = r#"{"message": "bc", "seed": "-"}"#;
    assert_eq!(http.post_json("/v1/verify", json).json()["valid"], false);
}

#[test]
fn a_search_that_takes_too_long_is_told_so() {
    let powd = serve(&["--deadline", "200ms"]);
    let mut http = Http::to(&powd);
    for deadline in ["1h", "1ms"] {
        let hopeless = format!("/v1/solve?difficulty={HOPELESS}&deadline={deadline}");
        http.post(&hopeless, b"x").expect_problem(504, "deadline");
    }
}
