//! Where the doors by HTTP are: socket files, names, and behind a balancer.

use std::process::Command;

use powd_testkit::ports::addresses_of;
use powd_testkit::{Powd, TestPath, skip};

use crate::POWD;
use crate::client::{Http, serve};

#[test]
fn both_doors_can_be_socket_files_and_go_with_the_service() {
    let (http, admin) = (TestPath::new("http"), TestPath::new("admin"));
    let flags = [&http, &admin].map(TestPath::address);
    let doors = ["--http", &flags[0], "--admin", &flags[1], "-d", "1"];
    let mut powd = POWD.serve(&doors);
    for (name, flag) in ["http", "admin"].iter().zip(&flags) {
        let announced = format!("powd: {name} on {flag}");
        powd.wait_for_log("announcement", |line| line == announced);
    }
    let health = POWD.run(&["health", &flags[1]]);
    assert!(health.status.success(), "{health:?}");
    let curl = Command::new("curl")
        .args(["-sS", "--max-time", "60", "--unix-socket"])
        .arg(http.path())
        .args(["--data-binary", "hello", "http://powd/v1/solve"])
        .output();
    match curl {
        Ok(curl) => {
            let answer = serde_json::from_slice(&curl.stdout).expect("JSON");
            crate::client::expect_solution(&answer, "hello", 1);
        }
        Err(error) => skip(&format!("curl cannot be started: {error}")),
    }
    powd.signal("TERM");
    assert!(powd.wait().success());
    let is_left = |path: &TestPath| path.path().exists();
    assert!(!is_left(&http) && !is_left(&admin), "left behind");
}

#[test]
fn a_name_is_a_door_at_each_of_its_addresses() {
    let powd = POWD.serve(&["--http", "localhost:0", "-d", "1"]);
    for ip in addresses_of("localhost") {
        let mut http = Http::connect(powd.announced_at("http", ip));
        http.post("/v1/solve", b"x").expect_solution("x", 1);
    }
}

/// A connection of a balancer, with its header.
fn through(powd: &Powd, header: &[u8]) -> Http {
    let mut http = Http::to(powd);
    http.send(header);
    http
}

#[test]
fn the_client_in_the_header_of_a_balancer_is_the_one_that_is_judged() {
    let powd = serve(&[
        "-d",
        "1",
        "--proxy-protocol",
        "127.0.0.1",
        "--allow",
        "192.0.2.0/24",
    ]);
    let mut http = Http::to(&powd);
    for byte in b"PROXY TCP4 192.0.2.7 10.0.0.1 4000 80\r\n" {
        http.send(&[*byte]);
    }
    http.post("/v1/solve", b"x").expect_solution("x", 1);
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x08\x0a\0\0\x01\x0f\xa0\0\x50";
    through(&powd, binary)
        .post("/v1/solve", b"x")
        .expect_solution("x", 1);
    through(&powd, b"PROXY TCP4 198.51.100.1 10.0.0.1 4000 80\r\n")
        .post("/v1/solve", b"x")
        .expect_problem(403, "denied");
    // The balancer itself, which wants to know.
    let check = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";
    through(&powd, check)
        .post("/v1/solve", b"x")
        .expect_solution("x", 1);
}

#[test]
fn a_balancer_is_closed_without_a_header_and_may_look_whether_somebody_listens() {
    let powd = serve(&["-d", "1", "--proxy-protocol", "127.0.0.1"]);
    drop(Http::to(&powd));
    drop(through(&powd, b"PROXY UNKNOWN\r\n"));
    let mut half = through(&powd, b"PROXY TCP4 19");
    half.end();
    half.expect_end();
    let mut http = through(&powd, b"GET / HTTP/1.1\r\n\r\n");
    http.expect_end();
    let mut admin = Http::connect(powd.door("admin"));
    powd_testkit::until("both to be counted", || {
        let status = admin.get("/status").json();
        status["connections_refused"]["header"] == 2
    });
    assert_eq!(
        admin.get("/status").json()["doors"][1]["connections_opened"],
        0
    );
}
