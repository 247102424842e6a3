//! Who gets the time of a worker: flows, equals, the easy and the hard.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use powd::engine::{Engine, Flow, Options, Solve, SolveError};
use powd_core::{Difficulty, Kernel};
use powd_testkit::wait::block_on;
use powd_testkit::{DEADLINE, until};

use crate::{HOPELESS, end, engine};

#[test]
fn of_equals_that_ask_again_and_again_none_is_passed_over() {
    const CLIENTS: u32 = 64;
    let options = Options {
        workers: NonZeroUsize::MIN,
        kernel: Kernel::PORTABLE,
        hash_rate: 5e6,
        pin: false,
        ..Options::default()
    };
    let engine = Engine::start(options).expect("threads are to be had");
    let handle = engine.handle();
    let answers = AtomicU32::new(0);
    let of_each: Vec<u32> = thread::scope(|scope| {
        let ask = |client| {
            let (handle, answers) = (handle.clone(), &answers);
            move || {
                let mut number = 0;
                while answers.load(Relaxed) < 40 * CLIENTS {
                    let message = format!("{client} asks {number}");
                    let answer = block_on(handle.solve(message, Difficulty::of::<3>(), None));
                    answer.expect("it is found");
                    answers.fetch_add(1, Relaxed);
                    number += 1;
                }
                number
            }
        };
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(ask(client)))
            .collect();
        let numbers = clients.into_iter().map(|client| client.join());
        numbers.map(|number| number.expect("no panic")).collect()
    });
    // Some are lucky in their first short turns; none is passed over by all that come later.
    assert!(of_each.iter().all(|&number| number > 10), "{of_each:?}");
    end(engine);
}

#[test]
fn easy_requests_do_not_wait_for_hard_ones() {
    let (engine, handle) = engine(1, DEADLINE);
    // Behind a quantum of each hard one, the easy ones would take 80 s.
    let deadline = Duration::from_secs(40);
    let mut hard: Vec<_> = (0..400)
        .map(|_| handle.solve("hard", HOPELESS, deadline))
        .collect();
    until("hard work", || handle.totals().hashes > 0);
    for number in 0..800 {
        let answer = block_on(handle.solve(format!("easy {number}"), Difficulty::NONE, None));
        assert!(answer.is_ok());
    }
    let mut look = Context::from_waker(Waker::noop());
    let has_ended = |solve: &mut Solve| Pin::new(solve).poll(&mut look).is_ready();
    assert!(!hard.iter_mut().any(has_ended), "none has ended yet");
    drop(hard);
    end(engine);
}

#[test]
fn who_asks_for_a_hundred_things_has_the_share_of_one() {
    let (engine, handle) = engine(1, DEADLINE);
    let many = handle.of(Flow::new());
    let first = many.solve("first", HOPELESS, None);
    let others: Vec<_> = (0..99)
        .map(|number| many.solve(format!("{number}"), HOPELESS, None))
        .collect();
    until("the first of them", || first.effort().has_begun());
    let one = handle.solve("one", HOPELESS, None);
    // What comes behind it is answered: the worker has it.
    assert!(block_on(handle.solve("easy", Difficulty::NONE, None)).is_ok());
    // It comes after the one that is under way, or after the next, which has the rest of a turn in
    // which the first was dropped; not after all hundred.
    drop(first);
    until("its equal", || one.effort().has_begun());
    assert!(!others[1..].iter().any(|solve| solve.effort().has_begun()));
    drop(one);
    until("the second of them", || others[0].effort().has_begun());
    drop(others);
    end(engine);
}

#[test]
fn who_asks_for_a_hundred_things_gets_all_that_it_still_waits_for() {
    let (engine, handle) = engine(1, DEADLINE);
    let many = handle.of(Flow::new());
    let mut all: Vec<_> = (0..100)
        .map(|number| many.solve(format!("{number}"), Difficulty::of::<5>(), None))
        .collect();
    until("the first of them", || all[0].effort().has_begun());
    // What is easier does not wait behind the hundred, though it is of their flow.
    assert!(block_on(many.solve("easy", Difficulty::NONE, None)).is_ok());
    // One that waits longer than it may, and those for which nobody waits, are not in the way of
    // the others.
    let late = many.solve("late", Difficulty::of::<5>(), Duration::from_millis(1));
    assert_eq!(block_on(late), Err(SolveError::Deadline));
    all.truncate(10);
    for solve in all {
        assert!(block_on(solve).is_ok());
    }
    end(engine);
}

#[test]
fn who_gives_up_behind_a_search_that_lasts_is_forgotten() {
    let (engine, handle) = engine(1, DEADLINE);
    let many = handle.of(Flow::new());
    let first = many.solve("first", HOPELESS, None);
    let others: Vec<_> = (0..20)
        .map(|number| many.solve(format!("{number}"), HOPELESS, None))
        .collect();
    until("the first begins", || first.effort().has_begun());
    let efforts: Vec<_> = others.iter().map(|one| Arc::clone(one.effort())).collect();
    drop(others);
    // The worker keeps at most as many abandoned calls as live ones; and the first goes on.
    until("most are forgotten", || {
        let kept = efforts
            .iter()
            .filter(|effort| Arc::strong_count(effort) > 1);
        kept.count() <= 1
    });
    let hashes = first.effort().hashes();
    until("hashes", || first.effort().hashes() > hashes);
    drop(first);
    until("all are", || {
        efforts.iter().all(|effort| Arc::strong_count(effort) == 1)
    });
    end(engine);
}

#[test]
fn flows_share_a_worker_whatever_they_ask_for() {
    let (engine, handle) = engine(1, DEADLINE);
    let many = handle.of(Flow::new());
    let all: Vec<_> = (0..50)
        .map(|_| many.solve("one of many", HOPELESS, None))
        .collect();
    let one = handle.solve("one", Difficulty::of::<12>(), None);
    until("both under way", || {
        one.effort().has_begun() && all[0].effort().has_begun()
    });
    let of_one = one.effort().hashes();
    let of_many = all[0].effort().hashes();
    until("hashes", || all[0].effort().hashes() > of_many + 2_000_000);
    let share = one.effort().hashes() - of_one;
    assert!(share > 500_000, "{share}");
    drop((one, all));
    end(engine);
}

#[test]
fn equals_are_served_in_the_order_they_came() {
    let (engine, handle) = engine(1, DEADLINE);
    let first = handle.solve("first", HOPELESS, None);
    until("the first begins", || first.effort().has_begun());
    let second = handle.solve("second", HOPELESS, None);
    let hashes = first.effort().hashes();
    until("more of the first", || {
        first.effort().hashes() > hashes + 1_000_000
    });
    assert!(!second.effort().has_begun());
    drop(first);
    until("the second begins", || second.effort().has_begun());
    drop(second);
    end(engine);
}

#[test]
fn different_difficulties_share_a_worker() {
    let (engine, handle) = engine(1, DEADLINE);
    let hopeless = handle.solve("hopeless", HOPELESS, None);
    until("the hopeless begins", || hopeless.effort().has_begun());
    for number in 0..5 {
        let answer = block_on(handle.solve(format!("{number}"), Difficulty::of::<5>(), None));
        assert!(answer.is_ok());
    }
    let hashes = hopeless.effort().hashes();
    until("more of the hopeless", || {
        hopeless.effort().hashes() > hashes
    });
    drop(hopeless);
    end(engine);
}
