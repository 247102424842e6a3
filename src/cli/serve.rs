//! `powd serve`: the service.

mod files;
#[cfg(feature = "http")]
mod http;
mod listen;
#[cfg(feature = "nats")]
mod nats;

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory as _;
use ipnet::IpNet;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use tracing::Level;

use listen::{LineListeners, Listen, Proxy, proxies, range, unknown_address};

use super::log::{Format, Log};
use super::values::{CpuList, count, duration, number, positive_duration, yes_or_no};
use super::workers::Workers;
use super::{Cli, Error, kernel, rng_seed, signals, variables};
#[cfg(feature = "nats")]
use crate::cluster::Cluster;
use crate::cpus;
use crate::engine::{self, MessageBytes};
#[cfg(all(feature = "http", feature = "nats"))]
use crate::http::Doors;
#[cfg(feature = "nats")]
use crate::line::ServerError;
use crate::line::{Control, Limits, Listener, Options, Server};
use crate::protocol::Framing;
use crate::supervisor::{self, Inherited};
use powd_core::{Difficulty, Kernel, SeedLength};

/// Serves proofs of work over TCP: a line in, message,seed,hash out.
///
/// Each flag can be set by the environment variable named beside it. Sockets that systemd hands
/// over take the place of --listen; those named http and admin that of --http and --admin. SIGTERM,
/// SIGINT and SIGHUP (not under nohup) answer what was received, then end; a second one ends at
/// once. SIGUSR1 prints the counters as one line of JSON.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen, in place of the default; repeatable, or separated by commas: ADDR:PORT,
    /// NAME:PORT (each address of the name), or unix:PATH, a socket file. @N gives this listener a
    /// difficulty of its own: 0.0.0.0:20006@6. Port 0 takes a free one. Change it to serve one
    /// interface only, two difficulties, or IPv6: [::]:20000 takes IPv6 clients only, so give it
    /// beside 0.0.0.0:20000 to serve both.
    #[arg(
        long,
        env = "POWD_LISTEN",
        value_name = "WHERE[@N]",
        default_value = "0.0.0.0:20000",
        value_delimiter = ','
    )]
    listen: Vec<Listen>,

    /// Zeros that a hash must start with, 0 to 64, where a listener has no @N. Each one more takes
    /// clients 16 times as long: 3 costs about 50 µs of a fast core, 6 about 0.2 s, 8 a minute.
    #[arg(
        short,
        long,
        env = "POWD_DIFFICULTY",
        value_name = "N",
        default_value = "3"
    )]
    difficulty: Difficulty,

    /// Worker threads: a number; a share of the CPUs that this process may use, 50%, rounded down;
    /// all, one for each CPU, or enough for a cgroup's CPU quota; or all-1, one fewer. Fewer leave
    /// CPUs to others.
    #[arg(long, env = "POWD_WORKERS", value_name = "N", default_value = "all")]
    workers: Workers,

    /// The CPUs to use, 0-5,8; by default all that this process may use. No thread of powd runs on
    /// another one, and --workers counts these. Give two busy servers on one machine CPUs of their
    /// own.
    #[arg(long, env = "POWD_CPUS", value_name = "LIST")]
    cpus: Option<CpuList>,

    /// Never bind a worker to a CPU. By default each is bound where there is one for each CPU and
    /// no CPU quota; when one waits for its CPU for some seconds while another has nothing to do,
    /// all are let go.
    #[arg(long, env = "POWD_NO_PIN", value_parser = yes_or_no)]
    no_pin: bool,

    /// Instruction set to search with: auto (the fastest here, measured at start) or a name that
    /// `powd speed` lists. Force one only to compare.
    #[arg(long, env = "POWD_KERNEL", value_name = "NAME", default_value = kernel::AUTO)]
    kernel: String,

    /// Characters of a seed, 1 to 16. A message that has no solution of that length gets a longer
    /// one. From difficulty 7 on many messages have none of 5 characters (one in 30 at 7, four of
    /// five at 8): 6 skips that search.
    #[arg(long, env = "POWD_SEED_LENGTH", value_name = "N", default_value_t)]
    seed_length: SeedLength,

    /// How requests are told apart. lines: a newline ends each. crlf: so it does, and one carriage
    /// return before it is no part of the message, for telnet and Windows. reads: each read of up
    /// to 8192 bytes is a message, for clients that send no newline, as the original server
    /// allowed.
    #[arg(long, env = "POWD_FRAMING", value_name = "HOW", default_value = "lines", value_parser = framing)]
    framing: Framing,

    /// The longest message, in bytes, up to 65536. A longer line ends its connection; by HTTP and
    /// NATS that request alone is refused.
    #[arg(
        long,
        env = "POWD_MAX_MESSAGE_BYTES",
        value_name = "N",
        default_value_t
    )]
    max_message_bytes: MessageBytes,

    /// Connections open at once; more are told that the service is busy. Raise it with the limit of
    /// open files (ulimit -Hn); an idle one costs less than 1 KiB.
    #[arg(
        long,
        env = "POWD_MAX_CONNECTIONS",
        value_name = "N",
        default_value = "65536",
        value_parser = count
    )]
    max_connections: NonZeroUsize,

    /// Connections open at once from one address, or from one /64 network of IPv6, which is what
    /// one subscriber has; by default no limit. Set it where clients are strangers.
    #[arg(long, env = "POWD_MAX_CONNECTIONS_PER_IP", value_name = "N", value_parser = count)]
    max_connections_per_ip: Option<NonZeroUsize>,

    /// Close a connection on which nothing has moved for so long while powd waited for its client:
    /// for a request, or to take its replies; by default never, over HTTP after 90s. Set it where
    /// clients come and forget to go.
    #[arg(long, env = "POWD_IDLE_TIMEOUT", value_name = "TIME", value_parser = positive_duration)]
    idle_timeout: Option<Duration>,

    /// How long powd goes on working for a client of lines that has ended its stream, counted from
    /// then or from its last reply: a half-close and a close look the same. 0s takes the end of stream as
    /// the end; raise it for files piped through `nc -N` at difficulties where one reply takes
    /// longer.
    #[arg(long, env = "POWD_HALF_CLOSE_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = duration)]
    half_close_timeout: Duration,

    /// The longest search, with all that it waits for its turn; after it the request gets an error
    /// line. By default none: at difficulty 8 and above a search can take minutes to centuries.
    #[arg(long, env = "POWD_DEADLINE", value_name = "TIME", value_parser = positive_duration)]
    deadline: Option<Duration>,

    /// How long to go on answering after SIGTERM, SIGINT or SIGHUP; what is open after that gets an
    /// error line. Keep it below what your supervisor waits before it kills: container runtimes
    /// wait 10 s.
    #[arg(long, env = "POWD_DRAIN_TIMEOUT", value_name = "TIME", default_value = "8s", value_parser = duration)]
    drain_timeout: Duration,

    /// How long to go on taking connections and requests after the first SIGTERM, SIGINT or SIGHUP,
    /// before the drain begins: balancers need time to hear from /readyz that this service ends.
    #[arg(long, env = "POWD_SHUTDOWN_DELAY", value_name = "TIME", default_value = "0s", value_parser = duration)]
    shutdown_delay: Duration,

    /// Serve only clients in this range, 10.0.0.0/8 or a single address; repeatable, or separated
    /// by commas. By default all. Clients of socket files have no address: the permissions of the
    /// file decide.
    #[arg(long, env = "POWD_ALLOW", value_name = "CIDR", value_delimiter = ',', value_parser = range)]
    allow: Vec<IpNet>,

    /// Connections from this range, or over socket files (unix), come from a proxy, and begin with
    /// a PROXY header of version 1 or 2 (HAProxy: send-proxy); repeatable, or separated by commas.
    /// The client's address in it is what --allow and --max-connections-per-ip judge by. One
    /// without a header is closed. By default none.
    #[arg(
        long,
        env = "POWD_PROXY_PROTOCOL",
        value_name = "CIDR|unix",
        value_delimiter = ','
    )]
    proxy_protocol: Vec<Proxy>,

    /// How lines of the log, on standard error, are written. text: for people, and for journald.
    /// json: an object on each line with timestamp, level, message and what else there is, for
    /// programs that gather logs; the counters that SIGUSR1 prints are in one named counters.
    #[arg(long, env = "POWD_LOG_FORMAT", value_name = "HOW", value_enum, hide_possible_values = true, default_value_t = Format::Text)]
    log_format: Format,

    /// Makes the seeds found repeatable (with --workers 1), for tests: the number that the
    /// searches' starting points are drawn from. By default the system gives one.
    #[arg(long, env = "POWD_RNG_SEED", value_name = "N", value_parser = number)]
    rng_seed: Option<u64>,

    /// The highest difficulty that can be asked for by HTTP and by NATS, from --difficulty to 64.
    /// Raise it with --deadline: at 10 a search takes some hours of a fast core.
    #[cfg(any(feature = "http", feature = "nats"))]
    #[arg(
        long,
        env = "POWD_MAX_DIFFICULTY",
        value_name = "N",
        default_value = "10"
    )]
    max_difficulty: Difficulty,

    #[cfg(feature = "http")]
    #[command(flatten)]
    http: http::Flags,

    #[cfg(feature = "nats")]
    #[command(flatten)]
    nats: nats::Flags,
}

fn framing(text: &str) -> Result<Framing, String> {
    match text {
        "lines" => Ok(Framing::Lines),
        "crlf" => Ok(Framing::Crlf),
        "reads" => Ok(Framing::Reads),
        _ => Err("expected lines, crlf or reads".to_owned()),
    }
}

pub(super) fn run(args: Args) -> Result<ExitCode, Error> {
    // First of all: the environment is changed, which threads must not see.
    let inherited = Inherited::take().map_err(|error| Error::Failed(error.to_string()))?;
    // Threads have the CPUs of who started them.
    if let Some(CpuList(chosen)) = &args.cpus {
        cpus::restrict(chosen)?;
    }
    let log = Log::start().map_err(Error::ServiceThread)?;
    args.log_format.install(&log);
    // Told through the log like all else: a full pipe must not keep the process from its end.
    let code = serve(&args, inherited, &log)
        .unwrap_or_else(|error| error.report(&mut args.log_format.lines(Level::ERROR, &log)));
    log.finish();
    Ok(code)
}

/// Serves until it has drained.
fn serve(args: &Args, inherited: Inherited, log: &Log) -> Result<ExitCode, Error> {
    // A warning, not an error: whoever goes back to an older powd keeps the settings of the newer.
    for variable in variables::unknown(&Cli::command()) {
        tracing::warn!("{variable} is set, and no setting of this powd has that name");
    }
    // What was asked wrongly is said before anything is bound, what takes time is done after.
    let kernel = kernel::named(&args.kernel)?;
    let Inherited { line, http, admin } = inherited;
    let listeners = LineListeners::resolve(line, &args.listen, args.difficulty)?;
    #[cfg(feature = "http")]
    let doors = http::resolve(args, http, admin)?;
    #[cfg(not(feature = "http"))]
    if !http.is_empty() || !admin.is_empty() {
        return Err(Error::Usage(
            "a socket named http or admin was handed over, and this powd is built without HTTP"
                .to_owned(),
        ));
    }
    #[cfg(feature = "nats")]
    let cluster = nats::options(args)?;
    #[cfg(feature = "http")]
    if doors.take_requests() {
        args.refuse_difficulty()?;
    }
    #[cfg(feature = "nats")]
    if cluster.is_some() {
        args.refuse_difficulty()?;
    }
    let asked = listeners.asked();
    #[cfg(feature = "http")]
    let asked = asked.chain(doors.asked());
    listen::refuse_shared(&asked.collect::<Vec<_>>())?;
    let listeners = listeners.bind()?;
    #[cfg(feature = "http")]
    let doors = doors.bind()?;
    // Heard from here on: what takes time comes now, and the loop that waits for them last.
    let signals = signals::hear(&[SIGHUP, SIGINT, SIGTERM, SIGUSR1])?;
    let (kernel, hash_rate) = kernel::to_serve_with(kernel);
    let engine = args.engine_options(kernel, hash_rate)?;
    let options = args.line_options();
    let files = files::of_lines(listeners.len(), engine.workers, &options.proxies);
    #[cfg(feature = "http")]
    let files = files + doors.files();
    #[cfg(feature = "nats")]
    let files = files + cluster.as_ref().map_or(0, |_| nats::FILES);
    files::raise_limit(files, options.limits.max_connections);
    let announcement = announce(&listeners, &engine)?;
    #[cfg(feature = "http")]
    let announcement = http::announce(&doors)? + &announcement;
    #[cfg_attr(
        not(any(feature = "http", feature = "nats")),
        expect(unused_mut, reason = "no further doors")
    )]
    let mut server = Server::start(listeners, engine, options)?;
    #[cfg(all(feature = "http", feature = "nats"))]
    let broker = cluster.clone();
    #[cfg(feature = "nats")]
    #[cfg_attr(
        not(feature = "http"),
        expect(unused_variables, reason = "only the admin address shows it")
    )]
    let cluster = cluster
        .map(|options| Cluster::join(server.engine(), options))
        .transpose()
        .map_err(ServerError::from)?;
    #[cfg(all(feature = "http", feature = "nats"))]
    let doors = Doors {
        cluster,
        broker,
        ..doors
    };
    #[cfg(feature = "http")]
    let _files = doors.open(&mut server)?;
    let control = server.control();
    supervisor::attend(control.engine().clone()).map_err(Error::ServiceThread)?;
    let signal_log = log.clone();
    let (delay, format) = (args.shutdown_delay, args.log_format);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || handle_signals(signals, &control, delay, format, signal_log))
        .map_err(Error::ServiceThread)?;
    // Ready is said when everything has started.
    let mut lines = args.log_format.lines(Level::INFO, log);
    let told = lines.write_all(announcement.as_bytes());
    told.map_err(Error::Stream)?;
    supervisor::ready();
    let engine = server.control().engine().clone();
    let of_lines = server.wait()?.errors.draining;
    let refused = of_lines + engine.totals().calls_refused;
    if refused > 0 {
        tracing::warn!(
            "--drain-timeout was over before {refused} requests were answered; each got an error in its place"
        );
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// Where requests can choose their difficulty, the one that is for those who do not must be one
    /// that can be chosen.
    #[cfg(any(feature = "http", feature = "nats"))]
    fn refuse_difficulty(&self) -> Result<(), Error> {
        if self.difficulty <= self.max_difficulty {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "--difficulty {} is above --max-difficulty {}, the highest that can be asked for by HTTP and by NATS: raise that, or lower this",
            self.difficulty, self.max_difficulty
        )))
    }

    fn engine_options(&self, kernel: Kernel, hash_rate: f64) -> Result<engine::Options, Error> {
        Ok(engine::Options {
            workers: self.workers.of(cpus::available()),
            pin: !self.no_pin,
            kernel,
            hash_rate,
            seed_length: self.seed_length,
            max_message_bytes: self.max_message_bytes,
            rng_seed: rng_seed::choose(self.rng_seed)?,
            drain_timeout: self.drain_timeout,
        })
    }

    fn line_options(&self) -> Options {
        Options {
            framing: self.framing,
            limits: Limits {
                max_message_bytes: self.max_message_bytes,
                max_connections: self.max_connections.get(),
                max_connections_per_ip: self.max_connections_per_ip,
                idle_timeout: self.idle_timeout,
                half_close_timeout: self.half_close_timeout,
                deadline: self.deadline,
                allow: self.allow.clone(),
            },
            proxies: proxies(&self.proxy_protocol),
        }
    }
}

/// One line per listener, with the real port.
fn announce(listeners: &[Listener], options: &engine::Options) -> Result<String, Error> {
    let line = |listener: &Listener| {
        Ok(format!(
            "powd: listening on {} difficulty={} workers={} kernel={}\n",
            listener.address().map_err(unknown_address)?,
            listener.difficulty(),
            options.workers,
            options.kernel.name()
        ))
    };
    listeners.iter().map(line).collect()
}

/// Does what signals ask for, until the process ends. Waits for nothing else, but for a moment for
/// a supervisor that does not read: a signal that ends the service is heard whatever became of
/// standard error.
fn handle_signals(
    mut signals: Signals,
    control: &Control,
    delay: Duration,
    format: Format,
    mut log: Log,
) {
    let mut draining = false;
    for signal in signals.forever() {
        if signal == SIGUSR1 {
            let _ = log.write_all(format.counters(&control.snapshot()).as_bytes());
        } else if draining {
            // As a shell reports death by that signal.
            std::process::exit(128 + signal);
        } else {
            draining = true;
            control.engine().announce_drain();
            drain_after(delay, control);
        }
    }
}

/// Begins the drain when `delay` is over, on a thread of its own: the signals are heard meanwhile.
fn drain_after(delay: Duration, control: &Control) {
    if delay.is_zero() {
        return drain(control);
    }
    let until_then = format!(
        "taking requests for {} more, then ending",
        humantime::format_duration(delay)
    );
    tracing::info!("{until_then}; a second signal ends at once");
    supervisor::stopping(until_then);
    let drain_later = {
        let control = control.clone();
        move || {
            std::thread::sleep(delay);
            drain(&control);
        }
    };
    let waiting = std::thread::Builder::new()
        .name("shutdown-delay".to_owned())
        .spawn(drain_later);
    if let Err(error) = waiting {
        tracing::warn!(%error, "--shutdown-delay: no thread to wait, draining now");
        drain(control);
    }
}

/// Tells of the drain, and begins it: the process may end before another thread is told anything.
fn drain(control: &Control) {
    let until_then = "answering what was received, then ending";
    tracing::info!("{until_then}; a second signal ends at once");
    supervisor::stopping(until_then.to_owned());
    control.drain();
}
