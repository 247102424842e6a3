//! System calls: at most one read and one write per wake-up and connection, however many requests.

use std::collections::HashMap;
use std::io::Read;
use std::process::{Command, Stdio};

use powd_testkit::process::signal;
use powd_testkit::{Client, Powd, leave_out, lines, messages, skip, wait};

use crate::POWD;

/// Requests that are sent with one write; they fit in one read.
const REQUESTS: usize = 64;
const ROUNDS: usize = 100;

#[test]
fn requests_that_came_together_cost_one_read_and_one_write() {
    // One worker: then every call is of the thread that serves.
    let powd = POWD.serve(&["-d", "0", "--workers", "1"]);
    let mut client = powd.connect();
    client.ask(b"warm", 0);
    let asked = messages(REQUESTS);
    let calls = trace(&powd, || {
        for _ in 0..ROUNDS {
            client.send(&lines(&asked));
            for message in &asked {
                client.reply(message.as_bytes(), 0);
            }
        }
    });
    let Some(calls) = calls else { return };
    // A batch may be cut in two when its slice ends in it, which a traced, slow process runs into:
    // that costs a write more. One call per request would be sixty times as many.
    let (reads, writes) = (calls.reads(), calls.writes());
    assert!((ROUNDS..=2 * ROUNDS).contains(&reads), "{calls:?}");
    assert!((ROUNDS..=3 * ROUNDS).contains(&writes), "{calls:?}");
    calls.assert_no_others(&[]);
}

#[test]
fn requests_that_take_a_search_cost_no_other_calls_than_to_wait_awake() {
    const CONNECTIONS: usize = 4;
    const ROUNDS: usize = 10;
    let powd = POWD.serve(&["-d", "3", "--workers", "1"]);
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| powd.connect()).collect();
    let asked = messages(REQUESTS);
    let mut round = || {
        for client in &clients {
            client.send(&lines(&asked));
        }
        for client in &mut clients {
            for message in &asked {
                client.reply(message.as_bytes(), 3);
            }
        }
    };
    round();
    let calls = trace(&powd, || (0..ROUNDS).for_each(|_| round()));
    let Some(calls) = calls else { return };
    let batches = CONNECTIONS * ROUNDS;
    let (reads, writes) = (calls.reads(), calls.writes());
    assert!((batches..=2 * batches).contains(&reads), "{calls:?}");
    // A write for each turn in which something was found; how many that is, the speed of the CPU
    // decides.
    assert!(
        (batches..=batches * REQUESTS).contains(&writes),
        "{calls:?}"
    );
    // A connection's input, its output and what waits behind a search are allocated when first
    // needed at the same time as those of the others, which may come late, and never again.
    let memory = ["mprotect", "mmap", "mmap2", "munmap", "brk"];
    assert!(calls.of(&memory) <= 3 * CONNECTIONS, "{calls:?}");
    calls.assert_no_others(&memory);
}

// `recv` and `send` are calls of their own on 32-bit systems.
const READS: [&str; 5] = ["read", "readv", "recv", "recvfrom", "recvmsg"];
const WRITES: [&str; 5] = ["write", "writev", "send", "sendto", "sendmsg"];
const POLLS: [&str; 3] = ["epoll_wait", "epoll_pwait", "epoll_pwait2"];

/// The calls in strace's table, by name.
#[derive(Debug)]
struct Calls(HashMap<String, usize>);

impl Calls {
    fn of(&self, names: &[&str]) -> usize {
        names.iter().filter_map(|&name| self.0.get(name)).sum()
    }

    fn reads(&self) -> usize {
        self.of(&READS)
    }

    fn writes(&self) -> usize {
        self.of(&WRITES)
    }

    /// There are none that neither read nor write nor poll, but for `allowed` ones. While a worker
    /// spins it gives way before it polls, and only then.
    fn assert_no_others(&self, allowed: &[&str]) {
        assert!(self.of(&["sched_yield"]) <= self.of(&POLLS), "{self:?}");
        let names = self.0.keys().map(String::as_str);
        // The kernel's own way to go on with a poll that strace interrupted; the clock, which is no
        // call at all on most machines, and one where the vDSO cannot read it; and the table's last
        // line.
        let not_calls = [
            "restart_syscall",
            "clock_gettime",
            "clock_gettime64",
            "total",
        ];
        let known = [
            &READS[..],
            &WRITES,
            &POLLS,
            &["sched_yield"],
            &not_calls,
            allowed,
        ]
        .concat();
        let others: Vec<&str> = names.filter(|name| !known.contains(name)).collect();
        assert_eq!(others, Vec::<&str>::new(), "{self:?}");
    }
}

/// The system calls of `powd` while `work` runs; none when they cannot be seen here.
fn trace(powd: &Powd, work: impl FnOnce()) -> Option<Calls> {
    let attached = Command::new("strace")
        .args(["-f", "-c", "-U", "name,calls", "-p"])
        .arg(powd.pid().to_string())
        .stderr(Stdio::piped())
        .spawn();
    let mut strace = match attached {
        Ok(strace) => strace,
        Err(error) => {
            skip(&format!("strace cannot be started: {error}"));
            return None;
        }
    };
    let mut told = strace.stderr.take().expect("it was piped");
    if !wait::for_line(&mut told, "attached") {
        let _ = strace.kill();
        let _ = strace.wait();
        // Not a failure in CI either: a container that forbids it cannot allow it itself.
        leave_out("strace may not attach here");
        return None;
    }
    work();
    // Detaches, and prints its table.
    signal(strace.id(), "INT");
    let mut table = String::new();
    told.read_to_string(&mut table).expect("text");
    wait::for_end(&mut strace);
    let rows = table.lines().filter_map(|line| {
        let (name, calls) = line.trim().split_once(char::is_whitespace)?;
        Some((name.to_owned(), calls.trim().parse().ok()?))
    });
    Some(Calls(rows.collect()))
}
