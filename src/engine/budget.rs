//! How much a worker does at a time, and how much of that a client may use.
//!
//! The unit is the compression of one block: what a hash costs is known in blocks, and the rate of
//! the kernel turns time into blocks. So no clock is read to keep to a budget.

use std::num::NonZeroU64;
use std::time::Duration;

use powd_core::Difficulty;
use powd_core::unstable::whole_batches;

use super::outpost::WORTH;

/// What a worker does between two looks at its sockets.
const QUANTUM: Duration = Duration::from_micros(250);

/// What a turn costs besides its hashes: about one read and one write.
const TURN: Duration = Duration::from_micros(5);

/// What a request costs besides its search, in blocks: cutting it, checking and writing its reply.
const REQUEST_COST: u64 = 8;

/// However slow the machine, a turn gets further than its own cost.
const SMALLEST_QUANTUM: u64 = 64;

/// The rate is measured again after so much work: long enough for a quiet and a busy moment to be
/// in it.
const OBSERVATION: Duration = Duration::from_millis(100);

/// The sizes of a worker's portions of work, in blocks.
///
/// They begin with the rate that was measured at the start, and follow what the worker sees later:
/// that measurement is short, and the machine may have been busy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portions {
    rate: f64,
    quantum: u64,
    turn_cost: u64,
    observed_blocks: u64,
    observed_time: Duration,
}

impl Portions {
    /// The portions of a kernel that compresses `rate` blocks per second.
    pub(crate) fn new(rate: f64) -> Portions {
        let blocks = |time: Duration| ((rate * time.as_secs_f64()) as u64).max(1);
        Portions {
            rate,
            quantum: blocks(QUANTUM).max(SMALLEST_QUANTUM),
            turn_cost: blocks(TURN),
            observed_blocks: 0,
            observed_time: Duration::ZERO,
        }
    }

    /// A round that did nothing but hashing, nearly, took `time` for `blocks`. Says whether that
    /// has changed them.
    pub(crate) fn observe(&mut self, blocks: u64, time: Duration) -> bool {
        self.observed_blocks += blocks;
        self.observed_time += time;
        let has_seen_enough = self.observed_time >= OBSERVATION;
        if has_seen_enough {
            let seen = self.observed_blocks as f64 / self.observed_time.as_secs_f64();
            // One round that was interrupted for long must not make the portions tiny: halfway
            // there, and never far down in one step.
            *self = Portions::new((self.rate + seen.max(self.rate / 2.0)) / 2.0);
        }
        has_seen_enough
    }

    /// Blocks per second.
    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }

    /// What a round gives in all: the quantum of RFC 8290, in blocks.
    pub(crate) fn quantum(&self) -> u64 {
        self.quantum
    }

    /// What a turn costs besides its hashes.
    pub(crate) fn turn_cost(&self) -> u64 {
        self.turn_cost
    }

    /// Whether a search is long enough to be worth waking a helper: two quanta or more on average.
    pub(crate) fn is_worth_sharing(&self, difficulty: Difficulty, blocks: u64) -> bool {
        difficulty.expected_hashes() * blocks as f64 >= 2.0 * self.quantum as f64
    }

    /// Whether a search is long enough to ask other engines for help.
    pub(crate) fn is_worth_a_call(&self, difficulty: Difficulty, blocks: u64) -> bool {
        difficulty.expected_hashes() * blocks as f64 >= self.rate * WORTH.as_secs_f64()
    }

    /// Whether to find the reply to a message of one block takes longer, on average, than to write
    /// it.
    pub(crate) fn outlasts_a_write(&self, difficulty: Difficulty) -> bool {
        difficulty.expected_hashes() >= self.turn_cost as f64
    }

    /// Seeds per claim: a quarter of a quantum. A worker finishes a chunk however little is left of
    /// its budget, so it must not be long; each claim takes a cache line from all others at the
    /// search, so it must not be short.
    pub(crate) fn chunk(&self, blocks: u64) -> NonZeroU64 {
        seeds(self.quantum / 4, blocks)
    }
}

/// The seeds of `blocks` each that `budget` allows, in whole batches: of long messages it allows
/// few.
pub(crate) fn seeds(budget: u64, blocks: u64) -> NonZeroU64 {
    whole_batches(budget / blocks)
}

/// Which kind of turn a client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnKind {
    /// A short one, because something has happened: easy requests are answered, hard searches not
    /// begun.
    New,
    /// One of those that wait for more time.
    Old,
    /// One of those for which nobody waits with an open connection.
    Background,
}

/// What is left of a turn, in blocks and requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    left: u64,
    spent: u64,
    requests: u32,
    kind: TurnKind,
}

impl Budget {
    /// A turn of `blocks`, for however many requests these are enough.
    pub fn new(blocks: u64, kind: TurnKind) -> Budget {
        Budget {
            left: blocks,
            spent: 0,
            requests: u32::MAX,
            kind,
        }
    }

    /// The same turn for at most `requests`.
    pub fn for_requests(self, requests: u32) -> Budget {
        Budget { requests, ..self }
    }

    /// The blocks left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Which kind of turn it is of.
    pub fn kind(&self) -> TurnKind {
        self.kind
    }

    /// Whether there is nothing left.
    pub fn is_spent(&self) -> bool {
        self.left == 0 || self.requests == 0
    }

    /// The blocks used. More than there were, where the least that can be done at once is more: a
    /// batch of long messages.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// Takes `blocks` from it, as far as they go.
    pub fn spend(&mut self, blocks: u64) {
        self.left = self.left.saturating_sub(blocks);
        self.spent = self.spent.saturating_add(blocks);
    }

    /// Takes a request from it, with what it costs besides its search.
    pub fn spend_request(&mut self) {
        self.requests = self.requests.saturating_sub(1);
        self.spend(REQUEST_COST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_known_where_it_is_more_than_there_was() {
        let mut budget = Budget::new(100, TurnKind::Old);
        budget.spend(32 * 1025);
        assert!(budget.is_spent());
        assert_eq!(budget.spent(), 32 * 1025);
    }

    #[test]
    fn a_turn_ends_with_its_requests_or_its_blocks() {
        let mut budget = Budget::new(3 * REQUEST_COST, TurnKind::New).for_requests(2);
        budget.spend_request();
        assert!(!budget.is_spent());
        budget.spend_request();
        assert!(budget.is_spent());
        assert_eq!(budget.left(), REQUEST_COST);
        budget.spend(REQUEST_COST);
        assert!(budget.is_spent());
    }

    #[test]
    fn batches_are_full_however_long_the_message() {
        let portions = Portions::new(95e6);
        // Of the longest message one batch takes more than a quantum.
        for (blocks, quanta) in [(1, 1.0), (2, 1.0), (100, 1.0), (700, 1.0), (1025, 1.5)] {
            let chunk = portions.chunk(blocks).get();
            assert_eq!(chunk, whole_batches(chunk).get(), "{blocks} blocks");
            let took = (chunk * blocks) as f64 / portions.quantum() as f64;
            assert!(took <= quanta, "{took} quanta for {blocks} blocks");
        }
    }

    #[test]
    fn what_takes_a_search_is_decided_by_the_time_it_takes() {
        let (fast, slow) = (Portions::new(100e6), Portions::new(2e6));
        // A write takes 5 µs: 500 hashes of the one, 10 of the other.
        assert!(!fast.outlasts_a_write(Difficulty::of::<2>()));
        assert!(fast.outlasts_a_write(Difficulty::of::<3>()));
        assert!(!slow.outlasts_a_write(Difficulty::of::<0>()));
        assert!(slow.outlasts_a_write(Difficulty::of::<1>()));
    }

    #[test]
    fn portions_follow_what_a_worker_sees() {
        let mut portions = Portions::new(10e6);
        let before = portions.quantum();
        for _ in 0..20 {
            portions.observe(10_000_000, Duration::from_millis(100));
        }
        let after = portions.quantum();
        assert!(
            (9 * before..=10 * before).contains(&after),
            "{before} {after}"
        );
        // One round that was interrupted for long does not make them tiny.
        portions.observe(1, Duration::from_secs(10));
        assert!(portions.quantum() > after / 2);
    }
}
