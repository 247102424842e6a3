//! Jobs at the broker: every member has all of them, and nobody's death loses one.

use powd_testkit::{Powd, until};
use serde_json::Value;

use crate::broker::Broker;
use crate::http::{Answer, Http, expect_solution};
use crate::members::{HOPELESS, member, members, number, status, until_helping, until_stopped};
use crate::nats::Nats;

/// A job of CLUSTER.md: the secret, and the name.
const SECRET: &str = "7ea09501bb7895b39ad870baf56eedb6";
const NAME: &str = "6f9619ff8b86d011b42d00cf4fc964ff";

/// So many members that take jobs.
fn takers<const N: usize>(broker: &Broker, flags: &[&str]) -> [Powd; N] {
    let members = members(broker, flags);
    let mut nats = broker.connect();
    until("all to wait for jobs", || waiting(&mut nats) == N as u64);
    members
}

/// Members that wait for a job.
fn waiting(nats: &mut Nats) -> u64 {
    let queue = "$JS.API.CONSUMER.INFO.powd-jobs-open.members";
    let answer = nats.request(queue, &[], b"");
    let info: Value = serde_json::from_slice(&answer.payload).unwrap_or_default();
    info["num_waiting"].as_u64().unwrap_or(0)
}

/// Jobs that have not left the queue.
fn queued(nats: &mut Nats) -> u64 {
    let answer = nats.request("$JS.API.STREAM.INFO.powd-jobs-open", &[], b"");
    let info: Value = serde_json::from_slice(&answer.payload).expect("JSON");
    number(&info["state"]["messages"])
}

fn create(member: &Powd, path: &str, body: &[u8]) -> String {
    path_of(&Http::to(member).post(path, body))
}

/// The path of a job that was begun.
fn path_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.header("location").expect("its path").to_owned()
}

fn hopeless(member: &Powd) -> String {
    create(member, &format!("/v1/jobs?difficulty={HOPELESS}"), b"hello")
}

fn job(member: &Powd, path: &str) -> Value {
    Http::to(member).get(path).json()
}

/// What has become of it when it has ended.
fn ended(member: &Powd, path: &str) -> Value {
    job(member, &format!("{path}?wait=50s"))
}

fn cancel(member: &Powd, path: &str) {
    let answer = Http::to(member).ask(&format!("DELETE {path}"), &[], b"");
    assert_eq!(answer.status, 204, "{answer:?}");
}

fn until_searching(member: &Powd, path: &str) {
    until("its search", || job(member, path)["state"] == "searching");
}

/// Whether a job of the cluster is this member's, and not one that it helps with.
fn owns_it(member: &Powd) -> bool {
    number(&status(member)["searches_in_progress"]) == 1
}

#[test]
fn a_job_is_read_waited_for_and_cancelled_at_every_member() {
    let Some(broker) = Broker::start_with_store() else {
        return;
    };
    let [one, two] = takers(&broker, &[]);
    let path = create(&one, "/v1/jobs?difficulty=4", b"hello");
    let found = ended(&two, &path);
    assert_eq!(found["state"], "found", "{found}");
    assert_eq!(found["expected_hashes"], 65_536.0);
    assert!(number(&found["hashes"]) > 0 && found["seconds"].as_f64() > Some(0.0));
    expect_solution(&found["solution"], "hello", 4);
    // What is no text comes back byte for byte.
    let bytes = create(&two, "/v1/jobs?difficulty=1", b"\xff\n\x00");
    assert_eq!(ended(&one, &bytes)["solution"]["message_base64"], "/woA");

    let path = hopeless(&one);
    until_searching(&two, &path);
    until("some progress", || number(&job(&two, &path)["hashes"]) > 0);
    let mut waits = Http::to(&one);
    waits.request(&format!("GET {path}?wait=50s"), &[], b"");
    cancel(&two, &path);
    assert_eq!(waits.answer().json()["state"], "cancelled");
    for member in [&one, &two] {
        until_stopped(member);
        let job = job(member, &path);
        assert_eq!(job["state"], "cancelled");
        assert!(job["error"].is_null() && job["solution"].is_null());
        cancel(member, &path);
        // Nobody guesses an id, nor a part of it.
        let known = &path[..path.len() - SECRET.len()];
        for wrong in ["/v1/jobs/nonsense", known, &format!("{known}{SECRET}")] {
            for method in ["GET", "DELETE"] {
                let answer = Http::to(member).ask(&format!("{method} {wrong}"), &[], b"");
                answer.expect_problem(404, "not-found");
            }
        }
    }
    // Who has found it may be gone.
    let found_before = found;
    one.signal("KILL");
    let again = job(
        &two,
        &format!("/v1/jobs/{}", found_before["id"].as_str().expect("text")),
    );
    assert_eq!(again, found_before);
}

#[test]
fn a_member_that_ends_gives_its_job_back_and_one_that_is_killed_loses_it() {
    let Some(broker) = Broker::start_with_store() else {
        return;
    };
    let [one, two] = takers(&broker, &[]);
    let path = hopeless(&one);
    until("its search", || owns_it(&one) || owns_it(&two));
    let (mut owner, other) = match owns_it(&one) {
        true => (one, two),
        false => (two, one),
    };
    until_helping(&other);
    let mut waits = Http::to(&owner);
    waits.request(&format!("GET {path}?wait=50s"), &[], b"");
    // That it has come cannot be seen; that one which was sent after it has, can.
    job(&owner, &path);
    owner.signal("TERM");
    // Who waits there is told so far, and that it goes on.
    let told = waits.answer().json();
    assert!(
        told["state"] == "searching" || told["state"] == "waiting",
        "{told}"
    );
    assert!(owner.wait().success());
    until("the other one to have it", || owns_it(&other));
    let third = member(&broker, &[]);
    until_helping(&third);
    other.signal("KILL");
    until("the third one to have it", || owns_it(&third));
    assert_eq!(job(&third, &path)["state"], "searching");
    cancel(&third, &path);
    until_stopped(&third);
}

#[test]
fn a_job_is_found_when_its_member_is_killed_and_what_is_no_job_does_no_harm() {
    let Some(broker) = Broker::start_with_store() else {
        return;
    };
    let [one] = takers(&broker, &[]);
    let mut nats = broker.connect();
    nats.store(&format!("powd.jobs.open.{NAME}"), b"nonsense");
    one.wait_for_log("a word of it", |line| line.contains(NAME));
    until("it to wait again", || waiting(&mut nats) == 1);
    // It gets the job, and is killed before it has looked.
    one.stop();
    let open = format!("1 {SECRET} 3 0 0\nhello");
    nats.store(&format!("powd.jobs.open.{NAME}"), open.as_bytes());
    until("the broker to give it away", || waiting(&mut nats) == 0);
    one.signal("KILL");
    let two = member(&broker, &[]);
    let path = format!("/v1/jobs/{NAME}{SECRET}");
    until("it to be there", || Http::to(&two).get(&path).status == 200);
    let found = ended(&two, &path);
    assert_eq!(found["state"], "found", "{found}");
    expect_solution(&found["solution"], "hello", 3);
    two.wait_for_log("that it has it", |line| line.contains("taken up"));
    // One that has ended is not begun again: it may be taken up when its member has died between
    // the two.
    let other = "0123456789abcdef0123456789abcdef";
    let end = format!("1 {SECRET} 12 0 0 7 2500000 cancelled\nhello");
    nats.store(&format!("powd.jobs.ended.{other}"), end.as_bytes());
    let open = format!("1 {SECRET} 12 0 0\nhello");
    nats.store(&format!("powd.jobs.open.{other}"), open.as_bytes());
    until("an empty queue", || queued(&mut nats) == 0);
    let cancelled = job(&two, &format!("/v1/jobs/{other}{SECRET}"));
    assert_eq!(
        (
            &cancelled["state"],
            &cancelled["hashes"],
            &cancelled["seconds"]
        ),
        (&"cancelled".into(), &7.into(), &2.5.into())
    );
    // A seed that is none is not served.
    let ended = format!("1 {SECRET} 8 0 0 1 1 found abcde\nhello");
    nats.store(&format!("powd.jobs.ended.{SECRET}"), ended.as_bytes());
    until("it to be refused", || {
        Http::to(&two)
            .get(&format!("/v1/jobs/{SECRET}{SECRET}"))
            .status
            == 500
    });
}

#[test]
fn a_job_of_another_version_is_left_to_others_and_one_with_a_spoiled_end_is_over() {
    let Some(broker) = Broker::start_with_store() else {
        return;
    };
    let [one] = takers(&broker, &[]);
    let mut nats = broker.connect();
    let open = format!("2 {SECRET} what only later members know");
    nats.store(&format!("powd.jobs.open.{NAME}"), open.as_bytes());
    one.wait_for_log("a word of it", |line| line.contains(NAME));
    until("it to wait again", || waiting(&mut nats) == 1);
    assert_eq!(queued(&mut nats), 1);
    // It may have been searched for by a member that has died before it took it from the queue.
    nats.store(&format!("powd.jobs.ended.{SECRET}"), b"nonsense");
    let open = format!("1 {SECRET} {HOPELESS} 0 0\nhello");
    nats.store(&format!("powd.jobs.open.{SECRET}"), open.as_bytes());
    one.wait_for_log("a word of it", |line| line.contains(SECRET));
    until("it to leave the queue", || queued(&mut nats) == 1);
    let told = one.log();
    let told = told.iter().filter(|line| line.contains(SECRET));
    assert_eq!(told.count(), 1);
}

#[test]
fn jobs_outlive_the_broker_and_ends_are_kept_until_it_is_back() {
    let Some(mut broker) = Broker::start_with_store() else {
        return;
    };
    let [one] = takers(&broker, &[]);
    // Until the broker is gone, this must not have ended.
    let timed = format!("/v1/jobs?difficulty={HOPELESS}&deadline=10s");
    let timed = create(&one, &timed, b"under way");
    let queued = create(&one, "/v1/jobs?difficulty=2", b"hello");
    until_searching(&one, &timed);
    assert_eq!(job(&one, &queued)["state"], "waiting");
    broker.kill();
    let mut http = Http::to(&one);
    until("the broker to be missed", || http.get(&timed).status == 503);
    for request in [format!("GET {timed}?wait=50s"), "POST /v1/jobs".to_owned()] {
        let answer = http.ask(&request, &[], b"hello");
        answer.expect_problem(503, "broker");
        assert!(answer.header("retry-after").is_some());
    }
    until("the end of the search", || !owns_it(&one));
    one.wait_for_log("a word of it", |line| line.contains("the end of a job"));
    broker.run();
    until("the broker", || http.get(&timed).status == 200);
    let failed = ended(&one, &timed);
    assert_eq!(failed["error"]["code"], "deadline", "{failed}");
    expect_solution(&ended(&one, &queued)["solution"], "hello", 2);
}

#[test]
fn a_broker_that_ends_in_good_order_has_nothing_against_jobs() {
    let Some(mut broker) = Broker::start_with_store() else {
        return;
    };
    let [one] = takers(&broker, &[]);
    broker.end();
    one.wait_for_log("a word of it", |line| line.contains("the broker is gone"));
    broker.kill();
    broker.run();
    let mut http = Http::to(&one);
    until("the broker", || http.post("/v1/jobs", b"x").status == 202);
    let path = create(&one, "/v1/jobs?difficulty=2", b"hello");
    expect_solution(&ended(&one, &path)["solution"], "hello", 2);
    let told = one.log();
    assert!(
        !told.iter().any(|line| line.contains("jobs are refused")),
        "{told:?}"
    );
}

#[test]
fn one_key_begins_one_job_whichever_member_is_asked() {
    let Some(broker) = Broker::start_with_store() else {
        return;
    };
    let [one, two] = takers(&broker, &[]);
    let hopeless = format!("POST /v1/jobs?difficulty={HOPELESS}");
    let ask = |member: &Powd, request: &str, key: &str, body: &[u8]| {
        Http::to(member).ask(request, &[&format!("Idempotency-Key: {key}")], body)
    };
    let path = path_of(&ask(&one, &hopeless, "order-1", b"hello"));
    until_searching(&two, &path);
    let again = ask(&two, &hopeless, "order-1", b"hello");
    assert_eq!(path_of(&again), path);
    assert_eq!(again.json()["state"], "searching");
    ask(&two, &hopeless, "order-1", b"another").expect_problem(422, "idempotency");
    assert_ne!(path_of(&ask(&two, &hopeless, "order-2", b"hello")), path);
    cancel(&two, &path);
    // Its end is the end of that job, and not the beginning of another one.
    for member in [&one, &two] {
        let again = ask(member, &hopeless, "order-1", b"hello");
        assert_eq!(path_of(&again), path);
        assert_eq!(again.json()["state"], "cancelled");
        ask(member, &hopeless, "order-1", b"another").expect_problem(422, "idempotency");
    }
}

#[test]
fn open_jobs_are_bounded_in_all_and_ended_ones_are_forgotten() {
    let Some(broker) = Broker::start_with_store() else {
        return;
    };
    let [one, two] = takers(&broker, &["--max-jobs", "1", "--job-ttl", "30s"]);
    let first = create(&one, "/v1/jobs?difficulty=1", b"first");
    assert_eq!(ended(&two, &first)["state"], "found");
    let mut http = Http::to(&two);
    // Its end is told before it has left the queue.
    until("room", || queued(&mut broker.connect()) == 0);
    let open = hopeless(&two);
    for member in [&one, &two] {
        let refused = Http::to(member).post("/v1/jobs", b"y");
        refused.expect_problem(503, "busy");
        assert!(refused.header("retry-after").is_some());
    }
    // As many ended ones are kept as there can be open ones: the oldest goes.
    cancel(&one, &open);
    assert_eq!(job(&two, &open)["state"], "cancelled");
    http.get(&first).expect_problem(404, "not-found");
    // Who starts with other bounds sets them for all.
    let bounds = |broker: &Broker| {
        let info = "$JS.API.STREAM.INFO.powd-jobs-ended";
        let answer = broker.connect().request(info, &[], b"");
        let info: Value = serde_json::from_slice(&answer.payload).expect("JSON");
        let config = &info["config"];
        (number(&config["max_msgs"]), number(&config["max_age"]))
    };
    assert_eq!(bounds(&broker), (1, 30_000_000_000));
    let _third = member(&broker, &["--max-jobs", "5", "--job-ttl", "0s"]);
    until("the new bounds", || bounds(&broker) == (5, 10_000_000_000));
}

#[test]
fn a_broker_without_a_store_keeps_no_jobs_and_says_so() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [one] = members(&broker, &[]);
    // Jobs have a connection of their own, which may come later.
    until("what is wrong with it", || {
        let answer = Http::to(&one).post("/v1/jobs", b"hello");
        answer.expect_problem(503, "broker");
        answer.text().contains("nats-server -js")
    });
    one.wait_for_log("a word of it", |line| line.contains("nats-server -js"));
}

#[test]
fn a_broker_whose_streams_are_not_made_is_not_to_be_started_otherwise() {
    let settings = "authorization { users: [ { user: powd, password: powd, permissions: {
        publish: { deny: [\"$JS.API.STREAM.CREATE.>\"] } } } ] }
        no_auth_user: powd";
    let Some(broker) = Broker::start_with_store_and(settings) else {
        return;
    };
    let [one] = members(&broker, &[]);
    let path = format!("/v1/jobs/{NAME}{SECRET}");
    let mut http = Http::to(&one);
    for request in ["POST /v1/jobs", &format!("GET {path}")] {
        // Jobs have a connection of their own, which may come later.
        until("what is wrong with it", || {
            let answer = http.ask(request, &[], b"hello");
            answer.expect_problem(503, "broker");
            answer.text().contains("not made yet")
        });
    }
}

#[test]
fn a_job_whose_end_the_broker_would_not_take_is_not_begun() {
    let Some(broker) = Broker::start_with_store_and("max_payload: 1024") else {
        return;
    };
    let [one] = takers(&broker, &[]);
    let jobs = "/v1/jobs?difficulty=1";
    // Alone it would fit, with its seed it would not.
    let long = Http::to(&one).post(jobs, &[b'x'; 900]);
    long.expect_problem(413, "too-long");
    let path = create(&one, jobs, &[b'x'; 700]);
    assert_eq!(ended(&one, &path)["state"], "found");
}
