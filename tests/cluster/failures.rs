//! Kill -9, of each in turn: the others go on, and nobody waits for the dead.

use powd_testkit::{Client, until};

use crate::broker::Broker;
use crate::members::{
    HOPELESS, cluster, hopeless, member, members, number, until_helping, until_stopped,
};

#[test]
fn a_search_goes_on_when_its_helper_is_killed() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [owner, helper] = members(&broker, &["-d", HOPELESS]);
    let client = hopeless(&owner);
    until_helping(&helper);
    helper.signal("KILL");
    until("it to be missed", || {
        cluster(&owner)["members"].as_array().map(Vec::len) == Some(1)
    });
    let hashes = owner.counter("/hashes");
    owner.until_counter("/hashes", |now| now > hashes + 1_000_000);
    // It ends as any other, and leaves nothing behind.
    client.reset();
    owner.until_cancelled();
}

#[test]
fn a_search_is_answered_when_its_helper_is_killed() {
    let Some(broker) = Broker::start() else {
        return;
    };
    // Some seconds of work for one slow core, which is all that is left of the two: far from the
    // deadline of a reply, however unlucky the search is.
    let [owner, helper] = members(&broker, &["-d", "6"]);
    let mut client = owner.connect();
    let message = |number: u64| format!("message {number}");
    let mut asked = 0;
    // A search may be found before help comes: then there is the next one.
    until("help with a search", || {
        if owner.counter("/replies") == asked {
            asked += 1;
            client.send(&powd_testkit::lines([message(asked)]));
        }
        number(&cluster(&helper)["helping"]) > 0
    });
    helper.signal("KILL");
    for number in 1..=asked {
        client.reply(message(number).as_bytes(), 6);
    }
}

#[test]
fn helpers_stop_when_the_owner_is_killed() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let [owner, helper] = members(&broker, &["-d", HOPELESS]);
    let _client = hopeless(&owner);
    until_helping(&helper);
    owner.signal("KILL");
    until_stopped(&helper);
    until("it to be alone", || {
        cluster(&helper)["members"].as_array().map(Vec::len) == Some(1)
    });
}

#[test]
fn members_serve_on_without_the_broker_and_help_again_when_it_is_back() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    let [owner, helper] = members(
        &broker,
        &["--listen", "127.0.0.1:0@12", "--listen", "127.0.0.1:0@5"],
    );
    let _client = hopeless(&owner);
    until_helping(&helper);
    broker.kill();
    until_stopped(&helper);
    // An owner that is not heard for a while is not helped either.
    until("the broker to be missed", || {
        cluster(&helper)["connected"] == false
    });
    for member in [&owner, &helper] {
        let mut client = Client::connect(member.addresses()[1]);
        client.ask(b"hello", 5);
    }
    broker.run();
    until_helping(&helper);
    assert_eq!(cluster(&helper)["connected"], true);
    let answer = broker.connect().request("powd.solve", &[], b"again");
    powd_testkit::oracle::check(&answer.payload, b"again", 3);
}

#[test]
fn a_broker_that_comes_later_is_waited_for() {
    let Some(mut broker) = Broker::stopped() else {
        return;
    };
    let owner = member(
        &broker,
        &[
            "-d",
            HOPELESS,
            "--listen",
            "127.0.0.1:0",
            "--listen",
            "127.0.0.1:0@2",
        ],
    );
    let helper = member(&broker, &[]);
    Client::connect(owner.addresses()[1]).ask(b"alone", 2);
    let _client = hopeless(&owner);
    assert_eq!(cluster(&owner)["connected"], false);
    broker.run();
    until_helping(&helper);
}

#[test]
fn a_member_without_its_broker_drains_as_one_that_is_alone() {
    let Some(broker) = Broker::stopped() else {
        return;
    };
    let mut alone = member(&broker, &["-d", "5"]);
    let mut client = alone.connect();
    client.send(b"hello\n");
    until("its search", || alone.counter("/requests") == 1);
    alone.signal("TERM");
    client.reply(b"hello", 5);
    client.expect_end();
    assert!(alone.wait().success());
}

#[test]
fn answers_that_the_broker_does_not_take_hold_nothing_up() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    let [mut member] = members(&broker, &["--drain-timeout", "1s"]);
    let mut nats = broker.connect();
    // It finds more to answer than can wait to be sent, and nobody to send it to.
    member.signal("STOP");
    for _ in 0..4000 {
        nats.ask("powd.verify", &[], b"x");
    }
    nats.flush();
    broker.kill();
    member.signal("CONT");
    until("the broker to be missed", || {
        cluster(&member)["connected"] == false
    });
    member.signal("TERM");
    assert!(member.wait().success());
}
