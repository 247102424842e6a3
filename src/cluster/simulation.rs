//! A hundred members without sockets, workers or a clock: what the network does to their messages
//! is drawn.
//!
//! Messages are late, lost, doubled and in any order; members die, the broker is away for some
//! time, one member lies. It holds in every run that no number is searched twice, that everybody
//! stops, and that each living owner answers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::time::Duration;

use powd_core::unstable::Ring;
use powd_core::{Difficulty, Seed, SeedLength, verify};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

use super::helper::{GUESTS, LEASE, Progress, Work};
use super::node::{Action, Me, Node, Refusal};
use super::owner::Task;
use super::wire::{JobId, Kind, MemberId, Number, To};

const MEMBERS: usize = 100;
/// Those that help at any time, when all can: some wait for their next number.
const MOST: usize = 90;
const STEP: Duration = Duration::from_millis(10);
const TICK: Duration = Duration::from_millis(50);

/// The most that a message can take.
const DELAY_MAX: Duration = Duration::from_millis(500);

/// Of a thousand messages, so many are lost, and so many come twice.
const LOST: u32 = 50;
const DOUBLED: u32 = 50;

struct Member {
    node: Node,
    is_alive: bool,
    /// Says of every seed that it is a solution.
    lies: bool,
    has_idle_cores: bool,
    guests: [Option<Guest>; GUESTS],
    /// Its own searches, with the time at which it finds a seed itself.
    own: BTreeMap<JobId, Duration>,
}

struct Guest {
    work: Work,
    hashes: u64,
    found: Option<Seed>,
    is_exhausted: bool,
}

type Letter = Reverse<(Duration, u64, usize, u8, Vec<u8>)>;

struct World {
    now: Duration,
    members: Vec<Member>,
    letters: BinaryHeap<Letter>,
    sent: u64,
    random: Xoshiro256PlusPlus,
    /// Nothing gets through.
    is_broker_away: bool,
    is_smooth: bool,
    /// Each number that somebody began, with its search.
    begun: HashSet<(Vec<u8>, Number)>,
    /// Searches that have an answer.
    answered: HashSet<JobId>,
    answered_by_others: usize,
}

fn id(member: usize) -> MemberId {
    MemberId(member as u64 + 1)
}

impl World {
    fn new(seed: u64) -> World {
        let member = |number| Member {
            node: Node::new(Me {
                id: id(number),
                workers: 2,
                label: format!("member-{number}"),
            }),
            is_alive: true,
            lies: false,
            has_idle_cores: true,
            guests: [const { None }; GUESTS],
            own: BTreeMap::new(),
        };
        World {
            now: Duration::ZERO,
            members: (0..MEMBERS).map(member).collect(),
            letters: BinaryHeap::new(),
            sent: 0,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            is_broker_away: false,
            is_smooth: false,
            begun: HashSet::new(),
            answered: HashSet::new(),
            answered_by_others: 0,
        }
    }

    fn draw(&mut self, below: u32) -> u32 {
        self.random.next_u32() % below
    }

    /// A member begins a hard search, for which it alone would take so long.
    fn search(&mut self, member: usize, difficulty: Difficulty, alone: Duration) -> JobId {
        let job = JobId(self.random.next_u64());
        let first = self.draw(Number::COUNT);
        let task = Task {
            message: job.to_string().into_bytes().into(),
            difficulty,
            length: SeedLength::of::<11>(),
            epoch: 1,
        };
        let member = &mut self.members[member];
        let first = Number::new(first).expect("below");
        member.node.begin(job, task, first, self.now);
        member.own.insert(job, self.now + alone);
        job
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            self.deliver();
            for member in 0..MEMBERS {
                if self.members[member].is_alive {
                    self.live(member);
                }
            }
        }
    }

    fn deliver(&mut self) {
        while let Some(Reverse((at, ..))) = self.letters.peek() {
            if *at > self.now {
                return;
            }
            let Some(Reverse((_, _, to, kind, payload))) = self.letters.pop() else {
                return;
            };
            let member = &mut self.members[to];
            if member.is_alive && !self.is_broker_away {
                let kind = Kind::ALL[usize::from(kind)];
                let guests = &member.guests;
                let progress = |place: usize| progress(&guests[place]);
                let _ = member.node.hear(kind, &payload, self.now, progress);
                self.act(to);
            }
        }
    }

    fn live(&mut self, number: usize) {
        let luck = self.random.next_u32();
        let now = self.now;
        let member = &mut self.members[number];
        for guest in member.guests.iter_mut().flatten() {
            guest.search(luck, member.lies);
        }
        let mut found = Vec::new();
        member.own.retain(|job, at| {
            let is_found = now >= *at;
            if is_found {
                found.push(*job);
            }
            !is_found
        });
        for job in found {
            member.node.end(job, now);
            assert!(self.answered.insert(job), "{job} is answered twice");
        }
        // Members are not in step.
        if (now + STEP * number as u32)
            .as_millis()
            .is_multiple_of(TICK.as_millis())
        {
            let guests = &member.guests;
            let progress = |place: usize| progress(&guests[place]);
            member.node.tick(now, member.has_idle_cores, 5, progress);
        }
        self.act(number);
    }

    fn act(&mut self, number: usize) {
        for action in self.members[number].node.take_actions() {
            match action {
                Action::Send { to, kind, payload } => self.send(number, to, kind, &payload),
                Action::Begin(place, work) => {
                    let once = self.begun.insert((work.message.clone(), work.number));
                    assert!(once, "{:?} is searched twice", work.number);
                    let guest = Guest {
                        work,
                        hashes: 0,
                        found: None,
                        is_exhausted: false,
                    };
                    let before = self.members[number].guests[place].replace(guest);
                    assert!(before.is_none(), "the place is free");
                }
                Action::End(place) => {
                    let ended = self.members[number].guests[place].take();
                    assert!(ended.is_some(), "somebody is there");
                }
                Action::Found(job, solution) => {
                    let message = job.to_string();
                    let seed = solution.seed();
                    assert!(verify(seed, message.as_bytes(), Difficulty::NONE).is_some());
                    let own = self.members[number].own.remove(&job);
                    assert!(own.is_some() && self.answered.insert(job), "{job}");
                    self.answered_by_others += 1;
                }
            }
        }
    }

    fn send(&mut self, from: usize, to: To, kind: Kind, payload: &[u8]) {
        let receivers = match to {
            To::All => 0..MEMBERS,
            To::One(MemberId(id)) => id as usize - 1..id as usize,
        };
        for to in receivers.filter(|to| *to != from) {
            let times = match (self.is_smooth, self.draw(1000)) {
                (true, _) => 1,
                (false, drawn) if drawn < LOST => 0,
                (false, drawn) if drawn < LOST + DOUBLED => 2,
                (false, _) => 1,
            };
            for _ in 0..times {
                let delay = DELAY_MAX * self.draw(1000) / 1000;
                self.sent += 1;
                let kind = Kind::ALL.iter().position(|one| *one == kind);
                let kind = kind.unwrap_or_default() as u8;
                let letter = (self.now + delay, self.sent, to, kind, payload.to_vec());
                self.letters.push(Reverse(letter));
            }
        }
    }

    fn helping(&self) -> usize {
        let alive = self.members.iter().filter(|member| member.is_alive);
        alive
            .map(|member| member.guests.iter().flatten().count())
            .sum()
    }

    fn open(&self) -> usize {
        let alive = self.members.iter().filter(|member| member.is_alive);
        alive.map(|member| member.own.len()).sum()
    }
}

fn progress(guest: &Option<Guest>) -> Progress {
    guest
        .as_ref()
        .map_or(Progress::default(), |guest| Progress {
            hashes: guest.hashes,
            found: guest.found,
            is_exhausted: guest.is_exhausted,
        })
}

impl Guest {
    /// Ten milliseconds of work. A find, or the end of a number, comes once in some seconds.
    fn search(&mut self, luck: u32, lies: bool) {
        let steps = self.work.number.steps(self.work.length);
        self.hashes += 1_000_000;
        let seed = || Ring::new(self.work.length, 0).seed(steps.start + u128::from(self.hashes));
        let finds = self.work.difficulty == Difficulty::NONE && luck.is_multiple_of(700);
        if self.found.is_none() && (finds || lies) {
            self.found = Some(seed());
        }
        self.is_exhausted |= luck % 2000 == 1999 && self.found.is_none();
    }
}

/// What is long enough for everybody to hear, or to notice that they hear nothing.
const SETTLED: Duration = Duration::from_millis(4500);

#[test]
fn no_seed_is_tried_twice_all_stop_and_the_owner_always_answers() {
    let mut by_others = 0;
    for seed in 0..5 {
        let mut world = World::new(seed);
        let mut jobs = Vec::new();
        for round in 0..20 {
            let member = world.draw(MEMBERS as u32) as usize;
            let alone = Duration::from_millis(u64::from(world.draw(60_000)));
            jobs.push((member, world.search(member, Difficulty::NONE, alone)));
            world.members[member].has_idle_cores = false;
            let time = world.draw(2000);
            world.run_for(Duration::from_millis(time.into()));
            if round % 5 == 4 {
                // One that dies may own a search, or help with some.
                let dies = world.draw(MEMBERS as u32) as usize;
                world.members[dies].is_alive = false;
                let away = world.draw(MEMBERS as u32) as usize;
                world.members[away].has_idle_cores = false;
            }
            if round == 10 {
                world.is_broker_away = true;
                world.run_for(LEASE + DELAY_MAX + 2 * TICK);
                assert_eq!(world.helping(), 0, "nobody is heard any more");
                world.is_broker_away = false;
            }
        }
        world.run_for(Duration::from_secs(60));
        assert_eq!(world.open(), 0);
        for (member, job) in jobs {
            let lives = world.members[member].is_alive;
            assert!(!lives || world.answered.contains(&job), "{job}");
        }
        world.run_for(SETTLED);
        assert_eq!(world.helping(), 0, "all have stopped");
        assert!(world.begun.len() > MEMBERS, "there was help");
        by_others += world.answered_by_others;
    }
    assert!(by_others > 20, "others found {by_others} of the seeds");
}

#[test]
fn all_idle_members_help_with_a_hopeless_search_and_stop_when_its_owner_dies() {
    let mut world = World::new(7);
    world.search(0, Difficulty::MAX, Duration::MAX / 2);
    world.run_for(Duration::from_secs(10));
    assert!(world.helping() >= MOST, "{}", world.helping());
    let (hashes, helpers) = {
        let node = &world.members[0].node;
        let job = world.members[0].own.keys().next().expect("one");
        node.help(*job, world.now)
    };
    assert!(hashes > 0 && helpers > MEMBERS / 2, "{hashes} {helpers}");
    world.members[0].is_alive = false;
    world.run_for(LEASE + DELAY_MAX + 2 * TICK);
    assert_eq!(world.helping(), 0);
}

#[test]
fn helpers_come_back_when_the_broker_does() {
    let mut world = World::new(8);
    world.search(0, Difficulty::MAX, Duration::MAX / 2);
    world.run_for(Duration::from_secs(5));
    world.is_broker_away = true;
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.helping(), 0);
    world.is_broker_away = false;
    world.run_for(Duration::from_secs(10));
    assert!(world.helping() >= MOST, "{}", world.helping());
}

#[test]
fn a_liar_is_counted_and_not_heard_and_changes_nothing() {
    let mut world = World::new(9);
    world.is_smooth = true;
    world.members[1].lies = true;
    let hopeless = world.search(0, Difficulty::MAX, Duration::MAX / 2);
    world.run_for(Duration::from_secs(20));
    let counts = *world.members[0].node.counts();
    assert_eq!((counts.wrong_winners, counts.winners), (1, 0));
    assert!(counts.refused[Refusal::Struck as usize] > 1);
    assert!(!world.answered.contains(&hopeless));
    assert!(world.helping() >= MOST, "{}", world.helping());
}

#[test]
fn a_find_reaches_everybody_within_the_time_that_messages_take() {
    let mut world = World::new(10);
    world.is_smooth = true;
    let job = world.search(0, Difficulty::MAX, Duration::from_secs(8));
    world.run_for(Duration::from_secs(8) - STEP);
    assert!(world.helping() >= MOST && !world.answered.contains(&job));
    world.run_for(DELAY_MAX + 2 * STEP);
    assert!(world.answered.contains(&job));
    assert_eq!(world.helping(), 0);
    world.run_for(DELAY_MAX);
    // A hundred members that hash 100 million seeds a second, half a second there and back.
    let counts = world.members[0].node.counts();
    let wasted = counts.hashes_wasted / 100_000_000;
    assert!((20..=100).contains(&wasted), "{counts:?}");
    assert!(counts.hashes_received / 100_000_000 > 500);
}

#[test]
fn searches_are_spread_over_members_and_members_over_searches() {
    let mut world = World::new(11);
    for owner in 0..10 {
        world.members[owner].has_idle_cores = false;
        world.search(owner, Difficulty::MAX, Duration::MAX / 2);
    }
    world.run_for(Duration::from_secs(15));
    for owner in 0..10 {
        let node = &world.members[owner].node;
        let job = world.members[owner].own.keys().next().expect("one");
        let (_, helpers) = node.help(*job, world.now);
        assert!((10..=70).contains(&helpers), "search {owner}: {helpers}");
    }
}

#[test]
fn a_later_beginning_of_a_search_takes_the_place_of_an_earlier_one() {
    let mut world = World::new(12);
    world.is_smooth = true;
    let job = world.search(0, Difficulty::MAX, Duration::MAX / 2);
    world.run_for(Duration::from_secs(3));
    // The first owner is cut off, and another one has begun anew.
    let task = Task {
        message: b"the same job".to_vec().into(),
        difficulty: Difficulty::MAX,
        length: SeedLength::of::<11>(),
        epoch: 2,
    };
    let first = Number::new(0).expect("the first");
    let now = world.now;
    world.members[1].node.begin(job, task, first, now);
    world.run_for(Duration::from_secs(5));
    for member in &world.members[2..] {
        let messages: Vec<_> = member.guests.iter().flatten().collect();
        assert!(messages.len() <= 1);
        assert!(
            messages
                .iter()
                .all(|guest| guest.work.message == b"the same job")
        );
    }
    assert!(world.helping() >= MOST, "{}", world.helping());
}
