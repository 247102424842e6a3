//! `powd.solve` and `powd.verify`, and what NATS's tools see of a member.

use std::collections::HashSet;
use std::process::Command;
use std::thread;

use powd_testkit::program::expect_one_line;
use powd_testkit::{oracle, until};
use serde_json::Value;

use crate::POWD;
use crate::broker::Broker;
use crate::members::{HOPELESS, cluster, get, members, number, status, until_stopped};
use crate::nats::Nats;

/// What a member has counted of what it was asked by NATS.
fn counted(status: &Value) -> &Value {
    let doors = status["doors"].as_array().expect("doors");
    let nats = doors.iter().find(|door| door["door"] == "nats");
    nats.expect("one of them")
}

/// What CLUSTER.md has for a client without a library.
#[test]
fn the_documents_raw_lines_are_answered() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [_member] = members(&broker, &["-d", "2"]);
    let document = include_str!("../../CLUSTER.md");
    let printed = document.split("(printf '").nth(1);
    let printed = printed.and_then(|rest| rest.split('\'').next());
    let printed = printed.expect("lines that are printed");
    let mut nats = Nats::open(broker.address());
    nats.send(printed.replace("\\r\\n", "\r\n").as_bytes());
    let answer = nats.next();
    assert_eq!(answer.subject, "_INBOX.me");
    oracle::check(&answer.payload, b"hello", 2);
}

#[test]
fn a_request_gets_the_reply_line_and_errors_as_of_http() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [member] = members(&broker, &["-d", "2", "--max-message-bytes", "100"]);
    let mut nats = broker.connect();
    let message = b"with, commas \xff and a newline\n";
    let answer = nats.request("powd.solve", &[], message);
    oracle::check(&answer.payload, message, 2);
    let answer = nats.request("powd.solve", &["Powd-Difficulty: 4"], b"hello");
    oracle::check(&answer.payload, b"hello", 4);
    let line = answer.payload;
    let mut error = |headers: &[&str], payload: &[u8], status, code| {
        let answer = nats.request("powd.solve", headers, payload);
        answer.expect_error(status, code);
    };
    error(&["Powd-Difficulty: 21"], b"", "422", "difficulty");
    error(&["Powd-Difficulty: x"], b"", "422", "difficulty");
    error(&["Powd-Deadline: 5"], b"", "400", "malformed");
    error(&[], &[b'x'; 101], "413", "too-long");
    let late = ["Powd-Difficulty: 20", "Powd-Deadline: 50ms"];
    error(&late, b"", "504", "deadline");
    // A reply line is checked against the difficulty asked for, or the service's.
    for end in ["", "\n", "\r\n"] {
        let line = [&line[..], end.as_bytes()].concat();
        assert_eq!(nats.request("powd.verify", &[], &line).payload, b"true");
    }
    let verdict = nats.request("powd.verify", &["Powd-Difficulty: 64"], &line);
    assert!(
        verdict.text().starts_with("false hash starts with "),
        "{verdict:?}"
    );
    assert_eq!(
        nats.request("powd.verify", &[], b"x").text(),
        "false not message,seed,hash"
    );
    let long = [&[b'x'; 101][..], &line[line.len() - 71..]].concat();
    let refused = nats.request("powd.verify", &[], &long);
    refused.expect_error("413", "too-long");
    // All of it is counted under its door.
    until("the counters", || {
        let status = status(&member);
        let nats = counted(&status);
        let errors = nats["errors"].as_array().expect("errors");
        let errors = errors.iter().map(|error| number(&error["count"])).sum();
        (number(&nats["requests"]), number(&nats["replies"]), errors) == (7, 2, 6)
    });
}

#[test]
fn members_are_micro_services_that_can_be_found_and_asked_for_statistics() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let members: [_; 2] = members(&broker, &["-d", "1"]);
    let mut nats = broker.connect();
    for number in 0..20 {
        let message = format!("message {number}");
        let answer = nats.request("powd.solve", &[], message.as_bytes());
        oracle::check(&answer.payload, message.as_bytes(), 1);
    }
    let mut answers = |verb: &str| -> Vec<Value> {
        let inbox = nats.ask(&format!("$SRV.{verb}.powd"), &[], b"");
        let answers = [(); 2].map(|()| nats.wait_for(|message| message.subject == inbox));
        let json = answers.map(|answer| serde_json::from_slice(&answer.payload).expect("JSON"));
        json.into()
    };
    let ids = |answers: &[Value]| -> HashSet<String> {
        let ids = answers.iter().map(|answer| answer["id"].to_string());
        ids.collect()
    };
    let pings = answers("PING");
    let known = members
        .each_ref()
        .map(|member| cluster(member)["members"][0]["id"].to_string());
    assert_eq!(ids(&pings), HashSet::from(known));
    for answer in &pings {
        assert_eq!(answer["type"], "io.nats.micro.v1.ping_response");
        assert_eq!(
            (&answer["name"], &answer["version"]),
            (&"powd".into(), &env!("CARGO_PKG_VERSION").into())
        );
    }
    for answer in answers("INFO") {
        let endpoints = answer["endpoints"].as_array().expect("endpoints");
        let subjects: Vec<_> = endpoints
            .iter()
            .map(|endpoint| &endpoint["subject"])
            .collect();
        assert_eq!(subjects, ["powd.solve", "powd.verify"]);
    }
    let mut requests = 0;
    until("the last one to be counted", || {
        requests = 0;
        for answer in answers("STATS") {
            assert_eq!(answer["type"], "io.nats.micro.v1.stats_response");
            requests += number(&answer["endpoints"][0]["num_requests"]);
        }
        requests == 20
    });
    // To one of them alone.
    let id = pings[0]["id"].as_str().expect("text");
    let one = nats.request(&format!("$SRV.PING.powd.{id}"), &[], b"");
    let one: Value = serde_json::from_slice(&one.payload).expect("JSON");
    assert_eq!(one["id"], pings[0]["id"]);
    // Without a subject for the answer nothing is answered, and nothing breaks.
    nats.publish("$SRV.PING", b"");
    nats.publish("powd.solve", b"nobody waits");
    let answer = nats.request("powd.solve", &[], b"after that");
    oracle::check(&answer.payload, b"after that", 1);
}

#[test]
fn a_member_that_has_enough_to_do_says_so_and_is_free_again_later() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [member] = members(&broker, &[]);
    // What is asked here lasts until who asked has gone, and not for a time: that might be over
    // before the last one is asked.
    let mut patient = broker.connect();
    patient.subscribe("news");
    let hopeless = [
        &*format!("Powd-Difficulty: {HOPELESS}"),
        "Powd-Progress: news",
    ];
    for number in 0..256 {
        patient.ask("powd.solve", &hopeless, format!("{number}").as_bytes());
    }
    until("all of them", || {
        number(&status(&member)["searches_in_progress"]) == 256
    });
    let mut nats = broker.connect();
    for _ in 0..44 {
        let answer = nats.request("powd.solve", &[], b"now");
        answer.expect_error("503", "busy");
    }
    assert_eq!(number(&status(&member)["searches_in_progress"]), 256);
    drop(patient);
    until("room", || {
        let answer = nats.request("powd.solve", &[], b"now");
        let is_busy = answer.header("Nats-Service-Error-Code") == Some("503");
        if !is_busy {
            oracle::check(&answer.payload, b"now", 3);
        }
        !is_busy
    });
}

#[test]
fn nobody_searches_for_who_cannot_be_answered() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [member] = members(&broker, &["-d", HOPELESS]);
    let mut nats = broker.connect();
    // As many as a member takes at once, and more.
    for number in 0..300 {
        nats.publish("powd.solve", format!("{number}").as_bytes());
        nats.publish("powd.verify", b"x");
    }
    let answer = nats.request("powd.solve", &["Powd-Difficulty: 1"], b"hello");
    oracle::check(&answer.payload, b"hello", 1);
    until("the counters", || {
        let status = status(&member);
        let nats = counted(&status);
        let errors = nats["errors"].as_array().expect("errors");
        let malformed = errors.iter().find(|error| error["code"] == "malformed");
        let malformed = number(&malformed.expect("one of them")["count"]);
        number(&status["searches_in_progress"]) == 0 && malformed == 600
    });
}

#[test]
fn who_asks_hears_of_the_progress_and_a_search_for_who_has_gone_ends() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [one, two] = members(&broker, &[]);
    let mut nats = broker.connect();
    nats.subscribe("news");
    let headers = [
        &*format!("Powd-Difficulty: {HOPELESS}"),
        "Powd-Progress: news",
    ];
    nats.ask("powd.solve", &headers, b"hello");
    let mut hashes = 0;
    // Version, seeds tried for it, other members at it, all members, their seeds per second.
    until("both members at it", || {
        let news = nats.wait_for(|message| message.subject == "news");
        let text = news.text();
        nats.publish(
            &news.reply.expect("it wants to know whether we are there"),
            b"",
        );
        let fields: Vec<u64> = text
            .split(' ')
            .map(|field| field.parse().expect("a number"))
            .collect();
        let [1, now, helpers, 2, _] = fields[..] else {
            panic!("{text}");
        };
        assert!(now >= hashes);
        hashes = now;
        helpers == 1
    });
    drop(nats);
    [one, two].iter().for_each(until_stopped);
}

#[test]
fn an_answer_that_is_never_given_to_the_progress_is_not_waited_for_without_end() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [_member] = members(&broker, &[]);
    let mut nats = broker.connect();
    nats.subscribe("news");
    nats.subscribe("after");
    let headers = [
        &*format!("Powd-Difficulty: {HOPELESS}"),
        "Powd-Progress: news",
    ];
    nats.ask("powd.solve", &headers, b"hello");
    let news = nats.wait_for(|message| message.subject == "news");
    let late = news.reply.expect("it wants to know whether we are there");
    // The broker says that nobody listens there any more.
    until("its patience to end", || {
        let inbox = nats.ask(&late, &[], b"");
        nats.publish("after", b"");
        let next = nats.wait_for(|message| [&*inbox, "after"].contains(&&*message.subject));
        next.subject == inbox
    });
}

#[test]
fn powd_solve_does_not_wait_for_a_broker_that_has_gone() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    let [member] = members(&broker, &[]);
    let url = broker.url();
    let solve =
        thread::spawn(move || POWD.run(&["solve", "--nats", &url, "-d", HOPELESS, "hello"]));
    until("its search", || {
        number(&status(&member)["searches_in_progress"]) == 1
    });
    broker.kill();
    let output = solve.join().expect("it ends");
    expect_one_line(&output, 1, "a broker that has gone");
}

#[test]
fn powd_solve_asks_the_cluster() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let url = broker.url();
    let solve = |flags: &[&str], input: &[u8]| {
        POWD.run_with_input(&[&["solve", "--nats", &url], flags].concat(), input)
    };
    let output = solve(&["-d", "2", "hello"], b"");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && told.contains("no member"),
        "{told}"
    );
    let _members: [_; 2] = members(&broker, &[]);
    let output = solve(&["-d", "4", "hello", "world"], b"");
    let lines: Vec<&[u8]> = output.stdout.split(|&byte| byte == b'\n').collect();
    oracle::check(lines[0], b"hello", 4);
    oracle::check(lines[1], b"world", 4);
    assert!(lines.len() == 3 && output.status.success());
    // A stream, in order, and what the members refuse.
    let messages = powd_testkit::messages(500);
    let output = solve(&["-d", "1"], &powd_testkit::lines(&messages));
    let lines = output.stdout.split(|&byte| byte == b'\n');
    for (line, message) in lines.zip(&messages) {
        oracle::check(line, message.as_bytes(), 1);
    }
    let output = solve(&["-d", "21", "hello"], b"");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && told.contains("says: difficulty: a difficulty is"),
        "{told}"
    );
    let output = solve(&["--threads", "2", "hello"], b"");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn promtool_has_nothing_to_say_of_a_member() {
    if !powd_testkit::is_there("promtool") {
        return powd_testkit::skip("promtool is missing");
    }
    let Some(broker) = Broker::start() else {
        return;
    };
    let [one, _two] = members(&broker, &["-d", "1"]);
    let answer = broker.connect().request("powd.verify", &[], b"x");
    assert!(answer.text().starts_with("false"));
    let metrics = get(&one, "/metrics");
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]);
    let output = powd_testkit::program::run(promtool, &metrics);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
    let text = String::from_utf8_lossy(&metrics).into_owned();
    for line in [
        "powd_cluster_members 2",
        "powd_cluster_connected 1",
        "powd_requests_total{door=\"nats\"} 0",
        "powd_cluster_messages_refused_total{reason=\"version\"} 0",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
}
