//! Searches of other engines, on this one's board.
//!
//! Workers find them where they find each other's, when no client here wants their time. Who brings
//! a guest follows it by [`Guests::progress`], and is woken through the [`Outpost`](super::Outpost)
//! when it has come to an end.

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;

use powd_core::unstable::{Ring, SharedSearch, hash_blocks};
use powd_core::{Job, SeedLength, Solution};

use super::board::GUESTS;
use super::client::Standing;
use super::shared::Shared;

/// The places for guests of one engine.
#[derive(Debug)]
pub struct Guests {
    shared: Arc<Shared>,
    places: [Option<Arc<SharedSearch>>; GUESTS],
}

/// How far a guest's search has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuestProgress {
    /// Seeds that were tried, or are being tried.
    pub hashes: u64,
    /// What was found.
    pub winner: Option<Solution>,
    /// Whether all its seeds were tried, and none is a solution.
    pub is_exhausted: bool,
}

impl Guests {
    /// How many there can be at once.
    pub const PLACES: usize = GUESTS;

    pub(super) fn new(shared: Arc<Shared>) -> Guests {
        Guests {
            shared,
            places: [const { None }; GUESTS],
        }
    }

    /// Begins a search for `job` with the seeds of `length` whose indices are in `steps`, in a
    /// place below [`Guests::PLACES`].
    pub fn begin(&mut self, place: usize, job: Job<'_>, length: SeedLength, steps: Range<u128>) {
        self.end(place);
        let blocks = hash_blocks(length, job.message.len());
        let chunk: NonZeroU64 = self.shared.portions().chunk(blocks);
        let mut search = SharedSearch::with_capacity(job.message.len());
        search.begin(job, Ring::new(length, 0), steps, chunk);
        self.places[place] = Some(Arc::new(search));
        self.offer_again();
    }

    /// Wakes a worker for each guest that still has something to do: one that was woken may have
    /// found work of its own.
    pub fn offer_again(&self) {
        let board = &self.shared.board;
        for (guest, search) in self.places.iter().enumerate() {
            if let Some(search) = search {
                board.offer(board.guest(guest), search, Standing::Background);
            }
        }
    }

    /// How far it has come.
    pub fn progress(&self, place: usize) -> GuestProgress {
        let Some(search) = &self.places[place] else {
            return GuestProgress::default();
        };
        GuestProgress {
            hashes: search.claimed(),
            winner: search.winner(),
            is_exhausted: search.is_exhausted(),
        }
    }

    /// Ends it: workers stop after the batch that they are at.
    pub fn end(&mut self, place: usize) {
        if let Some(search) = self.places[place].take() {
            search.call_off();
            let board = &self.shared.board;
            board.withdraw(board.guest(place), &search);
        }
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        (0..GUESTS).for_each(|place| self.end(place));
    }
}
