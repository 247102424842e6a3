//! The end: what was asked is answered, what comes later is told so.

#[cfg(target_os = "linux")]
use std::time::Duration;

use powd_testkit::wait::until_still;
use powd_testkit::{Client, until};
use serde_json::Value;

use crate::POWD;
use crate::client::{HOPELESS, Http, serve, status};

#[test]
fn what_is_under_way_is_answered_and_new_requests_are_refused() {
    let mut powd = serve(&["--drain-timeout", "1h"]);
    let hopeless = format!("POST /v1/solve?difficulty={HOPELESS}");
    // The drain lasts as long as this one waits: until all has been looked at.
    let mut waits = Http::to(&powd);
    waits.request(&hopeless, &[], b"x");
    let mut under_way = Http::to(&powd);
    under_way.request(&format!("{hopeless}&deadline=3s"), &[], b"x");
    let mut kept = Http::to(&powd);
    kept.post("/v1/solve?difficulty=1", b"x")
        .expect_solution("x", 1);
    until("all requests", || status(&powd, "/doors/1/requests") == 3);
    let mut admin = Http::connect(powd.door("admin"));
    assert_eq!(admin.get("/readyz").status, 200);
    powd.signal("TERM");
    until("not ready", || admin.get("/readyz").status == 503);
    assert_eq!(admin.get("/livez").text(), "ok\n");
    // It says so a moment before the drain begins.
    until("a refusal", || {
        let answer = kept.post("/v1/solve?difficulty=1", b"x");
        let is_refused = answer.status != 200;
        if is_refused {
            answer.expect_problem(503, "draining");
            assert!(answer.header("retry-after").is_some());
        }
        is_refused
    });
    under_way.answer().expect_problem(504, "deadline");
    drop(waits);
    assert_eq!(powd.wait().code(), Some(0));
}

/// The kernel has taken their connections, powd has not, when it is told to end.
#[cfg(target_os = "linux")]
#[test]
fn who_waits_to_be_accepted_is_answered() {
    // More than a task of the runtime may accept at a time, which is 128.
    const WAITING: usize = 600;
    let proxied: (&[&str], &[u8]) = (
        &["--proxy-protocol", "127.0.0.1/32"],
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    );
    for (flags, header) in [(&[][..], &b""[..]), proxied] {
        let mut powd = serve(&[&["-d", "1", "--drain-timeout", "1h"], flags].concat());
        powd.stop();
        let mut waiting: Vec<Http> = (0..WAITING).map(|_| Http::to(&powd)).collect();
        for http in &mut waiting {
            http.send(header);
            http.request("POST /v1/solve", &[], b"x");
        }
        powd.signal("TERM");
        powd.signal("CONT");
        for http in &mut waiting {
            // Some may be asked before powd hears of its end.
            match http.answer() {
                answer if answer.status == 200 => answer.expect_solution("x", 1),
                answer => answer.expect_problem(503, "draining"),
            }
            http.expect_end();
        }
        assert_eq!(powd.wait().code(), Some(0));
    }
}

#[test]
fn when_the_time_of_the_drain_is_over_the_rest_is_told_so() {
    let mut powd = serve(&["--drain-timeout", "100ms"]);
    let mut http = Http::to(&powd);
    let job = format!("/v1/jobs?difficulty={HOPELESS}");
    let id = http.post(&job, b"x").json()["id"].clone();
    let path = format!("GET /v1/jobs/{}?wait=50s", id.as_str().expect("an id"));
    // That it has come cannot be seen; that those after it have come, can.
    http.request(&path, &[], b"");
    let mut solve = Http::to(&powd);
    let hopeless = format!("POST /v1/solve?difficulty={HOPELESS}");
    solve.request(&hopeless, &[], b"x");
    let mut batch = Http::to(&powd);
    let hopeless = format!("POST /v1/batch?difficulty={HOPELESS}");
    batch.request(&hopeless, &[], b"x\ny\n");
    until("the searches", || {
        status(&powd, "/searches_in_progress") == 4
    });
    powd.signal("TERM");
    solve.answer().expect_problem(503, "draining");
    let lines = batch.answer().text();
    assert_eq!(lines.matches("ERR draining ").count(), 2, "{lines}");
    let job = http.answer().json();
    assert_eq!(job["state"], "failed", "{job}");
    assert_eq!(job["error"]["code"], "draining", "{job}");
    assert_eq!(powd.wait().code(), Some(0));
    // The job had not been waited for.
    let log = powd.log().join("\n");
    assert!(log.contains("before 3 requests were answered"), "{log}");
}

#[test]
fn who_has_not_sent_all_of_a_request_is_told_that_it_is_over() {
    let mut powd = serve(&["--drain-timeout", "100ms"]);
    let mut halves = ["/v1/solve", "/v1/verify", "/v1/jobs"].map(|path| {
        let mut http = Http::to(&powd);
        let head = format!("POST {path} HTTP/1.1\r\nHost: powd\r\nContent-Length: 9\r\n\r\nhalf");
        http.send(head.as_bytes());
        http
    });
    // That they have come cannot be seen; that one which was sent after them has, can.
    let mut waits = Http::to(&powd);
    let hopeless = format!("POST /v1/solve?difficulty={HOPELESS}");
    waits.request(&hopeless, &[], b"x");
    until("the search", || status(&powd, "/searches_in_progress") == 1);
    powd.signal("TERM");
    for half in &mut halves {
        half.answer().expect_problem(503, "draining");
        half.expect_end();
    }
    waits.answer().expect_problem(503, "draining");
    assert_eq!(powd.wait().code(), Some(0));
}

#[test]
fn a_batch_that_goes_on_is_told_that_it_is_over() {
    let mut powd = serve(&["-d", "1"]);
    let mut http = Http::to(&powd);
    http.send(
        b"POST /v1/batch HTTP/1.1\r\nHost: powd\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na\n\r\n",
    );
    assert_eq!(http.head().status, 200);
    assert!(http.piece().starts_with(b"a,"));
    powd.signal("TERM");
    assert!(http.piece().starts_with(b"ERR draining "));
    assert_eq!(powd.wait().code(), Some(0));
}

/// What powd has not read when it closes must not cost what it has written.
#[test]
fn a_batch_that_is_cut_short_is_told_so_whatever_it_still_sends() {
    // Most of what is on its way to the client waits at powd's side.
    const WINDOW: usize = 4096;
    let mut powd = serve(&["-d", "0", "--drain-timeout", "1h"]);
    let mut http = Http::over(Client::connect_narrow(powd.door("http"), WINDOW).into_stream());
    http.send(b"POST /v1/batch HTTP/1.1\r\nHost: powd\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [&b"8000\r\n"[..], &b"abcdefg\n".repeat(4096), b"\r\n"].concat();
    http.set_nonblocking(true);
    // Until there is no room in either direction.
    let mut sent = 0;
    until_still("the end of its reading", || {
        sent += http.try_send(&chunk[sent % chunk.len()..]);
        let answered = status(&powd, "/doors/1/replies");
        (answered > 0).then_some((sent, answered))
    });
    http.set_nonblocking(false);
    powd.signal("TERM");
    assert_eq!(http.head().status, 200);
    let mut last = Vec::new();
    loop {
        let piece = http.piece();
        if piece.is_empty() {
            break;
        }
        last = [last, piece].concat();
        last.drain(..last.len().saturating_sub(100));
    }
    let last = String::from_utf8_lossy(&last);
    assert!(last.contains("\nERR draining "), "{last}");
    http.end();
    assert_eq!(powd.wait().code(), Some(0));
}

#[test]
fn each_line_of_a_batch_that_is_cut_short_has_one_answer() {
    // More than a service has under way, and one that has not come whole.
    const WHOLE: usize = 300;
    let mut powd = serve(&["--workers", "1", "--drain-timeout", "100ms"]);
    let mut http = Http::to(&powd);
    let head = format!(
        "POST /v1/batch?difficulty={HOPELESS} HTTP/1.1\r\nHost: powd\r\n\
         Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    http.send(head.as_bytes());
    let lines = "\"x\"\n".repeat(WHOLE) + "\"ha";
    http.send(format!("{:x}\r\n{lines}\r\n", lines.len()).as_bytes());
    until("searches", || status(&powd, "/searches_in_progress") > 100);
    powd.signal("TERM");
    let answers = http.answer().text();
    let id = |answer: &str| {
        let answer: Value = serde_json::from_str(answer).expect("JSON");
        assert_eq!(answer["error"]["code"], "draining", "{answer}");
        answer["id"].as_u64()
    };
    let mut ids: Vec<Option<u64>> = answers.lines().map(id).collect();
    ids.sort_unstable();
    let each_once: Vec<Option<u64>> = (0..=WHOLE as u64).map(Some).collect();
    assert_eq!(ids, each_once);
    assert_eq!(powd.wait().code(), Some(0));
}

#[test]
fn a_batch_that_has_come_whole_is_not_cut_short() {
    // More than a service has under way, in one piece.
    const LINES: usize = 300;
    let mut powd = serve(&["--workers", "1", "--drain-timeout", "100ms"]);
    let mut http = Http::to(&powd);
    let request = format!("POST /v1/batch?difficulty={HOPELESS}");
    http.request(&request, &[], "x\n".repeat(LINES).as_bytes());
    until("searches", || status(&powd, "/searches_in_progress") > 100);
    powd.signal("TERM");
    let answers = http.answer().text();
    let lines = answers
        .lines()
        .filter(|line| line.starts_with("ERR draining "));
    assert_eq!(lines.count(), LINES, "{answers}");
    assert_eq!(powd.wait().code(), Some(0));
}

#[test]
fn balancers_get_time_to_hear_of_it() {
    // Far longer than the test takes: a second signal ends it.
    let mut powd = serve(&["-d", "1", "--shutdown-delay", "1h"]);
    let mut admin = Http::connect(powd.door("admin"));
    powd.signal("TERM");
    until("not ready", || admin.get("/readyz").status == 503);
    Http::to(&powd)
        .post("/v1/solve", b"x")
        .expect_solution("x", 1);
    powd.connect().ask(b"x", 1);
    powd.signal("TERM");
    assert_eq!(powd.wait().code(), Some(128 + 15));

    let mut powd = serve(&["--shutdown-delay", "1ms"]);
    powd.signal("TERM");
    assert_eq!(powd.wait().code(), Some(0));
}

#[test]
fn health_is_an_exit_code() {
    let powd = serve(&["--shutdown-delay", "1h"]);
    let admin = powd.door("admin").to_string();
    let code = || POWD.run(&["health", &admin]).status.code();
    assert_eq!(code(), Some(0));
    powd.signal("TERM");
    until("not ready", || code() == Some(1));
    assert_eq!(POWD.run(&["health", "nonsense"]).status.code(), Some(2));
    assert_eq!(POWD.run(&["health"]).status.code(), Some(2));
    let mut command = POWD.command(&["health"]);
    command.env("POWD_ADMIN", &admin);
    let output = powd_testkit::program::run(command, b"");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("not ready"), "{told}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_service_that_stands_still_while_its_time_ends_tells_so_all_the_same() {
    let mut powd = serve(&["--drain-timeout", "2s"]);
    let mut admin = Http::connect(powd.door("admin"));
    let hopeless = format!("POST /v1/batch?difficulty={HOPELESS}");
    let mut waiting = [(); 8].map(|()| {
        let mut http = Http::to(&powd);
        http.request(&hopeless, &[], b"x");
        http
    });
    until("the searches", || {
        status(&powd, "/searches_in_progress") == 8
    });
    powd.signal("TERM");
    until("not ready", || admin.get("/readyz").status == 503);
    // To behind the end of all that it waits for.
    powd.stand_still(Duration::from_millis(3300));
    for http in &mut waiting {
        let lines = http.answer().text();
        assert!(lines.starts_with("ERR draining "), "{lines}");
    }
    assert_eq!(powd.wait().code(), Some(0));
}
