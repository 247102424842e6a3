//! Who gets the cores: nobody is starved, nothing is wasted, and no core works for nobody.

use std::time::Duration;

#[cfg(target_os = "linux")]
use powd_testkit::proc;
use powd_testkit::{Client, Powd, lines, messages, until};

use crate::POWD;

const TWO_LISTENERS: [&str; 6] = [
    "--listen",
    "127.0.0.1:0@14",
    "--listen",
    "127.0.0.1:0@0",
    "--workers",
    "2",
];

#[test]
fn a_neighbour_of_twenty_thousand_hard_requests_gets_its_share() {
    // One worker: both connections are its own.
    let powd = POWD.serve(&["-d", "4", "--workers", "1", "--kernel", "portable"]);
    let hog = powd.connect();
    hog.send(&lines(messages(20_000)));
    powd.until_counter("/replies", |replies| replies > 0);
    let asked = messages(100);
    let hogs = |_| {
        let mut neighbour = powd.connect();
        let before = powd.counter("/replies");
        neighbour.ask_all(&asked, 4);
        powd.counter("/replies") - before - asked.len() as u64
    };
    // As many as the neighbour's, give or take their luck, and some more if this test is late to
    // look: by seconds it can be, but not each time. Far more than that is waiting in its socket.
    let is_fair = |replies| replies < 3 * asked.len() as u64;
    assert!((0..5).map(hogs).any(is_fair));
    hog.reset();
    powd.until_counter("/connections/open", |open| open == 0);
}

#[test]
fn every_client_gets_all_of_its_replies_when_those_of_many_are_written_together() {
    let powd = POWD.serve(&["-d", "3", "--workers", "1"]);
    let asked = messages(5);
    let mut clients: Vec<Client> = (0..40).map(|_| powd.connect()).collect();
    for client in &clients {
        client.send(&lines(&asked));
    }
    for client in &mut clients {
        for message in &asked {
            client.reply(message.as_bytes(), 3);
        }
    }
    powd.until_counter("/replies", |replies| replies == 40 * 5);
}

#[test]
fn many_connections_of_one_worker_all_get_their_turn() {
    // Each search takes dozens of turns, and more than one of them comes behind those of others.
    let powd = POWD.serve(&["-d", "4", "--workers", "1", "--kernel", "portable"]);
    let mut clients: Vec<Client> = (0..100).map(|_| powd.connect()).collect();
    for client in &clients {
        client.send(b"one\ntwo\n");
    }
    for message in ["one", "two"] {
        for client in &mut clients {
            client.reply(message.as_bytes(), 4);
        }
    }
}

#[test]
fn an_easy_request_is_answered_while_a_hard_one_has_all_cores() {
    let powd = POWD.serve(&TWO_LISTENERS);
    let [hard, easy] = powd.addresses() else {
        panic!("two listeners")
    };
    let hard = Client::connect(*hard);
    hard.send(b"hard\n");
    powd.until_counter("/help/hashes", |hashes| hashes > 0);
    // The workers have equally many connections: the owner of the search answers some, its helper
    // others.
    let mut clients: Vec<Client> = (0..4).map(|_| Client::connect(*easy)).collect();
    for message in messages(50) {
        for client in &mut clients {
            client.ask(message.as_bytes(), 0);
        }
    }
    assert_eq!(powd.counter("/replies"), 200);
    let helped = powd.counter("/help/hashes");
    powd.until_counter("/help/hashes", |hashes| hashes > helped);
}

#[test]
fn easy_requests_do_not_wait_for_the_hard_ones_of_their_worker() {
    const HARD: usize = 400;
    // Behind a slice of each hard one, 800 of them would take 80 s.
    let powd = POWD.serve(&[
        "--listen",
        "127.0.0.1:0@64",
        "--listen",
        "127.0.0.1:0@0",
        "--workers",
        "1",
        "--deadline",
        "40s",
    ]);
    let [hard, easy] = powd.addresses() else {
        panic!("two listeners")
    };
    let searching: Vec<Client> = (0..HARD).map(|_| Client::connect(*hard)).collect();
    for client in &searching {
        client.send(b"hard\n");
    }
    powd.until_counter("/requests", |requests| requests == HARD as u64);
    let mut client = Client::connect(*easy);
    for message in messages(800) {
        client.ask(message.as_bytes(), 0);
    }
    assert_eq!(powd.counter("/errors/deadline"), 0, "none has ended yet");
}

#[test]
fn one_hard_request_is_helped_and_its_answer_is_right() {
    let powd = POWD.serve(&["-d", "5", "--workers", "3"]);
    let mut client = powd.connect();
    let mut asked = 0;
    // A search may be found before the others have woken up.
    until("help", || {
        asked += 1;
        client.ask(format!("message {asked}").as_bytes(), 5);
        powd.counter("/help/hashes") > 0
    });
    assert!(powd.counter("/help/searches") > 0);
    // All is answered: the helpers are off.
    powd.until_quiet();
}

#[test]
fn long_messages_are_helped_too() {
    let powd = POWD.serve(&["-d", "3", "--workers", "2", "--max-message-bytes", "65536"]);
    let mut client = powd.connect();
    let asked: Vec<Vec<u8>> = (0..3).map(|number| vec![b'a' + number; 65_000]).collect();
    // As above; the seeds that are tried are others each time.
    until("help", || {
        client.ask_all(&asked, 3);
        powd.counter("/help/hashes") > 0
    });
    powd.until_quiet();
}

#[test]
fn the_first_search_of_a_fresh_service_is_helped() {
    let powd = POWD.serve(&["-d", "64", "--workers", "4"]);
    let client = powd.connect();
    client.send(b"hard\n");
    powd.until_counter("/help/hashes", |hashes| hashes > 0);
}

#[test]
fn a_reset_cancels_the_search_on_every_core() {
    let powd = POWD.serve(&TWO_LISTENERS);
    let client = powd.connect();
    client.send(b"hard\nthe next\n");
    powd.until_counter("/help/hashes", |hashes| hashes > 0);
    client.reset();
    powd.until_cancelled();
    // And the cores are there for the next one.
    Client::connect(powd.addresses()[1]).ask(b"easy", 0);
}

#[test]
fn helpers_go_over_to_another_search_when_one_is_cancelled() {
    let powd = POWD.serve(&["-d", "64", "--workers", "3"]);
    let first = powd.connect();
    let second = powd.connect();
    first.send(b"first\n");
    second.send(b"second\n");
    powd.until_counter("/help/searches", |searches| searches == 2);
    first.reset();
    powd.until_counter("/cancelled_searches", |searches| searches == 1);
    let helped = powd.counter("/help/hashes");
    powd.until_counter("/help/hashes", |hashes| hashes > helped);
    second.reset();
    powd.until_counter("/cancelled_searches", |searches| searches == 2);
    powd.until_quiet();
}

#[cfg(target_os = "linux")]
#[test]
fn a_service_with_nothing_to_do_uses_no_cpu() {
    let powd = POWD.serve(&["-d", "5", "--workers", "2"]);
    let mut idle: Vec<Client> = (0..10).map(|_| powd.connect()).collect();
    idle[0].ask(b"one", 5);
    powd.until_quiet();
    let (before, begin) = (workers(&powd), std::time::Instant::now());
    // Here time itself is what is waited for. Nothing else may happen in it: a signal, which
    // counters are asked for with, can be delivered to any thread and wakes it.
    std::thread::sleep(Duration::from_millis(500));
    let after = workers(&powd);
    let hundredths = begin.elapsed().as_millis() as u64 / 10;
    assert_eq!((before.len(), after.len()), (2, 2));
    let more = |of: fn(&Worker) -> u64| {
        let sum = |all: &[Worker]| all.iter().map(of).sum::<u64>();
        sum(&after) - sum(&before)
    };
    let woken = more(|worker| worker.sleeps);
    assert!(woken < 10, "idle workers woke up {woken} times");
    // A worker that never sleeps is not woken either.
    let ticks = more(|worker| worker.ticks);
    assert!(
        ticks * 10 < hundredths,
        "idle workers took {ticks} of {hundredths} hundredths of a second"
    );
}

/// What a worker has done so far.
#[cfg(target_os = "linux")]
struct Worker {
    /// How often it went to sleep.
    sleeps: u64,
    /// CPU time, in hundredths of a second.
    ticks: u64,
}

/// The workers of `powd`.
#[cfg(target_os = "linux")]
fn workers(powd: &Powd) -> Vec<Worker> {
    let workers = proc::threads(powd.pid(), "worker-");
    let workers = workers.iter().map(|worker| {
        let sleeps = proc::status(worker, "voluntary_ctxt_switches");
        Worker {
            sleeps: sleeps.parse().expect("a number"),
            ticks: proc::cpu_ticks(worker),
        }
    });
    workers.collect()
}
