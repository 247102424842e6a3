//! Clients that do not end their stream when powd has ended its own: they get their last line, and
//! then the time to read it, but powd does not wait for them for ever.

use crate::POWD;

#[test]
fn a_drain_does_not_wait_for_ever_for_a_client_that_keeps_its_end_open() {
    // One worker has the client; the other sleeps until it hears that there is none any more.
    let mut powd = POWD.serve(&["-d", "1", "--workers", "2", "--drain-timeout", "1h"]);
    let mut client = powd.connect();
    client.ask(b"before", 1);
    powd.signal("TERM");
    client.expect_end();
    assert_eq!(powd.wait().code(), Some(0));
    drop(client);
}

#[test]
fn a_client_that_was_refused_for_a_line_too_long_is_closed_though_it_keeps_its_end_open() {
    let powd = POWD.serve(&["-d", "1", "--max-message-bytes", "10"]);
    let mut client = powd.connect();
    client.send(b"longer than that\n");
    client.error("too-long");
    client.expect_end();
    powd.until_counter("/connections/open", |open| open == 0);
    drop(client);
}
