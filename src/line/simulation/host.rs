//! A simulated worker's side of a search: it finds, stalls and lasts as chosen, and notes what is
//! wrong with how it is used.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use powd_core::{Difficulty, Job, Progress, Seed, SeedLength, verify};

use super::Choices;
use crate::engine::{Budget, Cancel, Drain, Host, Work};

/// A search, by its number.
#[derive(Debug)]
pub(super) struct Task(u64);

/// What is known of a search that is not over.
#[derive(Debug)]
struct Open {
    since: Instant,
    /// Helpers find it.
    offered: bool,
    message: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct SimulatedHost<'c, 'b> {
    pub(super) choices: &'c mut Choices<'b>,
    pub(super) now: Instant,
    pub(super) drain: Drain,
    pub(super) deadline: Option<Duration>,
    /// Searches are long: not begun in a short turn, shared with helpers.
    pub(super) hard: bool,
    /// Output of an earlier turn waits: nothing may be searched for.
    pub(super) is_blocked: bool,
    open: HashMap<u64, Open>,
    next: u64,
}

impl<'c, 'b> SimulatedHost<'c, 'b> {
    pub(super) fn new(choices: &'c mut Choices<'b>, now: Instant) -> SimulatedHost<'c, 'b> {
        let hard = choices.one_in(2);
        SimulatedHost {
            choices,
            now,
            drain: Drain::Serving,
            deadline: None,
            hard,
            is_blocked: false,
            open: HashMap::new(),
            next: 0,
        }
    }

    /// Searches that are under way, waiting or not.
    pub(super) fn open_searches(&self) -> usize {
        self.open.len()
    }

    /// Searches that helpers work on.
    pub(super) fn offered(&self) -> usize {
        self.open.values().filter(|open| open.offered).count()
    }
}

impl Host for SimulatedHost<'_, '_> {
    type Task = Task;

    fn now(&self) -> Instant {
        self.now
    }

    fn drain(&self) -> Drain {
        self.drain
    }

    fn work(&self, difficulty: Difficulty, bytes: usize) -> Work {
        Work::new(difficulty, 1 + bytes as u64 / 64)
    }

    fn is_hard(&self, _: Difficulty, _: usize) -> bool {
        self.hard
    }

    fn outlasts_a_write(&self, _: Difficulty) -> bool {
        self.hard
    }

    fn charge_turn(&self, budget: &mut Budget) {
        budget.spend(1);
    }

    fn begin(&mut self, _: usize) -> Task {
        self.next += 1;
        let open = Open {
            since: self.now,
            offered: false,
            message: None,
        };
        self.open.insert(self.next, open);
        Task(self.next)
    }

    fn advance(&mut self, task: &mut Task, job: Job<'_>, budget: &mut Budget) -> Progress {
        assert!(
            !self.is_blocked,
            "searched before earlier replies were written"
        );
        let open = self
            .open
            .get_mut(&task.0)
            .expect("a search that is not over");
        if let Some(limit) = self.deadline {
            assert!(self.now < open.since + limit, "searched past the deadline");
        }
        assert_ne!(
            self.drain,
            Drain::Expired,
            "searched when the drain was over"
        );
        let message = open.message.get_or_insert_with(|| job.message.to_vec());
        assert_eq!(message, job.message, "another message than before");
        budget.spend(1 + self.choices.below(20));
        match self.choices.below(4) {
            1 => {
                budget.spend(budget.left());
                open.offered = self.hard;
                Progress::Pending
            }
            2 if self.hard => {
                open.offered = true;
                Progress::Stalled
            }
            _ => {
                self.open.remove(&task.0);
                let seed = Seed::from_index(SeedLength::DEFAULT, u128::from(task.0));
                let solution = verify(seed, job.message, Difficulty::NONE);
                Progress::Found(solution.expect("every digest has no zeros"))
            }
        }
    }

    fn withdraw(&mut self, task: &Task) {
        if let Some(open) = self.open.get_mut(&task.0) {
            open.offered = false;
        }
    }

    fn pause(&mut self, task: &mut Task) {
        self.withdraw(task);
    }

    fn cancel(&mut self, task: Task, _: Cancel) {
        let was_open = self.open.remove(&task.0).is_some();
        assert!(was_open, "a search is ended twice");
    }
}
