//! Threads bound to CPUs, as Linux tells it: the workers of `powd serve`, the threads of `powd
//! load`.

use std::path::Path;
use std::thread::{self, available_parallelism};

use powd_testkit::proc::{allowed_cpus, threads};
use powd_testkit::program::start;
use powd_testkit::{Busy, Powd, leave_out, skip};

use crate::POWD;

/// The CPUs of this process, which its children may use too; none where pinning cannot be seen.
fn cpus() -> Option<Vec<usize>> {
    let cpus = allowed_cpus(Path::new("/proc/self"));
    if cpus.len() == 1 {
        leave_out("a thread has no choice with one CPU");
        return None;
    }
    if available_parallelism().is_ok_and(|threads| threads.get() < cpus.len()) {
        leave_out("workers are not bound under a CPU quota");
        return None;
    }
    Some(cpus)
}

/// The CPUs of each worker of `powd serve` with these flags and this environment.
fn cpus_of_workers(flags: &[&str], variables: &[(&str, &str)]) -> Vec<Vec<usize>> {
    let serve = ["serve", "--listen", "127.0.0.1:0", "--kernel", "portable"];
    let mut serve = POWD.command(&[&serve, flags].concat());
    serve.envs(variables.iter().copied());
    let powd = Powd::start(serve, 1);
    let workers = threads(powd.pid(), "worker-");
    let mut of_each: Vec<_> = workers.iter().map(|worker| allowed_cpus(worker)).collect();
    of_each.sort();
    of_each
}

#[test]
fn each_worker_has_a_cpu_of_its_own() {
    let Some(cpus) = cpus() else { return };
    let one_each: Vec<_> = cpus.iter().map(|cpu| vec![*cpu]).collect();
    assert_eq!(cpus_of_workers(&[], &[]), one_each);
}

#[test]
fn workers_that_are_not_to_be_pinned_have_all_cpus() {
    let Some(cpus) = cpus() else { return };
    let all_each = vec![cpus.clone(); cpus.len()];
    assert_eq!(cpus_of_workers(&["--no-pin"], &[]), all_each);
    assert_eq!(cpus_of_workers(&[], &[("POWD_NO_PIN", "true")]), all_each);
    // Those that are fewer or more than the CPUs would be in the way of other servers, or of each
    // other.
    assert_eq!(cpus_of_workers(&["--workers", "1"], &[]), all_each[..1]);
    let more = (cpus.len() + 1).to_string();
    let of_more = cpus_of_workers(&["--workers", &more], &[]);
    assert_eq!(of_more, vec![cpus.clone(); cpus.len() + 1]);
}

#[cfg(target_os = "linux")]
#[test]
fn workers_are_let_go_when_one_waits_for_its_cpu_and_another_has_nothing_to_do() {
    let Some(cpus) = cpus() else { return };
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--kernel",
        "portable",
        "-d",
        "2",
    ];
    let powd = Powd::start(POWD.command(&serve), 1);
    let Some(neighbours) = Busy::on(cpus[0], 4) else {
        return skip("taskset cannot be started");
    };
    // Clients come to the worker on their own CPU if it has no more than another. So one that is
    // idle keeps the last one's, and the next client's is another: here the first.
    let last = *cpus.last().expect("there are several");
    let idle = thread::scope(|scope| {
        let connect = || {
            powd::cpus::pin(last).expect("it may be used");
            powd.connect()
        };
        scope.spawn(connect).join().expect("no panic")
    });
    // One connection with easy requests keeps one worker busy, and no other helps it. So many are
    // in flight that the worker has enough of them while the client waits for a CPU.
    let (address, last) = (powd.address().to_string(), last.to_string());
    let load = [
        "load", &address, "-c", "1", "-P", "2048", "-s", "600", "--pin", &last,
    ];
    let mut load = start(POWD.command(&load));
    powd.wait_for_log("a word on it", |line| line.contains("no longer bound"));
    let workers = threads(powd.pid(), "worker-");
    let of_each: Vec<_> = workers.iter().map(|worker| allowed_cpus(worker)).collect();
    assert_eq!(of_each, vec![cpus.clone(); cpus.len()]);
    drop((idle, neighbours));
    load.kill().expect("it runs");
    load.wait().expect("it can be waited for");
}

#[test]
fn the_threads_of_load_are_bound_where_they_are_told_to() {
    let Some(cpus) = cpus() else { return };
    let last = *cpus.last().expect("several");
    let pin = last.to_string();
    for (flags, each) in [(&["--pin", &pin][..], vec![last]), (&[], cpus)] {
        let powd = POWD.serve(&["-d", "0"]);
        let address = powd.address().to_string();
        let load = ["load", &address, "-c", "2", "--threads", "2", "-s", "60"];
        let mut child = start(POWD.command(&[&load, flags].concat()));
        // A thread binds itself before it opens its connection.
        powd.until_counter("/connections/open", |open| open == 2);
        let threads = threads(child.id(), "load");
        let of_each: Vec<_> = threads.iter().map(|thread| allowed_cpus(thread)).collect();
        child.kill().expect("it runs");
        child.wait().expect("it can be waited for");
        assert_eq!(of_each, [each.clone(), each]);
    }
}
