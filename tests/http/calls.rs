//! Each call as HTTP.md shows it, by `curl`, over HTTP/1.1 and over HTTP/2.

use std::net::SocketAddr;

use powd_testkit::{Powd, TestPath, oracle};
use serde_json::{Value, json};

use crate::client::{
    Answer, HOPELESS, Http, curl, expect_solution, has_curl, serve, serve_bounded,
};

/// A version of HTTP: what tells curl to use it, and what its answers begin with.
#[derive(Clone, Copy)]
struct Version {
    flag: &'static str,
    name: &'static str,
}

const VERSIONS: [Version; 2] = [
    Version {
        flag: "--http1.1",
        name: "HTTP/1.1",
    },
    Version {
        flag: "--http2-prior-knowledge",
        name: "HTTP/2",
    },
];

impl Version {
    /// Asks; with `-d` curl itself says that it is a form.
    fn ask(self, address: SocketAddr, path: &str, arguments: &[&str]) -> Answer {
        let url = format!("http://{address}{path}");
        let arguments = [&["--include", self.flag, &url], arguments].concat();
        let whole = curl(&arguments, b"");
        let (name, answer) = Answer::parse(&whole);
        assert_eq!(name, self.name, "{answer:?}");
        answer
    }
}

#[test]
fn a_message_is_solved_and_the_answer_verified() {
    if !has_curl() {
        return;
    }
    let powd = serve(&["-d", "1"]);
    let door = powd.door("http");
    for version in VERSIONS {
        let solve = |path, arguments: &[&str]| version.ask(door, path, arguments);
        solve("/v1/solve?difficulty=2", &["--data-binary", "hello"]).expect_solution("hello", 2);
        let object = r#"{"message": "hé", "difficulty": 3, "seed_length": 7, "deadline": "50s"}"#;
        let answer = solve("/v1/solve", &["--json", object]);
        answer.expect_solution("hé", 3);
        assert_eq!(answer.json()["seed"].as_str().map(str::len), Some(7));
        let line = solve("/v1/solve", &["-d", "a,b", "-H", "Accept: text/plain"]);
        assert_eq!(line.header("content-type"), Some("text/plain"));
        oracle::check(line.text().trim_end().as_bytes(), b"a,b", 1);

        let line = line.text();
        let verdict = solve("/v1/verify", &["--data-binary", &line]).json();
        assert_eq!(verdict["valid"], true, "{verdict}");
        assert!(verdict["zeros"].as_u64() >= Some(1), "{verdict}");
        let mut object = json!({"message": "hé", "seed": answer.json()["seed"]});
        let verdict = |object: &Value| {
            let path = "/v1/verify?difficulty=3";
            solve(path, &["--json", &object.to_string()]).json()["valid"].clone()
        };
        assert_eq!(verdict(&object), true);
        object["hash"] = answer.json()["hash"].clone();
        assert_eq!(verdict(&object), true);
        object["difficulty"] = 64.into();
        assert_eq!(verdict(&object), false);
    }
}

#[test]
fn a_batch_is_answered_line_by_line() {
    if !has_curl() {
        return;
    }
    let powd = serve(&["-d", "1"]);
    for version in VERSIONS {
        let ask = |arguments: &[&str]| version.ask(powd.door("http"), "/v1/batch", arguments);
        let lines = ask(&["--data-binary", "one\n\nthree"]);
        assert_eq!(lines.header("content-type"), Some("text/plain"));
        let lines = lines.text();
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines.len(), 3);
        for (line, message) in lines.iter().zip(["one", "", "three"]) {
            oracle::check(line.as_bytes(), message.as_bytes(), 1);
        }
        let body = "\"one\"\n{\"id\": \"x\", \"message\": \"two\", \"difficulty\": 2}\n{}\n";
        let kind = "application/x-ndjson";
        let header = format!("Content-Type: {kind}");
        let lines = ask(&["-H", &header, "--data-binary", body]);
        assert_eq!(lines.header("content-type"), Some(kind));
        let lines = lines.text();
        let lines = lines.lines().map(serde_json::from_str);
        let lines: Vec<Value> = lines.collect::<Result<_, _>>().expect("JSON");
        assert_eq!(lines.len(), 3);
        let of = |id: Value| lines.iter().find(|line| line["id"] == id);
        expect_solution(of(0.into()).expect("the first"), "one", 1);
        expect_solution(of("x".into()).expect("the second"), "two", 2);
        let error = &of(2.into()).expect("the third")["error"];
        assert_eq!(error["code"], "malformed");
        assert!(error["detail"].is_string(), "{error}");
    }
}

#[test]
fn a_job_is_begun_read_and_cancelled() {
    if !has_curl() {
        return;
    }
    let powd = serve(&["-d", "1"]);
    let door = powd.door("http");
    for version in VERSIONS {
        let key = format!("Idempotency-Key: {}", version.name);
        let begin = || version.ask(door, "/v1/jobs", &["-H", &key, "-d", "hello"]);
        let begun = begin();
        assert_eq!(begun.status, 202, "{begun:?}");
        let path = begun.header("location").expect("its path");
        assert_eq!(begin().header("location"), Some(path));
        let other = version.ask(door, "/v1/jobs", &["-H", &key, "-d", "other"]);
        other.expect_problem(422, "idempotency");
        let found = version.ask(door, &format!("{path}?wait=50s"), &[]).json();
        assert_eq!(found["state"], "found", "{found}");
        expect_solution(&found["solution"], "hello", 1);

        let hard = format!("/v1/jobs?difficulty={HOPELESS}");
        let hard = version.ask(door, &hard, &["-d", "x"]);
        let path = hard.header("location").expect("its path");
        let cancelled = version.ask(door, path, &["-X", "DELETE"]);
        assert_eq!((cancelled.status, cancelled.body.len()), (204, 0));
        assert_eq!(version.ask(door, path, &[]).json()["state"], "cancelled");

        let late = format!("/v1/jobs?difficulty={HOPELESS}&deadline=50ms");
        let late = version.ask(door, &late, &["-d", "x"]);
        let path = late.header("location").expect("its path");
        let failed = version.ask(door, &format!("{path}?wait=50s"), &[]).json();
        assert_eq!(failed["state"], "failed", "{failed}");
        assert_eq!(failed["error"]["code"], "deadline", "{failed}");
        assert!(failed["solution"].is_null(), "{failed}");
    }
    powd.until_quiet();
}

#[test]
fn each_problem_has_its_status_and_its_code() {
    if !has_curl() {
        return;
    }
    let powd = serve_bounded(&["-d", "1", "--max-message-bytes", "100"]);
    let long = "x".repeat(101);
    let post = ["-d", "x"];
    let calls: [(&str, &[&str], u16, &str); 9] = [
        ("/v1/solve?nonsense=1", &post, 400, "malformed"),
        ("/v1/nothing", &post, 404, "not-found"),
        ("/v1/jobs/nothing", &[], 404, "not-found"),
        ("/v1/solve", &[], 405, "method"),
        ("/v1/solve", &["-d", &long], 413, "too-long"),
        (
            "/v1/solve",
            &["-d", "x", "-H", "Content-Type: image/png"],
            415,
            "media-type",
        ),
        ("/v1/solve?difficulty=11", &post, 422, "difficulty"),
        ("/v1/batch?difficulty=-1", &post, 422, "difficulty"),
        (
            "/v1/solve?difficulty=10&deadline=1ms",
            &post,
            504,
            "deadline",
        ),
    ];
    for version in VERSIONS {
        for (path, arguments, status, code) in calls {
            let arguments = [arguments, &["-H", "X-Request-Id: mine"]].concat();
            let answer = version.ask(powd.door("http"), path, &arguments);
            answer.expect_problem(status, code);
            assert_eq!(answer.header("x-request-id"), Some("mine"));
            if status == 405 {
                assert_eq!(answer.header("allow"), Some("POST"));
            }
        }
        let job = version.ask(powd.door("http"), "/v1/jobs/x", &["-X", "PUT"]);
        job.expect_problem(405, "method");
        let allowed = job.header("allow").unwrap_or_default();
        for method in ["GET", "HEAD", "DELETE"] {
            assert!(allowed.contains(method), "{allowed}");
        }
    }
}

#[test]
fn who_does_not_get_in_is_told_why() {
    if !has_curl() {
        return;
    }
    let tokens = TestPath::with_text("tokens-of-calls", "secret\n");
    let closed = serve(&["-d", "1", "--http-token-file", tokens.text()]);
    let strange = serve(&["--allow", "192.0.2.0/24"]);
    let full = serve(&["-d", "1", "--max-connections", "1"]);
    let _kept = first_of(&full);
    let shared = serve(&["-d", "1", "--max-connections-per-ip", "1"]);
    let _first = first_of(&shared);
    for version in VERSIONS {
        let ask = |powd: &Powd, arguments: &[&str]| {
            let arguments = [&["-d", "x"], arguments].concat();
            version.ask(powd.door("http"), "/v1/solve", &arguments)
        };
        let refused = ask(&closed, &[]);
        refused.expect_problem(401, "token");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        let known = ["-H", "Authorization: Bearer secret"];
        ask(&closed, &known).expect_solution("x", 1);
        ask(&strange, &[]).expect_problem(403, "denied");
        for (powd, status) in [(&shared, 429), (&full, 503)] {
            let refused = ask(powd, &[]);
            refused.expect_problem(status, "busy");
            assert_eq!(refused.header("retry-after"), Some("1"));
        }
    }
}

/// A connection that is in.
fn first_of(powd: &Powd) -> Http {
    let mut http = Http::to(powd);
    http.post("/v1/solve", b"x").expect_solution("x", 1);
    http
}

#[test]
fn the_description_and_what_watches_are_there() {
    if !has_curl() {
        return;
    }
    let powd = serve(&["-d", "1"]);
    let admin = powd.door("admin");
    for version in VERSIONS {
        let document = version.ask(powd.door("http"), "/openapi.json", &[]);
        assert_eq!(document.header("content-type"), Some("application/json"));
        assert_eq!(document.json()["info"]["title"], "powd");
        for (path, begin) in [
            ("/livez", "ok\n"),
            ("/readyz", "ok\n"),
            ("/metrics", "# HELP "),
            ("/status", "{"),
            ("/", "<!doctype html>"),
        ] {
            let answer = version.ask(admin, path, &[]);
            assert_eq!(answer.status, 200, "{path}");
            assert!(answer.text().starts_with(begin), "{path}");
        }
    }
}
