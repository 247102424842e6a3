//! Where and with what a measurement was made: what its figures are worth nothing without.

use std::fmt;
use std::process::Command;

use serde::Serialize;

use super::Call;
use crate::Program;

/// Where and with what a measurement was made.
#[derive(Clone, Debug, Serialize)]
pub struct Conditions {
    /// The processor's name.
    pub cpu: String,
    /// The CPUs that this process can keep busy.
    pub cpus: usize,
    /// `powd --version`, which has the revision, marked `-dirty` when the tree is not as committed.
    pub powd: String,
    /// Day of the measurement, UTC.
    pub date: String,
    /// Rounds of each measurement, where it says nothing else.
    pub rounds: usize,
    /// The length of a round in seconds, where replies are not so rare that it takes more.
    pub round_s: f64,
    /// That nothing was measured: a single short round, to see that the benchmark works.
    pub test: bool,
}

impl Conditions {
    /// Those of this run.
    pub fn of(call: &Call) -> Conditions {
        let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        Conditions {
            cpu: cpu(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            powd: version(call.program),
            date: now.get(..10).unwrap_or(&now).to_owned(),
            rounds: call.rounds,
            round_s: call.round.as_secs_f64(),
            test: call.arguments.test,
        }
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.test {
            writeln!(f, "A test of the benchmark, not a measurement")?;
        }
        let Conditions {
            cpu,
            cpus,
            powd,
            date,
            rounds,
            round_s,
            ..
        } = self;
        let (s, s_of_rounds) = (plural(*cpus), plural(*rounds));
        write!(
            f,
            "{cpu}, {cpus} CPU{s}, {date}, {powd}, {rounds} round{s_of_rounds} of {round_s} s"
        )
    }
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

/// The processor's name, and what it has of that which matters here.
pub fn cpu() -> String {
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
    cpu
}

/// The first line of `powd --version`. Whether the tree has changes is asked here, not when
/// building: the build script does not run at every edit.
fn version(program: Program) -> String {
    let said = output_of(&mut program.command(&["--version"]));
    let version = said.lines().next().unwrap_or("?").to_owned();
    let mut git = Command::new("git");
    git.args(["status", "--porcelain"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    match version.strip_suffix(')') {
        // Without a revision any repository that git finds is another one.
        Some(revision) if !revision.ends_with("(unknown") && !output_of(&mut git).is_empty() => {
            format!("{revision}-dirty)")
        }
        _ => version,
    }
}

/// What a command prints; nothing if it cannot be run.
fn output_of(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout);
    String::from_utf8_lossy(&output.unwrap_or_default()).into_owned()
}
