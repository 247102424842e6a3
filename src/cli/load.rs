//! `powd load`: the load client.

mod server;
mod table;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::builder::ArgPredicate;
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use server::{Server, remedy};
use table::{grouped, table, time};

use super::values::{
    CpuList, count, duration, message_bytes, positive_duration, rate, seconds, threads, within,
};
use super::{Error, signals, tokens};
use crate::cpus;
use crate::load::{self, Exchange, Messages, Options, Phase, Progress};
use powd_core::Difficulty;

/// Measures a server under load and checks its replies.
///
/// Prints replies per second, latencies, errors and wrong replies. By default each connection asks
/// again as soon as it was answered (closed loop); with --rate, requests leave by the clock (open
/// loop). Latencies are those of right replies: what went down with its connection (lost) or was
/// still waiting at the end (unanswered) is counted beside them, with the longest wait. Ctrl-C ends
/// early with what was measured. Exit code 1: nothing listens (or with --requests, not any more),
/// wrong replies, or none at all, whether or not the output is read.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The server: an address or a name with its port, 127.0.0.1:20000 for example, or unix:PATH, a
    /// socket file. With http:// before it, http://127.0.0.1:8080 for example, it is asked over
    /// HTTP: each message is a POST /v1/solve. Of a name with several addresses the first that
    /// answers is taken.
    #[arg(value_name = "ADDR:PORT")]
    server: Server,

    /// Connections held open. More show how the server copes with many clients, fewer how fast it
    /// answers one.
    #[arg(short, long, value_name = "N", default_value = "100", value_parser = connections)]
    connections: usize,

    /// Requests in flight on each connection (with --rate: at most). Raise it for the most replies
    /// a server can give; leave it at 1 for servers that answer once per read. Over HTTP more than
    /// one makes it HTTP/2.
    #[arg(short = 'P', long, value_name = "N", default_value = "1", value_parser = pipeline)]
    pipeline: usize,

    /// Length of the measurement. Raise it for hard difficulties: 10,000 replies give 1 % of luck,
    /// 100 give 10 %.
    #[arg(
        short,
        long,
        value_name = "SECONDS",
        default_value = "3",
        default_value_if("requests", ArgPredicate::IsPresent, ENDLESS),
        value_parser = seconds
    )]
    seconds: Duration,

    /// Ask so many times in all, and end with the last reply instead of by the clock (or by
    /// --seconds, if that is given and comes first; or when the server has been gone for
    /// --timeout). There is no warm-up then: each request counts.
    #[arg(short = 'n', long, value_name = "N", value_parser = requests)]
    requests: Option<u64>,

    /// Open a new connection for each request. The time to connect is part of the latency: what
    /// clients see that do not keep their connections.
    #[arg(long, conflicts_with = "pipeline")]
    reconnect: bool,

    /// Over HTTP: each connection is one POST /v1/batch that does not end, with --pipeline messages
    /// in flight.
    #[arg(long, conflicts_with = "reconnect")]
    batch: bool,

    /// A file with a token on each line, of which each request over HTTP shows the first. For
    /// servers that have --http-token-file.
    #[arg(long, value_name = "FILE")]
    http_token_file: Option<PathBuf>,

    /// The server's difficulty: each hash must start with so many zeros, and hashes/s are shown.
    /// Without it any right hash is taken. Over HTTP it is what is asked for.
    #[arg(short, long, value_name = "N")]
    difficulty: Option<Difficulty>,

    /// Requests per second in all, sent by the clock whether answered or not; latency counts from
    /// the moment each was due. For the latency at a known load, where the closed loop would hide a
    /// stall.
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,

    /// Length of each message; from about 8 on all differ. From 51 on a request takes two SHA-256
    /// blocks.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = message_bytes)]
    message_bytes: usize,

    /// Ask for this message each time. For servers with one fixed answer.
    #[arg(long, value_name = "TEXT", conflicts_with = "message_bytes", value_parser = fixed_message)]
    fixed_message: Option<String>,

    /// Threads of this client; by default one per CPU it may use (or per CPU of --pin). One is
    /// enough for difficulties above 1.
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,

    /// CPUs to pin these threads to, 0,2-3 for example, to keep the client apart from the server.
    #[arg(long, value_name = "CPUS")]
    pin: Option<CpuList>,

    /// Time under load before the measurement. Raise it when connections take long to open.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "500ms",
        default_value_if("requests", ArgPredicate::IsPresent, "0s"),
        conflicts_with = "requests",
        value_parser = duration
    )]
    warmup: Duration,

    /// Give a connection up when the server answers nothing on it for so long (nor takes more lines
    /// of it, where they fill the socket), and open it again. A single request may wait longer.
    /// Raise it for difficulties that take longer.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = positive_duration)]
    timeout: Duration,

    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// What `--seconds` is with `--requests` alone, in seconds: a year.
const ENDLESS: &str = "31536000";

/// Runs one measurement.
pub(super) fn run(args: Args) -> Result<ExitCode, Error> {
    let json = args.json;
    let options = options(args)?;
    let stop = Arc::new(AtomicBool::new(false));
    // The first Ctrl-C ends the measurement, a second one the program.
    flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&stop))
        .and_then(|_| flag::register(SIGINT, Arc::clone(&stop)))
        .map_err(signals::unheard)?;

    let bar = bar(&options);
    let outcome = load::run(
        &options,
        &mut |progress| show(&bar, &options, progress),
        &stop,
    );
    bar.finish_and_clear();
    let report = outcome?;

    let text = if json {
        serde_json::to_string_pretty(&report).map_err(|error| Error::Failed(error.to_string()))?
    } else {
        table(&report)
    };
    let written = writeln!(std::io::stdout(), "{}", text.trim_end());
    Error::unless_closed_pipe(written.map_err(Error::Stream))?;
    let good = report.wrong.total == 0 && report.replies > 0 && !report.gone;
    Ok(ExitCode::from(u8::from(!good)))
}

fn options(args: Args) -> Result<Options, Error> {
    let pin = args.pin.map(|list| list.0).unwrap_or_default();
    let by_default = if pin.is_empty() {
        cpus::available()
    } else {
        pin.len()
    };
    let exchange = match args.server.http_authority() {
        None if args.batch => return Err(for_http("--batch")),
        None if args.http_token_file.is_some() => return Err(for_http("--http-token-file")),
        None => Exchange::Lines,
        Some(authority) if args.batch => Exchange::Batch { authority },
        Some(authority) => Exchange::Solve { authority },
    };
    let tokens = args.http_token_file.as_deref().map(tokens::read);
    Ok(Options {
        exchange,
        connections: args.connections,
        pipeline: args.pipeline,
        duration: args.seconds,
        warmup: args.warmup,
        requests: args.requests,
        reconnect: args.reconnect,
        difficulty: args.difficulty,
        rate: args.rate,
        messages: match args.fixed_message {
            Some(message) => Messages::Fixed(message.into_bytes()),
            None => Messages::Unique(args.message_bytes),
        },
        token: tokens.transpose()?.map(|tokens| tokens.first().clone()),
        threads: args.threads.unwrap_or(by_default),
        pin,
        timeout: args.timeout,
        ..Options::new(args.server.address()?)
    })
}

fn for_http(flag: &str) -> Error {
    let remedy = "give the server as http://ADDR:PORT";
    Error::Usage(format!("{flag} is for HTTP: {remedy}"))
}

impl From<load::Error> for Error {
    fn from(error: load::Error) -> Error {
        match error {
            load::Error::Options(_) | load::Error::Pin(_) | load::Error::NoHttp => {
                Error::Usage(error.to_string())
            }
            load::Error::Connect { ref source, .. } => {
                Error::Failed(format!("{error}{}", remedy(source)))
            }
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
    ProgressBar::new(options.requests.unwrap_or(milliseconds)).with_style(style)
}

fn show(bar: &ProgressBar, options: &Options, progress: &Progress) {
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
    let milliseconds = u64::try_from(progress.measured.as_millis()).unwrap_or(u64::MAX);
    bar.set_position(options.requests.map_or(milliseconds, |_| progress.replies));
    bar.set_message(text);
}

fn connections(text: &str) -> Result<usize, String> {
    within(text, 1..=load::MOST_CONNECTIONS)
}

fn requests(text: &str) -> Result<u64, String> {
    count(text).map(|number| usize::from(number) as u64)
}

fn pipeline(text: &str) -> Result<usize, String> {
    within(text, 1..=load::MOST_IN_FLIGHT)
}

fn fixed_message(text: &str) -> Result<String, String> {
    if text.contains('\n') {
        return Err("a message must not contain a newline".to_owned());
    }
    Ok(text.to_owned())
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
            .expect("an address")
    }

    #[test]
    fn each_flag_sets_what_it_is_named_after() {
        let line = "-c 2 -P 3 -s 4 -d 5 --rate 6 --message-bytes 7 --threads 8 --pin 0,9 --warmup 10s --timeout 11s";
        // By its fields, so that a new one is not forgotten here.
        let Options {
            target,
            exchange,
            connections,
            pipeline,
            duration,
            warmup,
            requests,
            reconnect,
            difficulty,
            rate,
            messages,
            token,
            threads,
            pin,
            timeout,
        } = asked(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(target.to_string(), "127.0.0.1:1");
        assert_eq!(exchange, Exchange::Lines);
        assert_eq!((connections, pipeline), (2, 3));
        assert_eq!(duration, Duration::from_secs(4));
        assert_eq!(difficulty.map(Difficulty::nibbles), Some(5));
        assert_eq!(rate, Some(6.0));
        assert_eq!(messages, Messages::Unique(7));
        assert_eq!(token, None);
        assert_eq!((threads, pin), (8, vec![0, 9]));
        assert_eq!(warmup, Duration::from_secs(10));
        assert_eq!(timeout, Duration::from_secs(11));
        assert_eq!((requests, reconnect), (None, false));
        assert!(asked(&["--reconnect"]).reconnect);
        let counted = asked(&["-n", "12"]);
        assert_eq!(
            (counted.requests, counted.warmup),
            (Some(12), Duration::ZERO)
        );
        assert!(counted.duration > Duration::from_secs(1_000_000));
        let bounded = asked(&["-n", "12", "-s", "4"]);
        assert_eq!(bounded.duration, Duration::from_secs(4));
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
}
