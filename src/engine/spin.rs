//! Whether a worker that has nothing to do waits awake for a while, or sleeps at once.
//!
//! To sleep and be woken takes as long as an easy request, or longer. Most clients ask one thing at
//! a time, and send the next within microseconds; others ask once a second. What comes next is
//! guessed from what came last: a worker spins only where its last gaps were short. So a service
//! that gets a request now and then sleeps at once, and an idle one uses no CPU.
//!
//! Two things are better asleep, both with clients on the same machine (two connections at
//! difficulty 0 on two CPUs: 310,000 replies/s, 200,000 without either; Xeon, a virtual machine,
//! 2026-11):
//!
//! - A client of few is answered soonest on the CPU of its worker, where the two change places and
//!   nobody waits for another CPU to wake up: 7 us in place of 40. The kernel moves it there within
//!   milliseconds where workers sleep, and beside workers that are always awake within a second or
//!   not at all. So a worker sleeps for a while when somebody has come.
//! - If a client is there, its next request has come when the worker looks, and to sleep costs no
//!   more than to look. Beside a worker that stays awake it is the client that has to sleep for
//!   each reply. Only with one of them: the requests of several gather while the worker is awake,
//!   and would wake it one by one.

use std::time::{Duration, Instant};

use mio::Token;

/// How long a worker spins before it parks. One connection at difficulty 3: 8,000 replies/s, 5,500
/// without (Zen 4, a virtual machine, 2026-11).
const SPIN: Duration = Duration::from_micros(100);

/// What a gap may be longer when the worker was parked in it: to wake up takes so long.
const WAKE: Duration = Duration::from_micros(50);

/// A worker that was parked for less was woken by a client on its own CPU: such gaps take 4 us, and
/// up to 12 if the client has 64 requests in flight, those with a client elsewhere 60 (Xeon, a
/// virtual machine, 2026-11).
const NEAR: Duration = Duration::from_micros(15);

/// In so many looks a client on the worker's own CPU had its turn, if there is one: it takes the
/// first that gives way. (With two connections on two CPUs, 64 requests in flight on each, 6 % of
/// their replies/s were lost where such a client passed for one elsewhere.)
const GIVEN_WAY: u32 = 4;

/// So many short gaps in a row are a habit.
const HABIT: u32 = 4;

/// So many gaps in a row that one client has ended from the worker's own CPU are a habit, and so
/// many that it has not.
const BESIDE: u32 = 16;

/// So many short gaps are slept through when a client has come. After 2 of them one in three runs
/// with two connections went on with clients on the wrong CPUs, after 64 one in ten (as above).
/// They cost a lone client on another CPU its first four milliseconds.
const ARRIVAL: u32 = 64;

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
#[derive(Debug)]
pub(crate) struct Gaps {
    /// Since when there is nothing to do.
    since: Option<Instant>,
    /// How that was waited for last.
    waited: Wait,
    /// Looks in the last gap, the last one included.
    looks: u32,
    /// Short gaps to be slept through before the worker spins.
    naps: u32,
    /// Who ended the last gap, if it was one alone.
    ended_by: Option<Token>,
    /// So many gaps in a row were ended by that one, from this CPU.
    beside: u32,
    /// Gaps since a client came.
    since_arrival: u32,
}

impl Default for Gaps {
    fn default() -> Gaps {
        Gaps {
            since: None,
            waited: Wait::Park,
            looks: 0,
            naps: HABIT,
            ended_by: None,
            beside: 0,
            since_arrival: ARRIVAL,
        }
    }
}

impl Gaps {
    /// There is nothing to do at `now`. Says how to wait for a moment.
    pub(crate) fn wait(&mut self, now: Instant) -> Wait {
        let is_new = self.since.is_none();
        self.looks = match is_new {
            true => 1,
            false => self.looks.saturating_add(1),
        };
        let since = *self.since.get_or_insert(now);
        let spins = self.naps == 0 && now.saturating_duration_since(since) < SPIN;
        self.waited = match (spins, is_new) {
            (true, true) => Wait::Look,
            (true, false) => Wait::GiveWay,
            (false, _) => Wait::Park,
        };
        self.waited
    }

    /// There is something to do again at `now`, for the client `by`, if it is one alone. Requests
    /// of other threads count as those of one client: they come with one waker.
    pub(crate) fn end(&mut self, now: Instant, by: Option<Token>) {
        let Some(since) = self.since.take() else {
            return;
        };
        let gap = now.saturating_duration_since(since);
        self.since_arrival = self.since_arrival.saturating_add(1);
        let is_same = by.is_some() && by == self.ended_by;
        self.ended_by = by;
        let is_beside = is_same
            && match self.waited {
                Wait::Look => true,
                Wait::GiveWay => false,
                Wait::Park => gap < NEAR,
            };
        if is_beside {
            self.beside += 1;
            if self.beside == BESIDE {
                self.beside = 0;
                self.naps = self.naps.max(BESIDE);
            }
            return;
        }
        self.beside = 0;
        if gap <= SPIN + WAKE {
            self.naps = self.naps.saturating_sub(1);
        } else {
            self.naps = self.naps.max(HABIT);
        }
    }

    /// Whether the last gap was waited through awake for one client alone, on another CPU.
    pub(crate) fn has_awaited_one(&self) -> bool {
        self.waited == Wait::GiveWay && self.looks > GIVEN_WAY && self.ended_by.is_some()
    }

    /// A client has come. Where they come and go, none of them stays to find its place.
    pub(crate) fn on_arrival(&mut self) {
        if self.since_arrival >= ARRIVAL {
            self.naps = ARRIVAL;
        }
        self.since_arrival = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLEPT: Duration = Duration::from_micros(60);
    const AWAKE: Duration = Duration::from_micros(20);
    const LONG: Duration = Duration::from_millis(10);
    const CLIENT: Option<Token> = Some(Token(1));
    const OTHER: Option<Token> = Some(Token(2));

    /// A worker, and the clock.
    struct Scene {
        gaps: Gaps,
        now: Instant,
    }

    impl Scene {
        fn new() -> Scene {
            Scene {
                gaps: Gaps::default(),
                now: Instant::now(),
            }
        }

        /// Work for `by` after a gap that takes `awake` if the worker spins, else `asleep`; whether
        /// it spun.
        fn gap(&mut self, awake: Duration, asleep: Duration, by: Option<Token>) -> bool {
            let first = self.gaps.wait(self.now);
            let spins = first != Wait::Park;
            if spins && !awake.is_zero() {
                assert_eq!(self.gaps.wait(self.now), Wait::GiveWay);
            }
            self.now += if spins { awake } else { asleep };
            self.gaps.end(self.now, by);
            spins
        }

        /// Of `gaps` gaps like that, how many it spun in.
        fn gaps(&mut self, gaps: u32, awake: Duration, asleep: Duration, by: Option<Token>) -> u32 {
            (0..gaps)
                .map(|_| u32::from(self.gap(awake, asleep, by)))
                .sum()
        }
    }

    #[test]
    fn only_who_is_asked_again_and_again_waits_awake() {
        let mut scene = Scene::new();
        assert_eq!(scene.gaps(10, LONG, LONG, CLIENT), 0);
        assert_eq!(scene.gaps(HABIT, AWAKE, SLEPT, CLIENT), 0);
        assert_eq!(scene.gaps(10, AWAKE, SLEPT, CLIENT), 10);
        // It spins in vain once.
        assert_eq!(scene.gaps(1, LONG, LONG, CLIENT), 1);
        assert_eq!(scene.gaps(HABIT + 1, AWAKE, SLEPT, CLIENT), 1);
    }

    #[test]
    fn who_was_waited_for_awake_is_known() {
        let mut scene = Scene::new();
        scene.gaps(HABIT, AWAKE, SLEPT, CLIENT);
        assert!(!scene.gaps.has_awaited_one(), "asleep");
        // A gap of so many looks, ended by `by`.
        let mut has_awaited_one = |looks, by| {
            for _ in 0..looks {
                assert_ne!(scene.gaps.wait(scene.now), Wait::Park);
            }
            scene.gaps.end(scene.now + AWAKE, by);
            scene.gaps.has_awaited_one()
        };
        assert!(has_awaited_one(GIVEN_WAY + 1, CLIENT));
        assert!(!has_awaited_one(GIVEN_WAY, CLIENT), "on this CPU");
        assert!(!has_awaited_one(1, CLIENT), "there at once");
        assert!(!has_awaited_one(GIVEN_WAY + 1, None), "one of several");
        assert!(has_awaited_one(GIVEN_WAY + 1, OTHER));
    }

    #[test]
    fn a_spin_ends() {
        let mut scene = Scene::new();
        scene.gaps(HABIT, AWAKE, SLEPT, CLIENT);
        let Scene { mut gaps, mut now } = scene;
        assert_eq!(gaps.wait(now), Wait::Look);
        assert_eq!(gaps.wait(now), Wait::GiveWay);
        now += SPIN;
        assert_eq!(gaps.wait(now), Wait::Park);
    }

    #[test]
    fn a_worker_sleeps_while_a_newcomer_finds_its_place() {
        let mut scene = Scene::new();
        scene.gaps(ARRIVAL, AWAKE, SLEPT, CLIENT);
        scene.gaps.on_arrival();
        assert_eq!(scene.gaps(ARRIVAL, AWAKE, SLEPT, OTHER), 0);
        assert_eq!(scene.gaps(10, AWAKE, SLEPT, OTHER), 10);
    }

    #[test]
    fn clients_that_come_and_go_are_waited_for_awake() {
        let mut scene = Scene::new();
        let spun: u32 = (0..1000)
            .map(|_| {
                scene.gaps.on_arrival();
                scene.gaps(2, AWAKE, SLEPT, None)
            })
            .sum();
        assert_eq!(spun, 2000 - ARRIVAL);
    }

    #[test]
    fn a_worker_sleeps_beside_its_only_client() {
        let near = NEAR / 2;
        let mut scene = Scene::new();
        // Asleep from the start, it stays so.
        assert_eq!(scene.gaps(1000, Duration::ZERO, near, CLIENT), 0);
        // The client goes elsewhere, where it is waited for awake, and comes back.
        let away = scene.gaps(100, AWAKE, SLEPT, CLIENT);
        assert_eq!(away, 100 - BESIDE);
        let back = scene.gaps(1000, Duration::ZERO, near, CLIENT);
        assert_eq!(back, BESIDE);
    }

    #[test]
    fn a_worker_waits_awake_for_several_clients() {
        let near = NEAR / 2;
        let mut scene = Scene::new();
        let spun: u32 = [CLIENT, OTHER, None]
            .into_iter()
            .cycle()
            .take(99)
            .map(|by| scene.gaps(1, Duration::ZERO, near, by))
            .sum();
        assert_eq!(spun, 99 - HABIT);
    }
}
