//! Who asks for much at a time has the share of one client: a batch, jobs, requests side by side on
//! a connection of HTTP/2.

use powd_testkit::{Powd, until};

use crate::client::{Http, serve, status};

/// What is asked at once, at difficulty 5.
const MANY: u64 = 60;

/// One worker, so that no other is free for who comes later.
fn busy_one() -> Powd {
    serve(&["--workers", "1", "-d", "5"])
}

/// Asks for one reply by lines, beside `MANY` that were asked before.
fn expect_share(powd: &Powd) {
    until("all of them", || {
        status(powd, "/searches_in_progress") > MANY - 10
    });
    let before = status(powd, "/doors/1/requests") - status(powd, "/searches_in_progress");
    powd.connect().ask(b"one of mine", 5);
    let after = status(powd, "/doors/1/requests") - status(powd, "/searches_in_progress");
    // It comes after the search that is under way, not after all of them.
    assert!(after <= before + 10, "{before} {after}");
}

#[test]
fn a_batch_has_the_share_of_one() {
    let powd = busy_one();
    let mut http = Http::to(&powd);
    let lines: String = (0..MANY).map(|number| format!("{number}\n")).collect();
    http.request("POST /v1/batch", &[], lines.as_bytes());
    expect_share(&powd);
}

#[test]
fn jobs_have_the_share_of_one() {
    let powd = busy_one();
    let mut http = Http::to(&powd);
    for number in 0..MANY {
        let job = http.post("/v1/jobs", number.to_string().as_bytes());
        assert_eq!(job.status, 202);
    }
    expect_share(&powd);
}
