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
    named(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
}

/// The same by what Linux says of the processor.
fn named(cpuinfo: &str) -> String {
    let value = |key: &str| {
        let mut fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = fields.find(|(name, _)| name.trim() == key)?;
        Some(value.trim())
    };
    // On Arm there are numbers in place of a name.
    let by_numbers = || {
        let (implementer, part) = (value("CPU implementer")?, value("CPU part")?);
        Some(format!("CPU implementer {implementer}, part {part}"))
    };
    let name = value("model name").map(str::to_owned).or_else(by_numbers);
    let mut cpu = name.unwrap_or("unknown CPU".to_owned());
    let flags = value("flags").or_else(|| value("Features"));
    for (flag, shown) in [
        ("avx512f", "AVX-512"),
        ("sha_ni", "SHA-NI"),
        ("asimd", "NEON"),
        ("sha2", "SHA2"),
    ] {
        if flags.is_some_and(|flags| flags.split(' ').any(|word| word == flag)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_named_as_linux_does() {
        let xeon = "processor\t: 0\nmodel\t\t: 173\nmodel name\t: Intel(R) Xeon(R)\nflags\t\t: fpu avx512f sha_ni\n";
        assert_eq!(named(xeon), "Intel(R) Xeon(R), AVX-512, SHA-NI");
        let arm = "processor\t: 0\nFeatures\t: fp asimd sha1 sha2\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n";
        assert_eq!(named(arm), "CPU implementer 0x41, part 0xd40, NEON, SHA2");
        assert_eq!(named(""), "unknown CPU");
    }
}
