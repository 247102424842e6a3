//! What the benchmarks of whole servers share: starting a server and reading its costs, alternating rounds,
//! and the conditions of the run. It measures nothing by itself.

#![allow(dead_code, reason = "each benchmark uses its own part of this")]

pub(crate) mod numbers;
pub(crate) mod server;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use powd::cpus;
use powd::load::{self, Options, Phase, Report};
use serde::Serialize;

use server::Server;

/// How a benchmark was called.
#[derive(Debug)]
pub(crate) struct Call {
    /// One very short round of everything, to see that it works: what `cargo test --benches` asks for.
    pub(crate) test: bool,
    /// Only what has one of these in its name; all when empty.
    filters: Vec<String>,
    /// The length of one round.
    pub(crate) round: Duration,
    /// Rounds of each measurement.
    pub(crate) rounds: usize,
}

impl Call {
    /// Reads the arguments and `POWD_BENCH_SECONDS`, the length of one round.
    pub(crate) fn read(default_seconds: f64, rounds: usize) -> Call {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        let test = has("--test") || !has("--bench");
        let seconds = std::env::var("POWD_BENCH_SECONDS").ok().map(|text| {
            match text.parse::<f64>() {
                Ok(seconds) if seconds > 0.0 && seconds < 86_400.0 => seconds,
                _ => fail(
                    "POWD_BENCH_SECONDS is the length of one round in seconds, such as 0.5 or 10",
                ),
            }
        });
        Call {
            test,
            filters: arguments
                .into_iter()
                .filter(|argument| !argument.starts_with('-'))
                .collect(),
            round: Duration::from_secs_f64(if test {
                0.05
            } else {
                seconds.unwrap_or(default_seconds)
            }),
            rounds: if test { 1 } else { rounds },
        }
    }

    /// Whether the measurement of this name is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter))
    }

    /// The warm-up before each round.
    pub(crate) fn warmup(&self) -> Duration {
        Duration::from_millis(if self.test { 20 } else { 300 })
    }

    /// How far the benchmark is, on a terminal only.
    pub(crate) fn bar(&self, steps: usize) -> ProgressBar {
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}").expect("valid");
        ProgressBar::new(steps as u64).with_style(style)
    }
}

/// Ends a benchmark that cannot go on.
pub(crate) fn fail(why: &str) -> ! {
    eprintln!("{why}");
    std::process::exit(1);
}

/// One round against one server, and what it cost there.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    /// What the client saw.
    pub(crate) report: Report,
    /// CPU time that the server took in the window, in seconds.
    pub(crate) server_cpu_s: f64,
    /// Seeds that the server tried in the window, if it counts them.
    pub(crate) server_hashes: Option<u64>,
    /// The server's resident memory at the end.
    pub(crate) server_rss_kib: u64,
}

/// Runs the load client against `server`. Wrong replies end the benchmark: it would measure nothing.
pub(crate) fn round(server: &Server, options: &Options) -> Round {
    let (mut begin, mut end) = (None, None);
    // Read as late at the end of the window as at its start: what is counted is as long as the window.
    let read = || (server.cpu_seconds(), server.hashes());
    let report = load::run(
        options,
        &mut |progress| match progress.phase {
            Phase::Measuring => {
                begin.get_or_insert_with(read);
            }
            Phase::Done => {
                end.get_or_insert_with(read);
            }
            Phase::Connecting | Phase::WarmUp => {}
        },
        &AtomicBool::new(false),
    );
    let report = report.unwrap_or_else(|error| fail(&format!("the load client: {error}")));
    if report.wrong.total > 0 {
        fail(&format!(
            "{}: wrong replies: {:?}",
            server.name, report.wrong
        ));
    }
    let ((cpu_before, hashes_before), (cpu_after, hashes_after)) = begin
        .zip(end)
        .unwrap_or_else(|| fail("the load client measured nothing"));
    Round {
        server_cpu_s: cpu_after - cpu_before,
        server_hashes: hashes_after
            .zip(hashes_before)
            .map(|(after, before)| after - before),
        server_rss_kib: server.rss_kib(),
        report,
    }
}

/// Where and with what a measurement was made.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Conditions {
    /// The processor's name.
    pub(crate) cpu: String,
    /// CPUs that this process may use.
    pub(crate) cpus: usize,
    /// `powd --version`, which has revision and compiler.
    pub(crate) powd: String,
    /// Day of the measurement, UTC.
    pub(crate) date: String,
}

impl Conditions {
    /// Those of this run.
    pub(crate) fn here() -> Conditions {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
        let flag = |name| cpuinfo.split_whitespace().any(|word| word == name);
        let mut cpu = model
            .and_then(|line| line.split_once(": "))
            .map_or("unknown CPU", |(_, name)| name)
            .to_owned();
        for (name, shown) in [("avx512f", "AVX-512"), ("sha_ni", "SHA-NI")] {
            if flag(name) {
                cpu.push_str(&format!(", {shown}"));
            }
        }
        let version = Command::new(env!("CARGO_BIN_EXE_powd"))
            .arg("--version")
            .output();
        let version = version.map(|output| output.stdout).unwrap_or_default();
        let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        Conditions {
            cpu,
            cpus: cpus::available(),
            powd: String::from_utf8_lossy(&version)
                .lines()
                .next()
                .unwrap_or("?")
                .to_owned(),
            date: now.get(..10).unwrap_or(&now).to_owned(),
        }
    }
}

/// The directory under `target/` that results go to.
pub(crate) fn results() -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let results = temporary.parent().unwrap_or(temporary).join("bench");
    if let Err(error) = std::fs::create_dir_all(&results) {
        fail(&format!("{}: {error}", results.display()));
    }
    results
}

/// Writes `value` as JSON into the results.
pub(crate) fn write_json(name: &str, value: &impl Serialize) -> PathBuf {
    match serde_json::to_string_pretty(value) {
        Ok(text) => write(name, &text),
        Err(error) => fail(&format!("{name}: {error}")),
    }
}

/// Writes `text` into the results.
pub(crate) fn write(name: &str, text: &str) -> PathBuf {
    let path = results().join(name);
    if let Err(error) = std::fs::write(&path, text) {
        fail(&format!("{}: {error}", path.display()));
    }
    path
}
