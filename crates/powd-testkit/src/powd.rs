//! A running `powd serve`, on free ports of the loopback.

use std::net::{IpAddr, SocketAddr};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::Process;
use crate::wait::until_still;
use crate::{Client, proc, until};

/// A `powd serve`, killed when dropped.
#[derive(Debug)]
pub struct Powd {
    process: Process,
    addresses: Vec<SocketAddr>,
}

impl Powd {
    /// Starts `command`, which serves on so many listeners, and waits until it accepts connections.
    pub fn start(command: Command, listeners: usize) -> Powd {
        Powd::start_with_stdin(command, Stdio::null(), listeners)
    }

    /// The same with something on standard input.
    pub fn start_with_stdin(mut command: Command, stdin: Stdio, listeners: usize) -> Powd {
        let child = command
            .stdin(stdin)
            .stderr(Stdio::piped())
            .spawn()
            .expect("powd can be started");
        let mut powd = Powd {
            process: Process::new(child),
            addresses: Vec::new(),
        };
        for number in 0..listeners {
            let announced = powd.announced(number);
            powd.addresses.extend(announced);
        }
        powd
    }

    /// The address in the announcement of listener `number`; none for a socket file.
    fn announced(&self, number: usize) -> Option<SocketAddr> {
        let prefix = "powd: listening on ";
        let process = &self.process;
        let line = process.wait_for("announcement", 0, number, |line| line.starts_with(prefix));
        let address = &line[prefix.len()..];
        if address.starts_with("unix:") {
            return None;
        }
        let parsed = address.split(' ').next()?.parse().ok();
        assert!(parsed.is_some(), "no address in {line:?}");
        parsed
    }

    /// The address on this IP that it has announced for a door: `listening`, `http` or `admin`.
    pub fn announced_at(&self, door: &str, ip: IpAddr) -> SocketAddr {
        let prefix = format!("powd: {door} on ");
        let address = |line: &str| {
            let rest = line.strip_prefix(&prefix)?;
            let address = rest.split(' ').next()?.parse::<SocketAddr>().ok()?;
            (address.ip() == ip).then_some(address)
        };
        let what = format!("announcement of {ip}");
        let line = self.wait_for_log(&what, |line| address(line).is_some());
        address(&line).expect("as above")
    }

    /// The address of another door than its listeners: `http` or `admin`.
    pub fn door(&self, name: &str) -> SocketAddr {
        self.process.door(name)
    }

    /// The address of the first listener.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The addresses of all listeners of TCP, in the order of the flags.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A new connection to the first listener.
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends it a signal: `TERM`, `INT`, `USR1`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Its counters, as SIGUSR1 prints them.
    pub fn counters(&self) -> Value {
        self.process.counters()
    }

    /// One of its counters, by its path in the JSON: `/help/hashes`.
    pub fn counter(&self, path: &str) -> u64 {
        let counters = self.counters();
        let number = counters.pointer(path).and_then(Value::as_u64);
        number.unwrap_or_else(|| panic!("no counter {path} in {counters}"))
    }

    /// Waits until a counter is what is wanted; returns it.
    pub fn until_counter(&self, path: &str, wanted: impl Fn(u64) -> bool) -> u64 {
        let mut last = 0;
        until(path, || {
            last = self.counter(path);
            wanted(last)
        });
        last
    }

    /// Waits until no core searches: until some snapshots in a row show the same number of hashes,
    /// and before each of them all workers slept. (A worker that waits for a CPU tries no seed
    /// either.)
    pub fn until_quiet(&self) {
        until_still("an end of all searches", || {
            let is_asleep = self.is_asleep();
            let hashes = self.counter("/hashes");
            is_asleep.then_some(hashes)
        });
    }

    /// Whether all workers sleep; where only their hashes tell, yes.
    fn is_asleep(&self) -> bool {
        let is_told = cfg!(target_os = "linux");
        let workers = is_told.then(|| proc::threads(self.pid(), "worker-"));
        let mut workers = workers.iter().flatten();
        workers.all(|worker| proc::status(worker, "State").starts_with('S'))
    }

    /// Waits until its only client is gone: the connection closed, its search cancelled, no core at
    /// work.
    pub fn until_cancelled(&self) {
        self.until_counter("/connections/open", |open| open == 0);
        assert_eq!(self.counter("/cancelled_searches"), 1);
        self.until_quiet();
    }

    /// The number of lines on standard error so far.
    pub fn log_length(&self) -> usize {
        self.process.log_length()
    }

    /// All lines on standard error so far.
    pub fn log(&self) -> Vec<String> {
        self.process.log()
    }

    /// Waits for a line on standard error.
    pub fn wait_for_log(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.process.wait_for(what, 0, 0, wanted)
    }

    /// Waits for its end. By then its log is whole.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// Stops it until it gets `CONT`: when this returns, none of its threads runs any more. Linux
    /// only.
    pub fn stop(&self) {
        self.signal("STOP");
        // A signal is sent before it is heard, by each thread for itself.
        until("a stop of all threads", || {
            let threads = proc::threads(self.pid(), "");
            let mut states = threads.iter().map(|thread| proc::status(thread, "State"));
            states.all(|state| state.starts_with('T'))
        });
    }

    /// Stops it for so long, as a machine is that stands still. Linux only.
    pub fn stand_still(&self, time: Duration) {
        self.stop();
        let stopped = Instant::now();
        until("the time to be over", || stopped.elapsed() > time);
        self.signal("CONT");
    }

    /// A field of its status, in KiB. Linux only.
    pub fn status_kib(&self, field: &str) -> u64 {
        let value = proc::status(&proc::process(self.pid()), field);
        let number = value.strip_suffix(" kB").and_then(|kib| kib.parse().ok());
        number.unwrap_or_else(|| panic!("no KiB in {value:?}"))
    }

    /// CPU time that it has used, in clock ticks. Linux only.
    pub fn cpu_ticks(&self) -> u64 {
        proc::cpu_ticks(&proc::process(self.pid()))
    }
}
