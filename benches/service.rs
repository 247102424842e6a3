//! The service itself, against what could be had without it.
//!
//! `cargo bench --bench service` has three parts, each of which can be run alone by its name:
//!
//! - `bare`: difficulty 0 against a bare epoll loop that computes nothing, one CPU for the server
//!   and one for the client, with 1, 16 and 64 requests in flight on each of 100 connections.
//!   Replies per second alone hide the server's cost, since the client is often the slower side; so
//!   its CPU time per reply is compared as well.
//! - `hard`: difficulties 4 and 5 with 1, 2, 100 and 1000 connections against the kernel alone on
//!   all CPUs, by hashes per second; one request in flight on each, and once four, so that the
//!   server need not wait for the only client. `hard 4` runs one difficulty. The kernel is measured
//!   in two ways: by `powd speed`, the median of turns of 20 ms, which leaves out what interrupts
//!   the machine; and by its mean over a whole round, which has the interruptions in it, as the
//!   service's rate has. And the service is seen from both sides: by its replies, which luck is in,
//!   and by the hashes that it counts itself.
//!
//! - `http`: the same service over HTTP, see `over_http.rs`.
//!
//! The sides run in alternating rounds; medians are shown, and how far the rounds are apart.

#[cfg(feature = "http")]
mod over_http;
mod round;

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use indicatif::ProgressBar;
use powd::cli::median;
use powd::cpus;
use powd::load::{Messages, Options};
use powd_core::unstable::measure;
use powd_core::{Difficulty, Kernel};
use powd_testkit::Program;
use powd_testkit::bench::{Call, Conditions, Estimate, Server, fail, short, table};
use round::{Round, round};
use serde::Serialize;

const POWD: Program = Program::at(env!("CARGO_BIN_EXE_powd"));

/// The connections of the hard part, and the requests in flight on each.
const HARD: [(usize, usize); 5] = [(1, 1), (1, 4), (2, 1), (100, 1), (1000, 1)];

/// Rounds of it, at most: each measures two references and the service.
const HARD_ROUNDS: usize = 3;

/// What the bare loop answers, in `bare/epoll_loop.c`.
const FIXED: &[u8] = b"bench0";

/// The bare loop and powd with so many requests in flight.
#[derive(Debug, Serialize)]
struct Bare {
    in_flight: usize,
    bare: Vec<Round>,
    powd: Vec<Round>,
}

/// The kernel and the service at one difficulty with so many connections, and requests in flight on
/// each.
#[derive(Debug, Serialize)]
struct Hard {
    difficulty: u8,
    connections: usize,
    in_flight: usize,
    kernel: String,
    /// Hashes per second of the kernel alone, by round: the median of short turns, as `powd speed`
    /// has it.
    kernel_hashes_per_s: Vec<f64>,
    /// The same over a whole round, interruptions included.
    kernel_mean_hashes_per_s: Vec<f64>,
    powd: Vec<Round>,
}

/// All of it.
#[derive(Debug, Serialize)]
struct Outcome {
    conditions: Conditions,
    bare: Vec<Bare>,
    hard: Vec<Hard>,
    #[cfg(feature = "http")]
    http_solve: Vec<over_http::Pair>,
    #[cfg(feature = "http")]
    http_batch: Vec<over_http::Pair>,
}

fn main() {
    #[cfg(feature = "http")]
    if std::env::args().nth(1).as_deref() == Some(over_http::BARE) {
        over_http::serve_bare();
    }
    let call = Call::read(POWD, 1.0, 5);
    let in_flight: Vec<usize> = [1, 16, 64]
        .into_iter()
        .filter(|n| call.arguments.wants(&format!("bare {n}")))
        .collect();
    let hard: Vec<(u8, (usize, usize))> = [4, 5]
        .into_iter()
        .flat_map(|difficulty| HARD.map(|load| (difficulty, load)))
        .filter(|(d, (c, n))| call.arguments.wants(&format!("hard {d} {c} {n}")))
        .collect();
    #[cfg(feature = "http")]
    let http = over_http::Rows::wanted(|row| call.arguments.wants(row));
    #[cfg(feature = "http")]
    let http_rows = http.count();
    #[cfg(not(feature = "http"))]
    let http_rows = 0;
    if in_flight.is_empty() && hard.is_empty() && http_rows == 0 {
        return;
    }
    let pair = match cpus::usable().as_slice() {
        &[server, client, ..] => Some((server, client)),
        _ => {
            eprintln!("`bare` and `http solve` need two CPUs, one for each side: left out");
            None
        }
    };
    let rounds = Rounds {
        bar: call.bar(
            (in_flight.len() + http_rows) * call.rounds * 2
                + hard.len() * call.rounds.min(HARD_ROUNDS) * 3,
        ),
        call,
    };
    #[cfg(feature = "http")]
    let (http_solve, http_batch) = http.measure(&rounds, pair);
    let outcome = Outcome {
        bare: pair.map_or_else(Vec::new, |pair| {
            in_flight.iter().map(|&n| rounds.bare(n, pair)).collect()
        }),
        hard: hard.iter().map(|&(d, load)| rounds.hard(d, load)).collect(),
        #[cfg(feature = "http")]
        http_solve,
        #[cfg(feature = "http")]
        http_batch,
        conditions: Conditions::of(&rounds.call),
    };
    rounds.bar.finish_and_clear();
    print(&outcome);
    let path = rounds.call.write_json("service.json", &outcome);
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
            round(server, &options)
        };
        let bare = Server::bare(POWD, Some(server_cpu));
        let powd = Server::powd(POWD, 0, &["--workers", "1"], Some(server_cpu));
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

    fn hard(&self, difficulty: u8, (connections, in_flight): (usize, usize)) -> Hard {
        let server = Server::powd(POWD, difficulty, &[], None);
        let kernel = server.kernel().unwrap_or("auto").to_owned();
        let mut hard = Hard {
            difficulty,
            connections,
            in_flight,
            kernel_hashes_per_s: Vec::new(),
            kernel_mean_hashes_per_s: Vec::new(),
            powd: Vec::new(),
            kernel,
        };
        // Sixteen times fewer replies need more time to rise above luck.
        let duration = self.call.round * if difficulty > 4 { 3 } else { 1 };
        let options = Options {
            connections,
            pipeline: in_flight,
            duration,
            warmup: self.call.warmup(),
            difficulty: Some(Difficulty::new(difficulty).expect("4 or 5")),
            timeout: Duration::from_secs(600),
            threads: cpus::available(),
            ..Options::new(server.address)
        };
        for _ in 0..self.call.rounds.min(HARD_ROUNDS) {
            self.step(&format!("{}: the kernel alone", hard.kernel));
            hard.kernel_hashes_per_s
                .push(kernel_in_turns(&hard.kernel, duration));
            self.step(&format!("{}: the kernel without a pause", hard.kernel));
            let bytes = options.messages.bytes();
            hard.kernel_mean_hashes_per_s.push(kernel_without_a_pause(
                &hard.kernel,
                bytes,
                duration,
            ));
            self.step(&format!(
                "difficulty {difficulty}, {connections} connections, {in_flight} in flight: powd"
            ));
            hard.powd.push(round(&server, &options));
        }
        hard
    }
}

/// Hashes per second of the kernel on all CPUs, as `powd speed` measures it: the median of short
/// turns.
fn kernel_in_turns(kernel: &str, duration: Duration) -> f64 {
    let output = POWD
        .command(&["speed", "--threads", "all", "--json", "--kernel", kernel])
        .args(["--seconds", &duration.as_secs_f64().to_string()])
        .output();
    let output = output.unwrap_or_else(|error| fail(&format!("powd speed: {error}")));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let rows = result["rows"].as_array().into_iter().flatten();
    let mut rates = rows
        .filter(|row| row["kernel"] == kernel)
        .filter_map(|row| row["hashes_per_s"].as_f64());
    rates.next().unwrap_or_else(|| {
        fail(&format!(
            "powd speed: no row for {kernel}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ))
    })
}

/// Hashes per second of the kernel on all CPUs: all hashes of one long turn over its seconds.
fn kernel_without_a_pause(kernel: &str, message_bytes: usize, duration: Duration) -> f64 {
    let kernel = Kernel::named(kernel).unwrap_or_else(|error| fail(&error.to_string()));
    let cpus = cpus::assign(cpus::available());
    let together = Barrier::new(cpus.len());
    thread::scope(|scope| {
        let one = |cpu| {
            // Where pinning is not allowed the threads run where they are put.
            let _ = cpus::pin(cpu);
            together.wait();
            measure(&kernel, message_bytes, duration)
        };
        let running: Vec<_> = cpus
            .into_iter()
            .map(|cpu| scope.spawn(move || one(cpu)))
            .collect();
        let rates = running.into_iter().map(|thread| thread.join());
        rates
            .map(|rate| rate.expect("measuring does not panic"))
            .sum()
    })
}

fn print(outcome: &Outcome) {
    println!("\n{}", outcome.conditions);
    if !outcome.bare.is_empty() {
        println!("\nDifficulty 0, 100 connections, one CPU for the server, one for the client\n");
        print!("{}", bare_table(&outcome.bare));
    }
    if !outcome.hard.is_empty() {
        println!(
            "\nMillion hashes per second of the service, against the kernel alone on all CPUs; {HARD_ROUNDS} rounds \
             at most, at difficulty 5 three times as long\n"
        );
        print!("{}", hard_table(&outcome.hard));
        print!("{HARD_LEGEND}");
    }
    #[cfg(feature = "http")]
    {
        if !outcome.http_solve.is_empty() {
            println!("\nHTTP, difficulty 0, one CPU for the server, one for the client\n");
            let pairs = over_http::pairs("bare hyper", "powd", &outcome.http_solve);
            print!("{pairs}");
        }
        if !outcome.http_batch.is_empty() {
            println!("\nDifficulty 3 on all CPUs: lines and batches over HTTP\n");
            print!(
                "{}",
                over_http::pairs("lines", "batches", &outcome.http_batch)
            );
        }
    }
}

/// How far apart the lowest and the highest are, as a part of the median.
fn spread(values: impl IntoIterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.into_iter().collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(0.0, f64::max);
    let middle = median(values);
    if middle > 0.0 {
        (high - low) / middle
    } else {
        0.0
    }
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

/// Replies per second, by round.
fn rates(rounds: &[Round]) -> Vec<f64> {
    let rates = rounds.iter().map(|round| round.report.replies_per_s);
    rates.collect()
}

/// The server's CPU time for a reply in microseconds, the median of the rounds.
fn cost(rounds: &[Round]) -> f64 {
    let costs = rounds
        .iter()
        .map(|round| round.server_cpu_s / round.report.replies.max(1) as f64 * 1e6);
    median(costs)
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
    let rows = all.iter().map(|row| {
        let (bare, powd) = (rates(&row.bare), rates(&row.powd));
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

/// What the columns of [`hard_table`] mean.
const HARD_LEGEND: &str = "
speed     the kernel by `powd speed`: the median of turns of 20 ms, without what interrupts the machine
mean      the kernel without a pause: all hashes over all seconds, interruptions included
spread    how far the rounds of that are apart; above 0.1 the row was disturbed
replies   powd: replies/s x 16^difficulty, and as a part of the two above, +- luck
hashed    powd: the hashes that it counted itself, as a part of the mean: what is missing is lost time
per reply hashes of a reply over 16^difficulty: what is not 1 is luck, or hashes after the find

";

fn hard_table(all: &[Hard]) -> String {
    let header = [
        "difficulty",
        "connections",
        "in flight",
        "kernel",
        "speed",
        "mean",
        "spread",
        "replies",
        "of speed",
        "of mean",
        "luck",
        "hashed",
        "of mean",
        "per reply",
    ];
    let rows = all.iter().map(|row| {
        let work = 16f64.powi(i32::from(row.difficulty));
        let sum = |of: fn(&Round) -> f64| row.powd.iter().map(of).sum::<f64>();
        let replies = sum(|round| round.report.replies as f64);
        let seconds = sum(|round| round.report.seconds);
        // All replies over all seconds: a median of rounds would throw away luck's evidence.
        let by_replies = work * replies / seconds;
        let hashes = sum(|round| round.server_hashes.unwrap_or(0) as f64);
        let speed = median(row.kernel_hashes_per_s.iter().copied());
        let means = || row.kernel_mean_hashes_per_s.iter().copied();
        // Of equal rounds: again all hashes over all seconds, as the service's.
        let mean = means().sum::<f64>() / means().count() as f64;
        vec![
            row.difficulty.to_string(),
            row.connections.to_string(),
            row.in_flight.to_string(),
            row.kernel.clone(),
            short(speed / 1e6),
            short(mean / 1e6),
            percent(spread(means())),
            short(by_replies / 1e6),
            format!("{:.3}", by_replies / speed),
            format!("{:.3}", by_replies / mean),
            format!(
                "+-{}",
                percent(Estimate::luck(replies as u64, row.difficulty))
            ),
            short(hashes / seconds / 1e6),
            format!("{:.3}", hashes / seconds / mean),
            format!("{:.3}", hashes / replies.max(1.0) / work),
        ]
    });
    table(&header, &rows.collect::<Vec<_>>())
}
