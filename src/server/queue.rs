//! Whose turn it is: the connections of one worker that have something to do.
//!
//! Those with *news* (bytes, an end, room for replies, a time that is over) come first, with a short turn each: what is
//! easy, or over, is done with at once, however many hard searches there are. What is not done by then goes
//! *on* in long turns, one connection after the other. Of each round those get at least the part that they
//! are of all that wait, so that no stream of news keeps them from the CPU; what one kind leaves is the
//! other's.
//!
//! Rejected: one queue for both, in which an easy request waits a slice for every search before it: 25 ms
//! behind 100 of them.

use std::collections::VecDeque;

/// The connections that wait for a turn, each at most once: that is for the caller to see to.
#[derive(Debug)]
pub(super) struct Queue {
    news: VecDeque<usize>,
    on: VecDeque<usize>,
    /// What a round gives in all, about.
    slice: u64,
    /// What those that go on were due, in rounds that had too little of it for a turn.
    owed: u64,
    round: Round,
}

/// What is left of a round.
#[derive(Debug, Default)]
struct Round {
    /// Turns to give: to each connection that waited at its beginning, one.
    news: usize,
    on: usize,
    budget: u64,
    /// The part of it that is not for news.
    kept: u64,
    /// The most for one with news.
    short: u64,
}

/// A turn of the connection `key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) key: usize,
    pub(super) budget: u64,
}

impl Queue {
    /// An empty queue whose rounds give about `slice`, in whatever unit turns are charged in.
    pub(super) fn new(slice: u64) -> Queue {
        Queue {
            news: VecDeque::new(),
            on: VecDeque::new(),
            slice,
            owed: 0,
            round: Round::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.news.is_empty() && self.on.is_empty()
    }

    /// There is news of the connection `key`.
    pub(super) fn has_news(&mut self, key: usize) {
        self.news.push_back(key);
    }

    /// The connection `key` has had its turn and is to go on.
    pub(super) fn goes_on(&mut self, key: usize) {
        self.on.push_back(key);
    }

    /// Begins a round: a turn at most for each connection that waits now, as long as the slice lasts.
    pub(super) fn begin_round(&mut self) {
        let (news, on) = (self.news.len(), self.on.len());
        let waiting = (news + on).max(1) as u64;
        self.owed = if on == 0 {
            0
        } else {
            self.owed + self.slice * on as u64 / waiting
        };
        let kept = if self.owed > self.least() {
            self.owed
        } else {
            0
        };
        // Alone, a connection may use the whole slice at once.
        let short = (self.slice / waiting).max(self.slice / 4);
        let for_news = if news > 0 { short } else { 0 };
        self.round = Round {
            news,
            on,
            budget: self.slice.max(kept + for_news),
            kept,
            short,
        };
    }

    /// The next turn of the round.
    pub(super) fn next(&mut self) -> Option<Turn> {
        let least = self.least();
        let round = &mut self.round;
        if round.news > 0 && round.budget > round.kept + least {
            round.news -= 1;
            let budget = (round.budget - round.kept).min(round.short);
            return self.news.pop_front().map(|key| Turn { key, budget });
        }
        if round.news > 0 {
            // They did not get all they want: what is left is only what was kept from them.
            round.news = 0;
            round.budget = round.budget.min(round.kept);
        }
        if round.on > 0 && round.budget > least {
            round.on -= 1;
            (round.kept, self.owed) = (0, 0);
            let budget = round.budget;
            return self.on.pop_front().map(|key| Turn { key, budget });
        }
        None
    }

    /// Takes what the last turn has used from the round.
    pub(super) fn charge(&mut self, used: u64) {
        self.round.budget = self.round.budget.saturating_sub(used);
    }

    /// No turn is given with so little that to begin it costs more than it does.
    fn least(&self) -> u64 {
        self.slice / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: u64 = 1000;
    /// What an easy request uses.
    const EASY: u64 = 20;

    /// One round in which connections from `hard` on use all they get and go on, and the others use [`EASY`] and
    /// are done. Adds to `used`, by key; returns those that are done.
    fn round(queue: &mut Queue, hard: usize, used: &mut [u64]) -> Vec<usize> {
        let mut done = Vec::new();
        queue.begin_round();
        while let Some(Turn { key, budget }) = queue.next() {
            let spent = if key < hard { EASY.min(budget) } else { budget };
            queue.charge(spent);
            used[key] += spent;
            if key < hard {
                done.push(key);
            } else {
                queue.goes_on(key);
            }
        }
        done
    }

    #[test]
    fn an_easy_request_waits_for_no_search_but_the_one_at_work() {
        let mut queue = Queue::new(SLICE);
        (1..=100).for_each(|key| queue.goes_on(key));
        let mut used = [0; 101];
        for turn in 1..50 {
            queue.has_news(0);
            round(&mut queue, 1, &mut used);
            assert_eq!(used[0], turn * EASY, "answered in the round it came in");
        }
        let searched: u64 = used[1..].iter().sum();
        assert!(searched >= 49 * (SLICE - EASY), "and little is lost by it");
    }

    #[test]
    fn a_search_gets_its_share_and_no_more_beside_a_stream_of_easy_requests() {
        // All of them together want more than there is.
        const CLIENTS: usize = 99;
        let mut queue = Queue::new(SLICE);
        queue.goes_on(CLIENTS);
        let mut used = [0; CLIENTS + 1];
        let mut asking: Vec<usize> = (0..CLIENTS).collect();
        for _ in 0..10_000 {
            asking.iter().for_each(|&key| queue.has_news(key));
            asking = round(&mut queue, CLIENTS, &mut used);
        }
        let all: u64 = used.iter().sum();
        let share = used[CLIENTS] as f64 / all as f64;
        assert!((0.009..0.012).contains(&share), "one of a hundred: {share}");
        let (least, most) = (used[..CLIENTS].iter().min(), used[..CLIENTS].iter().max());
        let apart = most.zip(least).map(|(most, least)| most - least);
        assert!(apart.is_some_and(|apart| apart <= 2 * EASY), "{used:?}");
    }

    #[test]
    fn searches_take_turns() {
        let mut queue = Queue::new(SLICE);
        (0..3).for_each(|key| queue.has_news(key));
        let mut used = [0; 3];
        for _ in 0..30 {
            round(&mut queue, 0, &mut used);
        }
        assert!(used.iter().all(|used| used.abs_diff(10 * SLICE) <= SLICE));
    }

    #[test]
    fn a_connection_alone_has_the_whole_slice_and_one_turn_of_it() {
        let mut queue = Queue::new(SLICE);
        queue.has_news(7);
        queue.begin_round();
        let turn = Turn {
            key: 7,
            budget: SLICE,
        };
        assert_eq!(queue.next(), Some(turn));
        queue.charge(EASY);
        queue.goes_on(7);
        assert_eq!(queue.next(), None);
        assert!(!queue.is_empty());
    }

    #[test]
    fn the_smallest_slice_is_given_too() {
        let mut queue = Queue::new(8);
        (0..5).for_each(|key| queue.has_news(key));
        let mut used = [0; 5];
        for _ in 0..20 {
            round(&mut queue, 0, &mut used);
        }
        assert!(used.iter().all(|&used| used > 0), "{used:?}");
    }
}
