//! The queues of the classes: first come, first served within each, deficit round robin between
//! them.

use std::collections::VecDeque;

use super::Run;
use crate::engine::client::Work;

/// Queues have room for so many clients from the start, and keep what they grow by.
pub(super) const ROOM: usize = 32;

/// The quanta that all classes together get at most in one pass of the round robin: 16 ms. When
/// each client brought its class a whole quantum, 16 connections at difficulty 3 waited 0.4 s, again
/// and again, until 1,600 hard ones had had their turn (p90 0.8 s; Xeon, one worker, 2026-11).
const PASS: usize = 64;

/// A client's place in the queue of a class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) key: usize,
    pub(super) ticket: u64,
}

/// The queue of a class: first come, first served. Entries that a client has left behind are passed
/// over.
#[derive(Debug)]
struct Fifo {
    entries: VecDeque<Entry>,
    /// Entries that stand for a client.
    live: usize,
    /// What the class may still use before the next class has its turn; below zero where it used
    /// more.
    deficit: i64,
}

impl Fifo {
    fn new() -> Fifo {
        Fifo {
            entries: VecDeque::with_capacity(ROOM),
            live: 0,
            deficit: 0,
        }
    }

    /// The first client, which leaves the queue.
    fn pop(&mut self, runs: &[Run]) -> Option<usize> {
        while let Some(entry) = self.entries.pop_front() {
            if is_live(entry, runs) {
                self.live -= 1;
                return Some(entry.key);
            }
        }
        None
    }

    /// A client has left it from within, and its run state says so already.
    fn forget(&mut self, runs: &[Run]) {
        self.live -= 1;
        // What was left behind never outweighs what is there, even in a class that has no turn for
        // hours.
        if self.entries.len() > 2 * self.live + 16 {
            self.entries.retain(|&entry| is_live(entry, runs));
        }
    }
}

fn is_live(entry: Entry, runs: &[Run]) -> bool {
    matches!(runs[entry.key], Run::Old { ticket, .. } if ticket == entry.ticket)
}

/// The queues of all classes of one standing.
#[derive(Debug)]
pub(super) struct Classes {
    queues: Box<[Fifo]>,
    /// The classes that have clients, the next one first.
    active: VecDeque<usize>,
    /// Clients in all of them.
    pub(super) live: usize,
}

impl Classes {
    pub(super) fn new() -> Classes {
        Classes {
            queues: (0..Work::COUNT).map(|_| Fifo::new()).collect(),
            active: VecDeque::with_capacity(Work::COUNT),
            live: 0,
        }
    }

    pub(super) fn enqueue(&mut self, class: usize, entry: Entry, first: bool) {
        let queue = &mut self.queues[class];
        if queue.live == 0 && !self.active.contains(&class) {
            self.active.push_back(class);
        }
        queue.live += 1;
        self.live += 1;
        if first {
            queue.entries.push_front(entry);
        } else {
            queue.entries.push_back(entry);
        }
    }

    /// The first client of the class whose turn it is, and that class: RFC 8290's scheduling, with
    /// a quantum for each client of the class, or, where they are many, with its share of a pass.
    pub(super) fn pop(&mut self, quantum: u64, runs: &[Run]) -> Option<(usize, usize)> {
        loop {
            let class = *self.active.front()?;
            let queue = &mut self.queues[class];
            if queue.live == 0 {
                self.active.pop_front();
                queue.deficit = 0;
            } else if queue.deficit <= 0 {
                let pass = quantum * PASS.min(self.live) as u64;
                let share = pass * queue.live as u64 / self.live as u64;
                queue.deficit += share.max(1) as i64;
                self.active.rotate_left(1);
            } else {
                let key = queue.pop(runs)?;
                self.live -= 1;
                return Some((key, class));
            }
        }
    }

    /// A client has left the queue of its class from within, and its run state says so already.
    pub(super) fn forget(&mut self, class: usize, runs: &[Run]) {
        let queue = &mut self.queues[class];
        queue.forget(runs);
        self.live -= 1;
        if queue.live == 0 {
            queue.deficit = 0;
            self.active.retain(|&active| active != class);
        }
    }

    pub(super) fn charge(&mut self, class: usize, used: u64) {
        self.queues[class].deficit -= used as i64;
    }

    /// Places in all queues, those that were left behind with them.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.queues.iter().map(|queue| queue.entries.len()).sum()
    }

    /// What it counts is what is there.
    pub(super) fn check(&self) {
        let live: usize = self.queues.iter().map(|queue| queue.live).sum();
        assert_eq!(live, self.live);
        for (class, queue) in self.queues.iter().enumerate() {
            assert!(queue.live == 0 || self.active.contains(&class));
        }
    }
}
