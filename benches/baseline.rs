//! powd against the Python server that it replaces: the same load, the same machine, in turn.
//!
//! `cargo bench --bench baseline` prints a table and writes JSON and a plot. Each round starts a
//! fresh server: the baseline goes on computing for clients that left, which would slow down
//! whoever comes next. `POWD_BENCH_SECONDS` is the length of one round at the easy difficulties;
//! the hard ones take several times that. A name such as `100` or `cpus` runs only that number of
//! connections.
//!
//! A rate that luck gives an error of 1 % or more is all replies over all seconds, and has that
//! error beside it; so has a ratio that is made of it. Any other rate is the median of the rounds,
//! which noise changes least.

mod plot;
mod round;

use std::time::Duration;

use powd::cli::median;
use powd::cpus;
use powd::load::{Messages, Options};
use powd_core::Difficulty;
use powd_testkit::bench::{Call, Conditions, Estimate, LUCK_COUNTS, Server, short, table, time};
use powd_testkit::{Program, is_there};
use round::{Round, round};
use serde::Serialize;

const POWD: Program = Program::at(env!("CARGO_BIN_EXE_powd"));

/// The setting whose number of connections depends on the machine.
const PER_CPU: &str = "connections = cpus";

/// One number of connections, and what the baseline's author published for it, by difficulty.
struct Setting {
    name: &'static str,
    connections: usize,
    published: [f64; 7],
    published_resets: [u32; 7],
}

/// One row of the result: a difficulty.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) difficulty: u8,
    pub(crate) python: Option<Side>,
    pub(crate) powd: Side,
    pub(crate) published_replies_per_s: f64,
    pub(crate) published_resets: u32,
}

/// One server at one difficulty.
#[derive(Debug, Serialize)]
pub(crate) struct Side {
    pub(crate) replies_per_s: Estimate,
    /// All replies of all rounds, and their seconds.
    pub(crate) replies: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// ECONNRESET, the "Error 104" of the published table.
    pub(crate) resets: u64,
    /// All errors, with these.
    pub(crate) errors: u64,
    pub(crate) cpu_s_per_1000_replies: f64,
    pub(crate) rounds: Vec<Round>,
}

/// One table.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) name: &'static str,
    pub(crate) connections: usize,
    pub(crate) rows: Vec<Row>,
}

impl Comparison {
    /// What it is called where people read it.
    pub(crate) fn heading(&self) -> String {
        match self.name {
            PER_CPU => format!("as many connections as CPUs: {}", self.connections),
            name => name.to_owned(),
        }
    }
}

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) conditions: Conditions,
    pub(crate) comparisons: Vec<Comparison>,
}

fn main() {
    // An even number of rounds: each server goes first as often as the other.
    let call = Call::read(POWD, 0.5, 4);
    let wanted: Vec<Setting> = settings()
        .into_iter()
        .filter(|setting| call.arguments.wants(setting.name))
        .collect();
    if wanted.is_empty() {
        return;
    }
    if !is_there("python3") {
        eprintln!("python3 is missing: powd runs alone, beside the published figures");
    }
    let bar = call.bar(wanted.len() * 7 * call.rounds * 2);
    let comparisons = wanted
        .iter()
        .map(|setting| Comparison {
            name: setting.name,
            connections: setting.connections,
            rows: (0..7).map(|d| row(&call, setting, d, &bar)).collect(),
        })
        .collect();
    bar.finish_and_clear();
    let outcome = Outcome {
        conditions: Conditions::of(&call),
        comparisons,
    };
    let text = text(&outcome);
    print!("{text}");
    call.write("baseline.md", &text);
    let data = call.write_json("baseline.json", &outcome);
    println!("data: {}", data.display());
    for path in plot::draw(&outcome, &call.results()) {
        println!("plot: {}", path.display());
    }
}

fn settings() -> [Setting; 2] {
    [
        Setting {
            name: "100 connections",
            connections: 100,
            published: [42011.45, 10581.717, 523.083, 37.667, 2.383, 0.167, 0.0],
            published_resets: [4, 3, 1, 0, 0, 0, 0],
        },
        Setting {
            name: PER_CPU,
            connections: cpus::available(),
            published: [36747.50, 8906.117, 497.017, 28.7, 2.850, 0.200, 0.0],
            published_resets: [4, 3, 2, 0, 0, 0, 0],
        },
    ]
}

/// Alternating rounds of both servers.
fn row(call: &Call, setting: &Setting, difficulty: u8, bar: &indicatif::ProgressBar) -> Row {
    let (mut python, mut powd) = (Vec::new(), Vec::new());
    for number in 0..call.rounds {
        let order = if number % 2 == 0 {
            [true, false]
        } else {
            [false, true]
        };
        for is_python in order {
            let name = if is_python { "Python" } else { "powd" };
            bar.set_message(format!("{}, difficulty {difficulty}: {name}", setting.name));
            if is_python {
                let server = Server::python(difficulty);
                python.extend(server.map(|server| one(call, setting, difficulty, &server)));
            } else {
                let server = Server::powd(POWD, difficulty, &[], None);
                powd.push(one(call, setting, difficulty, &server));
            }
            bar.inc(1);
        }
    }
    Row {
        difficulty,
        python: (!python.is_empty()).then(|| Side::new(python, difficulty)),
        powd: Side::new(powd, difficulty),
        published_replies_per_s: setting.published[usize::from(difficulty)],
        published_resets: setting.published_resets[usize::from(difficulty)],
    }
}

/// One round. Where replies are rare a round is longer, so that there are some to count.
fn one(call: &Call, setting: &Setting, difficulty: u8, server: &Server) -> Round {
    let longer = match (server.name, difficulty) {
        _ if call.arguments.test => 1,
        ("python", 4 | 5) => 6,
        ("python", 3 | 6) | ("powd", 6) => 3,
        _ => 1,
    };
    let options = Options {
        connections: setting.connections,
        duration: call.round * longer,
        warmup: call.warmup(),
        difficulty: Some(Difficulty::new(difficulty).expect("0 to 6")),
        // The baseline answers once per read.
        pipeline: 1,
        threads: cpus::available(),
        messages: Messages::Unique(20),
        // Without a reply for so long is not yet an error: difficulty 6 takes Python a minute.
        timeout: Duration::from_secs(3600),
        ..Options::new(server.address)
    };
    round(server, &options)
}

impl Side {
    fn new(rounds: Vec<Round>, difficulty: u8) -> Side {
        let total = |of: fn(&Round) -> f64| rounds.iter().map(of).sum::<f64>();
        // A round without a reply has a rate, and no latency.
        let rates = rounds.iter().map(|round| round.report.replies_per_s);
        let latency = |of: fn(&Round) -> f64| {
            let answered = rounds.iter().filter(|round| round.report.replies > 0);
            median(answered.map(of))
        };
        let replies = rounds.iter().map(|round| round.report.replies).sum();
        let seconds = total(|round| round.report.seconds);
        let luck = Estimate::luck(replies, difficulty);
        let reports = || rounds.iter().map(|round| &round.report);
        let resets = reports().filter_map(|report| report.errors.get("ECONNRESET"));
        Side {
            replies_per_s: Estimate {
                value: if luck >= LUCK_COUNTS {
                    replies as f64 / seconds
                } else {
                    median(rates)
                },
                luck,
            },
            replies,
            seconds,
            p50_ms: latency(|round| round.report.latency.p50_ms),
            p99_ms: latency(|round| round.report.latency.p99_ms),
            resets: resets.sum(),
            errors: reports().flat_map(|report| report.errors.values()).sum(),
            cpu_s_per_1000_replies: if replies > 0 {
                total(|round| round.server_cpu_s) / replies as f64 * 1000.0
            } else {
                0.0
            },
            rounds,
        }
    }

    fn rate(&self) -> String {
        match self.replies {
            0 => format!("none in {} s", short(self.seconds)),
            _ => self.replies_per_s.with_error(""),
        }
    }
}

impl Row {
    /// powd's rate over Python's, if both have one.
    pub(crate) fn ratio(&self) -> Option<Estimate> {
        let python = self.python.as_ref()?;
        (python.replies > 0).then(|| self.powd.replies_per_s.over(python.replies_per_s))
    }
}

fn text(outcome: &Outcome) -> String {
    let cpus = outcome.conditions.cpus;
    let mut text = format!("\n{}\n", outcome.conditions);
    for comparison in &outcome.comparisons {
        let what = comparison.heading();
        text += &format!("\nReplies per second, {what}\n\n");
        text += &rates(comparison, cpus);
        text += &format!("\nLatency, connection resets (Error 104) and cost, {what}\n\n");
        text += &costs(comparison);
    }
    text += &format!(
        "\n+-: the error that luck alone gives, where it is 1 % or more; the rate is then all replies over all seconds.\n\
         rounds: up to six times as long where replies are rare.\n\
         per CPU: the ratio over the {cpus} CPUs that powd may use, since Python computes on one at a time.\n\
         published: by the baseline's author, on his machine (Python 3.5, Ubuntu 16.04).\n\n"
    );
    text
}

fn rates(comparison: &Comparison, cpus: usize) -> String {
    let header = [
        "difficulty",
        "Python here",
        "powd here",
        "ratio",
        "per CPU",
        "published",
        "powd / published",
    ];
    let times =
        |ratio: Option<Estimate>| ratio.map_or("-".to_owned(), |ratio| ratio.with_error(" x"));
    let rows = comparison.rows.iter().map(|row| {
        let published = row.published_replies_per_s;
        let over = (published > 0.0).then(|| row.powd.replies_per_s.over(published));
        vec![
            row.difficulty.to_string(),
            row.python
                .as_ref()
                .map_or("no python3".to_owned(), Side::rate),
            row.powd.rate(),
            times(row.ratio()),
            times(row.ratio().map(|ratio| ratio.over(cpus as f64))),
            short(published),
            times(over),
        ]
    });
    table(&header, &rows.collect::<Vec<_>>())
}

fn costs(comparison: &Comparison) -> String {
    let header = [
        "difficulty",
        "Python p50",
        "powd p50",
        "Python p99",
        "powd p99",
        "resets: Python",
        "powd",
        "published",
        "other errors",
        "CPU s per 1000: Python",
        "powd",
    ];
    let of = |side: Option<&Side>, show: &dyn Fn(&Side) -> String| match side {
        Some(side) if side.replies > 0 => show(side),
        _ => "-".to_owned(),
    };
    let rows = comparison.rows.iter().map(|row| {
        let (python, powd) = (row.python.as_ref(), Some(&row.powd));
        let other = |side: Option<&Side>| side.map_or(0, |side| side.errors - side.resets);
        let resets =
            |side: Option<&Side>| side.map_or("-".to_owned(), |side| side.resets.to_string());
        vec![
            row.difficulty.to_string(),
            of(python, &|side| time(side.p50_ms)),
            of(powd, &|side| time(side.p50_ms)),
            of(python, &|side| time(side.p99_ms)),
            of(powd, &|side| time(side.p99_ms)),
            resets(python),
            resets(powd),
            row.published_resets.to_string(),
            format!("{} / {}", other(python), other(powd)),
            of(python, &|side| short(side.cpu_s_per_1000_replies)),
            of(powd, &|side| short(side.cpu_s_per_1000_replies)),
        ]
    });
    table(&header, &rows.collect::<Vec<_>>())
}
