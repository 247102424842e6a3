//! How a benchmark was called: what it measures, for how long and how often, and where it writes
//! the results.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{Arguments, fail};
use crate::Program;

/// How a benchmark was called.
#[derive(Debug)]
pub struct Call {
    /// What is measured.
    pub program: Program,
    /// What was typed.
    pub arguments: Arguments,
    /// The length of one round.
    pub round: Duration,
    /// Rounds of each measurement.
    pub rounds: usize,
}

impl Call {
    /// Reads the arguments and `POWD_BENCH_SECONDS`, the length of one round.
    pub fn read(program: Program, default_seconds: f64, rounds: usize) -> Call {
        let arguments = Arguments::read();
        let seconds = std::env::var("POWD_BENCH_SECONDS").ok().map(|text| {
            match text.parse::<f64>() {
                Ok(seconds) if seconds > 0.0 && seconds < 86_400.0 => seconds,
                _ => fail(
                    "POWD_BENCH_SECONDS is the length of one round in seconds, such as 0.5 or 10",
                ),
            }
        });
        let (seconds, rounds) = match arguments.test {
            true => (0.05, 1),
            false => (seconds.unwrap_or(default_seconds), rounds),
        };
        Call {
            program,
            arguments,
            round: Duration::from_secs_f64(seconds),
            rounds,
        }
    }

    /// The warm-up before each round.
    pub fn warmup(&self) -> Duration {
        Duration::from_millis(if self.arguments.test { 20 } else { 300 })
    }

    /// How far the benchmark is, on a terminal only.
    pub fn bar(&self, steps: usize) -> ProgressBar {
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}").expect("valid");
        ProgressBar::new(steps as u64).with_style(style)
    }

    /// The directory that results go to, which is there.
    pub fn results(&self) -> PathBuf {
        let results = self.arguments.results(self.program);
        if let Err(error) = std::fs::create_dir_all(&results) {
            fail(&format!("{}: {error}", results.display()));
        }
        results
    }

    /// Writes `value` as JSON into the results.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> PathBuf {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.write(name, &text),
            Err(error) => fail(&format!("{name}: {error}")),
        }
    }

    /// Writes `text` into the results.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.results().join(name);
        if let Err(error) = std::fs::write(&path, text) {
            fail(&format!("{}: {error}", path.display()));
        }
        path
    }
}
