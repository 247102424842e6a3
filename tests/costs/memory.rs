//! What a connection costs in memory, measured on ten thousand of them.

use powd_testkit::needs::connections;
use powd_testkit::{Client, leave_out};

use crate::POWD;

#[test]
fn ten_thousand_connections_cost_little_idle_and_answered() {
    let count = connections(10_000);
    // Of fewer, each would have too large a part of what no connection has caused.
    if count < 5000 {
        return leave_out("too few connections to say what one of them costs");
    }
    let powd = POWD.serve(&["-d", "1"]);
    // Whatever is made once for all connections.
    for _ in 0..10 {
        powd.connect().ask(b"warm", 1);
    }
    powd.until_counter("/connections/open", |open| open == 0);
    let empty = powd.status_kib("VmRSS");

    let mut clients: Vec<Client> = (0..count).map(|_| powd.connect()).collect();
    powd.until_counter("/connections/open", |open| open == count as u64);
    let idle = powd.status_kib("VmRSS").saturating_sub(empty) as f64 / count as f64;
    println!("an idle connection: {idle:.2} KiB");
    assert!(idle <= 1.0, "{idle} KiB for an idle connection");

    // All at once, so that all of them hold something at the same time.
    for client in &clients {
        client.send(b"hello\n");
    }
    for client in &mut clients {
        client.reply(b"hello", 1);
    }
    let answered = powd.status_kib("VmRSS").saturating_sub(empty) as f64 / count as f64;
    println!("one that got an answer: {answered:.2} KiB");
    assert!(answered <= 4.0, "{answered} KiB for one that got an answer");
}
