//! The engine through its handle alone: no socket is open in any of these.

mod fairness;
mod outposts;

use std::num::NonZeroUsize;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use powd::engine::{Engine, EngineError, Handle, Options, Query, SolveError};
use powd_core::{Difficulty, SeedLength, verify};
use powd_testkit::wait::{block_on, until_still};
use powd_testkit::{DEADLINE, until};

/// What no search finds.
const HOPELESS: Difficulty = Difficulty::MAX;

fn engine(workers: usize, drain_timeout: Duration) -> (Engine, Handle) {
    let options = Options {
        workers: NonZeroUsize::new(workers).expect("some"),
        pin: false,
        drain_timeout,
        ..Options::default()
    };
    let engine = Engine::start(options).expect("threads are to be had");
    let handle = engine.handle();
    (engine, handle)
}

/// Waits for its threads to end.
fn ended(engine: Engine) -> Result<(), EngineError> {
    let (tell, told) = channel();
    thread::spawn(move || tell.send(engine.wait()));
    told.recv_timeout(DEADLINE).expect("an end in time")
}

fn end(engine: Engine) {
    engine.handle().drain();
    ended(engine).expect("no thread failed");
}

/// No worker tries a seed any more.
fn until_idle(handle: &Handle) {
    until_still("idle", || Some(handle.totals().hashes));
}

#[test]
fn any_thread_gets_answers_that_are_right() {
    let (engine, handle) = engine(2, DEADLINE);
    thread::scope(|scope| {
        for thread in 0..4 {
            let handle = handle.clone();
            scope.spawn(move || {
                for number in 0..50 {
                    let message = format!("{thread} asks {number}");
                    let difficulty = Difficulty::new(number % 5).expect("0 to 64");
                    let answer = block_on(handle.solve(message.as_str(), difficulty, None));
                    let answer = answer.expect("it is found");
                    let seed = answer.solution.seed();
                    let checked = verify(seed, message.as_bytes(), difficulty);
                    assert_eq!(checked, Some(answer.solution));
                    assert!(answer.hashes > 0);
                }
            });
        }
    });
    end(engine);
}

#[test]
fn what_is_asked_together_is_answered_and_forgotten_as_anything_else() {
    let (engine, handle) = engine(2, DEADLINE);
    let ask = |difficulty| {
        handle.ask_together(Query {
            message: b"one of many".to_vec(),
            difficulty,
            seed_length: None,
            deadline: None,
        })
    };
    // Some are easy enough to wait for each other, some are not.
    let difficulties = [0, 1, 0, 4, 0, 3].map(|nibbles| Difficulty::new(nibbles).expect("0 to 64"));
    for _ in 0..20 {
        let asked = difficulties.map(ask);
        // The last one first: who is polled rings for all.
        for (solve, difficulty) in asked.into_iter().zip(difficulties).rev() {
            let answer = block_on(solve).expect("it is found");
            let seed = answer.solution.seed();
            assert!(verify(seed, b"one of many", difficulty).is_some());
        }
    }
    // Nobody has polled these: a drain does not wait for them.
    drop(difficulties.map(ask));
    end(engine);
}

#[test]
fn all_workers_help_and_all_stop_when_nobody_waits_any_more() {
    let (engine, handle) = engine(3, DEADLINE);
    let solve = handle.solve("hopeless", HOPELESS, None);
    until("help", || handle.totals().help_hashes > 0);
    until("the owner's first turn", || solve.effort().has_begun());
    drop(solve);
    until("cancelled", || handle.totals().cancelled_searches == 1);
    until_idle(&handle);
    end(engine);
}

#[test]
fn a_deadline_ends_a_search_on_every_core() {
    let (engine, handle) = engine(2, DEADLINE);
    let deadline = Duration::from_millis(50);
    let outcome = block_on(handle.solve("hopeless", HOPELESS, deadline));
    assert_eq!(outcome, Err(SolveError::Deadline));
    until_idle(&handle);
    // Also of one that waits behind another.
    let first = handle.solve("first", HOPELESS, None);
    let waiting: Vec<_> = (0..10)
        .map(|_| handle.solve("waiting", HOPELESS, deadline))
        .collect();
    for solve in waiting {
        assert_eq!(block_on(solve), Err(SolveError::Deadline));
    }
    drop(first);
    end(engine);
}

#[test]
fn what_was_asked_before_a_drain_is_answered_and_nothing_after() {
    let (engine, handle) = engine(2, DEADLINE);
    let asked: Vec<_> = (0..20)
        .map(|number| handle.solve(format!("{number}"), Difficulty::of::<4>(), None))
        .collect();
    handle.drain();
    let late = block_on(handle.solve("late", Difficulty::NONE, None));
    assert_eq!(late, Err(SolveError::Draining));
    for solve in asked {
        assert!(block_on(solve).is_ok());
    }
    ended(engine).expect("no thread failed");
}

#[test]
fn a_drain_does_not_wait_longer_than_it_may() {
    let (engine, handle) = engine(2, Duration::from_millis(50));
    let hopeless = handle.solve("hopeless", HOPELESS, None);
    handle.drain();
    assert_eq!(block_on(hopeless), Err(SolveError::Draining));
    ended(engine).expect("no thread failed");
}

#[test]
fn who_asks_when_the_workers_have_ended_is_told_of_the_drain() {
    let (engine, handle) = engine(2, Duration::from_millis(1));
    let door = engine.open_door(|| {});
    handle.drain();
    // They do not wait for a door that stays open.
    engine.wait().expect("no thread failed");
    let late = block_on(handle.solve("late", Difficulty::NONE, None));
    assert_eq!(late, Err(SolveError::Draining));
    drop(door);
}

#[test]
fn what_cannot_be_asked_is_told_at_once() {
    let (engine, handle) = engine(1, DEADLINE);
    let max = handle.options().max_message_bytes.get();
    let outcome = block_on(handle.solve(vec![b'x'; max + 1], Difficulty::NONE, None));
    assert_eq!(outcome, Err(SolveError::TooLong { max }));
    let longest = block_on(handle.solve(vec![b'x'; max], Difficulty::NONE, None));
    assert!(longest.is_ok());
    let query = Query {
        message: b"long seed".to_vec(),
        difficulty: Difficulty::of::<1>(),
        seed_length: Some(SeedLength::of::<12>()),
        deadline: None,
    };
    let answer = block_on(handle.ask(query)).expect("one in 16");
    assert_eq!(answer.solution.seed().as_bytes().len(), 12);
    end(engine);
}
