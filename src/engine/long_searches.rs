//! The searches of one worker that take more than a turn, for who watches.
//!
//! A table of a fixed size, written by the worker alone with plain stores. A search that is done
//! within its first turn, as nearly all easy ones are, never gets there. Who reads it while a row
//! changes hands may see the difficulty of one search with the hashes of another: it is a view for
//! people.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use powd_core::Difficulty;

/// Searches shown for each worker; further ones are counted, not shown.
const ROWS: usize = 64;

/// The table of one worker.
#[derive(Debug)]
pub(crate) struct LongSearches {
    started: Instant,
    rows: Box<[Row]>,
}

#[derive(Debug, Default)]
struct Row {
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
pub(crate) struct RowNumber(usize);

impl LongSearches {
    pub(crate) fn new() -> LongSearches {
        LongSearches {
            started: Instant::now(),
            rows: (0..ROWS).map(|_| Row::default()).collect(),
        }
    }

    /// Shows a search, if there is room.
    pub(crate) fn show(&self, difficulty: Difficulty, now: Instant) -> Option<RowNumber> {
        let is_free = |row: &Row| row.occupied.load(Relaxed) == 0;
        let free = self.rows.iter().position(is_free)?;
        let row = &self.rows[free];
        let since = now.saturating_duration_since(self.started);
        row.since.store(since.as_nanos() as u64, Relaxed);
        row.hashes.store(0, Relaxed);
        let occupied = u64::from(difficulty.nibbles()) + 1;
        row.occupied.store(occupied, Relaxed);
        Some(RowNumber(free))
    }

    pub(crate) fn update(&self, RowNumber(row): RowNumber, hashes: u64) {
        self.rows[row].hashes.store(hashes, Relaxed);
    }

    pub(crate) fn remove(&self, RowNumber(row): RowNumber) {
        self.rows[row].occupied.store(0, Relaxed);
    }

    /// Those that are shown now.
    pub(crate) fn list(&self) -> impl Iterator<Item = LongSearch> {
        let now = self.started.elapsed();
        self.rows.iter().filter_map(move |row| {
            let nibbles = row.occupied.load(Relaxed).checked_sub(1)?;
            let since = Duration::from_nanos(row.since.load(Relaxed));
            Some(LongSearch {
                difficulty: Difficulty::new(nibbles as u8).ok()?,
                time: now.saturating_sub(since),
                hashes: row.hashes.load(Relaxed),
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
        let numbers: Vec<RowNumber> = (0..ROWS)
            .map(|_| {
                table
                    .show(Difficulty::of::<7>(), Instant::now())
                    .expect("room")
            })
            .collect();
        assert!(table.show(Difficulty::NONE, Instant::now()).is_none());
        table.update(numbers[3], 1000);
        assert_eq!(
            table.list().filter(|search| search.hashes == 1000).count(),
            1
        );
        for number in &numbers[1..] {
            table.remove(*number);
        }
        let [left] = table.list().collect::<Vec<_>>()[..] else {
            panic!("one is left");
        };
        assert_eq!((left.difficulty, left.hashes), (Difficulty::of::<7>(), 0));
    }
}
