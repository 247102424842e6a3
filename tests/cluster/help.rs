//! A hard search is everybody's, whatever door it came through, until it is over.

use std::io::Write as _;
use std::net::TcpStream;

use powd_testkit::{Powd, oracle, until};

use crate::broker::Broker;
use crate::members::{
    HOPELESS, cluster, get, hopeless, member, members, number, status, until_helping, until_stopped,
};

#[test]
fn idle_cores_of_all_members_help_whatever_the_door_and_stop_when_the_client_goes() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [owner, helper] = members(&broker, &["-d", HOPELESS]);
    // By line.
    let client = hopeless(&owner);
    until_helping(&helper);
    client.reset();
    until_stopped(&helper);
    until_stopped(&owner);
    // By HTTP.
    let mut stream = TcpStream::connect(owner.door("http")).expect("it listens");
    let request = "POST /v1/solve HTTP/1.1\r\nHost: powd\r\nContent-Length: 5\r\n\r\nhello";
    stream.write_all(request.as_bytes()).expect("it reads");
    until_helping(&helper);
    drop(stream);
    until_stopped(&helper);
    until_stopped(&owner);
    // By NATS, for a time.
    let mut nats = broker.connect();
    let answer = nats.request("powd.solve", &["Powd-Deadline: 2s"], b"hello");
    answer.expect_error("504", "deadline");
    until_stopped(&helper);
    until_stopped(&owner);
    // However few they are: an emulated machine tries some hundred thousand in these seconds.
    assert!(number(&cluster(&helper)["help_hashes_given"]) > 0);
    let owners = cluster(&owner);
    assert!(number(&owners["help_hashes_received"]) > 0, "{owners}");
    assert!(number(&owners["hashes_wasted"]) < number(&owners["help_hashes_received"]));
}

#[test]
fn answers_are_right_whoever_finds_them() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [owner, helper] = members(&broker, &["-d", "6"]);
    let mut asked = 0;
    until("a find by the other member", || {
        asked += 1;
        let message = format!("message {asked}");
        owner.connect().ask(message.as_bytes(), 6);
        number(&cluster(&owner)["winners"]) > 0
    });
    assert_eq!(number(&cluster(&owner)["wrong_winners"]), 0);
    until_stopped(&helper);
}

#[test]
fn easy_requests_are_nobody_elses_and_are_answered_while_all_are_at_hard_ones() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [one, two] = members(&broker, &["-d", "2"]);
    let messages = powd_testkit::messages(1000);
    one.connect().ask_all(&messages, 2);
    assert_eq!(number(&cluster(&two)["help_hashes_given"]), 0);
    let metrics = String::from_utf8(get(&one, "/metrics")).expect("text");
    assert!(
        metrics.contains("\npowd_cluster_searches_total 0\n"),
        "{metrics}"
    );
    // Both own a hard one.
    let mut nats = broker.connect();
    let headers = [&*format!("Powd-Difficulty: {HOPELESS}")];
    let busy = |member: &Powd| number(&status(member)["searches_in_progress"]) > 0;
    until("a hard search at each", || {
        nats.ask("powd.solve", &headers, b"hard");
        busy(&one) && busy(&two)
    });
    for member in [&one, &two] {
        member.connect().ask_all(&messages, 2);
    }
}

#[test]
fn members_join_and_leave_while_a_search_goes_on() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let owner = member(&broker, &["-d", HOPELESS]);
    let _client = hopeless(&owner);
    for _ in 0..2 {
        let mut guest = member(&broker, &[]);
        until_helping(&guest);
        until("two members", || {
            cluster(&owner)["members"].as_array().map(Vec::len) == Some(2)
        });
        guest.signal("TERM");
        assert!(guest.wait().success());
        until("one member", || {
            cluster(&owner)["members"].as_array().map(Vec::len) == Some(1)
        });
    }
    // A client elsewhere comes first for its own member.
    let guest = member(&broker, &["-d", "3"]);
    until_helping(&guest);
    guest.connect().ask_all(&powd_testkit::messages(200), 3);
    until_helping(&guest);
}

#[test]
fn two_clusters_on_one_broker_do_not_know_each_other() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let mut nats = broker.connect();
    nats.subscribe("other.cluster.beat");
    nats.flush();
    let one = member(&broker, &["-d", HOPELESS]);
    let other = member(&broker, &["--nats-name", "other", "-d", "1"]);
    // The broker has what it subscribes to before it has its first sign of life.
    nats.next();
    let _client = hopeless(&one);
    nats.subscribe("powd.cluster.announce");
    for _ in 0..2 {
        nats.wait_for(|message| message.subject == "powd.cluster.announce");
    }
    let answer = nats.request("other.solve", &[], b"hello");
    oracle::check(&answer.payload, b"hello", 1);
    assert_eq!(number(&cluster(&other)["help_hashes_given"]), 0);
    assert_eq!(cluster(&other)["members"].as_array().map(Vec::len), Some(1));
}
