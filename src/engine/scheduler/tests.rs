use powd_core::Difficulty;

use super::*;
use crate::engine::client::Work;

const QUANTUM: u64 = 1000;
/// What an easy request uses.
const EASY: u64 = 20;

fn hard() -> Class {
    Class {
        standing: Standing::Open,
        work: Work::new(Difficulty::of::<6>(), 1),
    }
}

fn harder() -> Class {
    Class {
        standing: Standing::Open,
        work: Work::new(Difficulty::of::<14>(), 1),
    }
}

fn ended(class: Class) -> Class {
    Class {
        standing: Standing::Background,
        ..class
    }
}

fn searching(class: Class) -> Next {
    Next::Turn {
        class,
        resumes: true,
    }
}

/// A scheduler with clients 0 to `clients`.
fn scheduler(clients: usize) -> Scheduler {
    let mut scheduler = Scheduler::new(QUANTUM);
    (0..clients).for_each(|key| scheduler.insert(key));
    scheduler
}

/// One round, in which `work` says what each client uses of its budget and what it needs next.
/// Adds to `used`.
fn round(scheduler: &mut Scheduler, used: &mut [u64], mut work: impl FnMut(Turn) -> (u64, Next)) {
    scheduler.begin_round();
    while let Some(turn) = scheduler.next() {
        let (spent, next) = work(turn);
        scheduler.charge(spent);
        used[turn.key] += spent;
        scheduler.settle(turn.key, next);
    }
}

/// A client that wants all that it gets.
fn greedy(class: Class) -> impl Fn(Turn) -> (u64, Next) {
    move |turn| match turn.budget.kind() {
        TurnKind::New => (
            0,
            Next::Turn {
                class,
                resumes: false,
            },
        ),
        _ => (turn.budget.left(), searching(class)),
    }
}

#[test]
fn an_easy_request_waits_for_no_search_but_the_one_at_work() {
    let mut scheduler = scheduler(101);
    (1..=100).for_each(|key| scheduler.wake(key));
    let mut used = [0; 101];
    let greedy = greedy(hard());
    for turn in 1..50 {
        scheduler.wake(0);
        round(&mut scheduler, &mut used, |turn| match turn.key {
            0 => (EASY, Next::Event),
            _ => greedy(turn),
        });
        assert_eq!(used[0], turn * EASY, "answered in the round it came in");
    }
    let searched: u64 = used[1..].iter().sum();
    assert!(
        searched >= 48 * (QUANTUM - EASY),
        "and little is lost by it"
    );
}

#[test]
fn a_search_gets_its_share_and_no_more_beside_a_stream_of_easy_requests() {
    // All of them together want more than there is.
    const CLIENTS: usize = 99;
    let mut scheduler = scheduler(CLIENTS + 1);
    scheduler.wake(CLIENTS);
    let mut used = [0; CLIENTS + 1];
    let greedy = greedy(hard());
    let mut asking: Vec<usize> = (0..CLIENTS).collect();
    for _ in 0..10_000 {
        asking.drain(..).for_each(|key| scheduler.wake(key));
        round(&mut scheduler, &mut used, |turn| match turn.key {
            CLIENTS => greedy(turn),
            key => {
                asking.push(key);
                (EASY.min(turn.budget.left()), Next::Event)
            }
        });
    }
    let all: u64 = used.iter().sum();
    let share = used[CLIENTS] as f64 / all as f64;
    assert!((0.009..0.012).contains(&share), "one of a hundred: {share}");
    let (least, most) = (used[..CLIENTS].iter().min(), used[..CLIENTS].iter().max());
    let apart = most.zip(least).map(|(most, least)| most - least);
    assert!(apart.is_some_and(|apart| apart <= 2 * EASY), "{used:?}");
}

#[test]
fn within_a_class_the_first_to_come_is_served_to_its_end() {
    let mut scheduler = scheduler(3);
    (0..3).for_each(|key| scheduler.wake(key));
    let mut ended = Vec::new();
    let mut used = [0; 3];
    for _ in 0..40 {
        let mut left: Vec<u64> = used.iter().map(|used| 10 * QUANTUM - used).collect();
        round(&mut scheduler, &mut used, |turn| {
            if turn.budget.kind() == TurnKind::New {
                return (
                    0,
                    Next::Turn {
                        class: hard(),
                        resumes: false,
                    },
                );
            }
            let spent = turn.budget.left().min(left[turn.key]);
            left[turn.key] -= spent;
            if left[turn.key] == 0 {
                ended.push(turn.key);
                return (spent, Next::Event);
            }
            (spent, searching(hard()))
        });
    }
    assert_eq!(ended, [0, 1, 2]);
}

#[test]
fn who_has_an_answer_waits_behind_the_others_for_the_next() {
    let mut scheduler = scheduler(2);
    (0..2).for_each(|key| scheduler.wake(key));
    let mut answers = [0u32; 2];
    for _ in 0..100 {
        // Each answer takes a third of a quantum; both have always more to ask.
        round(&mut scheduler, &mut [0; 2], |turn| {
            answers[turn.key] += 1;
            let spent = turn.budget.left().min(QUANTUM / 3);
            (
                spent,
                Next::Turn {
                    class: hard(),
                    resumes: false,
                },
            )
        });
    }
    assert!(answers[0].abs_diff(answers[1]) <= 1, "{answers:?}");
}

#[test]
fn classes_share_by_their_clients() {
    // Three equals, of which one is served at a time, and one search that never ends.
    let mut scheduler = scheduler(4);
    (0..4).for_each(|key| scheduler.wake(key));
    let (equals, endless) = (greedy(hard()), greedy(harder()));
    let mut used = [0; 4];
    for _ in 0..4000 {
        round(&mut scheduler, &mut used, |turn| match turn.key {
            3 => endless(turn),
            _ => equals(turn),
        });
    }
    let all: u64 = used.iter().sum();
    let share = used[3] as f64 / all as f64;
    assert!((0.24..0.26).contains(&share), "one of four: {share}");
}

#[test]
fn few_clients_do_not_wait_for_the_turns_of_all_the_many_of_another_class() {
    let mut scheduler = scheduler(1010);
    (0..1010).for_each(|key| scheduler.wake(key));
    let mut used = [0; 1010];
    let class = |key| if key < 10 { hard() } else { harder() };
    let (mut since, mut longest) = (0, 0);
    for _ in 0..20_000 {
        round(&mut scheduler, &mut used, |turn| {
            let (spent, next) = greedy(class(turn.key))(turn);
            since = if turn.key < 10 { 0 } else { since + spent };
            longest = longest.max(since);
            (spent, next)
        });
    }
    // The few get one quantum in each hundred, rather than ten in a row in each thousand.
    assert!(longest < 200 * QUANTUM, "{longest}");
    let few: u64 = used[..10].iter().sum();
    assert!((190 * QUANTUM..=210 * QUANTUM).contains(&few), "{few}");
}

#[test]
fn the_background_is_for_when_nobody_else_wants_the_time() {
    let mut scheduler = scheduler(2);
    (0..2).for_each(|key| scheduler.wake(key));
    let (open, gone) = (greedy(hard()), greedy(ended(hard())));
    let mut used = [0; 2];
    for _ in 0..10 {
        round(&mut scheduler, &mut used, |turn| match turn.key {
            0 => open(turn),
            _ => gone(turn),
        });
    }
    assert_eq!(used[1], 0);
    assert!(scheduler.has_foreground() && scheduler.has_background());
    let turn = scheduler.next_background().expect("it waits");
    assert_eq!((turn.key, turn.budget.left()), (1, QUANTUM));
}

#[test]
fn in_the_background_too_nobody_waits_for_who_asks_for_more() {
    let mut scheduler = scheduler(2);
    (0..2).for_each(|key| scheduler.wake(key));
    let (endless, short) = (greedy(ended(harder())), greedy(ended(hard())));
    let mut used = [0; 2];
    round(&mut scheduler, &mut used, |turn| match turn.key {
        0 => endless(turn),
        _ => short(turn),
    });
    for _ in 0..100 {
        let turn = scheduler.next_background().expect("both wait");
        let (spent, next) = if turn.key == 0 {
            endless(turn)
        } else {
            short(turn)
        };
        scheduler.charge(spent);
        used[turn.key] += spent;
        scheduler.settle(turn.key, next);
    }
    assert_eq!(used, [50 * QUANTUM; 2]);
}

#[test]
fn who_cannot_wait_leaves_its_place_and_queues_do_not_grow_by_that() {
    let mut scheduler = scheduler(2);
    scheduler.wake(0);
    let (open, gone) = (greedy(hard()), greedy(ended(hard())));
    for _ in 0..1000 {
        scheduler.interrupt(1);
        round(&mut scheduler, &mut [0; 2], |turn| match turn.key {
            0 => open(turn),
            _ => gone(turn),
        });
    }
    assert_eq!(scheduler.background.live, 1);
    assert!(scheduler.background.entries() < 30);
}

#[test]
fn helpers_bring_a_search_back_to_the_head_of_its_class() {
    let mut scheduler = scheduler(2);
    (0..2).for_each(|key| scheduler.wake(key));
    let greedy = greedy(hard());
    round(&mut scheduler, &mut [0; 2], &greedy);
    round(&mut scheduler, &mut [0; 2], |turn| {
        (turn.budget.left(), Next::Stalled(hard()))
    });
    assert!(scheduler.has_stalled());
    let mut order = Vec::new();
    round(&mut scheduler, &mut [0; 2], |turn| {
        order.push(turn.key);
        greedy(turn)
    });
    assert_eq!(order, [0]);
}

#[test]
fn a_client_alone_has_the_whole_quantum_and_one_turn_of_it() {
    let mut scheduler = scheduler(1);
    scheduler.wake(0);
    let mut turns = Vec::new();
    round(&mut scheduler, &mut [0], |turn| {
        turns.push(turn.budget.left());
        (EASY, Next::Soon)
    });
    assert_eq!(turns, [QUANTUM]);
    assert!(scheduler.has_foreground());
}

#[test]
fn the_smallest_quantum_is_given_too() {
    let mut scheduler = Scheduler::new(8);
    (0..5).for_each(|key| scheduler.insert(key));
    (0..5).for_each(|key| scheduler.wake(key));
    let mut used = [0; 5];
    for _ in 0..50 {
        round(&mut scheduler, &mut used, |turn| {
            (
                turn.budget.left(),
                Next::Turn {
                    class: hard(),
                    resumes: false,
                },
            )
        });
    }
    assert!(used.iter().all(|&used| used > 0), "{used:?}");
}
