//! Clients that end their stream with requests unanswered: served, or taken as gone, as
//! `--half-close-timeout` has it.
//!
//! Where two services differ in nothing but their flags, the one that is to be the more patient has
//! been left first: what would treat them alike gives up on that one first.

use powd_testkit::{Client, Powd, lines, messages};
#[cfg(target_os = "linux")]
use powd_testkit::{proc, until};

use crate::POWD;

/// Waits until the end of the client's stream is at powd's side; where that cannot be seen, it is
/// there at once.
fn until_end_of_stream(client: &Client) {
    #[cfg(target_os = "linux")]
    until("the end of stream at powd's side", || {
        proc::socket(client).state == proc::CLOSE_WAIT
    });
    let _ = client;
}

#[test]
fn with_no_half_close_timeout_the_end_of_stream_cancels() {
    let powd = POWD.serve(&["-d", "64", "--workers", "2", "--half-close-timeout", "0s"]);
    let client = powd.connect();
    client.send(b"hard\n");
    powd.until_counter("/help/hashes", |hashes| hashes > 0);
    client.end();
    powd.until_cancelled();
}

#[cfg(target_os = "linux")]
#[test]
fn with_no_half_close_timeout_nothing_is_answered_after_the_end_of_stream() {
    // With any timeout the request would be: it takes no time.
    let powd = POWD.serve(&["-d", "0", "--half-close-timeout", "0s"]);
    let client = powd.connect();
    powd.until_counter("/connections/open", |open| open == 1);
    // The request and the end of the stream come at once, as far as powd can tell.
    powd.stop();
    client.send(b"easy\n");
    client.end();
    until_end_of_stream(&client);
    powd.signal("CONT");
    powd.until_counter("/connections/open", |open| open == 0);
    assert_eq!(powd.counter("/replies"), 0);
}

#[test]
fn who_has_ended_its_stream_gets_the_time_that_no_open_connection_wants() {
    for workers in ["1", "2"] {
        let powd = POWD.serve(&[
            "--listen",
            "127.0.0.1:0@64",
            "--listen",
            "127.0.0.1:0@4",
            "--workers",
            workers,
            "--half-close-timeout",
            "1h",
        ]);
        let [hopeless, hard] = powd.addresses() else {
            panic!("two listeners")
        };
        let open = Client::connect(*hopeless);
        open.send(b"hopeless\n");
        powd.until_counter("/hashes", |hashes| hashes > 0);
        // It asks and ends at once, as far as powd can tell.
        powd.signal("STOP");
        let mut ended = Client::connect(*hard);
        ended.send(b"is anybody there\n");
        ended.end();
        until_end_of_stream(&ended);
        powd.signal("CONT");
        powd.until_counter("/requests", |requests| requests == 2);
        // A share of these would have found it a hundred times.
        let hashes = powd.counter("/hashes");
        powd.until_counter("/hashes", |now| now > hashes + 100 * (1 << 16));
        assert_eq!(powd.counter("/replies"), 0, "{workers} workers");
        open.end();
        drop(open);
        ended.reply(b"is anybody there", 4);
        ended.expect_end();
    }
}

/// A service on which a client has left in the middle of its search.
fn left_by_its_client(flags: &[&str]) -> Powd {
    let powd = POWD.serve(&[&["-d", "64", "--workers", "1"], flags].concat());
    let client = powd.connect();
    client.send(b"hard\nanother\n");
    powd.until_counter("/hashes", |hashes| hashes > 0);
    powd
}

/// With `flags` the search of a client that left is cancelled, and with a timeout of an hour it is
/// not.
fn is_cancelled_before_an_hour(flags: &[&str]) {
    let patient = left_by_its_client(&["--half-close-timeout", "1h"]);
    left_by_its_client(flags).until_cancelled();
    let hashes = patient.counter("/hashes");
    patient.until_counter("/hashes", |now| now > hashes);
    assert_eq!(patient.counter("/cancelled_searches"), 0);
}

#[test]
fn a_client_that_left_is_cancelled_within_the_half_close_timeout() {
    is_cancelled_before_an_hour(&["--half-close-timeout", "300ms"]);
}

#[test]
fn a_client_that_left_is_cancelled_by_default_too() {
    is_cancelled_before_an_hour(&[]);
}

#[test]
fn a_worker_in_the_background_is_no_help_for_itself() {
    let powd = POWD.serve(&["-d", "64", "--workers", "1", "--half-close-timeout", "1h"]);
    let client = powd.connect();
    powd.stop();
    client.send(b"hopeless\n");
    client.end();
    powd.signal("CONT");
    powd.until_counter("/hashes", |hashes| hashes > 10_000_000);
    assert_eq!(powd.counter("/help/searches"), 0);
}

#[test]
fn a_half_closed_client_is_served_as_long_as_it_gets_answers() {
    // Twelve answers, no sooner than 400 ms after one another: longer than the timeout in all, and
    // far from as long between two of them.
    let flags = [
        "-d",
        "64",
        "--deadline",
        "400ms",
        "--half-close-timeout",
        "4s",
    ];
    let powd = POWD.serve(&flags);
    let mut client = powd.connect();
    client.send(&lines(messages(12)));
    client.end();
    for _ in 0..12 {
        client.error("deadline");
    }
    client.expect_end();
    assert_eq!(powd.counter("/cancelled_searches"), 0);
}
