//! The searches of one worker that take more than a turn, for who watches.
//!
//! A table of a fixed size, written by the worker alone with plain stores. A search that is done
//! within its first turn, as nearly all easy ones are, never gets there. Who reads it while a place
//! changes hands may see the difficulty of one search with the hashes of another: it is a view for
//! people.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use powd_core::Difficulty;

/// Searches shown for each worker; further ones are counted, not shown.
const PLACES: usize = 64;

/// The table of one worker.
#[derive(Debug)]
pub(crate) struct LongSearches {
    started: Instant,
    places: Box<[Place]>,
}

#[derive(Debug, Default)]
struct Place {
    /// One more than the difficulty; 0 where there is no search.
    occupied: AtomicU64,
    /// When it came, in nanoseconds since the start.
    since: AtomicU64,
    hashes: AtomicU64,
}

/// A search that is under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LongSearch {
    /// The zeros asked for.
    pub difficulty: Difficulty,
    /// How long it has been under way.
    pub time: Duration,
    /// Seeds tried so far, on all cores.
    pub hashes: u64,
}

/// Where a search stands in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot(usize);

impl LongSearches {
    pub(crate) fn new() -> LongSearches {
        LongSearches {
            started: Instant::now(),
            places: (0..PLACES).map(|_| Place::default()).collect(),
        }
    }

    /// Shows a search, if there is room.
    pub(crate) fn show(&self, difficulty: Difficulty, now: Instant) -> Option<Spot> {
        let is_free = |place: &Place| place.occupied.load(Relaxed) == 0;
        let free = self.places.iter().position(is_free)?;
        let place = &self.places[free];
        let since = now.saturating_duration_since(self.started);
        place.since.store(since.as_nanos() as u64, Relaxed);
        place.hashes.store(0, Relaxed);
        let occupied = u64::from(difficulty.nibbles()) + 1;
        place.occupied.store(occupied, Relaxed);
        Some(Spot(free))
    }

    pub(crate) fn update(&self, Spot(place): Spot, hashes: u64) {
        self.places[place].hashes.store(hashes, Relaxed);
    }

    pub(crate) fn remove(&self, Spot(place): Spot) {
        self.places[place].occupied.store(0, Relaxed);
    }

    /// Those that are shown now.
    pub(crate) fn list(&self) -> impl Iterator<Item = LongSearch> {
        let now = self.started.elapsed();
        self.places.iter().filter_map(move |place| {
            let nibbles = place.occupied.load(Relaxed).checked_sub(1)?;
            let since = Duration::from_nanos(place.since.load(Relaxed));
            Some(LongSearch {
                difficulty: Difficulty::new(nibbles as u8).ok()?,
                time: now.saturating_sub(since),
                hashes: place.hashes.load(Relaxed),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_shown_until_it_is_removed_as_long_as_there_is_room() {
        let table = LongSearches::new();
        let spots: Vec<Spot> = (0..PLACES)
            .map(|_| {
                table
                    .show(Difficulty::of::<7>(), Instant::now())
                    .expect("room")
            })
            .collect();
        assert!(table.show(Difficulty::NONE, Instant::now()).is_none());
        table.update(spots[3], 1000);
        assert_eq!(
            table.list().filter(|search| search.hashes == 1000).count(),
            1
        );
        for spot in &spots[1..] {
            table.remove(*spot);
        }
        let [left] = table.list().collect::<Vec<_>>()[..] else {
            panic!("one is left");
        };
        assert_eq!((left.difficulty, left.hashes), (Difficulty::of::<7>(), 0));
    }
}
