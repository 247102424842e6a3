//! Whether a worker that has nothing to do waits awake for a while, or parks at once.
//!
//! To park and be woken takes as long as an easy request, or longer. Most clients ask one thing at
//! a time, and send the next within microseconds; others ask once a second. What comes next is
//! guessed from what came last: a worker spins only where its last gaps were shorter than the spin.
//! So a service that gets a request now and then parks at once, and an idle one uses no CPU.

use std::time::{Duration, Instant};

/// How long a worker spins before it parks. One connection at difficulty 3: 8,000 replies/s, 5,500
/// without (Zen 4, a virtual machine, 2026-11).
const SPIN: Duration = Duration::from_micros(100);

/// What a gap may be longer when the worker was parked in it: to wake up takes so long.
const WAKE: Duration = Duration::from_micros(50);

/// So many short gaps in a row are a habit.
const HABIT: u32 = 2;

/// How to wait for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Look at once whether something has come. Where a client shares the worker's CPU, the kernel
    /// has let it run while the worker wrote its reply, and its next request is there.
    Look,
    /// Give way to whoever else wants the CPU, then look.
    GiveWay,
    /// Sleep until something comes.
    Park,
}

/// The gaps between the worker's last portions of work.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    /// Since when there is nothing to do.
    since: Option<Instant>,
    short_in_a_row: u32,
}

impl Gaps {
    /// There is nothing to do at `now`. Says how to wait for a moment.
    pub(crate) fn wait(&mut self, now: Instant) -> Wait {
        let is_new = self.since.is_none();
        let since = *self.since.get_or_insert(now);
        let spins = self.short_in_a_row >= HABIT && now.saturating_duration_since(since) < SPIN;
        match (spins, is_new) {
            (true, true) => Wait::Look,
            (true, false) => Wait::GiveWay,
            (false, _) => Wait::Park,
        }
    }

    /// There is something to do again at `now`.
    pub(crate) fn end(&mut self, now: Instant) {
        let Some(since) = self.since.take() else {
            return;
        };
        if now.saturating_duration_since(since) <= SPIN + WAKE {
            self.short_in_a_row = self.short_in_a_row.saturating_add(1);
        } else {
            self.short_in_a_row = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Work after each of `gaps`; whether the worker spun at the beginning of each.
    fn spun(gaps: &[Duration]) -> Vec<bool> {
        let mut now = Instant::now();
        let mut all = Gaps::default();
        let spin = |gap: &Duration| {
            let spins = all.wait(now) == Wait::Look;
            now += *gap;
            all.end(now);
            spins
        };
        gaps.iter().map(spin).collect()
    }

    #[test]
    fn only_who_is_asked_again_and_again_waits_awake() {
        let (short, long) = (Duration::from_micros(60), Duration::from_millis(10));
        assert_eq!(spun(&[long; 4]), [false; 4]);
        assert_eq!(spun(&[short; 4]), [false, false, true, true]);
        assert_eq!(
            spun(&[short, short, long, short, short, short]),
            [false, false, true, false, false, true]
        );
    }

    #[test]
    fn a_spin_ends() {
        let mut gaps = Gaps::default();
        let mut now = Instant::now();
        for _ in 0..HABIT {
            gaps.wait(now);
            gaps.end(now);
        }
        assert_eq!(gaps.wait(now), Wait::Look);
        assert_eq!(gaps.wait(now), Wait::GiveWay);
        now += SPIN;
        assert_eq!(gaps.wait(now), Wait::Park);
    }
}
