//! System calls: at most one read and one write per wake-up and connection, however many requests.

#![cfg(target_os = "linux")]

mod common;

use std::collections::HashMap;
use std::io::Read;
use std::process::{Command, Stdio};

use common::{Powd, lines, messages, wait, wait_for_line};

/// Requests of one round, sent with one write; they fit in one read.
const REQUESTS: usize = 64;
const ROUNDS: usize = 100;

#[test]
fn requests_that_came_together_cost_one_read_and_one_write() {
    // One worker: then every call is of the thread that serves.
    let powd = Powd::serve(&["-d", "0", "--workers", "1"]);
    let mut client = powd.connect();
    client.ask(b"warm", 0);

    let attached = Command::new("strace")
        .args([
            "-f",
            "-c",
            "-U",
            "name,calls",
            "-p",
            &powd.pid().to_string(),
        ])
        .stderr(Stdio::piped())
        .spawn();
    let mut strace = match attached {
        Ok(strace) => strace,
        Err(error) => {
            println!("skipped: strace cannot be started: {error}");
            return;
        }
    };
    let mut told = strace.stderr.take().expect("it was piped");
    if !wait_for_line(&mut told, "attached") {
        println!("skipped: strace may not attach here");
        let _ = strace.kill();
        let _ = strace.wait();
        return;
    }
    let asked = messages(REQUESTS);
    for _ in 0..ROUNDS {
        client.send(&lines(&asked));
        for message in &asked {
            client.reply(message.as_bytes(), 0);
        }
    }
    // Detaches, and prints its table.
    let interrupted = Command::new("kill")
        .args(["-INT", &strace.id().to_string()])
        .status();
    assert!(interrupted.expect("kill is a program").success());
    let mut table = String::new();
    told.read_to_string(&mut table).expect("text");
    wait(&mut strace);

    println!("{table}");
    let calls = counts(&table);
    let count = |names: &[&str]| {
        names
            .iter()
            .filter_map(|name| calls.get(*name))
            .sum::<usize>()
    };
    let reads = count(&["read", "readv", "recvfrom", "recvmsg"]);
    let writes = count(&["write", "writev", "sendto", "sendmsg"]);
    // A batch may be cut in two when its slice ends in it, which a traced, slow process runs into: that
    // costs a write more. One call per request would be sixty times as many.
    assert!(
        (ROUNDS..=2 * ROUNDS).contains(&reads),
        "{reads} reads\n{table}"
    );
    assert!(
        (ROUNDS..=3 * ROUNDS).contains(&writes),
        "{writes} writes\n{table}"
    );
    // Besides these it polls, and nothing else.
    let served = [
        "read", "readv", "recvfrom", "recvmsg", "write", "writev", "sendto", "sendmsg",
    ];
    let polls = ["epoll_wait", "epoll_pwait", "epoll_pwait2"];
    let others: Vec<_> = calls
        .iter()
        .filter(|(name, _)| !served.contains(&name.as_str()) && !polls.contains(&name.as_str()))
        .filter(|(name, _)| *name != "restart_syscall" && *name != "total")
        .collect();
    assert!(others.is_empty(), "{others:?}\n{table}");
}

/// The calls of strace's table, by name.
fn counts(table: &str) -> HashMap<String, usize> {
    let rows = table.lines().filter_map(|line| {
        let (name, calls) = line.trim().split_once(char::is_whitespace)?;
        Some((name.to_owned(), calls.trim().parse().ok()?))
    });
    rows.collect()
}
