//! Workers stay bound to their CPUs for as long as that costs them nothing.
//!
//! A bound thread cannot give way: when something else wants its CPU it waits there, while an
//! unbound one goes where a worker has nothing to do. So the time that each bound worker was busy
//! is compared with the CPU time that it got. If one has lost much of it again and again while
//! another had time to spare, all are let go, for good. Where all are busy there is no better
//! place, and they stay. (Rejected: to bind them again later, which would have them change places
//! with a neighbour that comes and goes.)

use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::cpus::Bound;

/// How often it is looked.
const PERIOD: Duration = Duration::from_secs(1);

/// The part of a period that is much: of lost time, and of time to spare.
const MUCH: f64 = 0.15;

/// How many times in a row there has to be both.
const LOOKS: u32 = 3;

/// A worker that is bound.
#[derive(Debug)]
struct Watched {
    worker: usize,
    thread: Bound,
    before: Time,
}

/// A worker's time since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Time {
    /// On a CPU.
    got: Duration,
    /// In which it was not waiting for work.
    busy: Duration,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Looks {
    /// In so many looks in a row a worker has lost much while another had time to spare.
    in_a_row: u32,
}

impl Looks {
    /// Takes in what each worker's time was in this period; says whether binding costs too much.
    fn is_enough(&mut self, times: &[Time], period: Duration) -> bool {
        let much = period.mul_f64(MUCH);
        let lost = |time: &Time| time.busy.saturating_sub(time.got) > much;
        // Who lost much had no time to spare either: something else has its CPU.
        let had_time = |time: &Time| !lost(time) && time.busy + much < period;
        self.in_a_row = match times.iter().any(lost) && times.iter().any(had_time) {
            true => self.in_a_row + 1,
            false => 0,
        };
        self.in_a_row == LOOKS
    }
}

/// Watches these workers, and lets them run on all of `cpus` when one has to wait for its CPU for
/// no need. Where their time cannot be seen, at once.
pub(super) fn watch(bound: Vec<(usize, Bound)>, cpus: Vec<usize>, shared: &Arc<Shared>) {
    if cpus.len() < 2 || cfg!(not(any(target_os = "linux", target_os = "android"))) {
        // There is nowhere else to go, or it is not a bond.
        return;
    }
    let watched = bound.into_iter().map(|(worker, thread)| Watched {
        worker,
        thread,
        before: Time::default(),
    });
    let mut watched: Vec<Watched> = watched.collect();
    let shared = Arc::downgrade(shared);
    let let_go = move || {
        let Some(why) = until_binding_costs(&mut watched, &shared) else {
            return;
        };
        for Watched { thread, .. } in &watched {
            if let Err(error) = thread.release(&cpus) {
                return tracing::warn!(%error, "{why}, but they cannot be let go");
            }
        }
        tracing::info!("{why}: they are no longer bound to CPUs, as with --no-pin");
    };
    let thread = thread::Builder::new().name("binding".to_owned());
    if let Err(error) = thread.spawn(let_go) {
        tracing::warn!(%error, "nobody watches whether the workers' CPUs are free");
    }
}

/// Waits until binding costs too much; why all are to be let go, or none when the engine has ended.
fn until_binding_costs(watched: &mut [Watched], shared: &Weak<Shared>) -> Option<&'static str> {
    let mut looks = Looks::default();
    let mut last = Instant::now();
    loop {
        thread::sleep(PERIOD);
        let shared = shared.upgrade()?;
        let now = Instant::now();
        let mut times = Vec::with_capacity(watched.len());
        for one in &mut *watched {
            let Some(got) = one.thread.cpu_time() else {
                if shared.is_draining() {
                    // The worker has ended.
                    return None;
                }
                return Some("it cannot be seen what CPU time workers get");
            };
            let busy = shared.counters[one.worker].busy();
            let time = Time { got, busy };
            times.push(Time {
                got: time.got - one.before.got,
                busy: time.busy - one.before.busy,
            });
            one.before = time;
        }
        if looks.is_enough(&times, now - last) {
            return Some("a worker waits for its CPU while another has nothing to do");
        }
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What of a second a worker got and wanted, in milliseconds.
    fn time(got: u64, busy: u64) -> Time {
        Time {
            got: Duration::from_millis(got),
            busy: Duration::from_millis(busy),
        }
    }

    #[test]
    fn only_a_loss_that_lasts_and_that_there_is_a_way_out_of_counts() {
        let mut looks = Looks::default();
        let mut look = |times: &[Time]| looks.is_enough(times, PERIOD);
        let waits = [time(500, 1000), time(10, 10)];
        for fine in [
            [time(0, 0), time(0, 0)],
            // One spins, one is busy.
            [time(900, 100), time(990, 1000)],
            // Both lose, or the other is as busy: there is nowhere to go.
            [time(500, 1000), time(400, 1000)],
            [time(500, 1000), time(1000, 1000)],
            // Both share their CPUs with clients, which run while replies are written.
            [time(400, 700), time(400, 700)],
            // Not for long.
            waits,
            waits,
            [time(990, 1000), time(10, 10)],
        ] {
            assert!(!look(&fine), "{fine:?}");
        }
        assert!(!look(&waits) && !look(&waits) && look(&waits));
    }
}
