//! The admin address.

use std::process::Command;

use powd_testkit::{is_there, program, skip, until};

use crate::cancel::until_searches;
use crate::client::{HOPELESS, Http, serve, serve_bounded};

/// What the form of the page sends.
const X: &str = r#"{"message": "x"}"#;

#[test]
fn metrics_count_both_doors() {
    let powd = serve_bounded(&["-d", "2"]);
    powd.connect().ask(b"hello", 2);
    let mut http = Http::to(&powd);
    http.post("/v1/solve", b"x").expect_solution("x", 2);
    http.post("/v1/solve?difficulty=11", b"x")
        .expect_problem(422, "difficulty");
    let mut admin = Http::connect(powd.door("admin"));
    let metrics = admin.get("/metrics");
    assert!(
        metrics
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4"))
    );
    let text = metrics.text();
    let has = |line: &str| assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    has("powd_requests_total{door=\"line\"} 1");
    // One of them got an error.
    has("powd_requests_total{door=\"http\"} 2");
    for door in ["line", "http"] {
        has(&format!("powd_replies_total{{door=\"{door}\"}} 1"));
        has(&format!(
            "powd_connections_opened_total{{door=\"{door}\"}} 1"
        ));
        has(&format!(
            "powd_request_duration_seconds_count{{door=\"{door}\",difficulty=\"2\"}} 1"
        ));
        has(&format!(
            "powd_request_duration_seconds_bucket{{door=\"{door}\",difficulty=\"2\",le=\"+Inf\"}} 1"
        ));
    }
    has("powd_errors_total{door=\"http\",code=\"difficulty\"} 1");
    has("powd_connections_refused_total{reason=\"denied\"} 0");
    has("powd_searches_in_progress 0");
    has("powd_false_hits_total 0");
    for name in [
        "powd_build_info{version=",
        "powd_workers ",
        "powd_worker_busy_seconds_total{worker=\"0\"} ",
        "powd_hashes_total ",
        "powd_searches_cancelled_total ",
        "powd_searches_shared_total ",
        "powd_help_hashes_total ",
        "powd_connections{door=\"http\"} ",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(name)),
            "{name}\n{text}"
        );
    }
    #[cfg(target_os = "linux")]
    has(&format!("process_max_fds {}", max_fds(powd.pid())));
    let accept = ["Accept: application/openmetrics-text; version=1.0.0"];
    let open = admin.ask("GET /metrics", &accept, b"");
    assert!(
        open.header("content-type")
            .is_some_and(|kind| kind.starts_with("application/openmetrics-text"))
    );
    assert!(open.text().ends_with("# EOF\n"));
    let second = ["Accept: text/html", "Accept: application/openmetrics-text"];
    let refused = ["Accept: application/openmetrics-text;q=0, */*"];
    for (accept, is_open) in [(&second[..], true), (&refused[..], false)] {
        let text = admin.ask("GET /metrics", accept, b"").text();
        assert_eq!(text.ends_with("# EOF\n"), is_open, "{accept:?}");
    }
}

#[cfg(target_os = "linux")]
fn max_fds(pid: u32) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("its limits");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3));
    soft.expect("a limit").to_owned()
}

#[test]
fn promtool_has_nothing_to_say() {
    if !is_there("promtool") {
        return skip("promtool is missing");
    }
    let powd = serve(&["-d", "1"]);
    powd.connect().ask(b"hello", 1);
    let metrics = Http::connect(powd.door("admin")).get("/metrics");
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]);
    let output = program::run(promtool, &metrics.body);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn it_answers_while_the_service_has_more_than_it_can_do() {
    let powd = serve(&["-d", &HOPELESS.to_string(), "--max-connections", "200"]);
    let line = powd.connect();
    line.send(&b"hard\n".repeat(1000));
    let mut clients = Vec::new();
    let hopeless = format!("POST /v1/batch?difficulty={HOPELESS}");
    for _ in 0..100 {
        let mut http = Http::to(&powd);
        http.request(&hopeless, &[], &b"hard\n".repeat(100));
        clients.push(http);
    }
    // Connections that nobody has asked anything on, beyond what there may be.
    let _more: Vec<_> = (0..150).map(|_| Http::to(&powd)).collect();
    let mut admin = Http::connect(powd.door("admin"));
    powd_testkit::until("all to be busy", || {
        let status = admin.get("/status").json();
        status["searches_in_progress"].as_u64() > Some(1000)
            && status["connections_refused"]["busy"].as_u64() > Some(0)
    });
    for path in ["/livez", "/readyz", "/metrics", "/status", "/"] {
        assert_eq!(admin.get(path).status, 200, "{path}");
        // Who comes now gets in, too.
        let mut other = Http::connect(powd.door("admin"));
        assert_eq!(other.get(path).status, 200, "{path}");
    }
    admin
        .post_json("/v1/solve?difficulty=1", r#"{"message": "easy"}"#)
        .expect_solution("easy", 1);
}

#[test]
fn status_says_what_runs() {
    let powd = serve_bounded(&[
        "--workers",
        "1",
        "--kernel",
        "portable",
        "--max-difficulty",
        "7",
    ]);
    let status = Http::connect(powd.door("admin")).get("/status").json();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["kernel"], "portable");
    assert_eq!(status["ready"], true);
    assert_eq!(status["max_difficulty"], 7);
    assert!(status["uptime_seconds"].as_f64() > Some(0.0), "{status}");
    for number in [
        "hashes",
        "help_hashes",
        "false_hits",
        "searches_in_progress",
        "searches_cancelled",
        "searches_shared",
    ] {
        assert_eq!(status[number], 0, "{number}");
    }
    let doors = status["doors"].as_array().expect("doors");
    let doors: Vec<_> = doors.iter().map(|door| &door["door"]).collect();
    assert_eq!(doors, ["line", "http"]);
    assert_eq!(status["searches"], serde_json::json!([]));
    assert!(
        status
            .get("cluster")
            .is_none_or(|cluster| cluster.is_null())
    );
}

#[test]
fn status_lists_the_searches_in_progress() {
    let powd = serve(&["--workers", "1"]);
    let mut http = Http::to(&powd);
    let hopeless = format!("POST /v1/solve?difficulty={HOPELESS}");
    http.request(&hopeless, &[], b"x");
    let mut admin = Http::connect(powd.door("admin"));
    let mut search = serde_json::Value::Null;
    powd_testkit::until("hashes", || {
        let status = admin.get("/status").json();
        assert_eq!(status["workers"].as_array().map(Vec::len), Some(1));
        search = status["searches"][0].clone();
        search["hashes"].as_u64() > Some(0)
    });
    assert_eq!(search["difficulty"], HOPELESS);
    assert_eq!(search["expected_hashes"], 16f64.powi(HOPELESS.into()));
    assert!(search["seconds"].as_f64() > Some(0.0));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let powd = serve(&[]);
    let mut admin = Http::connect(powd.door("admin"));
    let page = admin.get("/");
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let text = page.text();
    for outside in ["https://", "src=\"", "@import", "<link rel=\"stylesheet"] {
        assert!(!text.contains(outside), "{outside}");
    }
    // Its form asks here.
    admin
        .post_json("/v1/solve?difficulty=1", X)
        .expect_solution("x", 1);
    // A form of somebody else's page, or its script, can send these (Fetch, "CORS-safelisted").
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let kind = format!("Content-Type: {kind}");
        let answer = admin.ask("POST /v1/solve?difficulty=1", &[&kind], X.as_bytes());
        answer.expect_problem(415, "media-type");
    }
    admin
        .post("/v1/solve?difficulty=1", X.as_bytes())
        .expect_problem(415, "media-type");
    // The form's door does not lead to the rest.
    assert_eq!(admin.post("/v1/batch", b"x").status, 404);
}

#[test]
fn each_request_is_counted_and_has_a_reply_or_an_error() {
    let powd = serve(&["-d", "1"]);
    let mut admin = Http::connect(powd.door("admin"));
    let mut counts = || {
        let status = admin.get("/status").json();
        let http = &status["doors"][1];
        let errors = http["errors"].as_array().expect("errors").iter();
        let errors = errors.filter_map(|error| error["count"].as_u64()).sum();
        let count = |name: &str| http[name].as_u64().expect("a count");
        (count("requests"), count("replies"), errors)
    };
    let mut http = Http::to(&powd);
    http.post("/v1/solve", b"x").expect_solution("x", 1);
    http.post_json("/v1/solve", "{}")
        .expect_problem(400, "malformed");
    assert_eq!(counts(), (2, 1, 1));
    let ndjson = ["Content-Type: application/x-ndjson"];
    http.ask("POST /v1/batch", &ndjson, b"\"x\"\n{}\n");
    assert_eq!(counts(), (4, 2, 2));
    http.post("/v1/jobs?difficulty=x", b"x")
        .expect_problem(422, "difficulty");
    assert_eq!(counts(), (5, 2, 3));
    // Who goes has left what was not answered.
    let hopeless = format!("POST /v1/batch?difficulty={HOPELESS}");
    let mut leaves = Http::to(&powd);
    leaves.request(&hopeless, &[], b"a\nb\nc\n");
    until_searches(&powd, 3);
    drop(leaves);
    until("the end of all", || counts() == (8, 2, 6));
    // Their searches end a moment later, and the next one is not to be taken for one of them.
    until_searches(&powd, 0);
    let hopeless = format!("POST /v1/solve?difficulty={HOPELESS}");
    let mut leaves = Http::to(&powd);
    leaves.request(&hopeless, &[], b"x");
    until_searches(&powd, 1);
    drop(leaves);
    until("the end of one", || counts() == (9, 2, 7));
    // So has who cancels.
    let job = http.post(&format!("/v1/jobs?difficulty={HOPELESS}"), b"x");
    let path = job.header("location").expect("its path");
    assert_eq!(http.ask(&format!("DELETE {path}"), &[], b"").status, 204);
    until("the end of a job", || counts() == (10, 2, 8));
}

#[test]
fn what_the_page_asks_is_not_counted_with_what_clients_ask() {
    let powd = serve(&["-d", "1"]);
    let mut admin = Http::connect(powd.door("admin"));
    admin.post_json("/v1/solve", X).expect_solution("x", 1);
    admin
        .post_json("/v1/solve?difficulty=x", X)
        .expect_problem(422, "difficulty");
    let late = format!("/v1/solve?difficulty={HOPELESS}&deadline=1ms");
    admin.post_json(&late, X).expect_problem(504, "deadline");
    let status = admin.get("/status").json();
    let http = &status["doors"][1];
    assert_eq!(
        (&http["requests"], &http["replies"]),
        (&0.into(), &0.into())
    );
    let errors = http["errors"].as_array().expect("errors");
    assert!(errors.iter().all(|error| error["count"] == 0), "{http}");
}
