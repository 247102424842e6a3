//! Who claims, who wins, who stops: a shared search in every order in which its threads can take
//! their steps.
//!
//! With `--cfg loom` the model checker goes through the orders. Without it real threads play the
//! same scenes many times, and under Miri once for each of its seeds. The scanner hashes nothing,
//! and only two seeds are left on the ring, so that there are few steps to put in order.

use std::sync::Arc;

#[cfg(loom)]
use loom::thread;
#[cfg(not(loom))]
use std::thread;

use super::*;
use crate::kernel::Scripted;
use crate::pow::{Seed, verify};

/// The heads that are left on the ring, each a chunk.
const FIRST: u32 = 60;
const SECOND: u32 = 61;

const DIFFICULTY: Difficulty = Difficulty::of::<1>();

/// What happens: an owner and two helpers search.
#[derive(Clone, Copy)]
struct Scene {
    /// The heads that are solutions.
    solutions: &'static [u32],
    /// The heads that the scanner reports.
    reports: &'static [u32],
    /// Whether the owner calls the search off before it works.
    calls_off: bool,
}

impl Scene {
    /// Plays the scene in every order, or as often as there is time for. `check` looks at the
    /// outcome.
    fn play(self, check: impl Fn(&Play, [Progress; 3]) + Send + Sync + 'static) {
        let message = message_with(self.solutions);
        let once = move || {
            let play = Arc::new(Play::new(self, &message));
            let helpers = [(); 2].map(|()| {
                let play = Arc::clone(&play);
                thread::spawn(move || play.work())
            });
            if self.calls_off {
                play.search.call_off();
            }
            let owner = play.work();
            let [first, second] = helpers.map(|helper| helper.join().expect("no panic"));
            check(&play, [owner, first, second]);
        };
        explore(once);
    }
}

/// All orders with up to three preemptions: 4 seconds for all scenes (Zen 4, 2026-11), with four
/// some 30. `LOOM_MAX_PREEMPTIONS` sets another bound.
#[cfg(loom)]
fn explore(once: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(once);
}

#[cfg(not(loom))]
fn explore(once: impl Fn() + Send + Sync + 'static) {
    let times = if cfg!(miri) { 1 } else { 1000 };
    (0..times).for_each(|_| once());
}

/// A message for which exactly these of the two heads are solutions.
fn message_with(solutions: &[u32]) -> Vec<u8> {
    let is_solution = |head, message: &[u8]| {
        let seed = Seed::from_index(SeedLength::MIN, u128::from(head));
        verify(seed, message, DIFFICULTY).is_some()
    };
    let mut messages = (0..100_000).map(|number| number.to_string().into_bytes());
    messages
        .find(|message| {
            [FIRST, SECOND]
                .into_iter()
                .all(|head| is_solution(head, message) == solutions.contains(&head))
        })
        .expect("one message in 256 has two")
}

/// A scene that is being played.
struct Play {
    scene: Scene,
    search: SharedSearch,
    tried: AtomicU64,
}

impl Play {
    fn new(scene: Scene, message: &[u8]) -> Play {
        let job = Job {
            message,
            difficulty: DIFFICULTY,
        };
        let mut search = SharedSearch::with_capacity(message.len());
        let ring = Ring::new(SeedLength::MIN, 0);
        search.begin(job, ring, u128::from(FIRST)..ring.steps(), NonZeroU64::MIN);
        Play {
            scene,
            search,
            tried: AtomicU64::new(0),
        }
    }

    /// Works until there is nothing more to do.
    fn work(&self) -> Progress {
        let scanner = Scripted {
            reports: self.scene.reports,
            tried: &self.tried,
        };
        let mut searcher = Searcher::new(scanner, 0);
        let mut share = self.search.join(&mut searcher);
        let progress = loop {
            let progress = share.work(&mut Tally::default());
            if progress != Progress::Pending {
                break progress;
            }
        };
        if progress == Progress::Exhausted {
            // No head is left, no thread is still at one, and this thread knows it.
            assert_eq!(self.tried.load(Relaxed), 1 << FIRST | 1 << SECOND);
        }
        if self.search.is_over() && !self.scene.calls_off {
            // Who sees the end of a search sees its winner.
            assert!(self.search.winner.get().is_some());
        }
        progress
    }
}

/// The solution that all who found one report.
fn winner(outcome: &[Progress]) -> Option<Solution> {
    let mut found = outcome.iter().filter_map(|progress| match progress {
        Progress::Found(solution) => Some(*solution),
        _ => None,
    });
    let first = found.next();
    assert!(found.all(|solution| Some(solution) == first));
    first
}

#[test]
fn an_empty_ring_is_proven_empty_when_all_have_done_their_part() {
    let scene = Scene {
        solutions: &[],
        reports: &[],
        calls_off: false,
    };
    scene.play(|play, outcome| {
        assert!(outcome.contains(&Progress::Exhausted));
        assert_eq!(winner(&outcome), None);
        assert_eq!(play.work(), Progress::Exhausted);
    });
}

#[test]
fn a_solution_is_found_whoever_comes_first() {
    let scene = Scene {
        solutions: &[SECOND],
        reports: &[SECOND],
        calls_off: false,
    };
    scene.play(|play, outcome| {
        assert!(!outcome.contains(&Progress::Exhausted));
        let winner = winner(&outcome).expect("the second head");
        assert_eq!(play.work(), Progress::Found(winner));
        assert!(!play.search.is_claimable());
    });
}

#[test]
fn of_two_solutions_all_threads_report_the_same() {
    let scene = Scene {
        solutions: &[FIRST, SECOND],
        reports: &[FIRST, SECOND],
        calls_off: false,
    };
    scene.play(|play, outcome| {
        assert!(!outcome.contains(&Progress::Exhausted));
        let winner = winner(&outcome).expect("one of both heads");
        assert_eq!(play.work(), Progress::Found(winner));
    });
}

#[test]
fn a_false_report_does_not_end_the_search() {
    let scene = Scene {
        solutions: &[SECOND],
        reports: &[FIRST, SECOND],
        calls_off: false,
    };
    scene.play(|_, outcome| {
        assert!(!outcome.contains(&Progress::Exhausted));
        assert!(winner(&outcome).is_some());
    });
}

#[test]
fn a_search_that_is_called_off_stalls_unless_it_was_won_before() {
    let scene = Scene {
        solutions: &[SECOND],
        reports: &[SECOND],
        calls_off: true,
    };
    scene.play(|play, outcome| {
        assert!(!outcome.contains(&Progress::Exhausted));
        let end = winner(&outcome).map_or(Progress::Stalled, Progress::Found);
        assert_eq!(play.work(), end);
        assert!(!play.search.is_claimable());
    });
}

#[test]
fn a_chunk_that_was_not_searched_to_its_end_is_not_proven_empty() {
    let scene = Scene {
        solutions: &[],
        reports: &[],
        calls_off: true,
    };
    scene.play(|play, [owner, helpers @ ..]| {
        assert_eq!(owner, Progress::Stalled);
        for progress in helpers {
            // `Play::work` has checked that nothing is left when one says exhausted.
            assert!(matches!(progress, Progress::Stalled | Progress::Exhausted));
        }
        assert_eq!(play.work(), Progress::Stalled);
    });
}
