//! The load client: keeps many connections busy, checks every reply, counts and times what comes
//! back.
//!
//! It exists to measure: it must be faster than any server it is pointed at, and must not flatter
//! one. So each reply is hashed again with the `sha2` crate, an open loop measures from the moment
//! a request *should* have left, and an error has a name. It speaks the line protocol, and HTTP. It
//! must not know of instruction sets, nor of how the server works.
//!
//! | file | owns |
//! | --- | --- |
//! | `options` | what to do, and what cannot be done |
//! | `message` | the messages asked for, cheap and unique |
//! | `check` | one reply line against the message it answers |
//! | `flight` | requests in flight, and the lines that answer them |
//! | `connection` | one connection: where it stands, what is half read or still to be written |
//! | `connect` | a socket to the server |
//! | `quota` | how many requests there are in all, where that is fixed |
//! | `absence` | a server that is gone, which would let such a run go on for ever |
//! | `pace` | one thread's part in the timetable of the open loop |
//! | `part` | what the two next have in common: a thread's part of a run, what is known of a connection |
//! | `client` | one thread: its connections and its poll loop |
//! | `http` | the same over HTTP: one thread, its connections as tasks |
//! | `window` | the time base, and the part of it that counts |
//! | `stats` | what a thread counted |
//! | `report` | the sum of it |

mod absence;
mod check;
mod client;
mod connect;
mod connection;
mod flight;
#[cfg(feature = "http")]
mod http;
mod message;
mod options;
mod pace;
mod part;
mod quota;
mod report;
mod stats;
mod window;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use absence::Absence;
pub(crate) use connect::probe;
pub use options::{Error, Exchange, MOST_CONNECTIONS, MOST_IN_FLIGHT, Messages, Options, RATES};
use part::Part;
use quota::Quota;
pub use report::{Latency, Report, Wrong};
use stats::Stats;
pub use stats::WrongSample;
use window::Window;

/// How often the progress hook is called between the changes of phase.
const TICK: Duration = Duration::from_millis(200);

/// How often it is looked whether all connections were opened or refused, which ends
/// [`Phase::Connecting`].
const LOOK: Duration = Duration::from_millis(2);

/// The longest wait for the first answer to every `connect`. A listen queue that overflows (the
/// Python baseline's holds five) lets some connections wait for seconds; the measurement then
/// starts without them.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Connections are being opened; those that are open are busy already.
    Connecting,
    /// All is running; nothing is counted but errors and wrong replies.
    WarmUp,
    /// What is shown at the end is being counted.
    Measuring,
    /// The window is over.
    Done,
}

/// What the progress hook sees. The hook is called at each change of phase and about five times a
/// second.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Where the run stands.
    pub phase: Phase,
    /// Since the window began; zero before.
    pub measured: Duration,
    /// Right replies in the window so far.
    pub replies: u64,
    /// The 99th percentile of the latency in the window so far.
    pub p99: Duration,
    /// Errors since the start.
    pub errors: u64,
    /// Wrong replies since the start.
    pub wrong: u64,
    /// Connections open now.
    pub open: u64,
}

/// Runs one measurement: opens the connections, warms up, measures, and closes them. Where nothing
/// can be connected to at all it fails at once.
///
/// `progress` runs on the calling thread, which does nothing else. `stop` ends the run early, with
/// what was measured until then.
pub fn run(
    options: &Options,
    progress: &mut dyn FnMut(&Progress),
    stop: &AtomicBool,
) -> Result<Report, Error> {
    options.check()?;
    options.raise_descriptor_limit()?;
    if options.reconnect && options.rate.is_some() {
        // Connections are opened when the timetable says so, which may be late for saying that
        // nobody listens.
        probe(&options.target).map_err(|source| unreachable(options, source))?;
    }
    let window = Window::new();
    let quota = options.requests.map(Quota::new);
    let mut absence = quota.as_ref().map(Absence::of);
    if options.requests.is_some() {
        // Each of them counts, also those that are answered while others still connect.
        window.set(Duration::ZERO, options.duration);
    }
    let threads = options.threads.min(options.connections);
    let stats: Vec<Mutex<Stats>> = (0..threads).map(|_| Mutex::new(Stats::new())).collect();
    let measured = thread::scope(|scope| {
        // Neither a thread that cannot be started nor a panic in the hook must leave the others
        // running, which the scope waits for.
        let _end = EndOnDrop(&window);
        for (thread, stats) in stats.iter().enumerate() {
            // Made just before its thread, whose stack is larger than a client of few connections.
            // So where memory runs out it is a stack that is not given, which is an error and no
            // abort.
            let part = Part {
                options,
                window: &window,
                quota: quota.as_ref(),
                thread,
                threads,
            };
            let builder = thread::Builder::new().name("load".to_owned());
            match options.exchange {
                Exchange::Lines => {
                    let client = client::Client::new(part)?;
                    builder.spawn_scoped(scope, move || client.run(stats))
                }
                #[cfg(feature = "http")]
                Exchange::Solve { .. } | Exchange::Batch { .. } => {
                    builder.spawn_scoped(scope, move || http::Client::new(part).run(stats))
                }
                #[cfg(not(feature = "http"))]
                Exchange::Solve { .. } | Exchange::Batch { .. } => return Err(Error::NoHttp),
            }
            .map_err(Error::Thread)?;
        }
        conduct(options, &window, &stats, absence.as_mut(), progress, stop)
    })?;

    let mut total = Stats::new();
    for one in &stats {
        total.merge(&lock(one));
    }
    let gone = absence.filter(|absence| absence.lasted() >= options.timeout);
    if let Some(absence) = &gone {
        total.unanswered = absence.unanswered();
    }
    Ok(Report {
        gone: gone.is_some(),
        ..Report::new(options, threads, measured, &total)
    })
}

/// Leads the threads through the phases; returns how long the window was.
fn conduct(
    options: &Options,
    window: &Window,
    stats: &[Mutex<Stats>],
    mut absence: Option<&mut Absence<'_>>,
    progress: &mut dyn FnMut(&Progress),
    stop: &AtomicBool,
) -> Result<Duration, Error> {
    let mut phase = Phase::Connecting;
    let mut until = CONNECT_PATIENCE;
    let mut show_at = Duration::ZERO;
    loop {
        let now = window.now();
        if stop.load(Ordering::Relaxed) {
            window.end_at(now);
        }
        let settled = phase == Phase::Connecting && all_settled(options, stats);
        if settled && nobody_got_through(stats) {
            // Once more: a server that has started meanwhile is measured.
            probe(&options.target).map_err(|source| unreachable(options, source))?;
        }
        if now >= window.end() {
            phase = Phase::Done;
            show_at = now;
        } else if settled || now >= until {
            phase = match phase {
                Phase::Connecting if options.requests.is_none() => {
                    window.set(now + options.warmup, options.duration);
                    until = now + options.warmup;
                    Phase::WarmUp
                }
                Phase::Connecting | Phase::WarmUp => {
                    until = window.end();
                    Phase::Measuring
                }
                Phase::Measuring | Phase::Done => Phase::Done,
            };
            show_at = now;
        }
        if now >= show_at {
            let seen = snapshot(phase, window, stats);
            progress(&seen);
            show_at = window.now() + TICK;
            if phase == Phase::Done {
                return Ok(window.measured());
            }
            if let Some(absence) = &mut absence {
                absence.look(now, &seen);
                if absence.lasted() >= options.timeout {
                    window.end_at(now);
                }
            }
        }
        let wake_at = if phase == Phase::Connecting {
            window.now() + LOOK
        } else {
            show_at
        };
        window.sleep_until(until.min(wake_at));
    }
}

fn unreachable(options: &Options, source: std::io::Error) -> Error {
    Error::Connect {
        target: options.target.clone(),
        source,
    }
}

/// Ends the window when dropped, if nothing else did.
struct EndOnDrop<'a>(&'a Window);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end_at(self.0.now());
    }
}

/// Whether each connection was opened or refused at least once, or has nothing to ask.
fn all_settled(options: &Options, stats: &[Mutex<Stats>]) -> bool {
    let settled: usize = stats.iter().map(|one| lock(one).settled).sum();
    settled >= options.connections
}

/// Whether the first attempt of every connection that tried was refused, or failed otherwise.
fn nobody_got_through(stats: &[Mutex<Stats>]) -> bool {
    stats.iter().all(|one| lock(one).reached == 0)
}

fn snapshot(phase: Phase, window: &Window, stats: &[Mutex<Stats>]) -> Progress {
    let mut total = Stats::new();
    for one in stats {
        total.merge(&lock(one));
    }
    Progress {
        phase,
        measured: window.measured(),
        replies: total.replies,
        p99: Duration::from_nanos(total.latency.value_at_quantile(0.99)),
        errors: total.errors(),
        wrong: total.wrong(),
        open: total.open,
    }
}

/// A thread that panicked while it held its counts leaves counts that can still be read.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
