//! The service itself, against what could be had without it.
//!
//! `cargo bench --bench service` has two parts, each of which can be run alone by its name:
//!
//! - `bare`: difficulty 0 against a bare epoll loop that computes nothing, one CPU for the server and one for
//!   the client, with 1, 16 and 64 requests in flight on each of 100 connections. Replies per second alone
//!   hide the server's cost, since the client is often the slower side; so its CPU time per reply is compared
//!   as well.
//! - `hard`: difficulties 4 and 5 with 1, 2, 100 and 1000 connections against the kernel alone on all CPUs
//!   (`powd speed`), by hashes per second. `hard 4` runs one difficulty.
//!
//! The two sides run in alternating rounds; medians are shown, and how far the rounds are apart.

mod support;

use std::process::Command;
use std::time::Duration;

use indicatif::ProgressBar;
use powd::load::{Messages, Options};
use powd::pow::Difficulty;
use serde::Serialize;

use support::numbers::{median, short, spread, table};
use support::server::Server;
use support::{Call, Conditions, Round};

/// What the bare loop answers, in `bare/epoll_loop.c`.
const FIXED: &[u8] = b"bench0";

/// The bare loop and powd with so many requests in flight.
#[derive(Debug, Serialize)]
struct Bare {
    in_flight: usize,
    bare: Vec<Round>,
    powd: Vec<Round>,
}

/// The kernel and the service at one difficulty with so many connections.
#[derive(Debug, Serialize)]
struct Hard {
    difficulty: u8,
    connections: usize,
    kernel: String,
    /// Hashes per second of the kernel alone, by round.
    kernel_hashes_per_s: Vec<f64>,
    powd: Vec<Round>,
}

/// All of it.
#[derive(Debug, Serialize)]
struct Outcome {
    conditions: Conditions,
    bare: Vec<Bare>,
    hard: Vec<Hard>,
}

fn main() {
    let call = Call::read(1.0, 5);
    let in_flight: Vec<usize> = [1, 16, 64]
        .into_iter()
        .filter(|n| call.wants(&format!("bare {n}")))
        .collect();
    let hard: Vec<(u8, usize)> = [4, 5]
        .into_iter()
        .flat_map(|difficulty| [1, 2, 100, 1000].map(|connections| (difficulty, connections)))
        .filter(|(d, c)| call.wants(&format!("hard {d} {c}")))
        .collect();
    if in_flight.is_empty() && hard.is_empty() {
        return;
    }
    let cpus = core_affinity::get_core_ids().unwrap_or_default();
    let pair = match cpus.as_slice() {
        [server, client, ..] => Some((server.id, client.id)),
        _ => {
            eprintln!("`bare` needs two CPUs, one for each side: left out");
            None
        }
    };
    let rounds = Rounds {
        bar: call.bar((in_flight.len() * call.rounds + hard.len() * call.rounds.min(3)) * 2),
        call,
    };
    let outcome = Outcome {
        bare: pair.map_or_else(Vec::new, |pair| {
            in_flight.iter().map(|&n| rounds.bare(n, pair)).collect()
        }),
        hard: hard.iter().map(|&(d, c)| rounds.hard(d, c)).collect(),
        conditions: Conditions::here(),
    };
    rounds.bar.finish_and_clear();
    print(&outcome);
    let path = support::write_json("service.json", &outcome);
    println!("\ndata: {}", path.display());
}

/// How to measure.
struct Rounds {
    call: Call,
    bar: ProgressBar,
}

impl Rounds {
    fn step(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        self.bar.inc(1);
    }

    fn bare(&self, in_flight: usize, (server_cpu, client_cpu): (usize, usize)) -> Bare {
        let one = |server: &Server| {
            self.step(&format!("{in_flight} in flight: {}", server.name));
            let options = Options {
                connections: 100,
                pipeline: in_flight,
                duration: self.call.round,
                warmup: self.call.warmup(),
                difficulty: Some(Difficulty::NONE),
                messages: Messages::Fixed(FIXED.to_vec()),
                pin: vec![client_cpu],
                ..Options::new(server.address)
            };
            support::round(server, &options)
        };
        let bare = Server::bare(Some(server_cpu));
        let powd = Server::powd(0, &["--workers", "1"], Some(server_cpu));
        let (mut of_bare, mut of_powd) = (Vec::new(), Vec::new());
        for _ in 0..self.call.rounds {
            of_bare.push(one(&bare));
            of_powd.push(one(&powd));
        }
        Bare {
            in_flight,
            bare: of_bare,
            powd: of_powd,
        }
    }

    fn hard(&self, difficulty: u8, connections: usize) -> Hard {
        let server = Server::powd(difficulty, &[], None);
        let kernel = server.kernel().unwrap_or("auto").to_owned();
        let mut hard = Hard {
            difficulty,
            connections,
            kernel_hashes_per_s: Vec::new(),
            powd: Vec::new(),
            kernel,
        };
        // Sixteen times fewer replies need more time to rise above luck.
        let duration = self.call.round * if difficulty > 4 { 3 } else { 1 };
        let options = Options {
            connections,
            duration,
            warmup: self.call.warmup(),
            difficulty: Some(Difficulty::new(difficulty).expect("4 or 5")),
            timeout: Duration::from_secs(600),
            ..Options::new(server.address)
        };
        for _ in 0..self.call.rounds.min(3) {
            self.step(&format!("{}: the kernel alone", hard.kernel));
            hard.kernel_hashes_per_s
                .push(kernel_alone(&hard.kernel, duration));
            self.step(&format!(
                "difficulty {difficulty}, {connections} connections: powd"
            ));
            hard.powd.push(support::round(&server, &options));
        }
        hard
    }
}

/// Hashes per second of the kernel on all CPUs, as `powd speed` measures it.
fn kernel_alone(kernel: &str, duration: Duration) -> f64 {
    let output = Command::new(env!("CARGO_BIN_EXE_powd"))
        .args(["speed", "--threads", "all", "--json", "--kernel", kernel])
        .args(["--seconds", &duration.as_secs_f64().to_string()])
        .output();
    let output = output.unwrap_or_else(|error| support::fail(&format!("powd speed: {error}")));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let rows = result["rows"].as_array().into_iter().flatten();
    let mut rates = rows
        .filter(|row| row["kernel"] == kernel)
        .filter_map(|row| row["hashes_per_s"].as_f64());
    rates.next().unwrap_or_else(|| {
        support::fail(&format!(
            "powd speed: no row for {kernel}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ))
    })
}

fn print(outcome: &Outcome) {
    let conditions = &outcome.conditions;
    println!(
        "\n{}, {} CPUs, {}, {}",
        conditions.cpu, conditions.cpus, conditions.date, conditions.powd
    );
    if !outcome.bare.is_empty() {
        println!("\nDifficulty 0, 100 connections, one CPU for the server, one for the client\n");
        print!("{}", bare_table(&outcome.bare));
    }
    if !outcome.hard.is_empty() {
        println!("\nHashes per second that clients get, against the kernel alone on all CPUs\n");
        print!("{}", hard_table(&outcome.hard));
    }
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

fn bare_table(all: &[Bare]) -> String {
    let header = [
        "in flight",
        "bare loop, replies/s",
        "spread",
        "powd, replies/s",
        "spread",
        "ratio",
        "bare loop, CPU us/reply",
        "powd, CPU us/reply",
        "ratio",
    ];
    let rate = |rounds: &[Round]| -> Vec<f64> {
        let rates = rounds.iter().map(|round| round.report.replies_per_s);
        rates.collect()
    };
    let cost = |rounds: &[Round]| {
        let costs = rounds
            .iter()
            .map(|round| round.server_cpu_s / round.report.replies.max(1) as f64 * 1e6);
        median(costs)
    };
    let rows = all.iter().map(|row| {
        let (bare, powd) = (rate(&row.bare), rate(&row.powd));
        let ratio = |over: f64, under: f64| format!("{:.2}", over / under);
        vec![
            row.in_flight.to_string(),
            short(median(bare.clone())),
            percent(spread(bare.clone())),
            short(median(powd.clone())),
            percent(spread(powd.clone())),
            ratio(median(powd), median(bare)),
            short(cost(&row.bare)),
            short(cost(&row.powd)),
            ratio(cost(&row.powd), cost(&row.bare)),
        ]
    });
    table(&header, &rows.collect::<Vec<_>>())
}

fn hard_table(all: &[Hard]) -> String {
    let header = [
        "difficulty",
        "connections",
        "kernel",
        "kernel alone, MH/s",
        "powd, MH/s",
        "ratio",
        "luck",
        "spread of the kernel",
    ];
    let rows = all.iter().map(|row| {
        let work = 16f64.powi(i32::from(row.difficulty));
        let sum = |of: fn(&Round) -> f64| row.powd.iter().map(of).sum::<f64>();
        let replies = sum(|round| round.report.replies as f64);
        // All replies over all seconds: a median of rounds would throw away luck's evidence.
        let powd = work * replies / sum(|round| round.report.seconds);
        let kernel = median(row.kernel_hashes_per_s.iter().copied());
        vec![
            row.difficulty.to_string(),
            row.connections.to_string(),
            row.kernel.clone(),
            short(kernel / 1e6),
            short(powd / 1e6),
            format!("{:.3}", powd / kernel),
            format!("+-{}", percent((1.0 / replies.max(1.0)).sqrt())),
            percent(spread(row.kernel_hashes_per_s.iter().copied())),
        ]
    });
    table(&header, &rows.collect::<Vec<_>>())
}
