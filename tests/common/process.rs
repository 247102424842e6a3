//! A server in a process of its own, as the tests and the benchmarks see it: started without the caller's
//! settings, followed in what it says, sent signals, asked for its counters, killed when dropped.
//!
//! It does not know which server it is. Two build on it: `Powd` of the tests, which does to powd all that its
//! users do, and `Server` of the benchmarks, for which powd, Python and C are alike.

#![allow(dead_code, reason = "tests and benchmarks each use a part of this")]

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// No wait takes so long, on however slow a machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Takes the caller's `POWD_...` variables away.
pub(crate) fn without_variables(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POWD_") {
            command.env_remove(name);
        }
    }
    command
}

/// What a test says that cannot run without a program that is missing here. With `POWD_REQUIRE_TOOLS` in the
/// environment, as in CI, that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("POWD_REQUIRE_TOOLS").is_none(), "{why}");
    eprintln!("skipped: {why}");
}

/// A running process, killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) child: Child,
    log: Arc<Log>,
}

/// What it has said so far.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<LogLines>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct LogLines {
    lines: Vec<String>,
    /// Outputs that have not ended.
    open: usize,
}

impl Log {
    fn lines(&self) -> MutexGuard<'_, LogLines> {
        self.lines.lock().expect("nobody panics with the log held")
    }

    fn follow(&self, stream: impl Read) {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            self.lines().lines.push(line);
            self.grown.notify_all();
        }
        self.lines().open -= 1;
        self.grown.notify_all();
    }
}

impl Process {
    /// Follows those outputs of `child` that are piped.
    pub(crate) fn new(mut child: Child) -> Process {
        let log = Arc::<Log>::default();
        let stdout = child.stdout.take().map(|out| Box::new(out) as _);
        let stderr = child.stderr.take().map(|err| Box::new(err) as _);
        let outputs: [Option<Box<dyn Read + Send>>; 2] = [stdout, stderr];
        let outputs: Vec<_> = outputs.into_iter().flatten().collect();
        log.lines().open = outputs.len();
        for output in outputs {
            let log = Arc::clone(&log);
            thread::spawn(move || log.follow(output));
        }
        Process { child, log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lines that it has said so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lines().lines.clone()
    }

    /// How many.
    pub(crate) fn log_length(&self) -> usize {
        self.log.lines().lines.len()
    }

    /// Waits for a line that is `wanted`, at or after line `from`; `nth` of them are passed over.
    pub(crate) fn wait_for(
        &self,
        what: &str,
        from: usize,
        nth: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        let end = Instant::now() + DEADLINE;
        let mut log = self.log.lines();
        loop {
            let mut matching = log.lines.iter().skip(from).filter(|line| wanted(line));
            if let Some(line) = matching.nth(nth) {
                return line.clone();
            }
            let left = end.saturating_duration_since(Instant::now());
            let (ended, said) = (log.open == 0, log.lines.len());
            if ended || left.is_zero() {
                // Not with the log held: it is shown on the way out.
                drop(log);
                panic!("no {what} among the {said} lines that the process said");
            }
            log = self
                .log
                .grown
                .wait_timeout(log, left)
                .expect("nobody panics with the log held")
                .0;
        }
    }

    /// Sends it a signal: `TERM`, `INT`, `USR1`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.pid().to_string())
            .status()
            .expect("kill is a program");
        assert!(status.success(), "cannot send {name}");
    }

    /// powd's counters, as SIGUSR1 prints them.
    pub(crate) fn counters(&self) -> Value {
        let seen = self.log_length();
        self.signal("USR1");
        let line = self.wait_for("counters", seen, 0, |line| line.starts_with('{'));
        serde_json::from_str(&line).expect("one line of JSON")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log();
            let last = &log[log.len().saturating_sub(10)..];
            eprintln!("the last that the process said: {last:#?}");
        }
    }
}
