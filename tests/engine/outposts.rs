//! Help from other engines, and for them.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use powd::engine::{Appeal, EngineError, Outpost, SolveError};
use powd_core::{Difficulty, Job, SeedLength, verify};
use powd_testkit::wait::block_on;
use powd_testkit::{DEADLINE, until};

use crate::{HOPELESS, end, ended, engine, until_idle};

/// Another engine, in a test's hands.
#[derive(Debug, Default)]
struct Elsewhere {
    appeals: Mutex<Vec<Arc<Appeal>>>,
    has_room: AtomicBool,
}

impl Outpost for Elsewhere {
    fn call(&self, appeal: &Arc<Appeal>) -> bool {
        // The first time there is no room.
        let has_room = self.has_room.swap(true, Relaxed);
        if has_room {
            let mut appeals = self.appeals.lock().expect("no panic");
            appeals.push(Arc::clone(appeal));
        }
        has_room
    }

    fn wake(&self) {}
}

impl Elsewhere {
    fn appeal(&self) -> Arc<Appeal> {
        let mut appeal = None;
        until("a call for help", || {
            appeal = self.appeals.lock().expect("no panic").pop();
            appeal.is_some()
        });
        appeal.expect("it came")
    }
}

#[test]
fn a_long_search_is_shown_elsewhere_until_it_ends() {
    for workers in [1, 2] {
        let (engine, handle) = engine(workers, DEADLINE);
        let elsewhere = Arc::<Elsewhere>::default();
        let guests = handle.join(Arc::clone(&elsewhere) as Arc<dyn Outpost>);
        assert!(guests.is_some() && handle.join(elsewhere.clone()).is_none());
        // Far more than this machine finds in the time of the test.
        let difficulty = Difficulty::of::<12>();
        let solve = handle.solve("hello", difficulty, None);
        let appeal = elsewhere.appeal();
        assert_eq!(
            (appeal.job().message, appeal.job().difficulty),
            (&b"hello"[..], difficulty)
        );
        assert_eq!(appeal.length(), SeedLength::DEFAULT);
        appeal.set_help(1 << 50, 3);
        until("a look at it", || {
            let searches = handle.long_searches();
            searches.iter().any(|search| search.hashes > 1 << 50)
        });
        // What is no solution is left.
        let other = verify("aaaaa".parse().expect("a seed"), b"hello", Difficulty::NONE);
        appeal.win(other.expect("anything is one at 0"));
        assert!(!appeal.is_over());
        drop(solve);
        until("its end", || appeal.is_over());
        until_idle(&handle);
        end(engine);
    }
}

#[test]
fn what_is_found_elsewhere_is_the_answer() {
    let (engine, handle) = engine(2, DEADLINE);
    let elsewhere = Arc::<Elsewhere>::default();
    handle.join(Arc::clone(&elsewhere) as Arc<dyn Outpost>);
    // Half a minute of work here, and a seed that was found before.
    let difficulty = Difficulty::of::<8>();
    let seed = "kMb5dF".parse().expect("a seed");
    let (appeal, answer) = loop {
        let solve = handle.solve("hello", difficulty, None);
        let appeal = elsewhere.appeal();
        appeal.win(verify(seed, b"hello", difficulty).expect("a solution"));
        appeal.set_help(12345, 1);
        let answer = block_on(solve).expect("an answer");
        // With luck one is found here first.
        if answer.solution.seed() == seed {
            break (appeal, answer);
        }
        assert!(verify(answer.solution.seed(), b"hello", difficulty).is_some());
    };
    assert!(appeal.is_over() && answer.hashes > 12345);
    assert!(handle.totals().appeals >= 1);
    end(engine);
}

/// A fault of the worker that calls it.
#[derive(Debug)]
struct Faulty;

impl Outpost for Faulty {
    fn call(&self, _: &Arc<Appeal>) -> bool {
        panic!("a fault of this test's own");
    }

    fn wake(&self) {}
}

#[test]
fn nobody_waits_for_the_clients_of_a_worker_that_has_failed() {
    let (engine, handle) = engine(2, 100 * DEADLINE);
    handle.join(Arc::new(Faulty));
    // One of them brings it down, the other waits behind.
    let [one, other] = ["one", "other"].map(|message| handle.solve(message, HOPELESS, None));
    assert!(matches!(ended(engine), Err(EngineError::Failed)));
    for solve in [one, other] {
        assert_eq!(block_on(solve).err(), Some(SolveError::Failed));
    }
}

#[test]
fn idle_workers_search_for_guests_until_a_client_comes() {
    let (engine, handle) = engine(2, DEADLINE);
    let mut guests = handle.join(Arc::<Elsewhere>::default()).expect("the first");
    let length = SeedLength::of::<11>();
    let job = |message, difficulty| Job {
        message,
        difficulty,
    };
    until("idle workers", || handle.has_idle_worker());
    guests.begin(0, job(b"guest", HOPELESS), length, 0..62u128.pow(7));
    until("work for it", || guests.progress(0).hashes > 1_000_000);
    assert!(handle.has_idle_worker());
    let answer = block_on(handle.solve("own", Difficulty::of::<5>(), None)).expect("found");
    assert!(verify(answer.solution.seed(), b"own", Difficulty::of::<5>()).is_some());
    // A part without a solution, and one that has some.
    guests.begin(1, job(b"guest", HOPELESS), length, 5000..5100);
    until("its end", || guests.progress(1).is_exhausted);
    assert_eq!(guests.progress(1).hashes, 100);
    guests.begin(
        2,
        job(b"guest", Difficulty::of::<4>()),
        length,
        1 << 60..1 << 61,
    );
    until("a find", || guests.progress(2).winner.is_some());
    (0..3).for_each(|place| guests.end(place));
    until_idle(&handle);
    assert!(handle.totals().guest_hashes > 1_000_000);
    end(engine);
}
