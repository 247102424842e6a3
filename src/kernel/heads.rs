//! The heads of seeds (their first up to four characters) in their order, as words of block 0.
//!
//! The index of a head is a number in base 62, its first character the lowest digit. The first two
//! characters are the upper half of word 0, and run fastest: a batch of neighbours in one vector is a load
//! from a table of all pairs, shifted up, over a word that is the same for the whole *row* of 3844. No
//! number is turned into text.

use std::ops::Range;

use crate::pow::ALPHABET;
use crate::sha256::Template;

/// The most lanes that a kernel tries at once, and so what the tables hold beyond their end.
pub(super) const MAX_LANES: usize = 16;

const PAIR_COUNT: usize = 62 * 62;

/// All pairs of characters in order, the first one in the upper byte. The last batch of a row reads
/// beyond the end; those lanes are never winners.
static PAIRS: [u16; PAIR_COUNT + MAX_LANES] = {
    let mut pairs = [0; PAIR_COUNT + MAX_LANES];
    let mut index = 0;
    while index < PAIR_COUNT {
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
    pub(super) upper: &'static [u16],
}

impl Batch {
    /// The head of the lowest lane among `lanes` (lane 0 in bit 0), those beyond the end left out.
    #[inline(always)]
    pub(super) fn lowest(&self, lanes: u32) -> Option<u32> {
        let lanes = lanes & ((1 << self.count) - 1);
        (lanes != 0).then(|| self.first + lanes.trailing_zeros())
    }
}

/// The batches of up to `lanes` heads that make up a range, in order.
#[derive(Clone, Debug)]
pub(super) struct Batches {
    table: &'static [u16],
    width: u32,
    seed_length: usize,
    message_word: u32,
    lanes: u32,
    /// The row, the place in it, and the index of the next head.
    row: u32,
    column: u32,
    next: u32,
    end: u32,
}

impl Batches {
    /// Heads beyond the last one of the template's seed length are left out.
    pub(super) fn new(template: &Template, heads: Range<u32>, lanes: usize) -> Batches {
        debug_assert!((1..=MAX_LANES).contains(&lanes));
        let seed_length = template.seed_length();
        let (table, width): (&[u16], _) = match seed_length {
            1 => (&SINGLES, 62),
            _ => (&PAIRS, PAIR_COUNT as u32),
        };
        let head_length = seed_length.min(Template::MAX_HEAD_LENGTH) as u32;
        Batches {
            table,
            width,
            seed_length,
            message_word: template.words()[0],
            lanes: lanes as u32,
            row: heads.start / width,
            column: heads.start % width,
            next: heads.start,
            end: heads.end.min(62u32.pow(head_length)),
        }
    }

    /// Characters three and four, or what the message has in their place.
    fn row_word(&self) -> u32 {
        let row = self.row as usize;
        self.message_word
            | match self.seed_length {
                1 | 2 => 0,
                3 => u32::from(ALPHABET[row]) << 8,
                _ => u32::from(PAIRS[row]),
            }
    }
}

impl Iterator for Batches {
    type Item = Batch;

    #[inline(always)]
    fn next(&mut self) -> Option<Batch> {
        if self.next >= self.end {
            return None;
        }
        let count = self
            .lanes
            .min(self.end - self.next)
            .min(self.width - self.column);
        let batch = Batch {
            first: self.next,
            count,
            row: self.row_word(),
            upper: &self.table[self.column as usize..][..self.lanes as usize],
        };
        self.next += count;
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
    use crate::pow::{Seed, space};

    /// Every head of a range once, in order, with the word that its seed makes.
    #[track_caller]
    fn check(seed_length: usize, heads: Range<u32>, lanes: usize) {
        let mut template = Template::with_capacity(64);
        template.load(seed_length, b"message");
        let mut expected = heads.start;
        for batch in Batches::new(&template, heads.clone(), lanes) {
            assert_eq!(batch.first, expected);
            assert!((1..=lanes as u32).contains(&batch.count));
            assert_eq!(batch.upper.len(), lanes);
            for lane in 0..batch.count {
                let word = batch.row | u32::from(batch.upper[lane as usize]) << 16;
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
        for lanes in [1, 8, 16] {
            check(1, 0..62, lanes);
            check(2, 0..3844, lanes);
            check(3, 0..space(3) as u32, lanes);
        }
    }

    #[test]
    fn odd_ranges_and_the_ends_of_rows() {
        for length in [4, 5, 16] {
            for start in [0, 1, 3835, 3843, 3844, 238_327, 238_328, 14_776_300] {
                for count in [0, 1, 7, 8, 9, 15, 16, 17, 33] {
                    for lanes in [1, 8, 16] {
                        check(length, start..(start + count).min(62u32.pow(4)), lanes);
                    }
                }
            }
        }
    }

    #[test]
    fn heads_that_do_not_exist_are_left_out() {
        let mut template = Template::with_capacity(64);
        template.load(1, b"");
        let count: u32 = Batches::new(&template, 0..1000, 8)
            .map(|batch| batch.count)
            .sum();
        assert_eq!(count, 62);
        assert!(Batches::new(&template, 62..63, 8).next().is_none());
    }
}
