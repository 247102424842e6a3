//! The engine through its handle alone: no socket is open in any of these.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use powd::engine::{
    Appeal, Engine, EngineError, Flow, Handle, Options, Outpost, Query, Solve, SolveError,
};
use powd_core::{Difficulty, Job, Kernel, SeedLength, verify};
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
