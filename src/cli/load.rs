//! `powd load`: the load client.

mod table;

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::SIGINT;

use table::{grouped, table, time};

use super::Error;
use super::values::{duration, message_bytes, positive_duration, rate, seconds, threads, within};
use crate::cpus;
use crate::load::{self, Messages, Options, Phase, Progress};
use powd_core::Difficulty;

/// Measures a server under load and checks its replies.
///
/// Prints replies per second, latencies, errors and wrong replies. By default each connection asks again as
/// soon as it was answered (closed loop); with --rate, requests leave by the clock (open loop). Latencies are
/// those of right replies: what went down with its connection (lost) or was still waiting at the end
/// (unanswered) is counted beside them, with the longest wait. Ctrl-C ends early with what was measured. Exit
/// code 1: wrong replies, or none at all, whether or not the output is read.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The server, 127.0.0.1:20000 for example. Of a name with several addresses the first that answers is
    /// taken.
    #[arg(value_name = "ADDR:PORT", value_parser = addresses)]
    address: Addresses,

    /// Connections held open. More show how the server copes with many clients, fewer how fast it answers
    /// one.
    #[arg(short, long, value_name = "N", default_value = "100", value_parser = connections)]
    connections: usize,

    /// Requests in flight on each connection (with --rate: at most). Raise it for the most replies a server
    /// can give; leave it at 1 for servers that answer once per read.
    #[arg(short = 'P', long, value_name = "N", default_value = "1", value_parser = pipeline)]
    pipeline: usize,

    /// Length of the measurement. Raise it for hard difficulties: 10,000 replies give 1 % of luck, 100 give
    /// 10 %.
    #[arg(short, long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    seconds: Duration,

    /// The server's difficulty: each hash must start with so many zeros, and hashes/s are shown. Without it
    /// any right hash is taken.
    #[arg(short, long, value_name = "N")]
    difficulty: Option<Difficulty>,

    /// Requests per second in all, sent by the clock whether answered or not; latency counts from the moment
    /// each was due. For the latency at a known load, where the closed loop would hide a stall.
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,

    /// Length of each message; from about 8 on all differ. From 51 on a request takes two SHA-256 blocks.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = message_bytes)]
    message_bytes: usize,

    /// Ask for this message each time. For servers with one fixed answer.
    #[arg(long, value_name = "TEXT", conflicts_with = "message_bytes", value_parser = fixed_message)]
    fixed_message: Option<String>,

    /// Threads of this client; by default one per CPU it may use (or per CPU of --pin). One is enough for
    /// difficulties above 1.
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,

    /// CPUs to pin these threads to, 0,2-3 for example, to keep the client apart from the server.
    #[arg(long, value_name = "CPUS", value_parser = cpu_list)]
    pin: Option<CpuList>,

    /// Time under load before the measurement. Raise it when connections take long to open.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    warmup: Duration,

    /// Give a connection up when the server neither sends nor takes a byte of it for so long, and open it
    /// again. Raise it for difficulties that take longer.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = positive_duration)]
    timeout: Duration,

    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// How long an address has to answer, where there are others to ask.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a name stands for, one address or more.
#[derive(Clone, Debug)]
struct Addresses(Vec<SocketAddr>);

impl Addresses {
    /// The address to measure: `localhost` is `::1` and `127.0.0.1`, and a server may listen on one of them. Who
    /// has no choice is not asked.
    fn choose(&self) -> SocketAddr {
        let answers = |address: &&SocketAddr| TcpStream::connect_timeout(address, PATIENCE).is_ok();
        match self.0[..] {
            [only] => only,
            _ => *self.0.iter().find(answers).unwrap_or(&self.0[0]),
        }
    }
}

/// `0,2-3` as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CpuList(Vec<usize>);

/// Runs one measurement.
pub(super) fn run(args: Args) -> Result<ExitCode, Error> {
    let json = args.json;
    let options = options(args);
    let stop = Arc::new(AtomicBool::new(false));
    // The first Ctrl-C ends the measurement, a second one the program.
    signal_hook::flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&stop))?;
    signal_hook::flag::register(SIGINT, Arc::clone(&stop))?;

    let bar = bar(&options);
    let outcome = load::run(&options, &mut |progress| show(&bar, progress), &stop);
    bar.finish_and_clear();
    let report = outcome?;

    let text = if json {
        serde_json::to_string_pretty(&report).map_err(|error| Error::Failed(error.to_string()))?
    } else {
        table(&report)
    };
    let written = writeln!(std::io::stdout(), "{}", text.trim_end());
    Error::unless_closed_pipe(written.map_err(Error::from))?;
    let good = report.wrong.total == 0 && report.replies > 0;
    Ok(ExitCode::from(u8::from(!good)))
}

fn options(args: Args) -> Options {
    let pin = args.pin.map(|list| list.0).unwrap_or_default();
    let by_default = if pin.is_empty() {
        cpus::available()
    } else {
        pin.len()
    };
    Options {
        connections: args.connections,
        pipeline: args.pipeline,
        duration: args.seconds,
        warmup: args.warmup,
        difficulty: args.difficulty,
        rate: args.rate,
        messages: match args.fixed_message {
            Some(message) => Messages::Fixed(message.into_bytes()),
            None => Messages::Unique(args.message_bytes),
        },
        threads: args.threads.unwrap_or(by_default),
        pin,
        timeout: args.timeout,
        ..Options::new(args.address.choose())
    }
}

impl From<load::Error> for Error {
    fn from(error: load::Error) -> Error {
        match error {
            load::Error::Options(_) | load::Error::Pin(_) => Error::Usage(error.to_string()),
            load::Error::Descriptors { .. } | load::Error::Poll(_) | load::Error::Thread(_) => {
                Error::Failed(error.to_string())
            }
        }
    }
}

/// The live view; `indicatif` shows it on a terminal only.
fn bar(options: &Options) -> ProgressBar {
    let milliseconds = u64::try_from(options.duration.as_millis()).unwrap_or(u64::MAX);
    let style = ProgressStyle::with_template("{bar:24} {msg}").expect("a valid template");
    ProgressBar::new(milliseconds).with_style(style)
}

fn show(bar: &ProgressBar, progress: &Progress) {
    let seconds = progress.measured.as_secs_f64();
    let text = match progress.phase {
        Phase::Connecting => format!("connecting: {} open", grouped(progress.open as f64)),
        Phase::WarmUp => format!("warming up: {} open", grouped(progress.open as f64)),
        Phase::Measuring | Phase::Done => format!(
            "{} replies/s, p99 {}, {} errors, {} wrong",
            grouped(progress.replies as f64 / seconds.max(0.001)),
            time(progress.p99.as_secs_f64() * 1e3),
            grouped(progress.errors as f64),
            grouped(progress.wrong as f64)
        ),
    };
    bar.set_position(u64::try_from(progress.measured.as_millis()).unwrap_or(u64::MAX));
    bar.set_message(text);
}

fn connections(text: &str) -> Result<usize, String> {
    within(text, 1..=load::MOST_CONNECTIONS)
}

fn pipeline(text: &str) -> Result<usize, String> {
    within(text, 1..=load::MOST_IN_FLIGHT)
}

fn addresses(text: &str) -> Result<Addresses, String> {
    let hint = "expected ADDR:PORT, such as 127.0.0.1:20000";
    let found = text
        .to_socket_addrs()
        .map_err(|error| format!("{error}; {hint}"))?;
    let found = Addresses(found.collect());
    if found.0.is_empty() {
        return Err(hint.to_owned());
    }
    Ok(found)
}

fn fixed_message(text: &str) -> Result<String, String> {
    if text.contains('\n') {
        return Err("a message must not contain a newline".to_owned());
    }
    Ok(text.to_owned())
}

/// The most CPUs of one range: a slip of the keyboard must not fill memory.
const WIDEST: usize = 4096;

fn cpu_list(text: &str) -> Result<CpuList, String> {
    let wrong = || {
        format!("expected CPU numbers and ranges, such as 0,2-3; a range has up to {WIDEST} CPUs")
    };
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.parse().map_err(|_| wrong())?;
        let last: usize = last.parse().map_err(|_| wrong())?;
        if last < first || last - first >= WIDEST {
            return Err(wrong());
        }
        cpus.extend(first..=last);
    }
    Ok(CpuList(cpus))
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    /// What `powd load 127.0.0.1:1` with these flags is to do.
    fn asked(flags: &[&str]) -> Options {
        let typed = ["load", "127.0.0.1:1"].iter().chain(flags);
        let matches = Args::augment_args(clap::Command::new("load")).get_matches_from(typed);
        options(Args::from_arg_matches(&matches).expect("what `Args` declares"))
    }

    #[test]
    fn each_flag_sets_what_it_is_named_after() {
        let line = "-c 2 -P 3 -s 4 -d 5 --rate 6 --message-bytes 7 --threads 8 --pin 0,9 --warmup 10s --timeout 11s";
        // By its fields, so that a new one is not forgotten here.
        let Options {
            address,
            connections,
            pipeline,
            duration,
            warmup,
            difficulty,
            rate,
            messages,
            threads,
            pin,
            timeout,
        } = asked(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(address, ([127, 0, 0, 1], 1).into());
        assert_eq!((connections, pipeline), (2, 3));
        assert_eq!(duration, Duration::from_secs(4));
        assert_eq!(difficulty.map(Difficulty::nibbles), Some(5));
        assert_eq!(rate, Some(6.0));
        assert_eq!(messages, Messages::Unique(7));
        assert_eq!((threads, pin), (8, vec![0, 9]));
        assert_eq!(warmup, Duration::from_secs(10));
        assert_eq!(timeout, Duration::from_secs(11));
        let fixed = asked(&["--fixed-message", "bench0"]);
        assert_eq!(fixed.messages, Messages::Fixed(b"bench0".to_vec()));
    }

    #[test]
    fn without_flags_it_does_what_the_help_says() {
        let options = asked(&[]);
        assert_eq!((options.connections, options.pipeline), (100, 1));
        assert_eq!(options.duration, Duration::from_secs(3));
        assert_eq!((options.difficulty, options.rate), (None, None));
        assert_eq!(options.messages, Messages::Unique(20));
        assert_eq!(options.warmup, Duration::from_millis(500));
        assert_eq!(options.timeout, Duration::from_secs(30));
        assert_eq!((options.threads, options.pin), (cpus::available(), vec![]));
        // A thread for each CPU that is named.
        assert_eq!(asked(&["--pin", "0,2-4"]).threads, 4);
    }

    #[test]
    fn of_several_addresses_the_first_that_answers_is_taken() {
        use socket2::{Domain, Socket, Type};
        use std::net::TcpListener;
        // Bound, so that nobody else gets the port, but not listening: connections are refused.
        let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        deaf.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .expect("a free port");
        let refused = deaf.local_addr().expect("bound").as_socket().expect("IPv4");
        let listening = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let [first, second] = listening
            .each_ref()
            .map(|listener| listener.local_addr().expect("bound"));
        for (found, expected) in [
            (&[refused, first, second][..], first),
            (&[second, refused], second),
            (&[refused, refused], refused),
            (&[refused], refused),
        ] {
            assert_eq!(Addresses(found.to_vec()).choose(), expected, "{found:?}");
        }
    }

    #[test]
    fn cpu_lists() {
        assert_eq!(cpu_list("0"), Ok(CpuList(vec![0])));
        assert_eq!(cpu_list("0,2-4"), Ok(CpuList(vec![0, 2, 3, 4])));
        assert_eq!(cpu_list("1-4096"), Ok(CpuList((1..=4096).collect())));
        for wrong in ["", "a", "3-1", "1,", "-1", "0-4096"] {
            assert!(cpu_list(wrong).is_err(), "{wrong:?}");
        }
    }
}
