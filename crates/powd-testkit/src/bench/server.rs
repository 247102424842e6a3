//! A server in a process of its own: started on a free port, its costs read from /proc, killed when
//! dropped.
//!
//! powd, the Python baseline and the bare loop in C are alike here, so that a benchmark treats them
//! alike.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::Process;
use crate::{Program, is_there, proc};

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// What it is called in tables.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// The line in which it said so.
    pub greeting: String,
    process: Process,
}

impl Server {
    /// `powd serve` at `difficulty` with more arguments.
    pub fn powd(program: Program, difficulty: u8, more: &[&str], cpu: Option<usize>) -> Server {
        let mut command = program.command(&["serve", "--listen", "127.0.0.1:0", "--difficulty"]);
        command.arg(difficulty.to_string()).args(more);
        Server::start("powd", command, cpu)
    }

    /// The Python baseline; `None` when there is no `python3`.
    pub fn python(difficulty: u8) -> Option<Server> {
        if !is_there("python3") {
            return None;
        }
        let mut command = Command::new("python3");
        command
            .arg(source("baseline/pow_server.py"))
            .args(["--port", "0", "--difficulty"])
            .arg(difficulty.to_string());
        Some(Server::start("python", command, None))
    }

    /// The bare epoll loop, compiled on the way.
    pub fn bare(program: Program, cpu: Option<usize>) -> Server {
        let bare = compile(program, "epoll_loop");
        Server::start("bare", Command::new(bare), cpu)
    }

    /// Starts `command`, bound to `cpu` if given, and waits for the line that names its address.
    pub fn start(name: &'static str, mut command: Command, cpu: Option<usize>) -> Server {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // A child inherits the affinity of the thread that starts it.
        let spawned = std::thread::spawn(move || {
            if let Some(id) = cpu {
                // Where pinning is not allowed it runs where it is put.
                let _ = core_affinity::set_for_current(core_affinity::CoreId { id });
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

    /// The address of another door of powd than its listener: `http` or `admin`.
    pub fn door(&self, name: &str) -> SocketAddr {
        self.process.door(name)
    }

    /// CPU time so far, of all threads, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        proc::cpu_seconds(self.process.pid())
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> u64 {
        proc::rss_kib(self.process.pid())
    }

    /// Seeds that powd has tried so far, by its own count; `None` for the other servers.
    pub fn hashes(&self) -> Option<u64> {
        (self.name == "powd").then(|| {
            let counters = self.process.counters();
            let hashes = counters["hashes"].as_u64();
            hashes.unwrap_or_else(|| panic!("no hashes in {counters}"))
        })
    }

    /// The kernel that `powd serve` named in its greeting.
    pub fn kernel(&self) -> Option<&str> {
        let (_, rest) = self.greeting.split_once("kernel=")?;
        rest.split_whitespace().next()
    }
}

/// The address in `listening on ADDR:PORT ...`.
fn listening(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A file of `benches/`.
fn source(path: &str) -> PathBuf {
    let benches = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches");
    Path::new(benches).join(path)
}

/// Compiles one of the C programs in `benches/bare`; the result stands beside powd.
pub fn compile(program: Program, name: &str) -> PathBuf {
    let compiled = Path::new(program.path()).with_file_name(format!("bare-{name}"));
    let built = Command::new("cc")
        .args(["-O2", "-o"])
        .arg(&compiled)
        .arg(source(&format!("bare/{name}.c")))
        .status();
    match built {
        Ok(status) if status.success() => compiled,
        Ok(status) => panic!("cc {name}.c: {status}"),
        Err(error) => panic!("cc: {error}; a C compiler is needed"),
    }
}
