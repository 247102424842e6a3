//! What the tests from outside share: a running `powd`, a client, and the oracle for replies.
//!
//! Every wait has a deadline that only a failure reaches, so that a test says what it waited for instead
//! of hanging. Nothing here knows how the service works.

#![allow(
    dead_code,
    reason = "every test file is a program of its own and uses a part of this"
)]

pub(crate) mod load_runs;
#[cfg(target_os = "linux")]
pub(crate) mod proc;
mod process;
pub(crate) mod run;
pub(crate) mod small_servers;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use powd::protocol::Reply;
use powd_core::Difficulty;
use serde_json::Value;

use process::Process;
#[allow(unused_imports, reason = "as above")]
pub(crate) use process::{DEADLINE, skip, without_variables};

/// A `powd serve` on free ports of the loopback, killed when dropped.
pub(crate) struct Powd {
    process: Process,
    addresses: Vec<SocketAddr>,
}

/// `powd` with these arguments, none of the caller's `POWD_...` variables, and closed standard input.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_powd"));
    command.args(arguments).stdin(Stdio::null());
    without_variables(command)
}

impl Powd {
    /// Serves with these flags; on one free port, unless they say `--listen`.
    pub(crate) fn serve(flags: &[&str]) -> Powd {
        let mut command = command(&["serve"]);
        let listeners = flags.iter().filter(|flag| **flag == "--listen").count();
        if listeners == 0 {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        // Tests run side by side, on the same CPUs.
        command.args(["--no-pin"]).args(flags);
        Powd::run(command, listeners.max(1))
    }

    /// Runs `command`, which serves on so many listeners, until it accepts connections.
    pub(crate) fn run(mut command: Command, listeners: usize) -> Powd {
        let child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("powd can be started");
        let mut powd = Powd {
            process: Process::new(child),
            addresses: Vec::new(),
        };
        for number in 0..listeners {
            powd.addresses.push(powd.announced(number));
        }
        powd
    }

    /// The address in the announcement of listener `number`.
    fn announced(&self, number: usize) -> SocketAddr {
        let prefix = "powd: listening on ";
        let process = &self.process;
        let line = process.wait_for("announcement", 0, number, |line| line.starts_with(prefix));
        let address = line[prefix.len()..].split(' ').next();
        let address = address.and_then(|address| address.parse().ok());
        address.unwrap_or_else(|| panic!("no address in {line:?}"))
    }

    /// Where the first listener is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where all listeners are, in the order of the flags.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A new connection to the first listener.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends it a signal: `TERM`, `INT`, `USR1`.
    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Its counters, as SIGUSR1 prints them.
    pub(crate) fn counters(&self) -> Value {
        self.process.counters()
    }

    /// One of its counters, by its path in the JSON: `/help/hashes`.
    pub(crate) fn counter(&self, path: &str) -> u64 {
        let counters = self.counters();
        let number = counters.pointer(path).and_then(Value::as_u64);
        number.unwrap_or_else(|| panic!("no counter {path} in {counters}"))
    }

    /// Waits until a counter is what is wanted; returns it.
    pub(crate) fn until_counter(&self, path: &str, wanted: impl Fn(u64) -> bool) -> u64 {
        let mut last = 0;
        until(path, || {
            last = self.counter(path);
            wanted(last)
        });
        last
    }

    /// Waits until no core searches: until some snapshots in a row show the same number of hashes.
    pub(crate) fn until_quiet(&self) {
        let mut before = self.counter("/hashes");
        let mut same = 0;
        until("an end of all searches", || {
            let now = self.counter("/hashes");
            same = if now == before { same + 1 } else { 0 };
            before = now;
            same == 5
        });
    }

    /// Waits until its only client is gone: the connection closed, its search cancelled, no core at work.
    pub(crate) fn until_cancelled(&self) {
        self.until_counter("/connections/open", |open| open == 0);
        assert_eq!(self.counter("/cancelled_searches"), 1);
        self.until_quiet();
    }

    /// Lines on standard error so far.
    pub(crate) fn log_length(&self) -> usize {
        self.process.log_length()
    }

    /// All lines on standard error so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.process.log()
    }

    /// Waits for a line on standard error.
    pub(crate) fn wait_for_log(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.process.wait_for(what, 0, 0, wanted)
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait(&mut self.process.child)
    }

    /// Stops it until it gets `CONT`: when this returns, none of its threads runs any more.
    #[cfg(target_os = "linux")]
    pub(crate) fn stop(&self) {
        self.signal("STOP");
        // A signal is sent before it is heard, by each thread for itself.
        until("a stop of all threads", || {
            let threads = proc::threads(self.pid(), "");
            let mut states = threads.iter().map(|thread| proc::status(thread, "State"));
            states.all(|state| state.starts_with('T'))
        });
    }

    /// A field of its status, in KiB.
    #[cfg(target_os = "linux")]
    pub(crate) fn status_kib(&self, field: &str) -> u64 {
        let value = proc::status(&proc::process(self.pid()), field);
        let number = value.strip_suffix(" kB").and_then(|kib| kib.parse().ok());
        number.unwrap_or_else(|| panic!("no KiB in {value:?}"))
    }

    /// CPU time that it has used, in clock ticks.
    #[cfg(target_os = "linux")]
    pub(crate) fn cpu_ticks(&self) -> u64 {
        proc::cpu_ticks(&proc::process(self.pid()))
    }
}

/// Waits for the end of a process; kills it at the deadline.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let mut status = None;
    let end = Instant::now() + DEADLINE;
    while status.is_none() && Instant::now() < end {
        status = child.try_wait().expect("the child can be waited for");
        pause();
    }
    status.unwrap_or_else(|| {
        let _ = child.kill();
        panic!("the process did not end");
    })
}

/// Reads from a child's output, byte by byte, up to a line with `words` in it; false if it ends before.
pub(crate) fn wait_for_line(output: impl Read, words: &str) -> bool {
    let mut line = Vec::new();
    for byte in BufReader::with_capacity(1, output).bytes() {
        match byte {
            Ok(b'\n') if String::from_utf8_lossy(&line).contains(words) => return true,
            Ok(b'\n') => line.clear(),
            Ok(byte) => line.push(byte),
            Err(_) => return false,
        }
    }
    false
}

/// Polls `condition` until it holds; panics at the deadline, saying what was waited for.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain for: {what}");
        pause();
    }
}

/// Lets others run between two looks at a condition.
fn pause() {
    thread::park_timeout(Duration::from_millis(2));
}

/// One connection, with a deadline on every read and write.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::new(TcpStream::connect(address).expect("powd listens"))
    }

    pub(crate) fn new(stream: TcpStream) -> Client {
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        stream.set_write_timeout(Some(DEADLINE)).expect("not zero");
        Client {
            stream: BufReader::with_capacity(65536, stream),
        }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream.into_inner()
    }

    /// Sends bytes as they are, with one write.
    pub(crate) fn send(&self, bytes: &[u8]) {
        self.stream().write_all(bytes).expect("powd takes bytes");
    }

    /// Ends the stream to powd; the other direction stays open.
    pub(crate) fn end(&self) {
        self.stream()
            .shutdown(Shutdown::Write)
            .expect("the connection is open");
    }

    /// The next line without its `\n`; none at the end of the stream, which must not cut a line in half.
    pub(crate) fn next_line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        self.stream
            .read_until(b'\n', &mut line)
            .expect("a line or the end of the stream, and in time");
        if line.is_empty() {
            return None;
        }
        assert_eq!(
            line.pop(),
            Some(b'\n'),
            "half a line at the end of the stream: {}",
            String::from_utf8_lossy(&line)
        );
        Some(line)
    }

    /// The next line without its `\n`.
    pub(crate) fn line(&mut self) -> Vec<u8> {
        self.next_line().expect("a line, not the end of the stream")
    }

    /// The next line, which must be an error line with that code.
    pub(crate) fn error(&mut self, code: &str) {
        let line = String::from_utf8(self.line()).expect("error lines are text");
        assert!(line.starts_with(&format!("ERR {code} ")), "{line:?}");
        assert!(!line.contains(','), "{line:?}");
    }

    /// The next line must be the right reply to `message`; its seed.
    pub(crate) fn reply(&mut self, message: &[u8], nibbles: u8) -> Vec<u8> {
        let line = self.line();
        check(&line, message, nibbles)
    }

    /// Sends one line and checks its reply.
    pub(crate) fn ask(&mut self, message: &[u8], nibbles: u8) {
        self.send(&lines([message]));
        self.reply(message, nibbles);
    }

    /// The stream must end here, at the end of a line.
    pub(crate) fn expect_end(&mut self) {
        let line = self.next_line();
        let line = line.map(|line| String::from_utf8_lossy(&line).into_owned());
        assert_eq!(line, None, "more than was asked for");
    }

    /// Sends all messages, reading at the same time, and checks every reply.
    pub(crate) fn ask_all<M: AsRef<[u8]> + Sync>(&mut self, messages: &[M], nibbles: u8) {
        let mut writer = self.stream().try_clone().expect("a descriptor is free");
        thread::scope(|scope| {
            scope.spawn(move || {
                for some in messages.chunks(1000) {
                    writer.write_all(&lines(some)).expect("powd takes bytes");
                }
            });
            for message in messages {
                self.reply(message.as_ref(), nibbles);
            }
        });
    }
}

/// The oracle: `line` must be the right reply to `message`. Returns its seed.
pub(crate) fn check(line: &[u8], message: &[u8], nibbles: u8) -> Vec<u8> {
    let difficulty = Difficulty::new(nibbles).expect("0 to 64");
    let shown = || String::from_utf8_lossy(line).into_owned();
    let reply = Reply::parse(line).unwrap_or_else(|fault| panic!("{fault}: {}", shown()));
    assert!(
        reply.message == message,
        "the reply to another message than {}: {}",
        String::from_utf8_lossy(message),
        shown()
    );
    if let Err(fault) = reply.check(difficulty) {
        panic!("{fault}: {}", shown());
    }
    reply.seed.to_vec()
}

/// The messages as request lines.
pub(crate) fn lines<M: AsRef<[u8]>>(messages: impl IntoIterator<Item = M>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        bytes.extend_from_slice(message.as_ref());
        bytes.push(b'\n');
    }
    bytes
}

/// `count` different short messages.
pub(crate) fn messages(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("message {number}"))
        .collect()
}
