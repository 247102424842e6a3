//! What the machine gives and forbids: CPUs, threads, quotas, IPv6. What only makes powd faster
//! never keeps it from starting; what it cannot do without is named in one line.
//!
//! `strace` answers system calls in the system's place, as a sandbox or a huge machine would.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
#[cfg(feature = "http")]
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::available_parallelism;

use powd_testkit::proc::{allowed_cpus, threads};
use powd_testkit::process::without_variables;
use powd_testkit::program::{expect_one_line, run};
use powd_testkit::{Busy, Powd, leave_out, skip, until};
use serde_json::Value;

use crate::POWD;

/// `serve` on a free port, and nothing else said.
const SERVE: [&str; 4] = ["serve", "--listen", "127.0.0.1:0", "-d=1"];

/// A command of powd whose calls of `call` have `outcome`, in strace's words. None where strace may
/// not do that.
fn with_call(call: &str, outcome: &str, arguments: &[&str]) -> Option<Command> {
    let strace = || {
        let mut strace = Command::new("strace");
        // -D: the child of this test is powd itself, which gets its signals.
        strace.args(["-D", "-f", "-qq", "-o", "/dev/null"]);
        strace
    };
    match strace().arg("true").output() {
        Err(error) => {
            skip(&format!("strace cannot be started: {error}"));
            return None;
        }
        Ok(tried) if !tried.status.success() => {
            // Not a failure in CI either: a container that forbids it cannot allow it itself.
            leave_out("strace may not trace here");
            return None;
        }
        Ok(_) => {}
    }
    let mut command = strace();
    command
        .args(["-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:{outcome}")])
        .arg(POWD.path())
        .args(arguments);
    Some(without_variables(command))
}

/// What the announcement says.
fn announced_workers(powd: &Powd) -> usize {
    let line = powd.wait_for_log("announcement", |line| line.contains(" workers="));
    let number = line.split(" workers=").nth(1);
    let number = number.and_then(|rest| rest.split(' ').next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no number in {line:?}"))
}

fn workers_with(flags: &[&str]) -> usize {
    announced_workers(&POWD.serve(flags))
}

/// The CPUs of each thread whose name begins so.
fn cpus_of_threads(powd: &Powd, name: &str) -> Vec<Vec<usize>> {
    let threads = threads(powd.pid(), name);
    threads.iter().map(|thread| allowed_cpus(thread)).collect()
}

fn cpus() -> Vec<usize> {
    allowed_cpus(Path::new("/proc/self"))
}

#[test]
fn workers_that_may_not_be_bound_serve_unbound() {
    let Some(command) = with_call("sched_setaffinity", "error=EPERM", &SERVE) else {
        return;
    };
    let powd = Powd::start(command, 1);
    powd.connect().ask(b"hello", 1);
    let warned = |line: &str| line.contains("WARN") && line.contains("where the system puts them");
    // Under a CPU quota nobody tries.
    let has_quota = available_parallelism().is_ok_and(|threads| threads.get() < cpus().len());
    if !has_quota {
        powd.wait_for_log("warning", warned);
    }
    let of_each = cpus_of_threads(&powd, "worker-");
    assert!(of_each.iter().all(|each| *each == cpus()), "{of_each:?}");
}

#[test]
fn doors_that_may_not_accept_wait_until_they_may() {
    // The connection stays where it is, and the error lasts.
    let arguments = SERVE.to_vec();
    #[cfg(feature = "http")]
    let arguments = [&arguments[..], &["--http", "127.0.0.1:0"]].concat();
    let Some(command) = with_call("accept4", "error=EPERM", &arguments) else {
        return;
    };
    let powd = Powd::start(command, 1);
    let _waits = powd.connect();
    powd.wait_for_log("word of it", |line| {
        line.contains("cannot accept connections")
    });
    #[cfg(feature = "http")]
    {
        let _waits = TcpStream::connect(powd.door("http")).expect("it listens");
        powd.wait_for_log("word of it", |line| {
            line.contains("cannot accept HTTP connections")
        });
    }
}

#[test]
fn cpus_are_counted_where_there_are_too_many_for_a_mask() {
    let outcome = "error=EINVAL";
    let Some(command) = with_call("sched_getaffinity", outcome, &SERVE) else {
        return;
    };
    let workers = workers_with(&[]);
    let powd = Powd::start(command, 1);
    assert_eq!(announced_workers(&powd), workers);
    powd.connect().ask(b"hello", 1);

    let speed = "speed --kernel portable --threads all --seconds 0.05 --json";
    let speed: Vec<_> = speed.split(' ').collect();
    let command = with_call("sched_getaffinity", outcome, &speed).expect("as before");
    let report = run(command, b"");
    let report: Value = serde_json::from_slice(&report.stdout).expect("JSON");
    assert_eq!(report["rows"][1]["threads"], workers, "{report}");
}

#[test]
fn workers_are_a_number_or_a_share() {
    let all = workers_with(&[]);
    assert_eq!(workers_with(&["--workers", "3"]), 3);
    assert_eq!(workers_with(&["--workers", "all"]), all);
    assert_eq!(workers_with(&["--workers", "all-1"]), (all - 1).max(1));
    assert_eq!(workers_with(&["--workers", "50%"]), (all / 2).max(1));
    let mut command = POWD.command(&SERVE);
    command.env("POWD_WORKERS", "all-1");
    let powd = Powd::start(command, 1);
    assert_eq!(announced_workers(&powd), (all - 1).max(1));
}

#[test]
fn no_thread_leaves_the_cpus_that_were_chosen() {
    let last = *cpus().last().expect("one at least");
    let list = last.to_string();
    for variable in [false, true] {
        let mut command = POWD.command(&SERVE);
        if variable {
            command.env("POWD_CPUS", &list);
        } else {
            command.args(["--cpus", &list]);
        }
        let powd = Powd::start(command, 1);
        assert_eq!(announced_workers(&powd), 1);
        let of_each = cpus_of_threads(&powd, "");
        // The main thread, one each that logs, hears signals and accepts, and the worker.
        assert!(of_each.len() >= 5, "{of_each:?}");
        assert!(of_each.iter().all(|each| *each == [last]), "{of_each:?}");
    }
}

#[test]
fn cpus_that_cannot_be_used_are_refused() {
    for (list, told) in [
        (
            "0,9999",
            "--cpus: CPU 9999 is not one that this process may use; these are: ",
        ),
        ("3-1", "expected CPU numbers and ranges"),
        ("", "expected CPU numbers and ranges"),
    ] {
        let line = expect_one_line(&POWD.run(&["serve", "--cpus", list]), 2, list);
        assert!(line.contains(told), "{line}");
    }
    // What was asked for cannot be had: this is not about speed.
    let first = cpus()[0].to_string();
    let arguments = [&SERVE[..], &["--cpus", &first]].concat();
    let Some(command) = with_call("sched_setaffinity", "error=EPERM", &arguments) else {
        return;
    };
    let line = expect_one_line(&run(command, b""), 1, "a sandbox");
    assert!(line.contains("does not let this process choose"), "{line}");
}

/// `cargo bench --bench machine -- starts` has two hundred of them.
#[test]
fn busy_programs_mislead_no_start_to_a_slower_kernel() {
    let busy = Busy::start(cpus().len() + 1);
    let kernel = |_| {
        let powd = Powd::start(POWD.command(&SERVE), 1);
        let line = powd.wait_for_log("announcement", |line| line.contains(" kernel="));
        let kernel = line.split(" kernel=").nth(1);
        kernel.expect("a name").to_owned()
    };
    let taken: BTreeSet<String> = (0..10).map(kernel).collect();
    drop(busy);
    // Of kernels that are about as fast, one start may take this one and another that one. To be
    // misled is to take one that is slower by far more, however often it is measured.
    let mut rates = BTreeMap::new();
    until(&format!("{taken:?} to be the fastest, about"), || {
        raise_to_hash_rates(&mut rates);
        let fastest = rates.values().copied().fold(0.0, f64::max);
        let is_fast = |kernel| rates[kernel] > 0.8 * fastest;
        taken.iter().all(is_fast)
    });
}

/// What each kernel reaches by `powd speed`: the best of some runs more and of those before, of
/// which other programs disturb most, but not all.
fn raise_to_hash_rates(rates: &mut BTreeMap<String, f64>) {
    for _ in 0..5 {
        let output = POWD.run(&["speed", "--seconds", "0.1", "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        for row in report["rows"].as_array().expect("rows") {
            let kernel = row["kernel"].as_str().expect("a name");
            let rate = row["hashes_per_s"].as_f64().expect("a rate");
            // It is no kernel of powd's, and no measure for one.
            if kernel != "sha2" {
                let best = rates.entry(kernel.to_owned()).or_insert(rate);
                *best = rate.max(*best);
            }
        }
    }
}

#[test]
fn ready_is_said_when_all_threads_run() {
    // Bound workers would have one more, which watches them and can be done without.
    let flags = ["--workers", "2", "--no-pin", "--kernel", "portable"];
    let arguments = [&SERVE[..], &flags].concat();
    // The log, two workers, the acceptor, the signals: each of them once the first that cannot be
    // had.
    for number in 1..=5 {
        let outcome = format!("error=EAGAIN:when={number}+");
        // One of the two, as the C library chooses.
        let Some(command) = with_call("clone,clone3", &outcome, &arguments) else {
            return;
        };
        let output = run(command, b"");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{number}: {told}");
        assert!(!told.contains("listening on"), "{number}: {told}");
        assert!(told.contains("cannot start"), "{number}: {told}");
    }
}

/// A cgroup of its own with a quota, removed when dropped: after what runs in it.
#[derive(Debug)]
struct Cgroup(PathBuf);

impl Cgroup {
    /// One that may use 1.5 CPUs.
    fn of_one_and_a_half() -> io::Result<Cgroup> {
        let name = format!("powd-test-{}", std::process::id());
        let is_v1 = Path::new("/sys/fs/cgroup/cpu/cpu.shares").exists();
        let parent = if is_v1 {
            "/sys/fs/cgroup/cpu"
        } else {
            "/sys/fs/cgroup"
        };
        let group = Cgroup(Path::new(parent).join(name));
        fs::create_dir(&group.0)?;
        if is_v1 {
            fs::write(group.0.join("cpu.cfs_period_us"), "100000")?;
            fs::write(group.0.join("cpu.cfs_quota_us"), "150000")?;
        } else {
            fs::write(group.0.join("cpu.max"), "150000 100000")?;
        }
        Ok(group)
    }

    fn serve(&self, flags: &[&str]) -> Powd {
        let processes = self.0.join("cgroup.procs");
        let processes = processes.to_str().expect("ASCII");
        let script = r#"echo $$ >"$1" && shift && exec "$0" "$@""#;
        let arguments = [&[processes], &SERVE[..], flags].concat();
        Powd::start(POWD.in_shell(script, &arguments), 1)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_quota_of_one_and_a_half_cpus_has_two_workers_unbound() {
    if cpus().len() < 2 {
        return leave_out("one CPU is less than the quota");
    }
    let group = match Cgroup::of_one_and_a_half() {
        Ok(group) => group,
        Err(error) => {
            return leave_out(&format!("no cgroup with a quota can be made here: {error}"));
        }
    };
    let powd = group.serve(&[]);
    assert_eq!(announced_workers(&powd), 2);
    let of_each = cpus_of_threads(&powd, "worker-");
    assert_eq!(of_each, [cpus(), cpus()]);
    powd.connect().ask(b"hello", 1);
}
