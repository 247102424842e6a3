//! A server in a process of its own: started on a free port, its costs read from /proc, killed at the end.
//! The tests that need a whole server use it too.

#[path = "../../tests/common/process.rs"]
pub(crate) mod process;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use process::Process;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    /// What it is called in tables.
    pub(crate) name: &'static str,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The line in which it said so.
    pub(crate) greeting: String,
    process: Process,
}

impl Server {
    /// `powd serve` at `difficulty` with more arguments.
    pub(crate) fn powd(difficulty: u8, more: &[&str], cpu: Option<usize>) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_powd"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--difficulty"])
            .arg(difficulty.to_string())
            .args(more);
        Server::start("powd", process::without_variables(command), cpu)
    }

    /// The Python baseline; `None` when there is no `python3`.
    pub(crate) fn python(difficulty: u8) -> Option<Server> {
        if !Server::python_exists() {
            return None;
        }
        let mut command = Command::new("python3");
        command
            .arg(source("benches/baseline/pow_server.py"))
            .args(["--port", "0", "--difficulty"])
            .arg(difficulty.to_string());
        Some(Server::start("python", command, None))
    }

    /// Whether there is a `python3`.
    pub(crate) fn python_exists() -> bool {
        let probe = Command::new("python3").arg("--version").output();
        probe.is_ok_and(|output| output.status.success())
    }

    /// The bare epoll loop, compiled on the way.
    pub(crate) fn bare(cpu: Option<usize>) -> Server {
        let program = compile("epoll_loop");
        Server::start("bare", Command::new(program), cpu)
    }

    /// Starts `command`, bound to `cpu` if given, and waits for the line that names its address.
    fn start(name: &'static str, mut command: Command, cpu: Option<usize>) -> Server {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // A child inherits the affinity of the thread that starts it.
        let spawned = std::thread::spawn(move || {
            if let Some(id) = cpu {
                // Where pinning is not allowed it runs where it is put.
                let _ = powd::cpus::pin(id);
            }
            command.spawn()
        });
        let child = match spawned.join() {
            Ok(Ok(child)) => child,
            Ok(Err(error)) => panic!("{name}: {error}"),
            Err(_) => panic!("{name}: not started"),
        };
        let process = Process::new(child);
        let greeting = process.wait_for("address", 0, 0, |line| listening(line).is_some());
        Server {
            name,
            address: listening(&greeting).expect("what was waited for"),
            greeting,
            process,
        }
    }

    /// CPU time so far, of all threads, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.pid()));
        let threads = tasks.into_iter().flatten().flatten();
        let nanoseconds: u64 = threads
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
            .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
            .sum();
        nanoseconds as f64 / 1e9
    }

    /// Resident memory in KiB.
    pub(crate) fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.pid()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    }

    /// Seeds that powd has tried so far, by its own count; `None` for the other servers.
    pub(crate) fn hashes(&self) -> Option<u64> {
        (self.name == "powd").then(|| {
            let counters = self.process.counters();
            let hashes = counters["hashes"].as_u64();
            hashes.unwrap_or_else(|| panic!("no hashes in {counters}"))
        })
    }

    /// The kernel that `powd serve` named in its greeting.
    pub(crate) fn kernel(&self) -> Option<&str> {
        let (_, rest) = self.greeting.split_once("kernel=")?;
        rest.split_whitespace().next()
    }
}

/// The address in `listening on ADDR:PORT ...`.
fn listening(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A file of this crate.
fn source(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compiles one of the C programs in `benches/bare`.
pub(crate) fn compile(name: &str) -> PathBuf {
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let built = Command::new("cc")
        .args(["-O2", "-o"])
        .arg(&program)
        .arg(source(&format!("benches/bare/{name}.c")))
        .status();
    match built {
        Ok(status) if status.success() => program,
        Ok(status) => panic!("cc {name}.c: {status}"),
        Err(error) => panic!("cc: {error}; a C compiler is needed"),
    }
}
