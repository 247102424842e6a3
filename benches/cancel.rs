//! How soon the last core stops when nobody wants a search any more.
//!
//! `cargo bench --bench cancel` has searches on all CPUs that would never end, ends each of them in
//! one of the ways that there are, and looks at the count of hashes until it stands still: the
//! time of its last change is shown. The counts of a process are had by a signal, which takes half
//! a millisecond; that of an engine in this process at once.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use powd::cli::median;
use powd::engine::{Engine, Handle, Options, Solve};
use powd_core::Difficulty;
use powd_testkit::bench::{Call, Conditions, ENDLESS, Server, fail, send, table, time};
use powd_testkit::{DEADLINE, Program, until};
use serde::Serialize;
use socket2::SockRef;

const POWD: Program = Program::at(env!("CARGO_BIN_EXE_powd"));

/// The highest that HTTP takes: hours.
const HOURS: u8 = 10;

/// Between two looks: seldom enough not to take a core from the search.
const LOOK: Duration = Duration::from_micros(50);

/// One way to end a search, and the milliseconds until the last core had stopped, by round.
#[derive(Debug, Serialize)]
struct Way {
    name: &'static str,
    ms: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Outcome {
    conditions: Conditions,
    ways: Vec<Way>,
}

fn main() {
    let call = Call::read(POWD, 0.1, 20);
    if !call.arguments.wants("cancel") {
        return;
    }
    let ways = if cfg!(feature = "http") { 5 } else { 3 };
    let bar = call.bar(ways * call.rounds);
    let mut ways = vec![Way {
        name: "the future of a request is dropped",
        ms: in_this_process(&call, &bar),
    }];
    let lines = Server::powd(POWD, ENDLESS, &["--half-close-timeout", "0s"], None);
    let line = |end| Requests {
        server: &lines,
        address: lines.address,
        request: "hard\n".to_owned(),
        end,
    };
    ways.push(Way {
        name: "a line connection is closed",
        ms: rounds(&call, &bar, &line(drop)),
    });
    ways.push(Way {
        name: "a line connection is reset",
        ms: rounds(&call, &bar, &line(reset)),
    });
    if cfg!(feature = "http") {
        let server = Server::powd(POWD, 0, &["--http", "127.0.0.1:0"], None);
        let http = server.door("http");
        let requests = Requests {
            server: &server,
            address: http,
            request: post("/v1/solve"),
            end: drop,
        };
        ways.push(Way {
            name: "an HTTP connection is closed",
            ms: rounds(&call, &bar, &requests),
        });
        let jobs = Jobs {
            server: &server,
            http,
        };
        ways.push(Way {
            name: "a job is deleted",
            ms: rounds(&call, &bar, &jobs),
        });
    }
    bar.finish_and_clear();
    let outcome = Outcome {
        conditions: Conditions::of(&call),
        ways,
    };
    print(&outcome);
    let path = call.write_json("cancel.json", &outcome);
    println!("\ndata: {}", path.display());
}

/// Who can begin a search without end, and end it.
trait Searches {
    type Search;
    fn begin(&self) -> Self::Search;
    fn end(&self, search: Self::Search);
    /// Seeds tried so far.
    fn hashes(&self) -> u64;
}

/// Milliseconds from the end of a search to that of its last core.
fn rounds(call: &Call, bar: &ProgressBar, searches: &impl Searches) -> Vec<f64> {
    let round = |_| {
        let before = searches.hashes();
        let search = searches.begin();
        until("a search", || searches.hashes() != before);
        // On all cores by then.
        thread::sleep(call.round);
        let begun = Instant::now();
        searches.end(search);
        let (mut hashes, mut last) = (searches.hashes(), begun.elapsed());
        // Hashes that stand still for so long have ended.
        while begun.elapsed() - last < call.round {
            thread::sleep(LOOK);
            let now = searches.hashes();
            if now != hashes {
                (hashes, last) = (now, begun.elapsed());
            }
            if last > DEADLINE {
                fail("the search does not end");
            }
        }
        bar.inc(1);
        last.as_secs_f64() * 1e3
    };
    (0..call.rounds).map(round).collect()
}

/// By the future of a request to an engine.
fn in_this_process(call: &Call, bar: &ProgressBar) -> Vec<f64> {
    let engine = Engine::start(Options::default());
    let engine = engine.unwrap_or_else(|error| fail(&error.to_string()));
    let ms = rounds(call, bar, &engine.handle());
    engine.handle().drain();
    engine
        .wait()
        .unwrap_or_else(|error| fail(&error.to_string()));
    ms
}

impl Searches for Handle {
    type Search = Solve;

    fn begin(&self) -> Solve {
        self.solve("hard", Difficulty::MAX, None)
    }

    fn end(&self, search: Solve) {
        drop(search);
    }

    fn hashes(&self) -> u64 {
        self.totals().hashes
    }
}

/// By requests that end with their connections.
struct Requests<'a> {
    server: &'a Server,
    address: SocketAddr,
    request: String,
    end: fn(TcpStream),
}

impl Searches for Requests<'_> {
    type Search = TcpStream;

    fn begin(&self) -> TcpStream {
        send(self.address, &self.request)
    }

    fn end(&self, search: TcpStream) {
        (self.end)(search);
    }

    fn hashes(&self) -> u64 {
        self.server.hashes().unwrap_or(0)
    }
}

/// Closes with a reset in place of an orderly end.
fn reset(connection: TcpStream) {
    let linger = SockRef::from(&connection).set_linger(Some(Duration::ZERO));
    linger.unwrap_or_else(|error| fail(&error.to_string()));
}

/// By jobs over HTTP, which outlive the connection.
struct Jobs<'a> {
    server: &'a Server,
    http: SocketAddr,
}

impl Searches for Jobs<'_> {
    /// Its path.
    type Search = String;

    fn begin(&self) -> String {
        let answer = BufReader::new(send(self.http, &post("/v1/jobs")));
        let mut head = answer.lines().map_while(Result::ok);
        let path = head.find_map(|line| Some(line.strip_prefix("location: ")?.to_owned()));
        path.unwrap_or_else(|| fail("powd began no job"))
    }

    fn end(&self, path: String) {
        let request = format!("DELETE {path} HTTP/1.1\r\nHost: powd\r\n\r\n");
        let mut answer = BufReader::new(send(self.http, &request));
        let mut status = String::new();
        let read = answer.read_line(&mut status);
        if read.is_err() || !status.contains("204") {
            fail(&format!("powd deleted no job: {status}"));
        }
    }

    fn hashes(&self) -> u64 {
        self.server.hashes().unwrap_or(0)
    }
}

fn post(path: &str) -> String {
    format!(
        "POST {path}?difficulty={HOURS} HTTP/1.1\r\nHost: powd\r\nContent-Length: 4\r\n\r\nhard"
    )
}

fn print(outcome: &Outcome) {
    println!("\n{}\n", outcome.conditions);
    let rows = outcome.ways.iter().map(|Way { name, ms }| {
        let slowest = ms.iter().copied().fold(0.0, f64::max);
        vec![
            (*name).to_owned(),
            time(median(ms.iter().copied())),
            time(slowest),
        ]
    });
    let header = ["the last core has stopped after", "median", "slowest"];
    print!("{}", table(&header, &rows.collect::<Vec<_>>()));
}
