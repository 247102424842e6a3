//! The part `http` of the service's benchmark: what a request over HTTP costs, and what a batch
//! saves.
//!
//! - `http solve`: difficulty 0, kept connections, one request in flight on each, one CPU for the
//!   server and one for the client, against a server that does nothing: `hyper` as powd has it,
//!   with a fixed answer. It is this program, started once more.
//! - `http batch`: difficulty 3 on all CPUs, the same messages in flight in `/v1/batch` and over
//!   the line protocol, at one service.

use std::convert::Infallible;
use std::process::Command;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use powd::cli::median;
use powd::cpus;
use powd::load::{Exchange, Messages, Options};
use powd_core::{Difficulty, Seed, verify};
use powd_testkit::bench::{Server, short, table};
use serde::Serialize;

use crate::round::{Round, round};
use crate::{FIXED, POWD, Rounds, cost, percent, rates, spread};

/// What this program is called with to be the server that does nothing.
pub(crate) const BARE: &str = "bare-http-server";

/// The connections of `http solve`.
const SOLVE: [usize; 2] = [1, 64];

/// The connections of `http batch`, and the messages in flight on each.
const BATCH: [(usize, usize); 2] = [(1, 256), (8, 64)];

/// Two sides under the same load.
#[derive(Debug, Serialize)]
pub(crate) struct Pair {
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) reference: Vec<Round>,
    pub(crate) powd: Vec<Round>,
}

/// Which rows are to be measured.
#[derive(Debug)]
pub(crate) struct Rows {
    solve: Vec<usize>,
    batch: Vec<(usize, usize)>,
}

impl Rows {
    pub(crate) fn wanted(wants: impl Fn(&str) -> bool) -> Rows {
        let solve = SOLVE.into_iter();
        let batch = BATCH.into_iter();
        Rows {
            solve: solve
                .filter(|connections| wants(&format!("http solve {connections}")))
                .collect(),
            batch: batch
                .filter(|(connections, _)| wants(&format!("http batch {connections}")))
                .collect(),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.solve.len() + self.batch.len()
    }

    /// Measures them: those of `http solve` on a `pair` of CPUs, if there is one.
    pub(crate) fn measure(
        &self,
        rounds: &Rounds,
        pair: Option<(usize, usize)>,
    ) -> (Vec<Pair>, Vec<Pair>) {
        let solve = pair.map_or_else(Vec::new, |pair| {
            let rows = self.solve.iter();
            rows.map(|&connections| solve(rounds, connections, pair))
                .collect()
        });
        let batch = self.batch.iter().map(|&load| batch(rounds, load)).collect();
        (solve, batch)
    }
}

fn solve(rounds: &Rounds, connections: usize, (server_cpu, client_cpu): (usize, usize)) -> Pair {
    let one = |name: &str, server: &Server, address| {
        rounds.step(&format!("{connections} connections over HTTP: {name}"));
        let options = Options {
            exchange: Exchange::Solve {
                authority: format!("{address}"),
            },
            connections,
            duration: rounds.call.round,
            warmup: rounds.call.warmup(),
            difficulty: Some(Difficulty::NONE),
            messages: Messages::Fixed(FIXED.to_vec()),
            pin: vec![client_cpu],
            ..Options::new(address)
        };
        round(server, &options)
    };
    let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
    command.arg(BARE);
    let bare = Server::start("bare hyper", command, Some(server_cpu));
    let doors = ["--workers", "1", "--http", "127.0.0.1:0"];
    let powd = Server::powd(POWD, 0, &doors, Some(server_cpu));
    let mut pair = Pair {
        connections,
        in_flight: 1,
        reference: Vec::new(),
        powd: Vec::new(),
    };
    for _ in 0..rounds.call.rounds {
        pair.reference.push(one("bare hyper", &bare, bare.address));
        pair.powd.push(one("powd", &powd, powd.door("http")));
    }
    pair
}

fn batch(rounds: &Rounds, (connections, in_flight): (usize, usize)) -> Pair {
    let powd = Server::powd(POWD, 3, &["--http", "127.0.0.1:0"], None);
    let options = Options {
        connections,
        pipeline: in_flight,
        duration: rounds.call.round,
        warmup: rounds.call.warmup(),
        difficulty: Some(Difficulty::of::<3>()),
        threads: cpus::available(),
        ..Options::new(powd.address)
    };
    let http = powd.door("http");
    let in_batches = Options {
        exchange: Exchange::Batch {
            authority: http.to_string(),
        },
        target: http.into(),
        ..options.clone()
    };
    let mut pair = Pair {
        connections,
        in_flight,
        reference: Vec::new(),
        powd: Vec::new(),
    };
    for _ in 0..rounds.call.rounds {
        rounds.step(&format!("{connections} x {in_flight} in flight: lines"));
        pair.reference.push(round(&powd, &options));
        rounds.step(&format!("{connections} x {in_flight} in flight: batches"));
        pair.powd.push(round(&powd, &in_batches));
    }
    pair
}

/// The table of some pairs, whose reference is called so.
pub(crate) fn pairs(reference: &str, name: &str, all: &[Pair]) -> String {
    let header = [
        "connections",
        "in flight",
        &format!("{reference}, replies/s"),
        "spread",
        &format!("{name}, replies/s"),
        "spread",
        "ratio",
        &format!("{reference}, CPU us/reply"),
        &format!("{name}, CPU us/reply"),
    ];
    let rows = all.iter().map(|pair| {
        let (below, above) = (rates(&pair.reference), rates(&pair.powd));
        vec![
            pair.connections.to_string(),
            pair.in_flight.to_string(),
            short(median(below.clone())),
            percent(spread(below.clone())),
            short(median(above.clone())),
            percent(spread(above.clone())),
            format!("{:.2}", median(above) / median(below)),
            short(cost(&pair.reference)),
            short(cost(&pair.powd)),
        ]
    });
    table(&header, &rows.collect::<Vec<_>>())
}

/// The server that does nothing: every request gets the reply line to the fixed message.
pub(crate) fn serve_bare() -> ! {
    let seed = Seed::from_bytes(b"abcde").expect("five letters");
    let solution = verify(seed, FIXED, Difficulty::NONE).expect("difficulty 0");
    let message = String::from_utf8_lossy(FIXED);
    let line = Bytes::from(format!("{message},{seed},{}\n", solution.digest()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0");
        let listener = listener.await.expect("a free port");
        eprintln!("listening on {}", listener.local_addr().expect("bound"));
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let line = line.clone();
            tokio::spawn(async move {
                let answer = |_| {
                    let response = Response::new(Full::new(line.clone()));
                    async { Ok::<_, Infallible>(response) }
                };
                let builder = auto::Builder::new(TokioExecutor::new());
                let stream = TokioIo::new(stream);
                let _ = builder.serve_connection(stream, service_fn(answer)).await;
            });
        }
    });
    unreachable!("it is killed");
}
