//! A server in a process of its own: started on a free port, its costs read from /proc, killed at the end.
//! The tests that need a whole server use it too.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(20);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    /// What it is called in tables.
    pub(crate) name: &'static str,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The line in which it said so.
    pub(crate) greeting: String,
    child: Child,
}

impl Server {
    /// `powd serve` at `difficulty` with more arguments.
    pub(crate) fn powd(difficulty: u8, more: &[&str], cpu: Option<usize>) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_powd"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POWD_")) {
            command.env_remove(name);
        }
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--difficulty"])
            .arg(difficulty.to_string())
            .args(more);
        Server::start("powd", command, cpu)
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
                core_affinity::set_for_current(core_affinity::CoreId { id });
            }
            command.spawn()
        });
        let mut child = match spawned.join() {
            Ok(Ok(child)) => child,
            Ok(Err(error)) => panic!("{name}: {error}"),
            Err(_) => panic!("{name}: not started"),
        };
        let (said, lines) = mpsc::channel();
        read_lines(child.stdout.take(), said.clone());
        read_lines(child.stderr.take(), said);
        let mut heard = String::new();
        loop {
            let Ok(line) = lines.recv_timeout(START) else {
                let _ = child.kill();
                panic!("{name} does not listen; it said: {heard}");
            };
            if let Some(address) = listening(&line) {
                return Server {
                    name,
                    address,
                    greeting: line,
                    child,
                };
            }
            heard.push_str(&line);
            heard.push('\n');
        }
    }

    /// CPU time so far, of all threads, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let threads = tasks.into_iter().flatten().flatten();
        let nanoseconds: u64 = threads
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
            .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
            .sum();
        nanoseconds as f64 / 1e9
    }

    /// Resident memory in KiB.
    pub(crate) fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    }

    /// The kernel that `powd serve` named in its greeting.
    pub(crate) fn kernel(&self) -> Option<&str> {
        let (_, rest) = self.greeting.split_once("kernel=")?;
        rest.split_whitespace().next()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in `listening on ADDR:PORT ...`.
fn listening(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Passes on lines until nobody wants them, and reads on, so that the writer never waits.
fn read_lines(stream: Option<impl Read + Send + 'static>, said: mpsc::Sender<String>) {
    let Some(stream) = stream else { return };
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            // The receiver goes once the server listens.
            let _ = said.send(String::from_utf8_lossy(&line).into_owned());
        }
    });
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
