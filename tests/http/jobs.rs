//! `/v1/jobs`.

use powd_testkit::until;

use crate::client::{Answer, HOPELESS, Http, expect_solution, serve, status};

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{answer:?}");
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(answer.header("location"), Some(&*format!("/v1/jobs/{id}")));
    id
}

#[test]
fn a_job_is_waited_for() {
    let powd = serve(&["-d", "2"]);
    let mut http = Http::to(&powd);
    let id = id(&http.post("/v1/jobs", b"hello"));
    let job = http.get(&format!("/v1/jobs/{id}?wait=50s"));
    assert_eq!(job.header("cache-control"), Some("no-store"));
    let job = job.json();
    assert_eq!(job["state"], "found", "{job}");
    assert_eq!(job["id"], *id);
    assert_eq!(job["expected_hashes"], 256.0);
    expect_solution(&job["solution"], "hello", 2);
    assert!(job["error"].is_null());
}

#[test]
fn a_job_that_is_deleted_stops() {
    let powd = serve(&[]);
    let mut http = Http::to(&powd);
    let hopeless = format!(r#"{{"message": "x", "difficulty": {HOPELESS}}}"#);
    let id = id(&http.post_json("/v1/jobs", &hopeless));
    let path = format!("/v1/jobs/{id}");
    until("its search", || {
        http.get(&path).json()["state"] == "searching"
    });
    // Waiting for a little is over without its end.
    assert_eq!(http.get(&format!("{path}?wait=1ms")).status, 200);
    assert_eq!(http.ask(&format!("DELETE {path}"), &[], b"").status, 204);
    assert_eq!(http.get(&path).json()["state"], "cancelled");
    until("the end of the search", || {
        status(&powd, "/searches_in_progress") == 0
    });
    powd.until_quiet();
    // Once more, and one that never was.
    assert_eq!(http.ask(&format!("DELETE {path}"), &[], b"").status, 204);
    for method in ["GET", "DELETE"] {
        let answer = http.ask(&format!("{method} /v1/jobs/nonsense"), &[], b"");
        answer.expect_problem(404, "not-found");
    }
    // A longer time than may be waited for is as good as the longest.
    for wait in ["0", "0s", "999999h"] {
        assert_eq!(http.get(&format!("{path}?wait={wait}")).status, 200);
    }
    http.get(&format!("{path}?wait=soon"))
        .expect_problem(400, "malformed");
}

#[test]
fn an_id_that_is_no_text_is_not_found() {
    let powd = serve(&[]);
    let mut http = Http::to(&powd);
    for request in ["GET /v1/jobs/x%ff", "DELETE /v1/jobs/x%ff"] {
        http.ask(request, &[], b"").expect_problem(404, "not-found");
    }
    let mut admin = Http::connect(powd.door("admin"));
    let errors = admin.get("/status").json()["doors"][1]["errors"].clone();
    let errors = errors.as_array().expect("errors");
    let missing = errors.iter().find(|error| error["code"] == "not-found");
    assert_eq!(missing.map(|error| &error["count"]), Some(&2.into()));
}

#[test]
fn asking_twice_with_one_key_begins_one_job() {
    let powd = serve(&["-d", "1"]);
    let mut http = Http::to(&powd);
    let key = ["Idempotency-Key: k1"];
    let first = id(&http.ask("POST /v1/jobs", &key, b"hello"));
    assert_eq!(id(&http.ask("POST /v1/jobs", &key, b"hello")), first);
    http.ask("POST /v1/jobs", &key, b"another")
        .expect_problem(422, "idempotency");
    assert_ne!(id(&http.post("/v1/jobs", b"hello")), first);
}

#[test]
fn open_jobs_are_bounded_and_ended_ones_are_forgotten() {
    let powd = serve(&["-d", "1", "--max-jobs", "1", "--job-ttl", "1h"]);
    let mut http = Http::to(&powd);
    let first = id(&http.post("/v1/jobs", b"first"));
    assert_eq!(
        http.get(&format!("/v1/jobs/{first}?wait=50s")).json()["state"],
        "found"
    );
    let open = id(&http.post(&format!("/v1/jobs?difficulty={HOPELESS}"), b"x"));
    let refused = http.post("/v1/jobs", b"y");
    refused.expect_problem(503, "busy");
    assert!(refused.header("retry-after").is_some());
    // As many ended ones are kept as there can be open ones: the oldest goes.
    http.ask(&format!("DELETE /v1/jobs/{open}"), &[], b"");
    assert_eq!(http.get(&format!("/v1/jobs/{open}")).status, 200);
    http.get(&format!("/v1/jobs/{first}"))
        .expect_problem(404, "not-found");

    let powd = serve(&["-d", "0", "--job-ttl", "0s"]);
    let mut http = Http::to(&powd);
    let gone = id(&http.post("/v1/jobs", b"x"));
    until("its end", || {
        http.get(&format!("/v1/jobs/{gone}")).status == 404
    });
}
