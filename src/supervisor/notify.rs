//! What the supervisor is told: sd_notify(3). Without one, nothing.
//!
//! Its watchdog ends a service from which it hears nothing. A thread that only sleeps and tells
//! would tell for ever, so this one tells only of workers that turn: it wakes all of them, and
//! looks later whether each has begun a round of its loop since. That costs the workers one wake-up
//! and one addition.

use std::io;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::engine::{Handle, Totals};

/// How often the status line may change.
const STATUS: Duration = Duration::from_secs(10);

/// How long a supervisor may take to take a message. One that reads takes microseconds; one that
/// hangs must not keep the service from its end.
const PATIENCE: Duration = Duration::from_millis(500);

/// Tells that everything has started.
pub fn ready() {
    tell_in_time(|| tell(&[NotifyState::Ready]));
}

/// Tells that the service ends, and what it does until then.
pub fn stopping(status: String) {
    tell_in_time(move || tell(&[NotifyState::Stopping, NotifyState::Status(&status)]));
}

/// Waits until a message has left, but not long.
fn tell_in_time(tell: impl FnOnce() + Send + 'static) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let (done, told) = sync_channel(1);
    let thread = thread::Builder::new().name("notify".to_owned());
    let started = thread.spawn(move || {
        tell();
        let _ = done.send(());
    });
    match started {
        Ok(_) => drop(told.recv_timeout(PATIENCE)),
        Err(error) => tracing::warn!(%error, "no thread to tell the supervisor with"),
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        // It may have its socket again when it is told the next time.
        tracing::warn!(%error, "the supervisor (NOTIFY_SOCKET) cannot be told");
    }
}

/// Goes on telling what the engine does, and that it is well, until the process ends.
///
/// # Errors
///
/// When the system gives no thread.
pub fn attend(engine: Handle) -> io::Result<()> {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return Ok(());
    }
    let limit = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero());
    let thread = thread::Builder::new().name("supervisor".to_owned());
    thread.spawn(move || run(&engine, limit))?;
    Ok(())
}

fn run(engine: &Handle, limit: Option<Duration>) {
    let mut pulse = limit.map(|limit| (Pulse::new(engine), limit / 2));
    let mut status = Status::new(engine);
    loop {
        let pause = pulse.as_ref().map_or(STATUS, |(_, half)| STATUS.min(*half));
        thread::sleep(pause);
        if engine.is_draining() {
            // Its end has been told; a status would hide that.
        } else if let Some(line) = status.line(engine) {
            tell(&[NotifyState::Status(&line)]);
        }
        if let Some((pulse, _)) = &mut pulse {
            match pulse.stuck(engine) {
                None => tell(&[NotifyState::Watchdog]),
                Some(worker) => {
                    tracing::error!(
                        worker,
                        "a worker has not turned since the last sign of life"
                    );
                }
            }
        }
    }
}

/// Whether all workers turn.
#[derive(Debug)]
struct Pulse {
    /// The rounds that each had begun when all were woken.
    rounds: Vec<u64>,
}

impl Pulse {
    fn new(engine: &Handle) -> Pulse {
        let rounds = engine.rounds().collect();
        engine.wake_all();
        Pulse { rounds }
    }

    /// A worker that has not turned since this was asked last, if there is one.
    fn stuck(&mut self, engine: &Handle) -> Option<usize> {
        let now: Vec<u64> = engine.rounds().collect();
        let stuck = now
            .iter()
            .zip(&self.rounds)
            .position(|(now, before)| now == before);
        self.rounds = now;
        engine.wake_all();
        stuck
    }
}

/// The status line, as `systemctl status` shows it.
#[derive(Debug)]
struct Status {
    totals: Totals,
    at: Instant,
    line: String,
}

impl Status {
    fn new(engine: &Handle) -> Status {
        Status {
            totals: engine.totals(),
            at: Instant::now(),
            line: String::new(),
        }
    }

    /// A new one, if it is time for that and says anything new.
    fn line(&mut self, engine: &Handle) -> Option<String> {
        let time = self.at.elapsed();
        if time < STATUS && !self.line.is_empty() {
            return None;
        }
        let totals = engine.totals();
        let rate = |now: u64, before: u64| (now - before) as f64 / time.as_secs_f64();
        let line = format!(
            "{} searches under way, {:.0} ended per second, {:.1} million hashes/s",
            totals.searches_begun.saturating_sub(totals.searches_ended),
            rate(totals.searches_ended, self.totals.searches_ended),
            rate(totals.hashes, self.totals.hashes) / 1e6,
        );
        (self.totals, self.at) = (totals, Instant::now());
        if line == self.line {
            return None;
        }
        self.line.clone_from(&line);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use powd_core::Kernel;

    use super::*;
    use crate::engine::{self, Engine};

    #[test]
    fn workers_that_sleep_turn_when_they_are_woken_and_those_that_have_ended_do_not() {
        let engine = Engine::start(engine::Options {
            workers: NonZeroUsize::new(2).expect("two"),
            kernel: Kernel::PORTABLE,
            pin: false,
            ..engine::Options::default()
        });
        let engine = engine.expect("two threads");
        let handle = engine.handle();
        let mut pulse = Pulse::new(&handle);
        for _ in 0..3 {
            // Each is woken again by a look that came too early for it.
            let end = Instant::now() + Duration::from_secs(60);
            while pulse.stuck(&handle).is_some() {
                assert!(Instant::now() < end, "a worker does not turn");
                thread::yield_now();
            }
        }
        handle.drain();
        engine.wait().expect("no thread failed");
        pulse.stuck(&handle);
        assert_eq!(pulse.stuck(&handle), Some(0));
    }
}
