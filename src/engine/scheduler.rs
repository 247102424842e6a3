//! Whose turn it is: the run state of every client of one worker.
//!
//! Deficit round robin with new and old flows, as FQ-CoDel has them (RFC 8290, section 4.2). *New*
//! clients are those to whom something has happened: bytes, an end, room for replies, a time that
//! is over. They come first, with a short turn each, so that what is easy, or over, is done with at
//! once, however many hard searches there are. What is not done by then is *old*. Of each round the
//! old clients get at least the part that they are of all that wait, so that no stream of new ones
//! keeps them from the CPU; what one kind leaves is the other's.
//!
//! Old clients are in classes, by the work of their search. Between classes a round robin gives
//! each the quantum of every client in it, or a part of that where they are many: nobody waits for
//! long for another class. Within a class it is first come, first served: a search has no memory,
//! so to give its time to its equal gains nothing on average and makes the longest wait longer
//! (2,000 connections at difficulty 4, sharing by slices: p50 0.44 s, p99 3.0 s; in order: both
//! about 0.7 s).
//!
//! Below all of them is the background: clients that have ended their stream, in classes of their
//! own.
//!
//! Rejected: one queue for all, in which an easy request waits a quantum for every search before
//! it: 25 ms behind 100 of them.

mod classes;

use std::collections::VecDeque;

use super::budget::{Budget, TurnKind};
use super::client::{Class, Next, Standing};
use classes::{Classes, Entry};

/// Where a client is. Each is in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// No client has this key.
    Vacant,
    /// It waits for an event.
    Idle,
    /// It waits for a short turn.
    New,
    /// It waits among its equals. The ticket tells its entry in their queue from one that it has
    /// left behind.
    Old { class: Class, ticket: u64 },
    /// It has its turn.
    Running,
    /// It waits for helpers.
    Stalled(Class),
    /// What it was answered is still to be written in this round.
    Unwritten,
}

/// The clients of one worker, known by their keys.
#[derive(Debug)]
pub(crate) struct Scheduler {
    runs: Vec<Run>,
    new: VecDeque<usize>,
    open: Classes,
    background: Classes,
    stalled: Vec<usize>,
    unwritten: Vec<usize>,
    tickets: u64,
    /// What a round gives in all, about.
    quantum: u64,
    /// What old clients were due in rounds that had too little of it for a turn.
    owed: u64,
    round: Round,
}

/// What is left of a round.
#[derive(Debug, Default)]
struct Round {
    /// Turns to give: to each client that waited at its beginning, one.
    new: usize,
    old: usize,
    budget: u64,
    /// The part of it that is not for new clients.
    kept: u64,
    /// The most for a new one.
    short: u64,
    /// The class whose client has its turn.
    class: Option<(Standing, usize)>,
}

/// A turn of the client `key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) key: usize,
    pub(crate) budget: Budget,
}

impl Scheduler {
    /// No clients; rounds give about `quantum`, in whatever unit turns are charged in.
    pub(crate) fn new(quantum: u64) -> Scheduler {
        Scheduler {
            runs: Vec::new(),
            new: VecDeque::with_capacity(classes::ROOM),
            open: Classes::new(),
            background: Classes::new(),
            stalled: Vec::with_capacity(classes::ROOM),
            unwritten: Vec::with_capacity(classes::ROOM),
            tickets: 0,
            quantum,
            owed: 0,
            round: Round::default(),
        }
    }

    /// Changes what a round gives, from the next one on.
    pub(crate) fn set_quantum(&mut self, quantum: u64) {
        self.quantum = quantum;
    }

    /// A client has come, which waits for an event.
    pub(crate) fn insert(&mut self, key: usize) {
        if key >= self.runs.len() {
            self.runs.resize(key + 1, Run::Vacant);
        }
        debug_assert_eq!(self.runs[key], Run::Vacant);
        self.runs[key] = Run::Idle;
    }

    /// A client has gone: after a turn, before its first event, or because its worker ends.
    pub(crate) fn remove(&mut self, key: usize) {
        self.runs[key] = Run::Vacant;
    }

    /// Something has happened to the client `key`. One that waits for a turn already will see it
    /// then.
    pub(crate) fn wake(&mut self, key: usize) {
        if self.runs[key] == Run::Idle {
            self.runs[key] = Run::New;
            self.new.push_back(key);
        }
    }

    /// Something has happened to the client `key` that cannot wait for its place in a queue.
    pub(crate) fn interrupt(&mut self, key: usize) {
        if let Run::Old { class, .. } = self.runs[key] {
            self.runs[key] = Run::Idle;
            let classes = match class.standing {
                Standing::Open => &mut self.open,
                Standing::Background => &mut self.background,
            };
            classes.forget(class.work.index(), &self.runs);
        }
        self.wake(key);
    }

    /// Whether a client whose stream is open waits for a turn.
    pub(crate) fn has_foreground(&self) -> bool {
        !self.new.is_empty() || self.open.live > 0
    }

    /// Whether a client that has ended its stream waits for a turn.
    pub(crate) fn has_background(&self) -> bool {
        self.background.live > 0
    }

    /// Whether a client waits for helpers.
    pub(crate) fn has_stalled(&self) -> bool {
        !self.stalled.is_empty()
    }

    /// Begins a round: a turn at most for each client that waits now, as long as the quantum lasts.
    /// Those that waited for helpers are back at the head of their class.
    pub(crate) fn begin_round(&mut self) {
        while let Some(key) = self.stalled.pop() {
            let Run::Stalled(class) = self.runs[key] else {
                unreachable!("a stalled client leaves that state only here")
            };
            self.enqueue(key, class, true);
        }
        self.check();
        let (new, old) = (self.new.len(), self.open.live);
        let waiting = (new + old).max(1) as u64;
        self.owed = match old {
            0 => 0,
            old => self.owed + self.quantum * old as u64 / waiting,
        };
        let kept = if self.owed > self.least() {
            self.owed
        } else {
            0
        };
        // Alone, a client may use the whole quantum at once.
        let short = (self.quantum / waiting).max(self.quantum / 4);
        let for_new = if new > 0 { short } else { 0 };
        self.round = Round {
            new,
            old,
            budget: self.quantum.max(kept + for_new),
            kept,
            short,
            class: None,
        };
    }

    /// The next turn of the round.
    pub(crate) fn next(&mut self) -> Option<Turn> {
        let least = self.least();
        let round = &mut self.round;
        round.class = None;
        if round.new > 0 && round.budget > round.kept + least {
            round.new -= 1;
            let blocks = (round.budget - round.kept).min(round.short);
            let key = self.new.pop_front()?;
            return Some(self.run(key, blocks, TurnKind::New));
        }
        if round.new > 0 {
            // They did not get all they want: what is left is only what was kept from them.
            round.new = 0;
            round.budget = round.budget.min(round.kept);
        }
        if round.old > 0 && round.budget > least {
            round.old -= 1;
            (round.kept, self.owed) = (0, 0);
            let blocks = round.budget;
            let (key, class) = self.open.pop(self.quantum, &self.runs)?;
            round.class = Some((Standing::Open, class));
            return Some(self.run(key, blocks, TurnKind::Old));
        }
        None
    }

    /// A turn of a whole quantum for a client that has ended its stream: for when nobody else wants
    /// the time.
    pub(crate) fn next_background(&mut self) -> Option<Turn> {
        let (key, class) = self.background.pop(self.quantum, &self.runs)?;
        self.round = Round {
            class: Some((Standing::Background, class)),
            ..Round::default()
        };
        Some(self.run(key, self.quantum, TurnKind::Background))
    }

    /// Takes what the last turn has used from the round, and from what its class may use.
    pub(crate) fn charge(&mut self, used: u64) {
        self.round.budget = self.round.budget.saturating_sub(used);
        match self.round.class {
            Some((Standing::Open, class)) => self.open.charge(class, used),
            Some((Standing::Background, class)) => self.background.charge(class, used),
            None => {}
        }
    }

    /// Puts a client where it wants to be after its turn.
    pub(crate) fn settle(&mut self, key: usize, next: Next) {
        debug_assert!(matches!(self.runs[key], Run::Running | Run::Unwritten));
        match next {
            Next::Turn { class, resumes } => self.enqueue(key, class, resumes),
            Next::Soon => {
                self.runs[key] = Run::New;
                self.new.push_back(key);
            }
            Next::Flush => {
                self.runs[key] = Run::Unwritten;
                self.unwritten.push(key);
            }
            Next::Stalled(class) => {
                self.runs[key] = Run::Stalled(class);
                self.stalled.push(key);
            }
            Next::Event => self.runs[key] = Run::Idle,
            Next::Close => self.runs[key] = Run::Running,
        }
    }

    /// The clients whose replies are still to be written.
    pub(crate) fn unwritten(&self) -> &[usize] {
        &self.unwritten
    }

    /// Forgets who had replies to be written: each was [settled](Scheduler::settle).
    pub(crate) fn clear_unwritten(&mut self) {
        self.unwritten.clear();
    }

    fn run(&mut self, key: usize, blocks: u64, kind: TurnKind) -> Turn {
        self.runs[key] = Run::Running;
        Turn {
            key,
            budget: Budget::new(blocks, kind),
        }
    }

    fn enqueue(&mut self, key: usize, class: Class, first: bool) {
        self.tickets += 1;
        let entry = Entry {
            key,
            ticket: self.tickets,
        };
        self.runs[key] = Run::Old {
            class,
            ticket: entry.ticket,
        };
        let classes = match class.standing {
            Standing::Open => &mut self.open,
            Standing::Background => &mut self.background,
        };
        classes.enqueue(class.work.index(), entry, first);
    }

    /// No turn is given with so little that to begin it costs more than it does.
    fn least(&self) -> u64 {
        self.quantum / 8
    }

    /// Every client is where its run state says, once. Looked at in debug builds only.
    fn check(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let count =
            |wanted: &dyn Fn(&Run) -> bool| self.runs.iter().filter(|run| wanted(run)).count();
        let old = |standing| {
            count(&|run| matches!(run, Run::Old { class, .. } if class.standing == standing))
        };
        assert_eq!(count(&|run| *run == Run::New), self.new.len());
        assert_eq!(count(&|run| *run == Run::Unwritten), self.unwritten.len());
        assert_eq!(
            count(&|run| matches!(run, Run::Stalled(_))),
            self.stalled.len()
        );
        assert_eq!(old(Standing::Open), self.open.live);
        assert_eq!(old(Standing::Background), self.background.live);
        self.open.check();
        self.background.check();
    }
}

#[cfg(test)]
mod tests;
