//! What a member was sent is answered when it ends.

use std::collections::HashMap;
#[cfg(target_os = "linux")]
use std::time::Duration;

use powd_testkit::{Powd, oracle, until};

use crate::broker::Broker;
use crate::members::{members, number, status};
use crate::nats::Nats;

/// Requests that are under way or on their way at any time of a drain: fewer than the 256 that one
/// member takes at once, to which all of them may come.
const REQUESTS: usize = 250;

#[test]
fn nothing_is_lost_when_a_member_drains_under_load() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [mut one, two] = members(&broker, &["-d", "3"]);
    let mut nats = broker.connect();
    let mut open = HashMap::new();
    let ask = |nats: &mut Nats, open: &mut HashMap<_, _>, number: usize| {
        let message = format!("message {number}");
        open.insert(nats.ask("powd.solve", &[], message.as_bytes()), message);
    };
    for number in 0..REQUESTS / 2 {
        ask(&mut nats, &mut open, number);
    }
    until("requests at each", || {
        let came = |member| number(&status(member)["doors"][2]["requests"]) > 10;
        came(&one) && came(&two)
    });
    one.signal("TERM");
    // More come while it drains, and some of them to it.
    for number in REQUESTS / 2..REQUESTS {
        ask(&mut nats, &mut open, number);
    }
    while !open.is_empty() {
        let answer = nats.next();
        if let Some(message) = open.remove(&answer.subject) {
            oracle::check(&answer.payload, message.as_bytes(), 3);
        }
    }
    assert!(one.wait().success());
    let answer = nats.request("powd.solve", &[], b"the other one");
    oracle::check(&answer.payload, b"the other one", 3);
}

/// A member that is told to end while it searches for what nobody finds in that time, the client
/// that asked for it, and where that hears of it.
fn draining(broker: &Broker, drain_timeout: &str) -> (Powd, Nats, String) {
    let [one] = members(broker, &["-d", "12", "--drain-timeout", drain_timeout]);
    let mut nats = broker.connect();
    let inbox = nats.ask("powd.solve", &[], b"hello");
    until("its search", || {
        number(&status(&one)["searches_in_progress"]) == 1
    });
    one.signal("TERM");
    (one, nats, inbox)
}

#[test]
fn what_is_open_when_the_time_of_a_drain_is_over_is_told_so() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let (mut one, mut nats, inbox) = draining(&broker, "300ms");
    let answer = nats.wait_for(|message| message.subject == inbox);
    answer.expect_error("503", "draining");
    assert!(one.wait().success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_member_that_stands_still_while_its_time_ends_tells_so_all_the_same() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let (mut one, mut nats, inbox) = draining(&broker, "2s");
    // Nobody is asked any more: the broker says so.
    let mut other = broker.connect();
    until("the beginning of the drain", || {
        other.request("powd.verify", &[], b"x").payload.is_empty()
    });
    // To behind the end of all that it waits for.
    one.stand_still(Duration::from_millis(2800));
    let answer = nats.wait_for(|message| message.subject == inbox);
    answer.expect_error("503", "draining");
    assert!(one.wait().success());
}
