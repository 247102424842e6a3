//! A server in a process of its own: started without the caller's settings, its output followed,
//! killed when dropped.
//!
//! It does not know which server it is. Two build on it: [`Powd`](crate::Powd) for the tests, and
//! [`Server`](crate::bench::Server) for the benchmarks, to which powd, Python and C are alike.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;

use crate::{DEADLINE, until, wait};

/// Takes the caller's `POWD_...` variables away.
pub fn without_variables(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POWD_") {
            command.env_remove(name);
        }
    }
    command
}

/// Sends a signal to a process, by its name: `TERM`, `INT`, `USR1`. A child that is told to `STOP`
/// has stopped when it returns.
pub fn signal(pid: u32, name: &str) {
    let signal = match name {
        "CONT" => Signal::CONT,
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "KILL" => Signal::KILL,
        "STOP" => Signal::STOP,
        "TERM" => Signal::TERM,
        "USR1" => Signal::USR1,
        _ => panic!("no signal that a test sends: {name}"),
    };
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let sent = kill_process(process.expect("the number of a process"), signal);
    sent.unwrap_or_else(|error| panic!("cannot send {name}: {error}"));
    if signal == Signal::STOP
        && let Some(child) = process
    {
        // Its threads go on for a moment.
        let look = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        until("a process to stop", || {
            !matches!(waitid(WaitId::Pid(child), look), Ok(None))
        });
    }
}

/// A running process, killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: Arc<Log>,
}

/// The lines of its outputs so far.
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
    pub fn new(mut child: Child) -> Process {
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

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines that it has printed so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lines().lines.clone()
    }

    /// The number of lines that it has printed so far.
    pub fn log_length(&self) -> usize {
        self.log.lines().lines.len()
    }

    /// Waits for a line that is `wanted`, at or after line `from`; `nth` of them are passed over.
    pub fn wait_for(
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
                panic!("no {what} among the {said} lines that the process printed");
            }
            log = self
                .log
                .grown
                .wait_timeout(log, left)
                .expect("nobody panics with the log held")
                .0;
        }
    }

    /// Waits for its end, and until all that it has printed is among its lines.
    pub fn wait(&mut self) -> ExitStatus {
        let status = wait::for_end(&mut self.child);
        until("the end of what it printed", || self.log.lines().open == 0);
        status
    }

    /// The address of another door of powd than its listeners: `http` or `admin`.
    pub fn door(&self, name: &str) -> SocketAddr {
        let prefix = format!("powd: {name} on ");
        let line = self.wait_for(name, 0, 0, |line| line.starts_with(&prefix));
        let address = line[prefix.len()..].parse().ok();
        address.unwrap_or_else(|| panic!("no address in {line:?}"))
    }

    /// Sends it a signal: `TERM`, `INT`, `USR1`.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// powd's counters, as SIGUSR1 prints them.
    pub fn counters(&self) -> Value {
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
            eprintln!("the last lines that the process printed: {last:#?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::TestPath;

    #[test]
    fn what_a_process_printed_last_is_there_when_it_was_waited_for() {
        // As much as a pipe holds, which can be left to its reader.
        const LINES: usize = 60_000;
        let file = TestPath::with_text("printed", &"\n".repeat(LINES));
        let mut command = Command::new("cat");
        command.arg(file.path()).stdout(Stdio::piped());
        let mut process = Process::new(command.spawn().expect("cat is a program"));
        assert!(process.wait().success());
        assert_eq!(process.log_length(), LINES);
    }
}
