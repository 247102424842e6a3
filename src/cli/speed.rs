//! `powd speed`: hashes per second of each kernel, beside the plain `sha2` crate.
//!
//! The rows take turns in short rounds and each one's median counts, so that their ratios hold on a
//! machine whose speed changes while it is measured.

mod sha2;

use std::io::Write as _;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::{Barrier, OnceLock};
use std::time::Duration;

use serde::Serialize;

use super::{Error, kernel, values};
use crate::cpus;
use powd_core::Kernel;
use powd_core::unstable::measure;

/// A turn of one row.
const ROUND: Duration = Duration::from_millis(20);

/// Measures the hashes per second of each kernel here, beside the plain sha2 crate.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Measure only this kernel beside sha2: a name that the table has without this option, or auto
    /// for the fastest.
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,

    /// Threads that hash at the same time, each pinned to a CPU of its own, or "all" for one per
    /// CPU that this process may use. One shows the kernel, all of them what a service could reach.
    #[arg(long, value_name = "N|all", default_value = "1")]
    threads: Threads,

    /// Length of the message behind the seed. From 51 on a hash takes two SHA-256 blocks.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = values::message_bytes)]
    message_bytes: usize,

    /// Time for each row, in all its turns, up to an hour. Longer is steadier on a machine that
    /// does other things too.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = values::seconds_of_an_hour)]
    seconds: Duration,

    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Threads {
    All,
    Number(usize),
}

impl FromStr for Threads {
    type Err = String;

    fn from_str(text: &str) -> Result<Threads, String> {
        if text == "all" {
            return Ok(Threads::All);
        }
        values::threads(text)
            .map(Threads::Number)
            .map_err(|expected| format!("{expected}, or all"))
    }
}

/// What a row measures.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Sha2,
    Kernel(Kernel),
}

impl Subject {
    fn name(&self) -> &'static str {
        match self {
            Subject::Sha2 => "sha2",
            Subject::Kernel(kernel) => kernel.name(),
        }
    }

    fn hash_rate(&self, message_bytes: usize) -> f64 {
        match self {
            Subject::Sha2 => sha2::measure(message_bytes, ROUND),
            Subject::Kernel(kernel) => measure(kernel, message_bytes, ROUND),
        }
    }
}

/// The result, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    kernel: &'static str,
    threads: usize,
    message_bytes: usize,
    hashes_per_s: f64,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Error> {
    let kernels = match args.kernel.as_deref() {
        None => Kernel::available().collect(),
        Some(name) => vec![kernel::choose(name)?],
    };
    let mut subjects = vec![Subject::Sha2];
    subjects.extend(kernels.into_iter().map(Subject::Kernel));
    let threads = match args.threads {
        Threads::All => cpus::available(),
        Threads::Number(number) => number,
    };
    // More would take turns on a CPU, each at its full rate for a part of the time.
    let cpus = cpus::usable().len();
    if threads > cpus {
        return Err(Error::Usage(format!(
            "--threads {threads}: more than the CPUs that this process may use, one for each thread: {cpus}"
        )));
    }
    let rounds = args.seconds.as_nanos().div_ceil(ROUND.as_nanos()) as usize;
    let hash_rates = take_turns(&subjects, threads, args.message_bytes, rounds)?;
    let rows = subjects
        .iter()
        .zip(hash_rates)
        .map(|(subject, hashes_per_s)| Row {
            kernel: subject.name(),
            threads,
            message_bytes: args.message_bytes,
            hashes_per_s,
        });
    let report = Report {
        rows: rows.collect(),
    };
    let text = if args.json {
        let json = serde_json::to_string_pretty(&report);
        json.map_err(|error| Error::Failed(error.to_string()))? + "\n"
    } else {
        table(&report)
    };
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(Error::Stream)?;
    Ok(ExitCode::SUCCESS)
}

/// The hash rate of each subject, all threads together: the median of the rounds.
fn take_turns(
    subjects: &[Subject],
    threads: usize,
    message_bytes: usize,
    rounds: usize,
) -> Result<Vec<f64>, Error> {
    let cpus = cpus::assign(threads);
    let together = Barrier::new(threads);
    let turns = &|| -> Vec<f64> {
        let mut hash_rates = Vec::with_capacity(rounds * subjects.len());
        for _ in 0..rounds {
            for subject in subjects {
                together.wait();
                hash_rates.push(subject.hash_rate(message_bytes));
            }
        }
        hash_rates
    };
    // Each waits for the others: none may begin before all were started.
    let all_started = &OnceLock::new();
    let by_thread = std::thread::scope(|scope| {
        let started = cpus.into_iter().map(|cpu| {
            std::thread::Builder::new().spawn_scoped(scope, move || {
                let begin: &bool = all_started.wait();
                if !begin {
                    return Vec::new();
                }
                // Where pinning is not allowed the threads run where they are put.
                let _ = cpus::pin(cpu);
                turns()
            })
        });
        let started: Result<Vec<_>, _> = started.collect();
        let _ = all_started.set(started.is_ok());
        let results = started.map_err(Error::Threads)?.into_iter();
        results
            .map(|thread| thread.join())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Error::Failed("a measuring thread panicked".to_owned()))
    })?;
    let medians = (0..subjects.len()).map(|subject| {
        let turns = (0..rounds).map(|round| round * subjects.len() + subject);
        median(turns.map(|turn| by_thread.iter().map(|rates| rates[turn]).sum()))
    });
    Ok(medians.collect())
}

/// The median; of an even number the mean of the middle two; 0 of none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// The rows for a person, each with its ratio to the first.
fn table(report: &Report) -> String {
    let mut text = format!(
        "{:<12}{:>8}{:>8}{:>14}{:>10}\n",
        "kernel", "threads", "bytes", "hashes/s", "x sha2"
    );
    let reference = report.rows[0].hashes_per_s;
    for row in &report.rows {
        let rate = millions(row.hashes_per_s);
        let ratio = row.hashes_per_s / reference;
        text += &format!(
            "{:<12}{:>8}{:>8}{rate:>14}{ratio:>10.2}\n",
            row.kernel, row.threads, row.message_bytes
        );
    }
    text
}

/// A rate in millions: two decimals, or more where it takes them to have three digits.
fn millions(hashes_per_s: f64) -> String {
    let rate = hashes_per_s / 1e6;
    let decimals = (2.0 - rate.log10().floor()).clamp(2.0, 6.0);
    format!("{rate:.*} M", decimals as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_a_number_or_all() {
        assert_eq!("all".parse(), Ok(Threads::All));
        assert_eq!("2".parse(), Ok(Threads::Number(2)));
        for wrong in ["0", "-1", "many", "", "99999"] {
            assert!(wrong.parse::<Threads>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_median_is_the_middle_one_or_the_mean_of_the_middle_two() {
        assert_eq!(median([3.0]), 3.0);
        assert_eq!(median([9.0, 1.0]), 5.0);
        assert_eq!(median([9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([9.0, 1.0, 2.0, 4.0]), 3.0);
    }

    #[test]
    fn every_subject_gets_a_rate_on_every_number_of_threads() {
        let subjects = [Subject::Sha2, Subject::Kernel(Kernel::PORTABLE)];
        for threads in [1, 2] {
            let rates = take_turns(&subjects, threads, 20, 1).expect("a CPU");
            assert_eq!(rates.len(), 2);
            assert!(rates.iter().all(|rate| *rate > 0.0));
        }
    }

    #[test]
    fn rates_have_three_digits_or_more() {
        for (rate, shown) in [
            (96_774_000.0, "96.77 M"),
            (7_028_000.0, "7.03 M"),
            (1_000_000.0, "1.00 M"),
            (108_400.0, "0.108 M"),
            (12_345.0, "0.0123 M"),
            (12.0, "0.000012 M"),
            (0.0, "0.000000 M"),
        ] {
            assert_eq!(millions(rate), shown);
        }
    }

    #[test]
    fn json_has_the_fields_of_the_contract() {
        let row = Row {
            kernel: "sha2",
            threads: 1,
            message_bytes: 20,
            hashes_per_s: 22.6e6,
        };
        let json = serde_json::to_string(&Report { rows: vec![row] }).expect("plain data");
        let expected = r#"{"rows":[{"kernel":"sha2","threads":1,"message_bytes":20,"hashes_per_s":22600000.0}]}"#;
        assert_eq!(json, expected);
    }
}
