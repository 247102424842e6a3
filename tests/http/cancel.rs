//! Who is gone gets no more work done.

use std::process::{Command, Stdio};

#[cfg(target_os = "linux")]
use powd_testkit::proc;
use powd_testkit::{Powd, until};

use crate::client::{HOPELESS, Http, has_curl, serve, status};

/// Asks for what is never found.
fn ask_hopeless(http: &mut Http, message: &[u8]) {
    http.request(
        &format!("POST /v1/solve?difficulty={HOPELESS}"),
        &[],
        message,
    );
}

pub(crate) fn until_searches(powd: &Powd, count: u64) {
    until(&format!("{count} searches"), || {
        status(powd, "/searches_in_progress") == count
    });
}

#[test]
fn a_connection_that_closes_ends_its_search() {
    let powd = serve(&[]);
    let mut http = Http::to(&powd);
    ask_hopeless(&mut http, b"x");
    until_searches(&powd, 1);
    drop(http);
    until_searches(&powd, 0);
    assert_eq!(status(&powd, "/searches_cancelled"), 1);
    powd.until_quiet();
}

#[test]
fn so_does_one_with_another_request_behind() {
    let powd = serve(&[]);
    let mut http = Http::to(&powd);
    ask_hopeless(&mut http, b"x");
    ask_hopeless(&mut http, b"y");
    until_searches(&powd, 1);
    drop(http);
    until_searches(&powd, 0);
    powd.until_quiet();
}

/// What ends with it is the connection; the job goes on.
#[test]
fn so_does_the_wait_for_a_job_with_another_request_behind() {
    let powd = serve(&[]);
    let mut http = Http::to(&powd);
    let job = format!("/v1/jobs?difficulty={HOPELESS}");
    let job = http.post(&job, b"x").json()["id"].clone();
    let path = format!("GET /v1/jobs/{}?wait=1h", job.as_str().expect("an id"));
    http.request(&path, &[], b"");
    http.request(&path, &[], b"");
    assert_eq!(status(&powd, "/doors/1/connections"), 1);
    // The job is there before a worker has begun with it.
    until_searches(&powd, 1);
    drop(http);
    until("its end", || status(&powd, "/doors/1/connections") == 0);
    assert_eq!(status(&powd, "/searches_in_progress"), 1);
}

/// There were ten looks a second, for each request that waits.
#[cfg(target_os = "linux")]
#[test]
fn a_request_that_waits_wakes_nobody() {
    let powd = serve(&[]);
    let mut http = Http::to(&powd);
    let hopeless = format!("POST /v1/solve?difficulty={HOPELESS}&deadline=3s");
    http.request(&hopeless, &[], b"x");
    // Not its search, which may be over before a slow machine looks.
    until("its request", || status(&powd, "/doors/1/requests") == 1);
    let wakes = || -> u64 {
        let threads = proc::threads(powd.pid(), "http");
        let wakes = threads.iter().map(|thread| {
            let wakes = proc::status(thread, "voluntary_ctxt_switches");
            wakes.parse::<u64>().expect("a number")
        });
        wakes.sum()
    };
    let before = wakes();
    http.answer().expect_problem(504, "deadline");
    let woken = wakes() - before;
    assert!(before > 0 && woken < 15, "{woken} times");
}

#[test]
fn a_batch_ends_with_its_connection() {
    let powd = serve(&[]);
    let mut http = Http::to(&powd);
    let batch = format!("POST /v1/batch?difficulty={HOPELESS}");
    http.request(&batch, &[], b"a\nb\nc\n");
    until_searches(&powd, 3);
    drop(http);
    until_searches(&powd, 0);
    assert_eq!(status(&powd, "/searches_cancelled"), 3);
}

#[test]
fn an_http_2_client_that_is_gone_ends_its_search() {
    if !has_curl() {
        return;
    }
    let powd = serve(&[]);
    let door = powd.door("http");
    let url = format!("http://{door}/v1/solve?difficulty={HOPELESS}");
    let mut curl = Command::new("curl")
        .args(["--silent", "--http2-prior-knowledge", "--data", "x", &url])
        .stdout(Stdio::null())
        .spawn()
        .expect("curl is a program");
    until_searches(&powd, 1);
    curl.kill().expect("it runs");
    curl.wait().expect("it ends");
    until_searches(&powd, 0);
    powd.until_quiet();
}

#[test]
fn an_easy_request_does_not_wait_for_hard_ones_over_the_other_door() {
    let powd = serve(&[
        "-d",
        &HOPELESS.to_string(),
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "127.0.0.1:0@1",
    ]);
    // Hard ones over both doors.
    let line = powd.connect();
    line.send(b"x\ny\nz\n");
    let mut http = Http::to(&powd);
    ask_hopeless(&mut http, b"x");
    until_searches(&powd, 2);
    Http::to(&powd)
        .post("/v1/solve?difficulty=1", b"easy")
        .expect_solution("easy", 1);
    let mut easy = powd_testkit::Client::connect(powd.addresses()[1]);
    easy.ask(b"easy", 1);
}
