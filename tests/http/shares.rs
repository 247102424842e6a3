//! Who asks for much at a time has the share of one client: a batch, jobs, requests side by side on
//! a connection of HTTP/2.

use powd_testkit::until;

use crate::client::{Http, serve, status};

/// What is asked at once, at difficulty 5; no more than a batch has under way.
const MANY: u64 = 120;

/// One reply by lines comes before those to all that was asked before: after the search that is
/// under way.
fn expect_share(ask_many: impl Fn(&mut Http)) {
    // While a machine stands still all of them may come first: so more than one try.
    until("a reply before those to all others", || {
        // One worker, so that no other is free for who comes later.
        let powd = serve(&["--workers", "1", "-d", "5"]);
        let mut http = Http::to(&powd);
        ask_many(&mut http);
        until("all of them", || status(&powd, "/doors/1/requests") == MANY);
        powd.connect().ask(b"one of mine", 5);
        status(&powd, "/searches_in_progress") > 0
    });
}

#[test]
fn a_batch_has_the_share_of_one() {
    let lines: String = (0..MANY).map(|number| format!("{number}\n")).collect();
    expect_share(|http| http.request("POST /v1/batch", &[], lines.as_bytes()));
}

#[test]
fn jobs_have_the_share_of_one() {
    // In one piece, as a batch comes: one after the other they would be searched for meanwhile.
    let job = |number| {
        let head = "POST /v1/jobs HTTP/1.1\r\nHost: powd\r\nContent-Length: 3\r\n\r\n";
        format!("{head}{number:03}")
    };
    let jobs: String = (0..MANY).map(job).collect();
    expect_share(|http| {
        http.send(jobs.as_bytes());
        for _ in 0..MANY {
            assert_eq!(http.answer().status, 202);
        }
    });
}
