//! What Linux tells in `/proc` of a process, of its threads, and of the other end of a connection.
//!
//! A process or a thread is its directory there. Nothing here knows what runs in it. Elsewhere than
//! on Linux all of it panics, but for what the benchmarks read.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::Client;

/// The directory of a process.
pub fn process(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// The threads of a process whose names begin so. One that ends meanwhile may be missing.
pub fn threads(pid: u32, name: &str) -> Vec<PathBuf> {
    let tasks = fs::read_dir(process(pid).join("task")).expect("it runs");
    let tasks = tasks.map(|task| task.expect("it runs").path());
    let is_named = |task: &PathBuf| {
        fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.starts_with(name))
    };
    tasks.filter(is_named).collect()
}

/// A field of the status of a process or thread, as proc_pid_status(5) has it.
pub fn status(of: &Path, field: &str) -> String {
    let status = fs::read_to_string(of.join("status")).expect("it is there");
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let value = value.unwrap_or_else(|| panic!("no {field} in {status}"));
    value.trim().to_owned()
}

/// The CPUs that a process or thread may run on, in order.
pub fn allowed_cpus(of: &Path) -> Vec<usize> {
    let list = status(of, "Cpus_allowed_list");
    let number = |text: &str| text.parse::<usize>().expect("a CPU's number");
    let ranges = list
        .split(',')
        .map(|part| part.split_once('-').unwrap_or((part, part)));
    ranges
        .flat_map(|(first, last)| number(first)..=number(last))
        .collect()
}

/// CPU time of a process or thread, in clock ticks (of which Linux has 100 in a second).
pub fn cpu_ticks(of: &Path) -> u64 {
    let stat = fs::read_to_string(of.join("stat")).expect("it is there");
    // proc_pid_stat(5): fields 14 and 15; the second, in parentheses, may hold spaces.
    let fields = stat.rsplit(')').next().expect("a state follows the name");
    let times = fields.split_whitespace().skip(11).take(2);
    times
        .map(|ticks| ticks.parse::<u64>().expect("a number"))
        .sum()
}

/// CPU time of a process so far, of all its threads, in seconds; 0 where the system does not tell.
pub fn cpu_seconds(pid: u32) -> f64 {
    let tasks = fs::read_dir(process(pid).join("task"));
    let threads = tasks.into_iter().flatten().flatten();
    let nanoseconds: u64 = threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    nanoseconds as f64 / 1e9
}

/// Resident memory of a process in KiB; 0 where the system does not tell.
pub fn rss_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(process(pid).join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// The state of a socket whose other end has ended its stream.
pub const CLOSE_WAIT: u8 = 8;

/// powd's end of a connection, as proc_net_tcp(5) has it.
#[derive(Debug)]
pub struct Socket {
    /// Its state, such as [`CLOSE_WAIT`].
    pub state: u8,
    /// Which timer runs.
    pub timer: u8,
    /// How much of its time is left, in hundredths of a second.
    pub left: u32,
}

/// The other end of this client's connection.
pub fn socket(client: &Client) -> Socket {
    let port = |address: io::Result<SocketAddr>| format!(":{:04X}", address.expect("open").port());
    let stream = client.stream();
    let (theirs, ours) = (port(stream.peer_addr()), port(stream.local_addr()));
    let table = fs::read_to_string("/proc/net/tcp").expect("it is there");
    let mut rows = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row[1].ends_with(&theirs) && row[2].ends_with(&ours));
    let row = row.expect("the connection is in the table");
    let (timer, left) = row[5].split_once(':').expect("two numbers");
    let number = |digits| u32::from_str_radix(digits, 16).expect("a number");
    Socket {
        state: number(row[3]) as u8,
        timer: number(timer) as u8,
        left: number(left),
    }
}
