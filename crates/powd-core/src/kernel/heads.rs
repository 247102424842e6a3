//! The heads of seeds (their first up to four characters) in their order, as words of block 0.
//!
//! The index of a head is a number in base 62, its first character the lowest digit. The first two
//! characters are the upper half of word 0, and run fastest: a batch of neighbours in one vector is
//! a load from a table of all pairs, shifted up, over a word that is the same for the whole *row*
//! of 3844. No number is turned into text.

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use crate::pow::{ALPHABET, SeedLength};
use crate::sha256::Template;
use crate::sync::{AtomicBool, never};

/// The most lanes that a kernel tries at once, and so what the tables hold beyond their end.
pub(super) const MAX_LANES: usize = 32;

/// About `seeds` seeds, as whole batches of any kernel, one at least: a batch costs the same
/// however few of its lanes are in use.
pub fn whole_batches(seeds: u64) -> NonZeroU64 {
    let batches = NonZeroU64::MIN.saturating_add(seeds.saturating_sub(1) / MAX_LANES as u64);
    batches.saturating_mul(const { NonZeroU64::new(MAX_LANES as u64).expect("not zero") })
}

/// The heads of a row: as many as there are pairs of characters.
const ROW: usize = 62 * 62;

/// All pairs of characters in order, the first one in the upper byte. The last batch of a row reads
/// beyond the end; those lanes are never winners.
static CHARACTER_PAIRS: [u16; ROW + MAX_LANES] = {
    let mut pairs = [0; ROW + MAX_LANES];
    let mut index = 0;
    while index < ROW {
        pairs[index] = u16::from_be_bytes([ALPHABET[index % 62], ALPHABET[index / 62]]);
        index += 1;
    }
    pairs
};

/// The same for seeds of a single character, which leave the second byte to the message.
static SINGLES: [u16; 62 + MAX_LANES] = {
    let mut singles = [0; 62 + MAX_LANES];
    let mut index = 0;
    while index < 62 {
        singles[index] = u16::from_be_bytes([ALPHABET[index], 0]);
        index += 1;
    }
    singles
};

/// Heads to be tried, from the front, until another thread says that it is enough.
#[derive(Clone, Debug)]
pub struct Heads<'s> {
    /// The heads that are not tried yet. A kernel takes whole batches off the front, and tries all
    /// of each.
    left: Range<u32>,
    stop: &'s AtomicBool,
}

impl<'s> Heads<'s> {
    /// The heads of a range, as long as `stop` is not set.
    pub fn until(stop: &'s AtomicBool, range: Range<u32>) -> Heads<'s> {
        Heads { left: range, stop }
    }

    /// The heads that are not tried yet. After a scan that means: behind a hit, what follows it;
    /// behind a stop, what the kernel did not come to; else none.
    pub fn left(&self) -> Range<u32> {
        self.left.clone()
    }

    /// Puts the heads behind `head` back, which the kernel took in the same batch.
    pub(super) fn go_on_behind(&mut self, head: u32) {
        self.left.start = head + 1;
    }
}

impl From<Range<u32>> for Heads<'static> {
    /// The heads of a range, all of them.
    fn from(range: Range<u32>) -> Heads<'static> {
        Heads::until(never(), range)
    }
}

/// Neighbours of one row, at most as many as there are lanes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    /// Index of the first head.
    pub(super) first: u32,
    /// How many there are, at least one.
    pub(super) count: u32,
    /// What of word 0 they have in common.
    pub(super) row: u32,
    /// What they differ in: the upper half of word 0, one for each lane.
    pub(super) upper_halves: &'static [u16],
}

impl Batch {
    /// Word 0 of one lane.
    #[inline(always)]
    pub(super) fn word0(&self, lane: usize) -> u32 {
        self.row | u32::from(self.upper_halves[lane]) << 16
    }

    /// The head of the lowest lane among `lanes` (lane 0 in bit 0), those beyond the end left out.
    #[inline(always)]
    pub(super) fn lowest(&self, lanes: u32) -> Option<u32> {
        let lanes = lanes & (u32::MAX >> (u32::BITS - self.count));
        (lanes != 0).then(|| self.first + lanes.trailing_zeros())
    }
}

/// The batches of up to `lanes` heads that make up a range, in order.
#[derive(Debug)]
pub(super) struct Batches<'h, 's> {
    heads: &'h mut Heads<'s>,
    table: &'static [u16],
    width: u32,
    seed_length: SeedLength,
    message_word: u32,
    lanes: u32,
    /// The row of the next head, and the place in it.
    row: u32,
    column: u32,
}

impl<'h, 's> Batches<'h, 's> {
    /// Heads beyond the last one of the template's seed length are left out.
    pub(super) fn new(
        template: &Template,
        heads: &'h mut Heads<'s>,
        lanes: usize,
    ) -> Batches<'h, 's> {
        debug_assert!((1..=MAX_LANES).contains(&lanes));
        let seed_length = template.seed_length();
        let (table, width): (&[u16], _) = match seed_length.get() {
            1 => (&SINGLES, 62),
            _ => (&CHARACTER_PAIRS, ROW as u32),
        };
        heads.left.end = heads.left.end.min(template.heads());
        Batches {
            row: heads.left.start / width,
            column: heads.left.start % width,
            heads,
            table,
            width,
            seed_length,
            message_word: template.words()[0],
            lanes: lanes as u32,
        }
    }

    /// Characters three and four, or what the message has in their place.
    fn row_word(&self) -> u32 {
        let row = self.row as usize;
        self.message_word
            | match self.seed_length.get() {
                1 | 2 => 0,
                3 => u32::from(ALPHABET[row]) << 8,
                _ => u32::from(CHARACTER_PAIRS[row]),
            }
    }
}

impl Iterator for Batches<'_, '_> {
    type Item = Batch;

    #[inline(always)]
    fn next(&mut self) -> Option<Batch> {
        let left = &mut self.heads.left;
        // One load for each batch, from a line that nobody writes before the end: it does not show.
        if left.start >= left.end || self.heads.stop.load(Relaxed) {
            return None;
        }
        let first = left.start;
        let count = self
            .lanes
            .min(left.end - first)
            .min(self.width - self.column);
        left.start += count;
        let batch = Batch {
            first,
            count,
            row: self.row_word(),
            upper_halves: &self.table[self.column as usize..][..self.lanes as usize],
        };
        self.column += count;
        if self.column == self.width {
            self.column = 0;
            self.row += 1;
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pow::Seed;

    /// Every head of a range once, in order, with the word that its seed makes.
    #[track_caller]
    fn check(seed_length: u8, heads: Range<u32>, lanes: usize) {
        let seed_length = SeedLength::new(seed_length).expect("1 to 16");
        let mut template = Template::with_capacity(64);
        template.load(seed_length, b"message");
        let mut expected = heads.start;
        for batch in Batches::new(&template, &mut heads.clone().into(), lanes) {
            assert_eq!(batch.first, expected);
            assert!((1..=lanes as u32).contains(&batch.count));
            assert_eq!(batch.upper_halves.len(), lanes);
            for lane in 0..batch.count {
                let word = batch.word0(lane as usize);
                let seed = Seed::from_index(seed_length, u128::from(batch.first + lane));
                let text = [seed.as_bytes(), b"message"].concat();
                assert_eq!(word.to_be_bytes(), text[..4], "{seed}");
            }
            expected += batch.count;
        }
        assert_eq!(expected, heads.end);
    }

    #[test]
    fn every_head_of_the_short_lengths() {
        for lanes in [1, 4, 8, 16, 32] {
            check(1, 0..62, lanes);
            check(2, 0..3844, lanes);
            check(3, 0..62u32.pow(3), lanes);
        }
    }

    #[test]
    fn odd_ranges_and_the_ends_of_rows() {
        for length in [4, 5, 16] {
            for start in [0, 1, 3835, 3843, 3844, 238_327, 238_328, 14_776_300] {
                for count in [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33] {
                    for lanes in [1, 4, 8, 16, 32] {
                        check(length, start..(start + count).min(62u32.pow(4)), lanes);
                    }
                }
            }
        }
    }

    #[test]
    fn heads_that_do_not_exist_are_left_out() {
        let mut template = Template::with_capacity(64);
        template.load(SeedLength::MIN, b"");
        let count: u32 = Batches::new(&template, &mut Heads::from(0..1000), 8)
            .map(|batch| batch.count)
            .sum();
        assert_eq!(count, 62);
        let mut beyond = Heads::from(62..63);
        assert!(Batches::new(&template, &mut beyond, 8).next().is_none());
        assert!(beyond.left().is_empty());
    }
}
