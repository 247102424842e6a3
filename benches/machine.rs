//! The service on a machine that it does not have for itself, and with clients that do not wait.
//!
//! `cargo bench --bench machine` has six parts, each of which can be run alone by its name:
//!
//! - `servers`: two servers with one worker each, side by side, against one alone;
//! - `neighbour`: a server beside one busy program, its workers bound as by default and with
//!   `--no-pin`; and both without the neighbour;
//! - `way out`: the same with one connection, whose worker shares its CPU with a program that is
//!   bound to it, while the worker on its client's CPU has nothing to do;
//! - `storm`: 30 clients that connect, ask once at difficulty 6, close after a second and ask
//!   again, against the same with `--half-close-timeout 0s`, where the end of a stream ends the
//!   search;
//! - `given up`: an engine in this process, of one worker, with 51,200 requests that wait, beside a
//!   thread that asks and gives up without end, against the same without it;
//! - `starts`: starts beside more busy programs than CPUs, by the kernel that each chose; and how
//!   long a start takes without them.
//!
//! The sides run in alternating rounds. Rates are those that the servers count themselves.

mod round;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use powd::cli::median;
use powd::cpus;
use powd::engine::{self, Engine, Flow, Solve};
use powd::load::Options;
use powd_core::Difficulty;
use powd_testkit::bench::{Call, Conditions, ENDLESS, Server, fail, join, send, short, table};
use powd_testkit::{Busy, Program, oracle};
use round::round;
use serde::Serialize;

const POWD: Program = Program::at(env!("CARGO_BIN_EXE_powd"));

/// What a server needs to see that its CPUs are not its own.
const SETTLING: Duration = Duration::from_secs(6);

/// The clients of the storm, what they ask for, and how long they wait.
const STORM: (usize, u8, Duration) = (30, 6, Duration::from_secs(1));

/// The flows whose requests wait, and the requests of each.
const WAITING: (usize, usize) = (400, 128);

/// How long the thread that gives up waits before it asks again.
const PAUSE: Duration = Duration::from_micros(650);

/// Rates of one side, by round, in hashes or answers per second.
#[derive(Debug, Serialize)]
struct Side {
    name: &'static str,
    rates: Vec<f64>,
}

/// Sides that took turns; the first is what the others are compared with.
#[derive(Debug, Serialize)]
struct Contest {
    what: &'static str,
    sides: Vec<Side>,
}

/// The kernels that servers chose.
#[derive(Debug, Serialize)]
struct Starts {
    beside_others: BTreeMap<String, usize>,
    /// Without others, in milliseconds.
    quiet_ms: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Outcome {
    conditions: Conditions,
    contests: Vec<Contest>,
    starts: Option<Starts>,
}

fn main() {
    let call = Call::read(POWD, 4.0, 3);
    let wants = |name: &str| call.arguments.wants(name);
    let parts = [
        "servers",
        "neighbour",
        "way out",
        "storm",
        "given up",
        "starts",
    ]
    .map(wants);
    let [servers, neighbour, way_out, storm, given_up, starts] = parts;
    if !parts.contains(&true) {
        return;
    }
    let machine = Machine {
        bar: call.bar(parts.iter().filter(|part| **part).count()),
        call,
    };
    let mut contests = Vec::new();
    if servers {
        contests.push(machine.servers());
    }
    if neighbour {
        contests.push(machine.neighbour());
    }
    if way_out {
        contests.push(machine.way_out());
    }
    if storm {
        contests.push(machine.storm());
    }
    if given_up {
        contests.push(machine.given_up());
    }
    let outcome = Outcome {
        starts: starts.then(|| machine.starts()),
        contests,
        conditions: Conditions::of(&machine.call),
    };
    machine.bar.finish_and_clear();
    print(&outcome);
    let path = machine.call.write_json("machine.json", &outcome);
    println!("\ndata: {}", path.display());
}

/// What comes of `begin` on a thread that is bound to a CPU; its children are bound as well.
fn on<T: Send>(cpu: usize, begin: impl FnOnce() -> T + Send) -> T {
    let bound = || {
        cpus::pin(cpu).unwrap_or_else(|error| fail(&error.to_string()));
        begin()
    };
    thread::scope(|scope| join(scope.spawn(bound)))
}

/// A server with a search that does not end.
struct Searching {
    server: Server,
    _client: TcpStream,
}

impl Searching {
    fn start(flags: &[&str]) -> Searching {
        let server = Server::powd(POWD, ENDLESS, flags, None);
        Searching {
            _client: send(server.address, "hard\n"),
            server,
        }
    }

    fn hashes(&self) -> f64 {
        self.server.hashes().unwrap_or(0) as f64
    }
}

/// How to measure.
struct Machine {
    call: Call,
    bar: ProgressBar,
}

impl Machine {
    fn begin(&self, what: &'static str) {
        self.bar.set_message(what);
        self.bar.inc(1);
    }

    /// The rates of these servers, one for each, over one round.
    fn rates(&self, servers: &[Searching]) -> Vec<f64> {
        let hashes = || servers.iter().map(Searching::hashes).collect::<Vec<_>>();
        let (begin, before) = (Instant::now(), hashes());
        thread::sleep(self.call.round);
        let (after, seconds) = (hashes(), begin.elapsed().as_secs_f64());
        let rates = after.iter().zip(&before);
        rates
            .map(|(after, before)| (after - before) / seconds)
            .collect()
    }

    /// The time in which a server notices its neighbours.
    fn settling(&self) -> Duration {
        match self.call.arguments.test {
            true => self.call.warmup(),
            false => SETTLING,
        }
    }

    fn contest(&self, what: &'static str, sides: &[(&'static str, &dyn Fn() -> f64)]) -> Contest {
        let mut measured: Vec<Side> = sides
            .iter()
            .map(|(name, _)| Side {
                name,
                rates: Vec::new(),
            })
            .collect();
        for _ in 0..self.call.rounds {
            for (side, (_, rate)) in measured.iter_mut().zip(sides) {
                side.rates.push(rate());
            }
        }
        Contest {
            what,
            sides: measured,
        }
    }

    fn servers(&self) -> Contest {
        self.begin("servers");
        let each_of = |count: usize| {
            let start = || Searching::start(&["--workers", "1"]);
            let servers: Vec<_> = (0..count).map(|_| start()).collect();
            thread::sleep(self.call.warmup());
            // The slower one: each is to have its share.
            let rates = self.rates(&servers).into_iter();
            rates.fold(f64::INFINITY, f64::min)
        };
        self.contest(
            "servers with one worker, million hashes/s of the slower one",
            &[("one", &|| each_of(1)), ("two", &|| each_of(2))],
        )
    }

    fn neighbour(&self) -> Contest {
        self.begin("neighbour");
        let rate = |flags: &[&str], beside: usize| {
            let _busy = Busy::start(beside);
            let server = [Searching::start(flags)];
            thread::sleep(self.settling());
            self.rates(&server)[0]
        };
        self.contest(
            "a worker for each CPU, million hashes/s",
            &[
                ("alone, --no-pin", &|| rate(&["--no-pin"], 0)),
                ("alone", &|| rate(&[], 0)),
                ("beside a busy program, --no-pin", &|| {
                    rate(&["--no-pin"], 1)
                }),
                ("beside a busy program", &|| rate(&[], 1)),
            ],
        )
    }

    fn way_out(&self) -> Contest {
        self.begin("way out");
        let usable = cpus::usable();
        let (own, others) = usable.split_last().expect("at least this one");
        let rate = |flags: &[&str]| {
            let server = Server::powd(POWD, 3, flags, None);
            // Among equals a connection goes to the worker on its client's CPU. That one has this
            // idle one, so the next goes elsewhere.
            let _idle = on(*own, || send(server.address, ""));
            let others = others.iter().map(|cpu| on(*cpu, || Busy::start(1)));
            let _busy: Vec<Busy> = others.collect();
            let options = Options {
                connections: 1,
                pipeline: 16,
                duration: self.call.round,
                // It is noticed under load only.
                warmup: self.settling(),
                difficulty: Some(Difficulty::of::<3>()),
                pin: vec![*own],
                threads: 1,
                ..Options::new(server.address)
            };
            round(&server, &options).report.replies_per_s
        };
        self.contest(
            "one connection at difficulty 3 whose worker has to share its CPU, replies/s",
            &[
                ("--no-pin", &|| rate(&["--no-pin"])),
                ("default", &|| rate(&[])),
            ],
        )
    }

    fn storm(&self) -> Contest {
        self.begin("storm");
        let answers = |flags: &[&str]| {
            let (_, difficulty, _) = STORM;
            let server = Server::powd(POWD, difficulty, flags, None);
            // Several times as long as a client waits.
            storm(server.address, self.call.round * 4) as f64
        };
        self.contest(
            "30 clients that give up after a second, answers",
            &[
                ("--half-close-timeout 0s", &|| {
                    answers(&["--half-close-timeout", "0s"])
                }),
                ("default", &|| answers(&[])),
            ],
        )
    }

    fn given_up(&self) -> Contest {
        self.begin("given up");
        let rate = |gives_up: bool| {
            let options = engine::Options {
                workers: NonZeroUsize::MIN,
                ..engine::Options::default()
            };
            let engine = Engine::start(options).unwrap_or_else(|error| fail(&error.to_string()));
            let handle = engine.handle();
            let (flows, each) = WAITING;
            let flows = (0..flows).map(|_| handle.of(Flow::new()));
            let waiting: Vec<Solve> = flows
                .flat_map(|flow| (0..each).map(move |_| flow.solve("waits", Difficulty::MAX, None)))
                .collect();
            let is_over = AtomicBool::new(false);
            let ask_and_give_up = || {
                while !is_over.load(Relaxed) {
                    drop(handle.solve("given up", Difficulty::MAX, None));
                    thread::sleep(PAUSE);
                }
            };
            let rate = thread::scope(|scope| {
                if gives_up {
                    scope.spawn(ask_and_give_up);
                }
                thread::sleep(self.call.warmup());
                let (begin, before) = (Instant::now(), handle.totals().hashes);
                thread::sleep(self.call.round);
                let hashes = handle.totals().hashes - before;
                let rate = hashes as f64 / begin.elapsed().as_secs_f64();
                is_over.store(true, Relaxed);
                rate
            });
            drop(waiting);
            handle.drain();
            engine
                .wait()
                .unwrap_or_else(|error| fail(&error.to_string()));
            rate
        };
        self.contest(
            "a worker with 51,200 requests that wait, million hashes/s",
            &[
                ("alone", &|| rate(false)),
                ("beside who asks and gives up, again and again", &|| {
                    rate(true)
                }),
            ],
        )
    }

    fn starts(&self) -> Starts {
        self.begin("starts");
        let count = if self.call.arguments.test { 2 } else { 200 };
        let start = || {
            let begin = Instant::now();
            let server = Server::powd(POWD, 0, &[], None);
            let kernel = server.kernel().unwrap_or("none").to_owned();
            (kernel, begin.elapsed().as_secs_f64() * 1e3)
        };
        let quiet = (0..count / 2).map(|_| start().1).collect();
        let _busy = Busy::start(cpus::available() + 1);
        let mut beside_others = BTreeMap::new();
        for _ in 0..count {
            *beside_others.entry(start().0).or_default() += 1;
        }
        Starts {
            beside_others,
            quiet_ms: quiet,
        }
    }
}

/// Clients that give up, for so long; how many of their requests were answered in time.
fn storm(address: SocketAddr, duration: Duration) -> usize {
    let (clients, difficulty, patience) = STORM;
    let end = Instant::now() + duration;
    let client = |number: usize| {
        let mut answers = 0;
        for round in 0.. {
            if Instant::now() >= end {
                break;
            }
            let message = format!("client {number} asks {round}");
            answers += usize::from(answered(address, &message, difficulty, patience));
        }
        answers
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|number| scope.spawn(move || client(number)))
            .collect();
        clients.into_iter().map(join).sum()
    })
}

/// Asks once on a new connection, and waits for so long.
fn answered(address: SocketAddr, message: &str, difficulty: u8, patience: Duration) -> bool {
    let client = send(address, &format!("{message}\n"));
    let limited = client.set_read_timeout(Some(patience));
    limited.unwrap_or_else(|error| fail(&format!("powd: {error}")));
    let mut line = String::new();
    match BufReader::new(client).read_line(&mut line) {
        Ok(_) if line.ends_with('\n') => {
            oracle::check(line.trim_end().as_bytes(), message.as_bytes(), difficulty);
            true
        }
        // The time is over.
        Ok(_) | Err(_) => false,
    }
}

fn print(outcome: &Outcome) {
    println!("\n{}", outcome.conditions);
    for contest in &outcome.contests {
        println!("\n{}\n", contest.what);
        print!("{}", contest_table(contest));
    }
    if let Some(starts) = &outcome.starts {
        let kernels = starts.beside_others.iter();
        let kernels: Vec<String> = kernels
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let slowest = starts.quiet_ms.iter().copied().fold(0.0, f64::max);
        println!(
            "\nstarts beside busy programs, by kernel: {}\na start without them: {} ms, the slowest {} ms",
            kernels.join(", "),
            short(median(starts.quiet_ms.iter().copied())),
            short(slowest)
        );
    }
}

fn contest_table(contest: &Contest) -> String {
    let header = ["", "median", "of the first", "rounds"];
    let middle = |side: &Side| median(side.rates.iter().copied());
    let first = middle(&contest.sides[0]);
    // Answers are few, hashes are many.
    let unit = if first > 1e6 { 1e6 } else { 1.0 };
    let rows = contest.sides.iter().map(|side| {
        let rounds: Vec<String> = side.rates.iter().map(|rate| short(rate / unit)).collect();
        vec![
            side.name.to_owned(),
            short(middle(side) / unit),
            format!("{:.3}", middle(side) / first),
            rounds.join(" "),
        ]
    });
    table(&header, &rows.collect::<Vec<_>>())
}
