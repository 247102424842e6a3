//! Workers stay bound to their CPUs for as long as that costs them nothing.
//!
//! A bound thread cannot give way: when something else wants its CPU it waits there, while an unbound one would find
//! its time elsewhere. So the time that each bound worker was busy is compared with the CPU time that it got. If one
//! has lost much of it again and again, all are let go, for good: unbound they lose nothing beside neighbours, and on a
//! quiet machine no difference can be measured. (Rejected: to bind them again later, which would have them change places
//! with a neighbour that comes and goes.)

use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::cpus::Bound;

/// How often it is looked.
const PERIOD: Duration = Duration::from_secs(1);

/// The part of its time that a worker may lose.
const LOSS: f64 = 0.15;

/// How many times in a row a worker may lose more.
const LOOKS: u32 = 3;

/// A worker that is bound.
#[derive(Debug)]
struct Watched {
    worker: usize,
    thread: Bound,
    /// Its CPU time, and the time that it was busy, when it was looked last.
    before: Option<(Duration, Duration)>,
    /// Looks in a row that saw it lose too much.
    losses: u32,
}

/// Watches these workers, and lets them run on all of `cpus` when one has to wait for its CPU. Where their time cannot
/// be seen, at once.
pub(super) fn watch(bound: Vec<(usize, Bound)>, cpus: Vec<usize>, shared: &Arc<Shared>) {
    if cpus.len() < 2 || cfg!(not(any(target_os = "linux", target_os = "android"))) {
        // There is nowhere else to go, or it is not a bond.
        return;
    }
    let mut watched: Vec<Watched> = bound.into_iter().map(Watched::new).collect();
    let shared = Arc::downgrade(shared);
    let until_one_loses = move || {
        if let Some(why) = until_one_loses(&mut watched, &shared) {
            for Watched { thread, .. } in &watched {
                if let Err(error) = thread.release(&cpus) {
                    return tracing::warn!(%error, "{why}, but they cannot be let go");
                }
            }
            tracing::info!("{why}: they are no longer bound, as with --no-pin");
        }
    };
    let thread = thread::Builder::new().name("binding".to_owned());
    if let Err(error) = thread.spawn(until_one_loses) {
        tracing::warn!(%error, "nobody watches whether the workers' CPUs are free");
    }
}

/// Waits until a worker loses too much; why all are to be let go, or none when the engine has ended.
fn until_one_loses(watched: &mut [Watched], shared: &Weak<Shared>) -> Option<String> {
    let mut last = Instant::now();
    loop {
        thread::sleep(PERIOD);
        let shared = shared.upgrade()?;
        let now = Instant::now();
        for one in &mut *watched {
            let Some(cpu_time) = one.thread.cpu_time() else {
                return Some("it cannot be seen what CPU time workers get".to_owned());
            };
            let busy = shared.counters[one.worker].busy_nanoseconds.read();
            if one.loses((cpu_time, Duration::from_nanos(busy)), now - last) {
                let worker = one.worker;
                return Some(format!("something else takes the CPU of worker {worker}"));
            }
        }
        last = now;
    }
}

impl Watched {
    fn new((worker, thread): (usize, Bound)) -> Watched {
        Watched {
            worker,
            thread,
            before: None,
            losses: 0,
        }
    }

    /// Takes in its CPU time and the time that it was busy, `period` after the last look; whether it has lost too much,
    /// too often.
    fn loses(&mut self, now: (Duration, Duration), period: Duration) -> bool {
        let Some(before) = self.before.replace(now) else {
            return false;
        };
        let got = now.0.saturating_sub(before.0);
        let wanted = now.1.saturating_sub(before.1);
        let lost = wanted.saturating_sub(got);
        self.losses = match lost > period.mul_f64(LOSS) {
            true => self.losses + 1,
            false => 0,
        };
        self.losses == LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loss_that_lasts_counts() {
        let bound = thread::spawn(|| {
            let cpu = crate::cpus::usable()[0];
            Bound::this_thread(cpu)
        });
        let Ok(bound) = bound.join().expect("no panic") else {
            return eprintln!("skipped: threads cannot be bound here");
        };
        let mut watched = Watched::new((0, bound));
        let (mut got, mut busy) = (Duration::ZERO, Duration::ZERO);
        let mut look = |got_now: u64, busy_now: u64| {
            got += Duration::from_millis(got_now);
            busy += Duration::from_millis(busy_now);
            watched.loses((got, busy), PERIOD)
        };
        // Idle, spinning, busy, and now and then without its CPU.
        let fine = [
            (0, 0),
            (900, 100),
            (1000, 1000),
            (500, 1000),
            (500, 1000),
            (990, 1000),
        ];
        for (got_now, busy_now) in fine {
            assert!(!look(got_now, busy_now));
        }
        assert!(!look(500, 1000) && !look(800, 1000) && look(100, 300));
    }
}
